"""The founding story: a container that needs more memory than it may have, and the roll-out that heals it."""

import pytest

pytestmark = pytest.mark.looptime

HUNGRY = {
    "nodes": [{"name": "node-1"}],
    "rules": [{"match": {"namespace": "shop", "workload": "payment-service"}, "needsMemory": {"memory": "200Mi", "after": 0.5}}],
}


def payment(lab, limit):
    return lab.deployment("payment-service", lab.container(resources={"limits": {"memory": limit}}))


async def restarts(lab):
    return [row["restartCount"] for pod in await lab.list("pods") for row in pod["status"]["containerStatuses"]]


@pytest.mark.parametrize("lab", [{"scenario": HUNGRY}], indirect=True)
async def test_pods_are_oom_killed_and_restarted_until_the_limit_suffices(lab):
    await lab.create("deployments", payment(lab, "128Mi"), "apps")
    await lab.pass_time(6)
    pods = await lab.list("pods")
    assert len(pods) == 3
    for pod in pods:
        row = pod["status"]["containerStatuses"][0]
        assert row["restartCount"] >= 2
        assert row["lastState"]["terminated"]["reason"] == "OOMKilled"
        assert row["lastState"]["terminated"]["exitCode"] == 137
    assert ("BackOff", f"Back-off restarting failed container app in pod {pods[0]['metadata']['name']}_shop({pods[0]['metadata']['uid']})") in await lab.events()

    template = payment(lab, "256Mi")["spec"]["template"]
    await lab.patch("deployments", "payment-service", {"spec": {"template": template}}, group="apps")
    await lab.pass_time(10)
    pods = await lab.list("pods")
    assert [pod["status"]["phase"] for pod in pods] == ["Running"] * 3
    assert await restarts(lab) == [0, 0, 0]
    status = (await lab.get("deployments", "payment-service", group="apps"))["status"]
    assert (status["updatedReplicas"], status["availableReplicas"], status["replicas"]) == (3, 3, 3)
    sets = await lab.list("replicasets", group="apps")
    assert sorted(rs["spec"]["replicas"] for rs in sets) == [0, 3]

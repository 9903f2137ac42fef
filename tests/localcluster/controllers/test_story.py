"""The founding story: a container that needs more memory than it may have, and the roll-out that heals it."""

import pytest

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
    assert (
        "BackOff",
        f"Back-off restarting failed container app in pod {pods[0]['metadata']['name']}_shop({pods[0]['metadata']['uid']})",
    ) in await lab.events()

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


@pytest.mark.parametrize("seconds", [0.05, 0.3, 0.8, 1.5, 3])
async def test_a_new_process_on_the_same_store_goes_on_where_the_old_one_fell(new_lab, tmp_path, seconds):
    first = new_lab(scenario=HUNGRY, database=str(tmp_path / "cluster.db"))
    await first.create("namespaces", {"metadata": {"name": "shop"}})
    first.start()
    await first.create("deployments", payment(first, "128Mi"), "apps")
    await first.pass_time(4)
    await first.patch("deployments", "payment-service", {"spec": {"template": payment(first, "256Mi")["spec"]["template"]}}, group="apps")
    await first.pass_time(seconds)
    await first.kill()
    await first.cluster.stop()

    second = new_lab(scenario=HUNGRY, database=str(tmp_path / "cluster.db"))
    second.start()
    await second.pass_time(8)
    sets = await second.list("replicasets", group="apps")
    assert sorted((rs["spec"]["replicas"], rs["status"].get("readyReplicas", 0)) for rs in sets) == [(0, 0), (3, 3)]
    assert await restarts(second) == [0, 0, 0]
    status = (await second.get("deployments", "payment-service", group="apps"))["status"]
    assert [row["reason"] for row in status["conditions"] if row["type"] == "Progressing"] == ["NewReplicaSetAvailable"]
    await second.kill()
    await second.cluster.stop()

"""DaemonSets: one pod on each node that takes it."""

import pytest

THREE = {
    "scenario": {
        "nodes": [{"name": "a"}, {"name": "b"}, {"name": "c", "taints": [{"key": "dedicated", "value": "db", "effect": "NoSchedule"}]}]
    }
}
pytestmark = pytest.mark.parametrize("lab", [THREE], indirect=True)


def daemon_set(lab, tag="1", **spec):
    labels = {"app": "agent"}
    template = {
        "metadata": {"labels": labels},
        "spec": lab.pod("agent", lab.container(image=f"registry.example/agent:{tag}"), **spec)["spec"],
    }
    return {"metadata": {"name": "agent", "namespace": "shop"}, "spec": {"selector": {"matchLabels": labels}, "template": template}}


async def nodes_of_pods(lab):
    return sorted(pod["spec"].get("nodeName", "") for pod in await lab.list("pods"))


async def test_every_node_that_takes_it_gets_one(lab):
    await lab.create("daemonsets", daemon_set(lab), "apps")
    await lab.pass_time(3)
    assert await nodes_of_pods(lab) == ["a", "b"]
    status = (await lab.get("daemonsets", "agent", group="apps"))["status"]
    assert status == {
        "currentNumberScheduled": 2,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": 2,
        "numberReady": 2,
        "observedGeneration": 1,
        "updatedNumberScheduled": 2,
        "numberAvailable": 2,
    }


async def test_tolerations_and_selectors_decide_about_nodes(lab):
    await lab.create("daemonsets", daemon_set(lab, tolerations=[{"operator": "Exists"}]), "apps")
    await lab.pass_time(3)
    assert await nodes_of_pods(lab) == ["a", "b", "c"]
    await lab.patch(
        "daemonsets", "agent", {"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/hostname": "b"}}}}}, group="apps"
    )
    await lab.pass_time(5)
    assert await nodes_of_pods(lab) == ["b"]


async def test_an_update_takes_one_node_after_the_other(lab):
    await lab.create("daemonsets", daemon_set(lab), "apps")
    await lab.pass_time(3)
    await lab.patch("daemonsets", "agent", {"spec": {"template": daemon_set(lab, "2")["spec"]["template"]}}, group="apps")
    for _ in range(100):
        await lab.pass_time(0.05)
        alive = [
            pod for pod in await lab.list("pods") if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
        ]
        assert len(alive) >= 1
    assert {pod["spec"]["containers"][0]["image"] for pod in await lab.list("pods")} == {"registry.example/agent:2"}
    assert (await lab.get("daemonsets", "agent", group="apps"))["status"]["updatedNumberScheduled"] == 2


@pytest.mark.parametrize(("effect", "left"), [("NoSchedule", ["a", "b"]), ("NoExecute", ["b"])], ids=["NoSchedule", "NoExecute"])
async def test_a_new_taint_drives_off_who_runs_there_only_where_it_says_so(lab, effect, left):
    await lab.create("daemonsets", daemon_set(lab), "apps")
    await lab.pass_time(3)
    await lab.patch("nodes", "a", {"spec": {"taints": [{"key": "maintenance", "effect": effect}]}})
    await lab.pass_time(5)
    assert await nodes_of_pods(lab) == left

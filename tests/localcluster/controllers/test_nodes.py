"""Nodes as scenario data names them."""

import pytest

from kubernaut.localcluster.controllers import Scenario


def with_node(ready, **fields):
    return Scenario.from_obj({"nodes": [{"name": "node-1", "ready": ready, **fields}]})


async def test_a_node_registers_and_reports(lab):
    node = await lab.get("nodes", "node-1", "")
    assert node["metadata"]["labels"]["kubernetes.io/hostname"] == "node-1"
    assert node["status"]["allocatable"]["memory"] == "16Gi"
    told = {row["type"]: (row["status"], row["reason"]) for row in node["status"]["conditions"]}
    assert told["Ready"] == ("True", "KubeletReady")
    assert told["MemoryPressure"] == ("False", "KubeletHasSufficientMemory")


async def test_a_node_that_falls_is_tainted_and_its_pods_are_not_ready(lab):
    await lab.create("pods", lab.pod())
    await lab.pass_time(1)
    lab.scenario.replace(with_node(ready=False, reason="KubeletNotReady", message="container runtime is down"))
    await lab.pass_time(1)
    node = await lab.get("nodes", "node-1", "")
    ready = next(row for row in node["status"]["conditions"] if row["type"] == "Ready")
    assert (ready["status"], ready["reason"], ready["message"]) == ("False", "KubeletNotReady", "container runtime is down")
    assert {(taint["key"], taint["effect"]) for taint in node["spec"]["taints"]} == {
        ("node.kubernetes.io/not-ready", "NoSchedule"),
        ("node.kubernetes.io/not-ready", "NoExecute"),
    }
    pod = await lab.get("pods", "one")
    assert next(row["status"] for row in pod["status"]["conditions"] if row["type"] == "Ready") == "False"
    assert ("NodeNotReady", "Node is not ready") in await lab.events()

    lab.scenario.replace(with_node(ready=True))
    await lab.pass_time(2)
    assert not (await lab.get("nodes", "node-1", ""))["spec"].get("taints")
    pod = await lab.get("pods", "one")
    assert next(row["status"] for row in pod["status"]["conditions"] if row["type"] == "Ready") == "True"


async def test_pods_are_evicted_from_a_node_that_stays_down(lab):
    await lab.create("pods", lab.pod())
    await lab.pass_time(1)
    lab.scenario.replace(with_node(ready=False))
    await lab.pass_time(20)
    assert "deletionTimestamp" not in (await lab.get("pods", "one"))["metadata"]
    await lab.pass_time(20)
    # it cannot go before its kubelet says so
    assert "deletionTimestamp" in (await lab.get("pods", "one"))["metadata"]
    assert ("TaintManagerEviction", "Marking for deletion Pod shop/one") in await lab.events()
    lab.scenario.replace(with_node(ready=True))
    await lab.pass_time(2)
    assert await lab.gone("pods", "one")


@pytest.mark.parametrize("lab", [{"scenario": {"nodes": [{"name": "a", "ready": False}, {"name": "b"}]}}], indirect=True)
async def test_new_pods_avoid_a_node_that_is_down(lab):
    await lab.create("pods", lab.pod())
    await lab.pass_time(2)
    assert (await lab.get("pods", "one"))["spec"]["nodeName"] == "b"

"""ReplicaSets: as many pods as wanted."""

import pytest

from kubernaut.localcluster.controllers.podstate import removal_order


def replica_set(lab, name="rs", replicas=2, **fields):
    labels = {"set": name}
    template = {"metadata": {"labels": labels}, "spec": lab.pod()["spec"]}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **fields}
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": spec}


async def test_a_deleted_pod_is_replaced(lab):
    await lab.create("replicasets", replica_set(lab), "apps")
    await lab.pass_time(2)
    first = (await lab.list("pods"))[0]["metadata"]["name"]
    await lab.delete("pods", first)
    await lab.pass_time(2)
    pods = await lab.list("pods")
    assert len(pods) == 2
    assert first not in [pod["metadata"]["name"] for pod in pods]
    status = (await lab.get("replicasets", "rs", group="apps"))["status"]
    assert status == {
        "replicas": 2,
        "fullyLabeledReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "observedGeneration": 1,
        "terminatingReplicas": 0,
    }
    assert ("SuccessfulCreate", f"Created pod: {first}") in await lab.events()


async def test_scaling_down_deletes_pods_and_tells_so(lab):
    await lab.create("replicasets", replica_set(lab, replicas=3), "apps")
    await lab.pass_time(2)
    await lab.patch("replicasets", "rs", {"spec": {"replicas": 1}}, group="apps")
    await lab.pass_time(2)
    assert len(await lab.list("pods")) == 1
    assert [reason for reason, _ in await lab.events()].count("SuccessfulDelete") == 2


async def test_pods_that_match_and_belong_to_nobody_are_adopted(lab):
    await lab.create("pods", lab.pod("lone", labels={"set": "rs"}))
    await lab.create("replicasets", replica_set(lab), "apps")
    await lab.pass_time(2)
    assert len(await lab.list("pods")) == 2
    assert (await lab.get("pods", "lone"))["metadata"]["ownerReferences"][0]["name"] == "rs"


async def test_a_pod_whose_labels_change_is_let_go_and_replaced(lab):
    await lab.create("replicasets", replica_set(lab), "apps")
    await lab.pass_time(2)
    name = (await lab.list("pods"))[0]["metadata"]["name"]
    await lab.patch("pods", name, {"metadata": {"labels": {"set": "debug"}}})
    await lab.pass_time(2)
    assert len(await lab.list("pods")) == 3
    assert "ownerReferences" not in (await lab.get("pods", name))["metadata"]


@pytest.mark.parametrize("lab", [{"names": ("replicasets",)}], indirect=True)
async def test_a_refused_pod_is_told_and_tried_again(lab):
    rs = replica_set(lab, replicas=1)
    rs["spec"]["template"]["spec"]["serviceAccountName"] = "robot"
    await lab.create("replicasets", rs, "apps")
    await lab.pass_time(2)
    assert await lab.list("pods") == []
    assert "FailedCreate" in [reason for reason, _ in await lab.events()]
    status = (await lab.get("replicasets", "rs", group="apps"))["status"]
    assert [(row["type"], row["status"], row["reason"]) for row in status["conditions"]] == [("ReplicaFailure", "True", "FailedCreate")]
    await lab.create("serviceaccounts", {"metadata": {"name": "robot", "namespace": "shop"}})
    await lab.pass_time(40)
    assert len(await lab.list("pods")) == 1
    assert "conditions" not in (await lab.get("replicasets", "rs", group="apps"))["status"]


def pod(name, node="n", phase="Running", ready=True, since="2026-01-01T00:00:00Z", restarts=0, cost=None):
    meta = {"name": name, "creationTimestamp": since} | (
        {"annotations": {"controller.kubernetes.io/pod-deletion-cost": cost}} if cost else {}
    )
    rows = [{"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": since}]
    return {
        "metadata": meta,
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": phase, "conditions": rows, "containerStatuses": [{"restartCount": restarts}]},
    }


@pytest.mark.parametrize(
    ("pods", "first"),
    [
        pytest.param([pod("a"), pod("b", node="")], "b", id="without a node"),
        pytest.param([pod("a"), pod("b", phase="Pending")], "b", id="pending"),
        pytest.param([pod("a"), pod("b", ready=False)], "b", id="not ready"),
        pytest.param([pod("a", cost="5"), pod("b", cost="-1")], "b", id="cheap"),
        pytest.param([pod("a"), pod("b", "m"), pod("c", "m", restarts=0)], "b", id="crowded"),
        pytest.param([pod("a"), pod("b", restarts=3)], "b", id="restarted"),
        pytest.param([pod("a"), pod("b", since="2026-01-02T00:00:00Z")], "b", id="younger"),
    ],
)
def test_which_pod_goes_first(pods, first):
    assert removal_order(pods)[0]["metadata"]["name"] == first

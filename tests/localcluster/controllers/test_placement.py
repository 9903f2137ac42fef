"""Which node a pod gets, and what the scheduler says where none will do."""

import pytest

from kubernaut.localcluster.controllers.placement import NodeLoad, place, tolerates, total_requests


def node(name="n1", memory="1Gi", cpu="2", pods="110", labels=None, **spec):
    offered = {"memory": memory, "cpu": cpu, "pods": pods}
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": spec, "status": {"allocatable": offered}}


def pod(memory="100Mi", **spec):
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "resources": {"requests": {"memory": memory}}}], **spec}}


def refused(reason, help_="Preemption is not helpful for scheduling"):
    return f"0/1 nodes are available: 1 {reason}. no new claims to deallocate, preemption: 0/1 nodes are available: 1 {help_}."


ZONE_A = {
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]
            }
        }
    }
}
MISMATCH = "node(s) didn't match Pod's node affinity/selector"
NO_VICTIMS = "No preemption victims found for incoming pod"
TAINT = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("asks", "offers", "held", "message"),
    [
        pytest.param(pod(), node(), [], "", id="room enough"),
        pytest.param(pod("2Gi"), node(), [], refused("Insufficient memory"), id="more than the node ever has"),
        pytest.param(pod("600Mi"), node(), [pod("600Mi")], refused("Insufficient memory", NO_VICTIMS), id="more than is left"),
        pytest.param(pod(), node(pods="1"), [pod()], refused("Too many pods", NO_VICTIMS), id="too many pods"),
        pytest.param(pod(nodeSelector={"zone": "a"}), node(), [], refused(MISMATCH), id="selector"),
        pytest.param(pod(nodeSelector={"zone": "a"}), node(labels={"zone": "a"}), [], "", id="selector met"),
        pytest.param(pod(**ZONE_A), node(labels={"zone": "b"}), [], refused(MISMATCH), id="affinity"),
        pytest.param(pod(**ZONE_A), node(labels={"zone": "a"}), [], "", id="affinity met"),
        pytest.param(pod(), node(taints=[TAINT]), [], refused("node(s) had untolerated taint(s)"), id="taint"),
        pytest.param(pod(tolerations=[{"key": "dedicated", "operator": "Exists"}]), node(taints=[TAINT]), [], "", id="taint tolerated"),
        pytest.param(pod(), node(unschedulable=True), [], refused("node(s) were unschedulable"), id="cordoned"),
    ],
)
def test_one_node(asks, offers, held, message):
    assert place(asks, [NodeLoad(offers, held)]) == ("" if message else "n1", message)


def test_reasons_are_counted_over_nodes():
    loads = [NodeLoad(node("n1"), []), NodeLoad(node("n2"), []), NodeLoad(node("n3", unschedulable=True), [])]
    _, message = place(pod("2Gi"), loads)
    assert message.startswith("0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient memory. ")
    assert message.endswith("preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.")


def test_without_nodes_the_scheduler_says_so():
    assert place(pod(), []) == ("", "no nodes available to schedule pods")


def test_the_emptier_node_wins():
    assert place(pod(), [NodeLoad(node("n1"), [pod("500Mi")]), NodeLoad(node("n2"), [])])[0] == "n2"


def test_pods_of_one_owner_are_spread():
    owned = {"metadata": {"name": "x", "ownerReferences": [{"uid": "u", "controller": True}]}, "spec": pod()["spec"]}
    loads = [NodeLoad(node("n1", memory="64Gi"), [owned]), NodeLoad(node("n2"), [pod("500Mi")])]
    assert place(owned, loads)[0] == "n2"


def test_requests_follow_limits_and_the_greediest_init_container():
    spec = {
        "containers": [
            {"resources": {"limits": {"memory": "128Mi"}}},
            {"resources": {"limits": {"memory": "1Gi"}, "requests": {"memory": "64Mi"}}},
        ],
        "initContainers": [{"resources": {"requests": {"memory": "512Mi"}}}],
    }
    assert total_requests(spec)["memory"] == 512 * 2**20


@pytest.mark.parametrize(
    ("toleration", "held"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "dedicated", "value": "db"}, True),
        ({"key": "dedicated", "value": "web"}, False),
        ({"key": "dedicated", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "other", "operator": "Exists"}, False),
    ],
)
def test_tolerations(toleration, held):
    assert tolerates({"tolerations": [toleration]}, TAINT) is held

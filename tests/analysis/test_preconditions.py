"""What must hold before an action makes sense, whoever wanted it."""

from dataclasses import replace
from typing import Any

import pytest

from kubernaut.analysis.investigators.base import Cause, Finding, Verdict
from kubernaut.analysis.preconditions import object_of, unmet
from kubernaut.analysis.snapshot import identity
from kubernaut.api.base import Obj, ResourceIdentifier
from tests.analysis.world import NS, World, container, limit_range, node, quota

DEPLOYMENT = ResourceIdentifier(kind="Deployment", name="checkout", namespace=NS)
HPA: Obj = {
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "scaler", "namespace": NS},
    "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "checkout"}},
}
LIMITED = World(containers=[container(memory="128Mi")])
BEFORE = World(revision=3, previous=[container(image="registry.example/app:0")])


def wanted(action: str, target: ResourceIdentifier = DEPLOYMENT, **facts: str) -> Finding:
    cause = Cause(name="Cause", summary="", confidence=0.9)
    named = {name.replace("_", "."): value for name, value in facts.items()}
    return Finding(verdict=Verdict.CAUSE_FOUND, investigator="x", target=target, cause=cause, action=action, facts=named)


def more(proposed: str, name: str = "app") -> Finding:
    return wanted("IncreaseMemoryLimits", container=name, memory_limit_proposed=proposed)


def changed(world: World, **spec: Any) -> Any:
    snapshot = world.snapshot()
    top = snapshot.chain[0]
    return replace(snapshot, chain=({**top, "spec": top["spec"] | spec},))


def node_named(name: str, *, ready: bool = True, **spec: Any) -> Obj:
    found = node(name, **spec)
    found["status"]["conditions"] = [{"type": "Ready", "status": "True" if ready else "False"}]
    return found


def cluster_of(*nodes: Obj) -> Any:
    return replace(World(nodes=list(nodes)).snapshot(), chain=(nodes[0],))


N1 = ResourceIdentifier(kind="Node", name="n1")
POD = World().snapshot().pods[0]
LONE = {**POD, "metadata": {name: value for name, value in POD["metadata"].items() if name != "ownerReferences"}}


@pytest.mark.parametrize(
    ("finding", "snapshot", "why"),
    [
        pytest.param(more("256Mi"), LIMITED.snapshot(), "", id="a limit that grows"),
        pytest.param(more("128Mi"), LIMITED.snapshot(), "has a memory limit of 128Mi already", id="a limit that does not grow"),
        pytest.param(more("64Mi"), LIMITED.snapshot(), "has a memory limit of 128Mi already", id="a limit that shrinks"),
        pytest.param(more("256Mi", "other"), LIMITED.snapshot(), "no container 'other'", id="a container that is not there"),
        pytest.param(more("1Ti"), LIMITED.snapshot(), "the largest node has 16Gi memory to give", id="more than a node has"),
        pytest.param(
            more("512Mi"), LIMITED.but(related={"LimitRange": (limit_range(max={"memory": "300Mi"}),)}).snapshot(),
            "512Mi is too much: a container here may have 300Mi", id="more than the LimitRange allows",
        ),
        pytest.param(
            more("512Mi"), LIMITED.but(related={"ResourceQuota": (quota({"limits.memory": "500Mi"}, {"limits.memory": "384Mi"}),)}).snapshot(),
            "must fit the quota", id="more than the quota has",
        ),
        pytest.param(more("256Mi"), changed(LIMITED, paused=True), "roll-outs of shop/deployment/checkout are paused", id="paused"),
        pytest.param(wanted("RollbackDeployment", rollout_revision_previous="2"), BEFORE.snapshot(), "", id="a revision that is kept"),
        pytest.param(
            wanted("RollbackDeployment", rollout_revision_previous="1"), BEFORE.snapshot(), "revision 1 is kept no more", id="one that is not"
        ),
        pytest.param(wanted("RestartDeployment"), World().snapshot(), "", id="a restart"),
        pytest.param(wanted("RestartDeployment"), changed(World(), replicas=0), "scaled to zero", id="nothing to restart"),
        pytest.param(wanted("ScaleReplicas"), World().snapshot(), "", id="replicas that nobody else sets"),
        pytest.param(
            wanted("ScaleReplicas"), World(related={HPA["kind"]: (HPA,)}).snapshot(), "HorizontalPodAutoscaler scaler sets", id="autoscaled"
        ),
        pytest.param(wanted("RestartPod", identity(POD)), World().snapshot(), "", id="a pod that is made anew"),
        pytest.param(
            wanted("RestartPod", identity(POD)), replace(World().snapshot(), pods=(LONE,)), "nothing would make", id="a pod of nobody"
        ),
        pytest.param(wanted("RestartPod", identity(POD), pod_uid="p-9"), World().snapshot(), "another pod by now", id="another pod"),
        pytest.param(wanted("UncordonNode", N1), cluster_of(node_named("n1", unschedulable=True)), "", id="a healthy cordoned node"),
        pytest.param(wanted("UncordonNode", N1), cluster_of(node_named("n1", ready=False)), "node n1 is not ready", id="a sick node"),
        pytest.param(wanted("CordonDrainNode", N1), cluster_of(node_named("n1", ready=False), node_named("n2")), "", id="others take its pods"),
        pytest.param(
            wanted("CordonDrainNode", N1), cluster_of(node_named("n1"), node_named("n2", unschedulable=True)), "no other node", id="nobody does"
        ),
        pytest.param(wanted(""), World().snapshot(), "", id="no action"),
        pytest.param(wanted("RestartDeployment", ResourceIdentifier(kind="Deployment", name="other", namespace=NS)), World().snapshot(), "", id="a target that was not seen"),
    ],
)  # fmt: skip
def test_an_action_makes_sense_or_says_why_not(finding, snapshot, why):
    found = unmet(finding, snapshot)
    assert (why in found) if why else found == ""


def test_what_is_being_deleted_is_left_alone():
    snapshot = World().snapshot()
    going = {**snapshot.chain[0], "metadata": snapshot.chain[0]["metadata"] | {"deletionTimestamp": "2026-03-02T11:00:00Z"}}
    assert unmet(wanted("AnythingAtAll"), replace(snapshot, chain=(going,))) == "shop/deployment/checkout is being deleted"


def test_a_target_is_found_wherever_the_snapshot_has_it():
    snapshot = World(related={HPA["kind"]: (HPA,)}).snapshot()
    assert object_of(snapshot, identity(HPA)) is HPA
    assert object_of(snapshot, ResourceIdentifier(kind="Deployment", name="checkout", namespace=NS)) is snapshot.chain[0]
    assert object_of(snapshot, ResourceIdentifier(kind="Deployment", name="checkout", namespace="other")) is None

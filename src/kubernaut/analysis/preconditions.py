"""What must hold in the cluster before an action makes sense, held against the snapshot; whoever wanted the action. Pure.

A diagnosis may come from a model, and a catalogue from anybody: neither can have a pod deleted that nobody makes anew, a limit raised
above what the quota allows, or replicas set that an autoscaler sets again.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from kubernaut.analysis.bounds import ceilings
from kubernaut.analysis.containers import condition
from kubernaut.analysis.investigators.base import Finding
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Obj, ResourceIdentifier
from kubernaut.api.quantity import parse_quantity

Condition = Callable[[Finding, Snapshot, Obj], str]
"""Returns why an action makes no sense for its target; empty when it does."""


def unmet(finding: Finding, snapshot: Snapshot) -> str:
    """Return the first precondition of a finding's action that does not hold; empty when all do, or the target is not in the snapshot."""
    there = around(snapshot, finding.target)
    target = object_of(there, finding.target)
    if target is None or not finding.action:
        return ""
    found = (check(finding, there, target) for check in (_stays, *_CONDITIONS.get(finding.action, ())))
    return next((why for why in found if why), "")


def around(snapshot: Snapshot, target: ResourceIdentifier) -> Snapshot:
    """Return the snapshot that a target stands in: this one, or one that it leads to."""
    others = (lead.snapshot for lead in snapshot.leads if lead.snapshot)
    return next((each for each in (snapshot, *others) if object_of(each, target)), snapshot)


def object_of(snapshot: Snapshot, target: ResourceIdentifier) -> Obj | None:
    """Return the object that a target names, where the snapshot has it."""
    related = (obj for objects in snapshot.related.values() for obj in objects)
    known = (*snapshot.chain, *snapshot.pods, *snapshot.replica_sets, *snapshot.nodes, *related)
    wanted = (target.kind, target.namespace, target.name)
    return next((obj for obj in known if _named(obj) == wanted), None)


def _named(obj: Obj) -> tuple[str, str, str]:
    return obj["kind"], obj["metadata"].get("namespace") or "", obj["metadata"]["name"]


def _stays(finding: Finding, _snapshot: Snapshot, target: Obj) -> str:
    return f"{finding.target.path()} is being deleted" if target["metadata"].get("deletionTimestamp") else ""


def _rolls_out(finding: Finding, _snapshot: Snapshot, target: Obj) -> str:
    if not (target.get("spec") or {}).get("paused"):
        return ""
    return f"roll-outs of {finding.target.path()} are paused, so its pods would not change"


def _limit_grows(resource: str) -> Condition:
    """Return the condition that a proposed limit is more than the present one, and no more than the cluster allows."""

    def grows(finding: Finding, snapshot: Snapshot, target: Obj) -> str:
        name, text = finding.facts.get("container", ""), finding.facts.get(f"{resource}.limit.proposed", "")
        pod = ((target.get("spec") or {}).get("template") or {}).get("spec") or {}
        spec = next((row for row in (*pod.get("containers", ()), *pod.get("initContainers", ())) if row["name"] == name), None)
        proposed = _amount(text)
        if spec is None or proposed is None:
            return f"there is no container {name!r} in its pod template" if spec is None and pod else ""
        written = ((spec.get("resources") or {}).get("limits") or {}).get(resource)
        current = _amount(str(written)) if written is not None else None
        if current is not None and proposed <= current:
            return f"container {name} has a {resource} limit of {written} already"
        highest = min(ceilings(snapshot, spec, resource, current or Decimal(0)), key=lambda row: row.amount, default=None)
        return f"{text} is too much: {highest.says}" if highest and proposed > highest.amount else ""

    return grows


def _amount(text: str) -> Decimal | None:
    try:
        return parse_quantity(text)
    except ValueError:
        return None


def _revision_is_kept(finding: Finding, snapshot: Snapshot, target: Obj) -> str:
    wanted = finding.facts.get("rollout.revision.previous", "")
    if target["kind"] != "Deployment" or not wanted or not snapshot.replica_sets:
        return ""
    kept = {(obj["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision") for obj in snapshot.replica_sets}
    return "" if wanted in kept else f"revision {wanted} is kept no more"


def _made_anew(finding: Finding, _snapshot: Snapshot, target: Obj) -> str:
    if target["kind"] != "Pod" or any(owner.get("controller") for owner in target["metadata"].get("ownerReferences") or ()):
        return ""
    return f"nothing would make {finding.target.path()} anew: it has no owner"


def _same_pod(finding: Finding, _snapshot: Snapshot, target: Obj) -> str:
    uid = finding.facts.get("pod.uid", "")
    if target["kind"] != "Pod" or uid in {"", target["metadata"].get("uid")}:
        return ""
    return f"{finding.target.path()} is another pod by now"


def _nobody_else_scales(finding: Finding, snapshot: Snapshot, _target: Obj) -> str:
    wanted = (finding.target.kind, finding.target.name)
    for obj in snapshot.of("HorizontalPodAutoscaler"):
        reference = (obj.get("spec") or {}).get("scaleTargetRef") or {}
        if (reference.get("kind"), reference.get("name")) == wanted:
            return f"HorizontalPodAutoscaler {obj['metadata']['name']} sets its replicas, and would set them again"
    return ""


def _runs(finding: Finding, _snapshot: Snapshot, target: Obj) -> str:
    return f"{finding.target.path()} is scaled to zero: there is nothing to restart" if target["spec"].get("replicas", 1) == 0 else ""


def _node_ready(finding: Finding, _snapshot: Snapshot, target: Obj) -> str:
    return "" if condition(target, "Ready").get("status") == "True" else f"node {finding.target.name} is not ready"


def _others_take_pods(finding: Finding, snapshot: Snapshot, _target: Obj) -> str:
    others = [node for node in snapshot.nodes if node["metadata"]["name"] != finding.target.name]
    able = [node for node in others if condition(node, "Ready").get("status") == "True" and not node.get("spec", {}).get("unschedulable")]
    return "" if able else "no other node is ready to take its pods"


_CONDITIONS: Final[Mapping[str, tuple[Condition, ...]]] = {
    "IncreaseMemoryLimits": (_rolls_out, _limit_grows("memory")),
    "IncreaseCPULimits": (_rolls_out, _limit_grows("cpu")),
    "RollbackDeployment": (_rolls_out, _revision_is_kept),
    "RestartDeployment": (_rolls_out, _runs),
    "RestartPod": (_made_anew, _same_pod),
    "ScaleReplicas": (_nobody_else_scales,),
    "UncordonNode": (_node_ready,),
    "RemoveTaint": (_node_ready,),
    "CordonDrainNode": (_others_take_pods,),
}
"""By action type; what is not here has no precondition but that its target stays."""

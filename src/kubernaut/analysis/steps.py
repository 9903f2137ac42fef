"""Typed steps for a finding: the same fixes as the catalogue's, as operations of the canonical actions. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pydantic import JsonValue

from kubernaut.analysis.investigators.base import Finding
from kubernaut.api.base import FreeForm
from kubernaut.api.execution import UndoKind
from kubernaut.api.plan import Operation, Rollback

UNDO_WORDS: Final = {
    UndoKind.EXACT: "Undo: exact (what stood there before is put back).",
    UndoKind.COMPENSATING: "Undo: compensating (another change makes good for it; what happened meanwhile stays).",
    UndoKind.NONE: "Undo: none.",
}
_EXACT: Final = frozenset(
    {
        "increase_resources",
        "rollback_deployment",
        "scale_deployment",
        "scale_statefulset",
        "update_hpa",
        "cordon_node",
        "uncordon_node",
    }
)
_COMPENSATING: Final = frozenset({"drain_node", "taint_node", "untaint_node"})
_RESIZABLE: Final = {"Deployment": "deployment", "StatefulSet": "statefulset", "DaemonSet": "daemonset"}


@dataclass(frozen=True, slots=True)
class _Draft:
    """A step without its number: the action, its parameters, and those that take it back, where others do."""

    action: str
    parameters: FreeForm
    back: FreeForm | None = None


def _increase(resource: str) -> Callable[[Finding], list[_Draft]]:
    """Return what raises a container's limit of a resource (memory, cpu), which the fact `{resource}.limit.proposed` names."""

    def increase(finding: Finding) -> list[_Draft]:
        facts, kind = finding.facts, _RESIZABLE.get(finding.target.kind)
        proposed, current = facts.get(f"{resource}.limit.proposed", ""), facts.get(f"{resource}.limit.current", "")
        if kind is None or not proposed or "container" not in facts:
            return []
        common: FreeForm = {**_place(finding), "resource_type": kind, "container_name": facts["container"]}
        return [_Draft("increase_resources", {**common, resource: proposed}, {**common, resource: current} if current else None)]

    return increase


def _rollback(finding: Finding) -> list[_Draft]:
    before, now = finding.facts.get("rollout.revision.previous", ""), finding.facts.get("rollout.revision.current", "")
    if finding.target.kind != "Deployment" or not before.isdecimal():
        return []
    back: FreeForm | None = {**_place(finding), "revision": int(now)} if now.isdecimal() else None
    return [_Draft("rollback_deployment", {**_place(finding), "revision": int(before)}, back)]


def _restart(finding: Finding) -> list[_Draft]:
    if finding.target.kind == "DaemonSet":
        return [_Draft("restart_daemonset", {**_place(finding)})]
    kind = {"Pod": "pod", "Deployment": "deployment"}.get(finding.target.kind)
    return [_Draft("restart_pod", {**_place(finding), "resource_type": kind})] if kind else []


def _scale(finding: Finding) -> list[_Draft]:
    action = {"Deployment": "scale_deployment", "StatefulSet": "scale_statefulset"}.get(finding.target.kind)
    replicas = finding.facts.get("replicas.proposed", "")
    return [_Draft(action, {**_place(finding), "replicas": int(replicas)})] if action and replicas.isdecimal() else []


def _on_node(*actions: str) -> Callable[[Finding], list[_Draft]]:
    """Return what does actions to a node, one after the other."""

    def on_node(finding: Finding) -> list[_Draft]:
        return [_Draft(action, {"node_name": finding.target.name}) for action in actions] if finding.target.kind == "Node" else []

    return on_node


def _untaint(finding: Finding) -> list[_Draft]:
    key, effect = finding.facts.get("taint.key", ""), finding.facts.get("taint.effect", "")
    if finding.target.kind != "Node" or not key:
        return []
    return [_Draft("untaint_node", {"resource_name": finding.target.name, "key": key, **({"effect": effect} if effect else {})})]


def _more_replicas(finding: Finding) -> list[_Draft]:
    most = finding.facts.get("hpa.maxReplicas.proposed", "")
    if finding.target.kind != "HorizontalPodAutoscaler" or not most.isdecimal():
        return []
    return [_Draft("update_hpa", {**_place(finding), "max_replicas": int(most)})]


def _expand(finding: Finding) -> list[_Draft]:
    size = finding.facts.get("pvc.size.proposed", "")
    return [_Draft("expand_pvc", {**_place(finding), "size": size})] if finding.target.kind == "PersistentVolumeClaim" and size else []


_PLANS: Final[Mapping[str, Callable[[Finding], list[_Draft]]]] = MappingProxyType(
    {
        "IncreaseMemoryLimits": _increase("memory"),
        "IncreaseCPULimits": _increase("cpu"),
        "RollbackDeployment": _rollback,
        "RestartPod": _restart,
        "RestartDeployment": _restart,
        "RestartDaemonSet": _restart,
        "ScaleReplicas": _scale,
        "CordonNode": _on_node("cordon_node"),
        "UncordonNode": _on_node("uncordon_node"),
        "DrainNode": _on_node("drain_node"),
        "CordonDrainNode": _on_node("cordon_node", "drain_node"),
        "RemoveTaint": _untaint,
        "PatchHPA": _more_replicas,
        "ExpandPersistentVolumeClaim": _expand,
    }
)
"""By action type of the catalogue."""


def steps_for(finding: Finding) -> tuple[Operation, ...]:
    """Return the steps that carry out the action a finding asks for, each after the one before; none where no canonical action does it."""
    plan = _PLANS.get(finding.action)
    return tuple(_step(finding, number, draft) for number, draft in enumerate(plan(finding), 1)) if plan else ()


def _place(finding: Finding) -> dict[str, JsonValue]:
    return {"namespace": finding.target.namespace, "resource_name": finding.target.name}


def _step(finding: Finding, number: int, draft: _Draft) -> Operation:
    return Operation(
        step_number=number,
        name=finding.action,
        action=draft.action,
        parameters={**draft.parameters, "reason": finding.cause.name},
        target=finding.target,
        depends_on=[number - 1] if number > 1 else [],
        rollback=Rollback(action=draft.action, parameters=draft.back) if draft.back else None,
    )


def told(operation: Operation) -> str:
    """Say in a sentence what a step would do, for the one who is asked."""
    where = operation.target.path() if operation.target else _where(operation)
    match operation.action:
        case "increase_resources":
            which = _value(operation, "container_name", "all")
            return f"{where}: container {which} gets {_amounts(operation)}{_before(operation)}. All pods are replaced, as in a roll-out."
        case "rollback_deployment":
            return f"{where}: goes back to revision {_value(operation, 'revision', 'before')}. All pods are replaced, as in a roll-out."
        case "scale_deployment" | "scale_statefulset":
            return f"{where}: runs {_value(operation, 'replicas', '?')} replicas."
        case "restart_pod" | "restart_daemonset":
            return f"{where}: is started again."
        case "cordon_node" | "uncordon_node":
            return f"{where}: takes {'no more' if operation.action == 'cordon_node' else 'new'} pods."
        case "drain_node":
            return f"{where}: its pods move to other nodes, by evictions that respect PodDisruptionBudgets."
        case action:
            rest = ", ".join(f"{name} {value}" for name, value in sorted(operation.parameters.items()))
            return f"{where}: {action} ({rest})."


def _where(operation: Operation) -> str:
    return "/".join(
        str(operation.parameters[name]) for name in ("namespace", "resource_type", "resource_name") if name in operation.parameters
    )


def _value(operation: Operation, name: str, otherwise: str) -> str:
    return str(operation.parameters.get(name, otherwise))


def _amounts(operation: Operation) -> str:
    return " and ".join(f"{name} {operation.parameters[name]}" for name in ("cpu", "memory") if name in operation.parameters)


def _before(operation: Operation) -> str:
    before = operation.rollback.parameters if operation.rollback else {}
    told = " and ".join(str(before[name]) for name in ("cpu", "memory") if name in before)
    return f" (now {told})" if told else ""


def undo_of(operation: Operation) -> UndoKind:
    """Return how well a step can be taken back, where nobody tried it."""
    if operation.action in _EXACT:
        return UndoKind.EXACT
    return UndoKind.COMPENSATING if operation.action in _COMPENSATING else UndoKind.NONE

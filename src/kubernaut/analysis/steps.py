"""Typed steps for a finding: the same fixes as the catalogue's, as operations of the canonical actions. Pure."""

from collections.abc import Callable, Mapping
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
_RESIZABLE = {"Deployment": "deployment", "StatefulSet": "statefulset", "DaemonSet": "daemonset"}


def _increase_memory(finding: Finding) -> Operation | None:
    facts, kind = finding.facts, _RESIZABLE.get(finding.target.kind)
    if kind is None or "memory.limit.proposed" not in facts:
        return None
    parameters: FreeForm = {
        **_place(finding),
        "resource_type": kind,
        "container_name": facts["container"],
        "memory": facts["memory.limit.proposed"],
    }
    undo = Rollback(action="increase_resources", parameters={**parameters, "memory": facts["memory.limit.current"]})
    return _step(finding, "increase_resources", parameters, undo)


def _rollback(finding: Finding) -> Operation | None:
    revision = finding.facts.get("rollout.revision.previous", "")
    if finding.target.kind != "Deployment" or not revision.isdecimal():
        return None
    parameters: FreeForm = {**_place(finding), "revision": int(revision)}
    undo = Rollback(
        action="rollback_deployment", parameters={**_place(finding), "revision": int(finding.facts["rollout.revision.current"])}
    )
    return _step(finding, "rollback_deployment", parameters, undo)


def _restart(finding: Finding) -> Operation | None:
    kind = {"Pod": "pod", "Deployment": "deployment"}.get(finding.target.kind)
    return _step(finding, "restart_pod", {**_place(finding), "resource_type": kind}) if kind else None


def _scale(finding: Finding) -> Operation | None:
    replicas = finding.facts.get("replicas.proposed", "")
    if finding.target.kind != "Deployment" or not replicas.isdecimal():
        return None
    return _step(finding, "scale_deployment", {**_place(finding), "replicas": int(replicas)})


_PLANS: Mapping[str, Callable[[Finding], Operation | None]] = MappingProxyType(
    {
        "IncreaseMemoryLimits": _increase_memory,
        "RollbackDeployment": _rollback,
        "RestartPod": _restart,
        "RestartDeployment": _restart,
        "ScaleReplicas": _scale,
    }
)


def steps_for(finding: Finding) -> tuple[Operation, ...]:
    """Return the steps that carry out the action a finding asks for; none where no canonical action does it."""
    plan = _PLANS.get(finding.action)
    step = plan(finding) if plan else None
    return (step,) if step else ()


def _place(finding: Finding) -> dict[str, JsonValue]:
    return {"namespace": finding.target.namespace, "resource_name": finding.target.name}


def _step(finding: Finding, action: str, parameters: FreeForm, undo: Rollback | None = None) -> Operation:
    reason = {"reason": finding.cause.name}
    return Operation(
        step_number=1, name=finding.action, action=action, parameters={**parameters, **reason}, target=finding.target, rollback=undo
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
        case "restart_pod":
            return f"{where}: is started again."
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
    before = (operation.rollback.parameters if operation.rollback else {}).get("memory")
    return f" (now {before})" if before else ""


def undo_of(operation: Operation) -> UndoKind:
    """Return how well a step can be taken back, where nobody tried it."""
    if operation.action in _EXACT:
        return UndoKind.EXACT
    return UndoKind.COMPENSATING if operation.action in _COMPENSATING else UndoKind.NONE

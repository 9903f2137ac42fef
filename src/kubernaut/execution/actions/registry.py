"""Actions by name: the thirty canonical ones and those that only the CRD knew; hyphens are underscores."""

from collections.abc import Iterable, Mapping
from typing import Any

from kubernaut.execution.actions.base import AnyAction
from kubernaut.execution.actions.pods import DeletePod, NotifyOnly
from kubernaut.execution.actions.workloads import IncreaseResources, PatchDeployment, RollbackDeployment, RolloutRestart, Scale

_LATER = "is not built into this version"
_OUTSIDE = "needs more than plain Kubernetes; use a catalogue workflow"
NOT_BUILT: Mapping[str, str] = {
    "expand_pvc": _LATER,
    "drain_node": _LATER,
    "cordon_node": _LATER,
    "uncordon_node": _LATER,
    "taint_node": _LATER,
    "untaint_node": _LATER,
    "quarantine_pod": _LATER,
    "update_hpa": _LATER,
    "update_network_policy": _LATER,
    "update_configmap": _LATER,
    "update_secret": _LATER,
    "apply_manifest": _LATER,
    "collect_diagnostics": _LATER,
    "rotate_secrets": _LATER,
    "migrate_workload": _LATER,
    "optimize_resources": _LATER,
    "cleanup_storage": _OUTSIDE,
    "backup_data": _OUTSIDE,
    "compact_storage": _OUTSIDE,
    "audit_logs": _OUTSIDE,
    "restart_network": _OUTSIDE,
    "reset_service_mesh": _OUTSIDE,
    "failover_database": _OUTSIDE,
    "repair_database": _OUTSIDE,
    "enable_debug_mode": _OUTSIDE,
    "create_heap_dump": _OUTSIDE,
}
"""Actions that have a name and are refused by it, each with the reason."""


class UnknownAction(LookupError):  # noqa: N818  (says what the name is)
    """There is no such action, or it cannot be carried out; the text says which, and why."""


def built() -> tuple[AnyAction, ...]:
    """Return the actions that ship."""
    return (
        Scale("scale_deployment", "deployment"),
        Scale("scale_statefulset", "statefulset"),
        RolloutRestart(),
        RolloutRestart("restart_daemonset", "daemonset"),
        DeletePod(),
        DeletePod("restart_pod"),
        IncreaseResources(),
        PatchDeployment(),
        RollbackDeployment(),
        NotifyOnly(),
    )


class Registry:
    """Finds actions by name."""

    def __init__(self, actions: Iterable[AnyAction]) -> None:
        self._actions = {action.name: action for action in actions}

    def names(self) -> list[str]:
        """Return the canonical names of what can be carried out."""
        return sorted(self._actions)

    def find(self, name: str, parameters: Mapping[str, Any]) -> AnyAction:
        """Return the action of a name in any spelling; restart_pod of anything but a pod is a roll-out. Raise UnknownAction."""
        canonical = name.replace("-", "_").lower()
        if canonical == "restart_pod" and parameters.get("resource_type", "pod") != "pod":
            canonical = "rollout_restart"
        if found := self._actions.get(canonical):
            return found
        if canonical in NOT_BUILT:
            raise UnknownAction(f"action {canonical} {NOT_BUILT[canonical]}")
        raise UnknownAction(f"action {name!r} is unknown; known are {', '.join(self.names())}")

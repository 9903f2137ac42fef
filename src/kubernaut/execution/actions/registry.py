"""Actions by name: the thirty canonical ones and those that only the CRD knew; hyphens are underscores."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint
from typing import Any, Final

from kubernaut.api.base import Unusable
from kubernaut.api.plan import canonical_name
from kubernaut.execution.actions.base import AnyAction
from kubernaut.execution.actions.capacity import ExpandPvc, IncreaseResources
from kubernaut.execution.actions.diagnostics import CollectDiagnostics
from kubernaut.execution.actions.drain import Drain
from kubernaut.execution.actions.nodes import Cordon, Taint, Uncordon, Untaint
from kubernaut.execution.actions.objects import ApplyManifest, PatchDeployment, UpdateConfigMap, UpdateNetworkPolicy
from kubernaut.execution.actions.pods import DeletePod, NotifyOnly, QuarantinePod
from kubernaut.execution.actions.restoring import RestoreObject
from kubernaut.execution.actions.rollouts import RollbackDeployment, RolloutRestart
from kubernaut.execution.actions.scaling import MigrateWorkload, Scale, UpdateHpa
from kubernaut.execution.actions.secret import UpdateSecret
from kubernaut.plugins import installed

GROUP: Final = "kubernaut.actions"
NOT_BUILT: Final[Mapping[str, str]] = {
    "cleanup_storage": "must delete files inside a volume: use a catalogue workflow whose image knows them, or expand_pvc",
    "backup_data": "needs a backup tool or volume snapshots: use a catalogue workflow made for them",
    "compact_storage": "must run the data's own tool inside a volume: use a catalogue workflow, or expand_pvc",
    "rotate_secrets": "needs a new credential from whoever checks it: make it there, then use update_secret, then rollout_restart",
    "audit_logs": "needs the API server's audit log, which the API does not give: use collect_diagnostics for events and logs of pods",
    "restart_network": "acts on protected namespaces and on the nodes themselves: use the network plugin's own procedure",
    "reset_service_mesh": "depends on the mesh: use a catalogue workflow made for it, or rollout_restart of the workloads it serves",
    "failover_database": "must be done by the database or its operator: use a catalogue workflow made for it",
    "repair_database": "must be done by the database's own tools: use a catalogue workflow made for it",
    "enable_debug_mode": "differs from program to program: set its variable with patch_deployment, or its key with update_configmap",
    "create_heap_dump": "must run a tool inside the container: use a catalogue workflow, or collect_diagnostics",
    "optimize_resources": "needs a history of usage: use increase_resources with the amounts that it shows",
}
"""Canonical actions that need more than plain Kubernetes: refused by name, with the reason and what to use instead."""


class UnknownAction(LookupError):  # noqa: N818  (says what the name is)
    """There is no such action, or it cannot be carried out; the text says which, and why."""


def built() -> tuple[AnyAction, ...]:
    """Return the actions that ship."""
    return (
        *(Scale("scale_deployment", "deployment"), Scale("scale_statefulset", "statefulset"), UpdateHpa(), MigrateWorkload()),
        *(RolloutRestart(), RolloutRestart("restart_daemonset", "daemonset"), RollbackDeployment()),
        *(IncreaseResources(), ExpandPvc()),
        *(DeletePod(), DeletePod("restart_pod"), QuarantinePod(), CollectDiagnostics(), NotifyOnly()),
        *(Cordon(), Uncordon(), Drain(), Taint(), Untaint()),
        *(PatchDeployment(), ApplyManifest(), UpdateConfigMap(), UpdateSecret(), UpdateNetworkPolicy(), RestoreObject()),
    )


def with_installed(actions: Sequence[AnyAction], found: Iterable[EntryPoint] | None = None) -> tuple[AnyAction, ...]:
    """Return actions and those that other packages bring, by the entry point group `kubernaut.actions`; a later one of a name wins.

    An entry point names a class or function that is called without arguments. Raise Unusable for one that cannot be loaded or is none.
    """
    points = installed(GROUP) if found is None else found
    return (*actions, *(_loaded(point) for point in points))


def _loaded(point: EntryPoint) -> AnyAction:
    try:
        action: AnyAction = point.load()()
    except (ImportError, AttributeError, TypeError) as fault:
        raise Unusable(f"the action {point.name!r} ({point.value}) cannot be loaded: {fault}") from fault
    wanted = ("name", "parameters", "undo", "creates", "lasting", "rights", "hidden", "target", "access", "plan", "awaits", "work")
    if missing := [name for name in wanted if not hasattr(action, name)]:
        raise Unusable(f"the action {point.name!r} ({point.value}) lacks {', '.join(missing)}: it is no action")
    return action


class Registry:
    """Finds actions by name."""

    def __init__(self, actions: Iterable[AnyAction]) -> None:
        self._actions = {action.name: action for action in actions}

    def names(self) -> list[str]:
        """Return the canonical names of what can be carried out."""
        return sorted(self._actions)

    def find(self, name: str, parameters: Mapping[str, Any]) -> AnyAction:
        """Return the action of a name in any spelling; restart_pod of anything but a pod is a roll-out. Raise UnknownAction."""
        canonical = canonical_name(name)
        if canonical == "restart_pod" and parameters.get("resource_type", "pod") != "pod":
            canonical = "rollout_restart"
        if found := self._actions.get(canonical):
            return found
        if canonical in NOT_BUILT:
            raise UnknownAction(f"action {canonical} {NOT_BUILT[canonical]}")
        raise UnknownAction(f"action {name!r} is unknown; known are {', '.join(self.names())}")

"""Actions that roll a workload out anew: restart it, or put an earlier revision back."""

from typing import Annotated, Literal, TypeVar

from pydantic import Field, StringConstraints

from kubernaut.api.base import Obj
from kubernaut.api.core import CONTROLLER_REVISION, DEPLOYMENT, REPLICA_SET
from kubernaut.api.execution import UndoKind
from kubernaut.execution.actions.base import (
    WORKLOADS,
    Access,
    Effect,
    ObjectParameters,
    Plan,
    Standard,
    Target,
    on,
    read,
    read_and_patch,
    selector_text,
)
from kubernaut.kube.client import Client
from kubernaut.kube.status import changes

RESTART_ANNOTATION = "kubernaut.ai/restarted-by"
REVISION_ANNOTATION = "deployment.kubernetes.io/revision"
_ADDED_LABELS = frozenset({"pod-template-hash", "controller-revision-hash"})
WorkloadType = Literal["deployment", "statefulset", "daemonset"]


def rolled_out(current: Obj | None) -> str:
    """Return what a workload still lacks for all its replicas to be of the newest spec and available."""
    if current is None:
        return "the workload is gone"
    status = current.get("status") or {}
    if int(status.get("observedGeneration") or 0) < int(current["metadata"].get("generation") or 0):
        return "the change is not seen by its controller yet"
    return _lacking(current["spec"], status)


def _lacking(spec: Obj, status: Obj) -> str:
    wanted = int(status.get("desiredNumberScheduled") or 0) if "desiredNumberScheduled" in status else int(spec.get("replicas", 1))
    present = int(status.get("replicas") or status.get("currentNumberScheduled") or 0)
    updated = int(status.get("updatedReplicas") or status.get("updatedNumberScheduled") or 0) if "template" in spec else present
    available = int(status.get("availableReplicas") or status.get("numberAvailable") or 0)
    if updated < wanted:
        return f"{updated} of {wanted} replicas are of the new spec"
    if present > wanted:
        return f"{present - wanted} replicas of the old spec are still there"
    return "" if available >= wanted else f"{available} of {wanted} replicas are available"


def rolls_by_itself(target: Target, current: Obj) -> tuple[str, ...]:
    """Return why a new pod template would not reach the pods, if so."""
    spec = current["spec"]
    if spec.get("paused"):
        return (f"{target} is paused: it would not roll out",)
    if (spec.get("updateStrategy") or {}).get("type") == "OnDelete":
        return (f"{target} replaces its pods only when they are deleted (updateStrategy OnDelete): delete them one by one",)
    return ()


class WorkloadParameters(ObjectParameters):
    """Which workload."""

    resource_type: WorkloadType = "deployment"


W = TypeVar("W", bound=WorkloadParameters)


class OnWorkload(Standard[W]):
    """An action on a workload whose pods are replaced by it."""

    rights = on(*WORKLOADS.values())

    def target(self, given: W) -> Target:
        """Return the workload."""
        return Target(WORKLOADS[given.resource_type], given.namespace, given.resource_name)

    def awaits(self, given: W, current: Obj | None, uid: str) -> str:
        """Wait for the roll-out."""
        del given, uid
        return rolled_out(current)


class RestartParameters(WorkloadParameters):
    """What to restart."""

    rolling_restart: Literal[True] = True


class RolloutRestart(OnWorkload[RestartParameters]):
    """Replaces all pods of a workload in its own rolling way, its spec otherwise unchanged."""

    parameters = RestartParameters
    undo = UndoKind.NONE
    lasting = False

    def __init__(self, name: str = "rollout_restart", resource_type: str = "") -> None:
        self.name = name
        self._resource_type = resource_type
        self.rights = on(*([WORKLOADS[resource_type]] if resource_type else WORKLOADS.values()))

    def target(self, given: RestartParameters) -> Target:
        """Return the workload."""
        return Target(WORKLOADS[self._resource_type or given.resource_type], given.namespace, given.resource_name)

    async def plan(self, client: Client, given: RestartParameters, mark: str) -> Plan:
        """Annotate the pod template with the operation: a second try changes nothing."""
        target = self.target(given)
        current = await read(client, target)
        patch = {"spec": {"template": {"metadata": {"annotations": {RESTART_ANNOTATION: mark}}}}}
        return Plan(Effect.PATCH, current, patch, faults=rolls_by_itself(target, current))


class RollbackParameters(WorkloadParameters):
    """How far back."""

    revision: Annotated[int, Field(ge=0)] = 0
    """0 is the one before the newest."""
    wait_for_ready: bool = True
    timeout: Annotated[str, StringConstraints(pattern=r"^[0-9]+(s|m|h)$", max_length=10)] = "5m"


class RollbackDeployment(OnWorkload[RollbackParameters]):
    """Puts a workload's pod template back to that of an earlier revision, as `kubectl rollout undo` does."""

    name = "rollback_deployment"
    parameters = RollbackParameters
    undo = UndoKind.EXACT
    rights = (*on(*WORKLOADS.values()), *on(REPLICA_SET, CONTROLLER_REVISION, verbs=["list"]))

    def access(self, given: RollbackParameters) -> list[Access]:
        """Read and patch it, and list its revisions."""
        kept_in = REPLICA_SET if given.resource_type == "deployment" else CONTROLLER_REVISION
        return [*read_and_patch(self.target(given)), Access("list", kept_in, given.namespace)]

    async def plan(self, client: Client, given: RollbackParameters, mark: str) -> Plan:
        """Patch the pod template to that of the revision, less the label that the workload's controller adds."""
        del mark
        target = self.target(given)
        current = await read(client, target)
        template, fault = _template(await _revisions(client, target, current), current, given.revision)
        patch = {"spec": {"template": changes(current["spec"]["template"], template) or {}}} if template else {}
        if template and not patch["spec"]["template"]:
            fault = "the earlier revision has the very pod template of now: going back changes nothing"
        return Plan(Effect.PATCH, current, patch, faults=(fault,) if fault else rolls_by_itself(target, current))

    def awaits(self, given: RollbackParameters, current: Obj | None, uid: str) -> str:
        """Wait for the roll-out, unless told not to."""
        del uid
        return rolled_out(current) if given.wait_for_ready else ""


async def _revisions(client: Client, target: Target, current: Obj) -> dict[int, Obj]:
    """Return the pod templates of a workload by revision number."""
    labels = current["spec"]["selector"].get("matchLabels") or {}
    kind = REPLICA_SET if target.kind is DEPLOYMENT else CONTROLLER_REVISION
    found = await client.list(kind, target.namespace, label_selector=selector_text(labels))
    mine = [each for each in found.items if _owned(each, current["metadata"]["uid"])]
    if kind is REPLICA_SET:
        return {_revision(each): each["spec"]["template"] for each in mine if _revision(each)}
    return {int(each["revision"]): each["data"]["spec"]["template"] for each in mine if (each.get("data") or {}).get("spec")}


def _owned(obj: Obj, uid: str) -> bool:
    return any(owner.get("uid") == uid and owner.get("controller") for owner in obj["metadata"].get("ownerReferences") or ())


def _revision(obj: Obj) -> int:
    text = str((obj["metadata"].get("annotations") or {}).get(REVISION_ANNOTATION) or "")
    return int(text) if text.isdigit() else 0


def _template(revisions: dict[int, Obj], current: Obj, wanted: int) -> tuple[Obj | None, str]:
    newest = _revision(current) or max(revisions, default=0)
    chosen = wanted or max((number for number in revisions if number < newest), default=0)
    if chosen not in revisions:
        known = ", ".join(map(str, sorted(revisions))) or "none"
        return None, f"there is no revision {chosen}; known: {known}" if chosen else "there is no earlier revision to go back to"
    if chosen == newest:
        return None, f"revision {chosen} is the newest already"
    template = {name: value for name, value in revisions[chosen].items() if name != "$patch"}
    metadata = template.get("metadata") or {}
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name not in _ADDED_LABELS}
    return {**template, "metadata": {**metadata, "labels": labels}}, ""

"""Actions on workloads: scale, restart, more resources, any patch, back to an earlier revision."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from kubernaut.api.base import Obj
from kubernaut.api.core import DEPLOYMENT, REPLICA_SET
from kubernaut.api.execution import UndoKind
from kubernaut.api.quantity import parse_quantity
from kubernaut.execution.actions.base import (
    WORKLOADS,
    Access,
    Effect,
    ObjectParameters,
    Plan,
    Target,
    read_and_patch,
)
from kubernaut.kube.client import JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Client
from kubernaut.kube.status import changes

RESTART_ANNOTATION = "kubernaut.ai/restarted-by"
REVISION_ANNOTATION = "deployment.kubernetes.io/revision"
PATCH_LIMIT = 65_536
MemoryText = Annotated[str, StringConstraints(pattern=r"^[0-9]+(Mi|Gi|M|G)$", max_length=32)]
CpuText = Annotated[str, StringConstraints(pattern=r"^[0-9]+m?$", max_length=32)]
_PATCH_TYPES = {"merge": MERGE_PATCH, "strategic": STRATEGIC_PATCH, "json": JSON_PATCH}


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
    updated = int(status.get("updatedReplicas") or status.get("updatedNumberScheduled") or 0)
    available = int(status.get("availableReplicas") or status.get("numberAvailable") or 0)
    present = int(status.get("replicas") or status.get("currentNumberScheduled") or 0)
    if updated < wanted:
        return f"{updated} of {wanted} replicas are of the new spec"
    if present > wanted:
        return f"{present - wanted} replicas of the old spec are still there"
    return "" if available >= wanted else f"{available} of {wanted} replicas are available"


class ScaleParameters(ObjectParameters):
    """How many."""

    replicas: Annotated[int, Field(ge=0, le=100)]
    rollback_on_failure: bool = True
    wait_for_ready: bool = True


class Scale:
    """Sets the number of replicas."""

    parameters = ScaleParameters
    undo = UndoKind.EXACT

    def __init__(self, name: str, resource_type: str) -> None:
        self.name = name
        self._kind = WORKLOADS[resource_type]

    def target(self, given: ScaleParameters) -> Target:
        """Return the workload."""
        return Target(self._kind, given.namespace, given.resource_name)

    def access(self, given: ScaleParameters) -> list[Access]:
        """Read and patch it."""
        return read_and_patch(self.target(given))

    async def plan(self, client: Client, given: ScaleParameters, mark: str) -> Plan:
        """Patch spec.replicas."""
        del mark
        current = await client.get(self._kind, given.resource_name, given.namespace)
        return Plan(Effect.PATCH, current, {"spec": {"replicas": given.replicas}})

    def awaits(self, given: ScaleParameters, current: Obj | None, uid: str) -> str:
        """Wait for the replicas, unless told not to."""
        del uid
        return rolled_out(current) if given.wait_for_ready else ""


class RestartParameters(ObjectParameters):
    """What to restart."""

    resource_type: Literal["deployment", "statefulset", "daemonset"] = "deployment"
    rolling_restart: Literal[True] = True


class RolloutRestart:
    """Replaces all pods of a workload in its own rolling way, its spec otherwise unchanged."""

    parameters = RestartParameters
    undo = UndoKind.NONE

    def __init__(self, name: str = "rollout_restart", resource_type: str = "") -> None:
        self.name = name
        self._resource_type = resource_type

    def target(self, given: RestartParameters) -> Target:
        """Return the workload."""
        return Target(WORKLOADS[self._resource_type or given.resource_type], given.namespace, given.resource_name)

    def access(self, given: RestartParameters) -> list[Access]:
        """Read and patch it."""
        return read_and_patch(self.target(given))

    async def plan(self, client: Client, given: RestartParameters, mark: str) -> Plan:
        """Annotate the pod template with the operation: a second try changes nothing."""
        target = self.target(given)
        current = await client.get(target.kind, target.name, target.namespace)
        paused = bool(current["spec"].get("paused"))
        patch = {"spec": {"template": {"metadata": {"annotations": {RESTART_ANNOTATION: mark}}}}}
        return Plan(Effect.PATCH, current, patch, faults=(f"{target} is paused: it would not restart",) if paused else ())

    def awaits(self, given: RestartParameters, current: Obj | None, uid: str) -> str:
        """Wait for the roll-out."""
        del given, uid
        return rolled_out(current)


class ResourcesParameters(ObjectParameters):
    """How much more of what."""

    resource_type: Literal["deployment", "statefulset", "daemonset"] = "deployment"
    memory: MemoryText | None = None
    cpu: CpuText | None = None
    container_name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)] | None = None

    @model_validator(mode="after")
    def _something(self) -> "ResourcesParameters":
        if self.memory is None and self.cpu is None:
            raise ValueError("give memory, cpu or both")
        return self


class IncreaseResources:
    """Raises limits of one container; a request above its new limit comes along. Never lowers."""

    name = "increase_resources"
    parameters = ResourcesParameters
    undo = UndoKind.EXACT

    def target(self, given: ResourcesParameters) -> Target:
        """Return the workload."""
        return Target(WORKLOADS[given.resource_type], given.namespace, given.resource_name)

    def access(self, given: ResourcesParameters) -> list[Access]:
        """Read and patch it."""
        return read_and_patch(self.target(given))

    async def plan(self, client: Client, given: ResourcesParameters, mark: str) -> Plan:
        """Patch the container list whole, as merge patches do, with one container's limits changed."""
        del mark
        target = self.target(given)
        current = await client.get(target.kind, target.name, target.namespace)
        containers: list[Obj] = current["spec"]["template"]["spec"]["containers"]
        index, fault = _container(containers, given.container_name)
        if fault:
            return Plan(Effect.PATCH, current, {}, faults=(fault,))
        wanted = {name: text for name, text in (("memory", given.memory), ("cpu", given.cpu)) if text}
        changed = [_raised(each, wanted) if position == index else each for position, each in enumerate(containers)]
        patch = {"spec": {"template": {"spec": {"containers": changed}}}}
        return Plan(Effect.PATCH, current, patch, faults=_lowered(containers[index], wanted))

    def awaits(self, given: ResourcesParameters, current: Obj | None, uid: str) -> str:
        """Wait for the roll-out."""
        del given, uid
        return rolled_out(current)


def _container(containers: list[Obj], name: str | None) -> tuple[int, str]:
    names = [str(each["name"]) for each in containers]
    if name is None:
        return 0, "" if len(names) == 1 else f"container_name must say which of {', '.join(names)}"
    return (names.index(name), "") if name in names else (0, f"there is no container {name}, only {', '.join(names)}")


def _raised(container: Obj, wanted: dict[str, str]) -> Obj:
    resources = container.get("resources") or {}
    requests = dict(resources.get("requests") or {})
    for name, text in wanted.items():
        if name in requests and _amount(requests[name]) > _amount(text):
            requests[name] = text
    limits = {"limits": {**(resources.get("limits") or {}), **wanted}}
    return {**container, "resources": {**resources, **limits, **({"requests": requests} if requests else {})}}


def _lowered(container: Obj, wanted: dict[str, str]) -> tuple[str, ...]:
    limits = (container.get("resources") or {}).get("limits") or {}
    lower = [name for name, text in wanted.items() if name in limits and _amount(limits[name]) > _amount(text)]
    return tuple(f"the {name} limit is {limits[name]}, more than {wanted[name]}: this action only raises" for name in lower)


def _amount(text: Any) -> Decimal:
    return parse_quantity(str(text))


class PatchParameters(ObjectParameters):
    """Any change of a Deployment."""

    patch: dict[str, Any] | list[dict[str, Any]]
    patch_type: Literal["strategic", "merge", "json"] = "strategic"

    @model_validator(mode="after")
    def _fits(self) -> "PatchParameters":
        if (self.patch_type == "json") != isinstance(self.patch, list):
            raise ValueError("a json patch is a list of operations, any other an object")
        if len(str(self.patch)) > PATCH_LIMIT:
            raise ValueError(f"a patch is at most {PATCH_LIMIT} characters long")
        return self


class PatchDeployment:
    """Changes a Deployment by a patch; only its spec, labels and annotations."""

    name = "patch_deployment"
    parameters = PatchParameters
    undo = UndoKind.EXACT

    def target(self, given: PatchParameters) -> Target:
        """Return the Deployment."""
        return Target(DEPLOYMENT, given.namespace, given.resource_name)

    def access(self, given: PatchParameters) -> list[Access]:
        """Read and patch it."""
        return read_and_patch(self.target(given))

    async def plan(self, client: Client, given: PatchParameters, mark: str) -> Plan:
        """Let the server apply the patch for trial, and make a merge patch of what came out: one form to record and to undo."""
        del mark
        current = await client.get(DEPLOYMENT, given.resource_name, given.namespace)
        content_type = _PATCH_TYPES[given.patch_type]
        trial = await client.patch(DEPLOYMENT, given.resource_name, given.namespace, given.patch, content_type=content_type, dry_run=True)
        patch = changes(_content(current), _content(trial)) or {}
        return Plan(Effect.PATCH, current, patch, faults=() if patch else ("the patch changes nothing in spec, labels or annotations",))

    def awaits(self, given: PatchParameters, current: Obj | None, uid: str) -> str:
        """Wait for the roll-out."""
        del given, uid
        return rolled_out(current)


def _content(obj: Obj) -> Obj:
    metadata = {name: obj["metadata"].get(name) or {} for name in ("labels", "annotations")}
    return {"metadata": metadata, "spec": obj["spec"]}


class RollbackParameters(ObjectParameters):
    """How far back."""

    revision: Annotated[int, Field(ge=0)] = 0
    """0 is the one before the newest."""
    wait_for_ready: bool = True
    timeout: Annotated[str, StringConstraints(pattern=r"^[0-9]+(s|m|h)$")] = "5m"


class RollbackDeployment:
    """Puts a Deployment's pod template back to that of an earlier revision, as `kubectl rollout undo` does."""

    name = "rollback_deployment"
    parameters = RollbackParameters
    undo = UndoKind.EXACT

    def target(self, given: RollbackParameters) -> Target:
        """Return the Deployment."""
        return Target(DEPLOYMENT, given.namespace, given.resource_name)

    def access(self, given: RollbackParameters) -> list[Access]:
        """Read and patch it, and list its ReplicaSets."""
        return [*read_and_patch(self.target(given)), Access("list", REPLICA_SET, given.namespace)]

    async def plan(self, client: Client, given: RollbackParameters, mark: str) -> Plan:
        """Patch the pod template to that of the revision's ReplicaSet, less the label that the Deployment controller adds."""
        del mark
        current = await client.get(DEPLOYMENT, given.resource_name, given.namespace)
        template, fault = _template(await self._revisions(client, current), current, given.revision)
        patch = {"spec": {"template": changes(current["spec"]["template"], template)}} if template else {}
        return Plan(Effect.PATCH, current, patch, faults=(fault,) if fault else ())

    async def _revisions(self, client: Client, current: Obj) -> dict[int, Obj]:
        labels = current["spec"]["selector"].get("matchLabels") or {}
        selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        found = await client.list(REPLICA_SET, current["metadata"]["namespace"], label_selector=selector)
        mine = [each for each in found.items if _owned(each, current["metadata"]["uid"])]
        return {_revision(each): each for each in mine if _revision(each)}

    def awaits(self, given: RollbackParameters, current: Obj | None, uid: str) -> str:
        """Wait for the roll-out, unless told not to."""
        del uid
        return rolled_out(current) if given.wait_for_ready else ""


def _owned(obj: Obj, uid: str) -> bool:
    return any(owner.get("uid") == uid and owner.get("controller") for owner in obj["metadata"].get("ownerReferences") or ())


def _revision(obj: Obj) -> int:
    text = str((obj["metadata"].get("annotations") or {}).get(REVISION_ANNOTATION) or "")
    return int(text) if text.isdigit() else 0


def _template(revisions: dict[int, Obj], current: Obj, wanted: int) -> tuple[Obj | None, str]:
    newest = _revision(current)
    chosen = wanted or max((number for number in revisions if number < newest), default=0)
    if chosen not in revisions:
        known = ", ".join(map(str, sorted(revisions))) or "none"
        return None, f"there is no revision {chosen}; known: {known}" if chosen else "there is no earlier revision to go back to"
    if chosen == newest:
        return None, f"revision {chosen} is the newest already"
    template = revisions[chosen]["spec"]["template"]
    metadata = template.get("metadata") or {}
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name != "pod-template-hash"}
    return {**template, "metadata": {**metadata, "labels": labels}}, ""

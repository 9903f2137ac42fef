"""Actions that give more: container resources, the size of a volume."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import StringConstraints, model_validator

from kubernaut.api.base import Kind, Obj
from kubernaut.api.core import PERSISTENT_VOLUME_CLAIM
from kubernaut.api.execution import UndoKind
from kubernaut.api.quantity import parse_quantity
from kubernaut.execution.actions.base import (
    Access,
    Effect,
    ObjectParameters,
    OnKind,
    Plan,
    Target,
    on,
    read,
    read_and_patch,
    read_or_none,
)
from kubernaut.execution.actions.rollouts import OnWorkload, WorkloadParameters, rolls_by_itself
from kubernaut.kube.client import Client

STORAGE_CLASS = Kind(kind="StorageClass", plural="storageclasses", group="storage.k8s.io", version="v1", namespaced=False)
MemoryText = Annotated[str, StringConstraints(pattern=r"^[0-9]+(Mi|Gi|M|G)$", max_length=32)]
CpuText = Annotated[str, StringConstraints(pattern=r"^[0-9]+m?$", max_length=32)]
SizeText = Annotated[str, StringConstraints(pattern=r"^[0-9]+(Mi|Gi|Ti|M|G|T)$", max_length=32)]


class ResourcesParameters(WorkloadParameters):
    """How much more of what."""

    memory: MemoryText | None = None
    cpu: CpuText | None = None
    container_name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)] | None = None

    @model_validator(mode="after")
    def _something(self) -> "ResourcesParameters":
        if self.memory is None and self.cpu is None:
            raise ValueError("give memory, cpu or both")
        return self


class IncreaseResources(OnWorkload[ResourcesParameters]):
    """Raises limits of one container; a request above its new limit comes along. Never lowers."""

    name = "increase_resources"
    parameters = ResourcesParameters
    undo = UndoKind.EXACT

    async def plan(self, client: Client, given: ResourcesParameters, mark: str) -> Plan:
        """Patch the container list whole, as merge patches do, with one container's limits changed."""
        del mark
        target = self.target(given)
        current = await read(client, target)
        containers: list[Obj] = current["spec"]["template"]["spec"]["containers"]
        index, fault = _container(containers, given.container_name)
        if fault:
            return Plan(Effect.PATCH, current, {}, faults=(fault,))
        wanted = {name: text for name, text in (("memory", given.memory), ("cpu", given.cpu)) if text}
        changed = [_raised(each, wanted) if position == index else each for position, each in enumerate(containers)]
        patch = {"spec": {"template": {"spec": {"containers": changed}}}}
        return Plan(Effect.PATCH, current, patch, faults=(*_lowered(containers[index], wanted), *rolls_by_itself(target, current)))


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


class ExpandParameters(ObjectParameters):
    """How large."""

    size: SizeText
    wait_for_expansion: bool = True


class ExpandPvc(OnKind[ExpandParameters]):
    """Makes a PersistentVolumeClaim larger; a volume never shrinks again."""

    name = "expand_pvc"
    parameters = ExpandParameters
    kind = PERSISTENT_VOLUME_CLAIM
    undo = UndoKind.NONE
    rights = (*on(PERSISTENT_VOLUME_CLAIM), *on(STORAGE_CLASS, verbs=["get"]))

    def access(self, given: ExpandParameters) -> list[Access]:
        """Read and patch it, and look whether its class allows it."""
        return [*read_and_patch(self.target(given)), Access("get", STORAGE_CLASS, "")]

    async def plan(self, client: Client, given: ExpandParameters, mark: str) -> Plan:
        """Patch the storage that is asked for."""
        del mark
        current = await read(client, self.target(given))
        spec: Obj = current["spec"]
        asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage", "0")
        faults = [f"it has {asked} already: a volume can only grow"] if _amount(asked) >= _amount(given.size) else []
        if (current.get("status") or {}).get("phase") != "Bound":
            faults.append("it is not bound to a volume")
        faults += await _inexpandable(client, str(spec.get("storageClassName") or ""))
        return Plan(Effect.PATCH, current, {"spec": {"resources": {"requests": {"storage": given.size}}}}, faults=tuple(faults))

    def awaits(self, given: ExpandParameters, current: Obj | None, uid: str) -> str:
        """Wait until the volume has the size, unless told not to; a file system that grows at the next mount counts as grown."""
        del uid
        if current is None:
            return "the claim is gone"
        status = current.get("status") or {}
        conditions = status.get("conditions") or ()
        pending = any((each.get("type"), each.get("status")) == ("FileSystemResizePending", "True") for each in conditions)
        has = (status.get("capacity") or {}).get("storage", "0")
        grown = pending or _amount(has) >= _amount(given.size)
        return "" if grown or not given.wait_for_expansion else f"the volume has {has} of {given.size}"


async def _inexpandable(client: Client, name: str) -> list[str]:
    """Return why volumes of a storage class cannot grow, if so."""
    if not name:
        return ["it has no storage class: only volumes of a class that allows it can grow"]
    found = await read_or_none(client, Target(STORAGE_CLASS, "", name))
    if found is None:
        return [f"its storage class {name} does not exist"]
    return [] if found.get("allowVolumeExpansion") else [f"its storage class {name} does not allow volumes to grow (allowVolumeExpansion)"]

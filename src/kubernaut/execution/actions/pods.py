"""Actions on one pod, and the action on nothing."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from kubernaut.api.base import Obj
from kubernaut.api.core import POD, SERVICE
from kubernaut.api.execution import UndoKind
from kubernaut.execution.actions.base import (
    Access,
    ActionParameters,
    Effect,
    KubernetesNamespace,
    ObjectParameters,
    OnKind,
    Plan,
    Standard,
    on,
    read,
    read_and_patch,
    read_or_none,
)
from kubernaut.kube.client import Client


class PodParameters(ObjectParameters):
    """Which pod, and how gently."""

    resource_type: Literal["pod"] = "pod"
    grace_period_seconds: Annotated[int, Field(ge=0, le=300)] = 30


class DeletePod(OnKind[PodParameters]):
    """Deletes a pod that a controller replaces."""

    parameters = PodParameters
    kind = POD
    undo = UndoKind.NONE
    lasting = False
    rights = on(POD, verbs=["get", "delete"])

    def __init__(self, name: str = "delete_pod") -> None:
        self.name = name

    def access(self, given: PodParameters) -> list[Access]:
        """Read and delete it."""
        return [Access(verb, POD, given.namespace, given.resource_name) for verb in ("get", "delete")]

    async def plan(self, client: Client, given: PodParameters, mark: str) -> Plan:
        """Delete it; one that nobody would replace is left alone, and one that is gone is deleted already."""
        del mark
        current = await read_or_none(client, self.target(given))
        if current is None:
            return Plan(Effect.DELETE)
        owned = any(owner.get("controller") for owner in current["metadata"].get("ownerReferences") or ())
        unmet = () if owned else (f"pod {given.resource_name} has no controller: nobody would replace it",)
        return Plan(Effect.DELETE, current, grace_seconds=given.grace_period_seconds, faults=unmet)

    def awaits(self, given: PodParameters, current: Obj | None, uid: str) -> str:
        """Wait until that very pod is gone; its replacement may have taken its name."""
        gone = current is None or current["metadata"]["uid"] != uid
        return "" if gone else f"pod {given.resource_name} is still there"


class QuarantineParameters(ObjectParameters):
    """How it is set apart."""

    quarantine_label: Annotated[
        str, StringConstraints(pattern=r"^([a-z0-9.-]+/)?[A-Za-z0-9][A-Za-z0-9_.-]*=[A-Za-z0-9_.-]*$", max_length=127)
    ] = "quarantined=true"
    remove_from_service: bool = True


class QuarantinePod(OnKind[QuarantineParameters]):
    """Sets a pod apart to be looked at: labelled, and without the labels by which Services and its controller know it."""

    name = "quarantine_pod"
    parameters = QuarantineParameters
    kind = POD
    undo = UndoKind.COMPENSATING
    lasting = False
    rights = (*on(POD), *on(SERVICE, verbs=["list"]))

    def access(self, given: QuarantineParameters) -> list[Access]:
        """Read and patch it, and list the Services."""
        return [*read_and_patch(self.target(given)), Access("list", SERVICE, given.namespace)]

    async def plan(self, client: Client, given: QuarantineParameters, mark: str) -> Plan:
        """Patch its labels; where its controller selects by them too, it lets the pod go and starts another."""
        del mark
        current = await read(client, self.target(given))
        labels: Obj = current["metadata"].get("labels") or {}
        name, _, value = given.quarantine_label.partition("=")
        services = (await client.list(SERVICE, given.namespace)).items if given.remove_from_service else []
        selecting = [each for each in services if _selects(each, labels)]
        dropped = sorted({key for each in selecting for key in each["spec"]["selector"]})
        notes = tuple(f"Service {each['metadata']['name']} sends it nothing any more" for each in selecting)
        return Plan(Effect.PATCH, current, {"metadata": {"labels": {**dict.fromkeys(dropped), name: value}}}, notes=notes)


def _selects(service: Obj, labels: Obj) -> bool:
    selector: Obj = service["spec"].get("selector") or {}
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


class NotifyParameters(ActionParameters):
    """What to say."""

    message: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    namespace: KubernetesNamespace | None = None
    severity: Literal["info", "warning", "critical"] = "info"


class NotifyOnly(Standard[NotifyParameters]):
    """Changes nothing; the message is put on record for people."""

    name = "notify_only"
    parameters = NotifyParameters
    undo = UndoKind.NONE

    def target(self, given: NotifyParameters) -> None:
        """There is none."""

    async def plan(self, client: Client, given: NotifyParameters, mark: str) -> Plan:
        """Do nothing."""
        del client, given, mark
        return Plan(Effect.NOTHING)

"""Actions on one pod, and the action on nothing."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from kubernaut.api.base import Obj
from kubernaut.api.core import POD
from kubernaut.api.execution import UndoKind
from kubernaut.execution.actions.base import Access, ActionParameters, Effect, KubernetesNamespace, ObjectParameters, Plan, Target
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError


class PodParameters(ObjectParameters):
    """Which pod, and how gently."""

    resource_type: Literal["pod"] = "pod"
    grace_period_seconds: Annotated[int, Field(ge=0, le=300)] = 30


class DeletePod:
    """Deletes a pod that a controller replaces."""

    parameters = PodParameters
    undo = UndoKind.NONE

    def __init__(self, name: str = "delete_pod") -> None:
        self.name = name

    def target(self, given: PodParameters) -> Target:
        """Return the pod."""
        return Target(POD, given.namespace, given.resource_name)

    def access(self, given: PodParameters) -> list[Access]:
        """Read and delete it."""
        return [Access(verb, POD, given.namespace, given.resource_name) for verb in ("get", "delete")]

    async def plan(self, client: Client, given: PodParameters, mark: str) -> Plan:
        """Delete it; one that nobody would replace is left alone, and one that is gone is deleted already."""
        del mark
        try:
            current = await client.get(POD, given.resource_name, given.namespace)
        except ApiError as fault:
            if fault.not_found:
                return Plan(Effect.DELETE)
            raise
        owned = any(owner.get("controller") for owner in current["metadata"].get("ownerReferences") or ())
        unmet = () if owned else (f"pod {given.resource_name} has no controller: nobody would replace it",)
        return Plan(Effect.DELETE, current, grace_seconds=given.grace_period_seconds, faults=unmet)

    def awaits(self, given: PodParameters, current: Obj | None, uid: str) -> str:
        """Wait until that very pod is gone; its replacement may have taken its name."""
        gone = current is None or current["metadata"]["uid"] != uid
        return "" if gone else f"pod {given.resource_name} is still there"


class NotifyParameters(ActionParameters):
    """What to say."""

    message: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    namespace: KubernetesNamespace | None = None
    severity: Literal["info", "warning", "critical"] = "info"


class NotifyOnly:
    """Changes nothing; the message is put on record for people."""

    name = "notify_only"
    parameters = NotifyParameters
    undo = UndoKind.NONE

    def target(self, given: NotifyParameters) -> None:
        """There is none."""

    def access(self, given: NotifyParameters) -> list[Access]:
        """None is needed."""
        del given
        return []

    async def plan(self, client: Client, given: NotifyParameters, mark: str) -> Plan:
        """Do nothing."""
        del client, given, mark
        return Plan(Effect.NOTHING)

    def awaits(self, given: NotifyParameters, current: Obj | None, uid: str) -> str:
        """Wait for nothing."""
        del given, current, uid
        return ""

"""The protocol of an action: typed parameters, the one object it acts on, what it may need, and the change it wants."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints

from kubernaut.api.base import Kind, Obj
from kubernaut.api.core import DAEMON_SET, DEPLOYMENT, STATEFUL_SET
from kubernaut.api.execution import UndoKind
from kubernaut.kube.client import Client

KubernetesName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
KubernetesNamespace = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
Reason = Annotated[str, StringConstraints(max_length=1024)]
WORKLOADS = {"deployment": DEPLOYMENT, "statefulset": STATEFUL_SET, "daemonset": DAEMON_SET}


class ActionParameters(BaseModel):
    """What every action may be given; unknown parameters are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: Reason = ""


class ObjectParameters(ActionParameters):
    """Parameters of an action on one named object."""

    namespace: KubernetesNamespace
    resource_name: KubernetesName


@dataclass(frozen=True, slots=True)
class Target:
    """The one object an action acts on."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{place}{self.kind.kind.lower()}/{self.name}"


@dataclass(frozen=True, slots=True)
class Access:
    """A right that an action uses."""

    verb: str
    kind: Kind
    namespace: str
    name: str = ""


class Effect(StrEnum):
    """What is sent to the API server."""

    NOTHING = "nothing"
    PATCH = "patch"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Plan:
    """The change an action wants, made of its parameters and the object as it is; the same from the same."""

    effect: Effect
    current: Obj | None = None
    """The object as it was read."""
    patch: Obj | None = None
    """JSON merge patch of an Effect.PATCH."""
    grace_seconds: int | None = None
    """Of an Effect.DELETE."""
    faults: tuple[str, ...] = ()
    """Preconditions that are not met, each a sentence."""


P = TypeVar("P", bound=ActionParameters)


class Action(Protocol[P]):
    """Something that can be done to a cluster."""

    name: str
    """The canonical name."""
    parameters: type[P]
    undo: UndoKind
    """How well it can be taken back."""

    def target(self, given: P) -> Target | None:
        """Return what it acts on; None for an action on nothing."""
        ...

    def access(self, given: P) -> list[Access]:
        """Return the rights it uses."""
        ...

    async def plan(self, client: Client, given: P, mark: str) -> Plan:
        """Read the object and say what to change; `mark` names the operation. Raise ApiError."""
        ...

    def awaits(self, given: P, current: Obj | None, uid: str) -> str:
        """Return what has not happened yet, for a person; empty when the effect is there. `uid` is that of the object acted on."""
        ...


AnyAction = Action[Any]


def read_and_patch(target: Target) -> list[Access]:
    """Return the rights of an action that patches its target."""
    return [Access(verb, target.kind, target.namespace, target.name) for verb in ("get", "patch")]

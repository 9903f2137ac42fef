"""The protocol of an action: typed parameters, the one object it changes, the rights it uses, how it is undone, and the change it wants."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints

from kubernaut.api.base import Kind, Obj
from kubernaut.api.core import DAEMON_SET, DEPLOYMENT, NODE, REPLICA_SET, STATEFUL_SET
from kubernaut.api.execution import ChangedResource, UndoKind
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError

KubernetesName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
KubernetesNamespace = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
NodeName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]+$", max_length=253)]
Reason = Annotated[str, StringConstraints(max_length=1024)]
WORKLOADS = {"deployment": DEPLOYMENT, "statefulset": STATEFUL_SET, "daemonset": DAEMON_SET}
SCALABLE = {"deployment": DEPLOYMENT, "statefulset": STATEFUL_SET, "replicaset": REPLICA_SET}


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
    """A right that an action uses; for one object, or (no name) for all of a kind in a namespace."""

    verb: str
    kind: Kind
    namespace: str
    name: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"

    @property
    def resource(self) -> str:
        """The resource as RBAC writes it."""
        return f"{self.kind.plural}/{self.subresource}" if self.subresource else self.kind.plural


class Effect(StrEnum):
    """What is sent to the API server."""

    NOTHING = "nothing"
    PATCH = "patch"
    CREATE = "create"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Plan:
    """The change an action wants, made of its parameters and the object as it is; the same from the same."""

    effect: Effect
    current: Obj | None = None
    """The object as it was read."""
    patch: Obj | None = None
    """JSON merge patch of an Effect.PATCH; the whole object of an Effect.CREATE."""
    grace_seconds: int | None = None
    """Of an Effect.DELETE."""
    faults: tuple[str, ...] = ()
    """Preconditions that are not met, each a sentence."""
    notes: tuple[str, ...] = ()
    """What is done beside, or comes of it, for those who are asked first; each a sentence."""
    beside: tuple[ChangedResource, ...] = ()
    """What `work` is going to do to others, on record before it is done."""


@dataclass(frozen=True, slots=True)
class Work:
    """What was done after the first change, and what is still missing."""

    lacking: str = ""
    """For a person; empty when all is done."""
    affected: tuple[ChangedResource, ...] = ()
    output: str = ""


P = TypeVar("P", bound=ActionParameters)


class Action(Protocol[P]):
    """Something that can be done to a cluster."""

    name: str
    """The canonical name."""
    parameters: type[P]
    undo: UndoKind
    """How well it can be taken back."""
    creates: bool
    """Whether its target may be missing."""
    lasting: bool
    """Whether it changes what a repository may keep, unlike a restart."""
    rights: tuple[Access, ...]
    """All rights that it may ever use, anywhere: what its service account is given."""
    hidden: bool
    """Whether what it writes is secret: its target is read and written by metadata alone, and nothing of it goes on record."""

    def target(self, given: P) -> Target | None:
        """Return what it acts on; None for an action on nothing."""
        ...

    def access(self, given: P) -> Sequence[Access]:
        """Return the rights it uses."""
        ...

    async def plan(self, client: Client, given: P, mark: str) -> Plan:
        """Read the object and say what to change; `mark` names the operation. Raise ApiError."""
        ...

    def awaits(self, given: P, current: Obj | None, uid: str) -> str:
        """Return what has not happened yet, for a person; empty when the effect is there. `uid` is that of the object acted on."""
        ...

    async def work(self, client: Client, given: P, now: datetime) -> Work:
        """Do what follows the first change, as far as it goes now; called until nothing is lacking. Safe to repeat. Raise ApiError."""
        ...


AnyAction = Action[Any]


class Standard(ABC, Generic[P]):
    """What most actions share: they patch one object that exists, nothing follows, and nothing is waited for."""

    creates: bool = False
    lasting: bool = True
    rights: tuple[Access, ...] = ()
    hidden: bool = False

    @abstractmethod
    def target(self, given: P) -> Target | None:
        """Return what it acts on."""

    def access(self, given: P) -> Sequence[Access]:
        """Read and patch it."""
        target = self.target(given)
        return read_and_patch(target) if target else []

    def awaits(self, given: P, current: Obj | None, uid: str) -> str:
        """Wait for nothing."""
        del given, current, uid
        return ""

    async def work(self, client: Client, given: P, now: datetime) -> Work:
        """Nothing follows."""
        del client, given, now
        return Work()


S = TypeVar("S", bound=ObjectParameters)


class OnKind(Standard[S]):
    """An action on one named object of a kind."""

    kind: Kind

    def target(self, given: S) -> Target:
        """Return the object."""
        return Target(self.kind, given.namespace, given.resource_name)


def on(*kinds: Kind, verbs: Sequence[str] = ("get", "patch"), subresource: str = "") -> tuple[Access, ...]:
    """Return rights on all objects of kinds, everywhere."""
    return tuple(Access(verb, kind, "", subresource=subresource) for kind in kinds for verb in verbs)


def read_and_patch(target: Target) -> list[Access]:
    """Return the rights of an action that patches its target."""
    return [Access(verb, target.kind, target.namespace, target.name) for verb in ("get", "patch")]


def node(name: str) -> Target:
    """Return a node as a target."""
    return Target(NODE, "", name)


async def read(client: Client, target: Target) -> Obj:
    """Return the target as it is. Raise ApiError."""
    return await client.get(target.kind, target.name, target.namespace)


async def read_or_none(client: Client, target: Target) -> Obj | None:
    """Return the target as it is, or None where there is none. Raise ApiError."""
    try:
        return await read(client, target)
    except ApiError as fault:
        if fault.not_found:
            return None
        raise


def selector_text(labels: Obj) -> str:
    """Return labels as a selector that wants them all."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))

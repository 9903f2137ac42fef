"""What a stage holds of the cluster: cached reads, direct writes, both typed. A write is seen by the caches at once."""

import random
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Final, TypeVar

from kubernaut.api.base import Kind, Obj, OwnerReference, Resource, Status
from kubernaut.kube.client import Client, Patch
from kubernaut.kube.clock import Clock
from kubernaut.kube.errors import ApiError
from kubernaut.kube.informer import IndexFn, Informer, Unread, controller_owner
from kubernaut.kube.journal import JOURNAL_FINALIZER
from kubernaut.kube.outcome import Stalled
from kubernaut.kube.trouble import Trouble

OWNER_INDEX: Final = "owner"
"""Files objects under the uid of the owner that controls them; every informer has it."""

READINGS: Final = 2048
"""How many resources are kept as read, the oldest go first: an object is looked at mostly while it is new."""

R = TypeVar("R", bound=Resource)
Watched = Kind | type[Resource]


class NotWatched(LookupError):  # noqa: N818  (a plain statement)
    """A kind was read from the cache that nobody asked an informer for: a fault of the stage's setup."""


def card_of(watched: Watched) -> Kind:
    """Return the card of a kind or of a model."""
    return watched if isinstance(watched, Kind) else watched.card


class Caches:
    """The informers of a process, one for each kind and namespace that someone asked for."""

    def __init__(self, client: Client, rng: random.Random | None = None) -> None:
        self._client = client
        self._rng = rng or random.SystemRandom()
        self._trouble = Trouble()
        self._informers: dict[tuple[str, str], dict[str, Informer]] = {}

    def ask(
        self, kind: Kind, namespace: str = "", indexes: Mapping[str, IndexFn] | None = None, *, required: bool = True
    ) -> tuple[Informer, bool]:
        """Return the informer of a kind in a namespace ("" is all), and whether it was made just now; indexes add to those it has."""
        of_kind = self._informers.setdefault((kind.group, kind.plural), {})
        made = namespace not in of_kind
        if made:
            of_kind[namespace] = Informer(self._client, kind, namespace, rng=self._rng, trouble=self._trouble)
            of_kind[namespace].add_index(OWNER_INDEX, _owner_uid)
        for name, function in (indexes or {}).items():
            of_kind[namespace].add_index(name, function)
        of_kind[namespace].required |= required
        return of_kind[namespace], made

    def of(self, kind: Kind) -> list[Informer]:
        """Return the informers of a kind; raise `NotWatched` where there are none."""
        informers = self._informers.get((kind.group, kind.plural))
        if not informers:
            raise NotWatched(f"{kind.kind} is read from the cache, but nobody asked for its informer")
        return list(informers.values())

    def all(self) -> list[Informer]:
        """Return all informers."""
        return [informer for of_kind in self._informers.values() for informer in of_kind.values()]

    def observe(self, kind: Kind, obj: Obj) -> None:
        """Show the answer to a write to the informers of its kind, if there are any."""
        for informer in self._informers.get((kind.group, kind.plural), {}).values():
            informer.observe(obj)


class Readings:
    """Resources as read off cached objects: one state of an object is looked at by many passes, and read once."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[Obj, Resource]] = OrderedDict()

    def of(self, model: type[R], obj: Obj) -> R:
        """Return the resource that a cached object is, shared by all who ask; raise ValidationError where it is none."""
        known = self._known.get(id(obj))
        # an entry keeps its object, so that no other can have its id; a model of another kind is read anew
        if known is not None and isinstance(known[1], model):
            return known[1]
        made = model.model_validate(obj)
        self._known[id(obj)] = obj, made
        if len(self._known) > READINGS:
            self._known.popitem(last=False)
        return made

    def spoiled(self) -> list[Resource]:
        """Return those that somebody changed since they were read, which nobody may."""
        return [made for obj, made in self._known.values() if made != type(made).model_validate(obj)]


class Cluster:
    """Cached reads and direct writes. What comes from the cache is shared, objects and models: never change it."""

    def __init__(self, client: Client, clock: Clock, caches: Caches) -> None:
        self.client = client
        self.clock = clock
        self._caches = caches
        self.readings = Readings()

    def read(self, kind: Kind, namespace: str, name: str) -> Obj | None:
        """Return an object from the cache, or None."""
        found = (informer.store.get(namespace, name) for informer in self._caches.of(kind))
        return next((obj for obj in found if obj is not None), None)

    def select(self, kind: Kind, index: str, value: str) -> list[Obj]:
        """Return the objects that an index files under a value; raise `NotWatched` for an index nobody asked for."""
        informers = [informer for informer in self._caches.of(kind) if index in informer.store.indexes()]
        if not informers:
            raise NotWatched(f"{kind.kind} has no index {index!r}")
        return [obj for informer in informers for obj in informer.store.by(index, value)]

    def unread(self, kind: Kind) -> Unread | None:
        """Return why the objects of a kind are not known; None when they are."""
        return next((informer.unread for informer in self._caches.of(kind) if informer.unread), None)

    def find(self, model: type[R], namespace: str, name: str) -> R | None:
        """Return a resource from the cache, or None."""
        obj = self.read(model.card, namespace, name)
        return None if obj is None else self.readings.of(model, obj)

    def where(self, model: type[R], index: str, value: str) -> list[R]:
        """Return the resources that an index files under a value."""
        return [self.readings.of(model, obj) for obj in self.select(model.card, index, value)]

    def shared(self, model: type[R], obj: Obj) -> R:
        """Return a cached object as the resource that it is; raise ValidationError where it is none."""
        return self.readings.of(model, obj)

    async def fetch(self, model: type[R], namespace: str, name: str) -> R | None:
        """Return a resource from the API server itself, or None."""
        try:
            obj = await self.client.get(model.card, name, namespace)
        except ApiError as fault:
            if fault.not_found:
                return None
            raise
        self.observe(model.card, obj)
        return model.model_validate(obj)

    async def create(self, resource: R) -> R:
        """Create a resource (without its status, which the API server would drop); return it as stored."""
        obj = await self.client.create(resource.card, creatable(resource))
        self.observe(resource.card, obj)
        return type(resource).model_validate(obj)

    async def create_owned(self, child: R, owner: Resource) -> R:
        """Create a child that is collected with its owner; one of ours that is already there counts as created.

        What keeps a journal is created with the finalizer that keeps it until its facts are on record.
        Raise ValueError across namespaces (the garbage collector would delete the child), `Stalled` when the name belongs to another, and
        `ApiError` with `conflict` while an older one of ours is being deleted.
        """
        if owner.card.namespaced and child.metadata.namespace != owner.metadata.namespace:
            raise ValueError(f"{child.card.kind} {child.metadata.name} and its owner must share a namespace")
        kept = [JOURNAL_FINALIZER] if isinstance(getattr(child, "status", None), Status) else []
        metadata = child.metadata.model_copy(update={"owner_references": [_reference(owner)], "finalizers": kept})
        owned = child.model_copy(update={"metadata": metadata})
        try:
            return await self.create(owned)
        except ApiError as fault:
            if not fault.already_exists:
                raise
        return await self._adopted(child, owner)

    async def patch(self, resource: R, body: Patch, *, subresource: str = "") -> R:
        """Merge a patch into a resource; return it as stored. A resourceVersion in its metadata is a precondition."""
        metadata = resource.metadata
        obj = await self.client.patch(resource.card, metadata.name, metadata.namespace, body, subresource=subresource)
        self.observe(resource.card, obj)
        return type(resource).model_validate(obj)

    async def patch_status(self, resource: R, status: Obj) -> R:
        """Merge fields into a resource's status, provided the resource has not changed since it was read."""
        body = {"metadata": {"resourceVersion": resource.metadata.resource_version}, "status": status}
        return await self.patch(resource, body, subresource="status")

    async def delete(self, resource: Resource, *, propagation: str = "Background") -> None:
        """Delete this very resource, not a later one of its name; one that is gone already is no fault."""
        metadata = resource.metadata
        try:
            obj = await self.client.delete(resource.card, metadata.name, metadata.namespace, uid=metadata.uid, propagation=propagation)
        except ApiError as fault:
            if fault.not_found:
                return
            raise
        if obj.get("metadata", {}).get("deletionTimestamp"):
            self.observe(resource.card, obj)

    def observe(self, kind: Kind, obj: Obj) -> None:
        """Show the caches the answer to a write that was made through `client`."""
        self._caches.observe(kind, obj)

    async def _adopted(self, child: R, owner: Resource) -> R:
        obj = await self.client.get(child.card, child.metadata.name, child.metadata.namespace)
        if controller_owner(obj).get("uid") != owner.metadata.uid:
            raise Stalled("NameTaken", f"{child.card.kind} {child.metadata.name} exists and is not ours")
        if obj["metadata"].get("deletionTimestamp"):
            raise ApiError(HTTPStatus.CONFLICT, "Conflict", f"an older {child.card.kind} {child.metadata.name} is still being deleted")
        self.observe(child.card, obj)
        return type(child).model_validate(obj)


def creatable(resource: Resource) -> Obj:
    """Return a resource as sent at creation: no status, no metadata that only the server sets."""
    obj = resource.wire()
    obj.pop("status", None)
    kept = ("name", "namespace", "labels", "annotations", "finalizers", "ownerReferences")
    obj["metadata"] = {name: obj["metadata"][name] for name in kept if obj["metadata"].get(name)}
    return obj


def _reference(owner: Resource) -> OwnerReference:
    card, metadata = owner.card, owner.metadata
    return OwnerReference(
        api_version=card.api_version, kind=card.kind, name=metadata.name, uid=metadata.uid, controller=True, block_owner_deletion=True
    )


def _owner_uid(obj: Obj) -> Iterable[str]:
    uid = controller_owner(obj).get("uid")
    return (uid,) if uid else ()

"""The garbage collector: what is owned goes when its owners are gone; foreground deletion waits for it, orphaning lets it live.

An owner in another namespace counts as absent, and the dependent is deleted, as the real collector does.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from kubernaut.localcluster.api import Api, Obj, ResourceKind
from kubernaut.localcluster.controllers.loop import Key, Loop, Store
from kubernaut.localcluster.controllers.meta import condition, dying, uid_of
from kubernaut.localcluster.controllers.settings import StandInSettings
from kubernaut.localcluster.errors import ApiError
from kubernaut.localcluster.kinds import BUILTIN

__all__ = ["GarbageCollector", "collectable_kinds"]

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
_DEFINITION: Final = "definition"
_CRDS: Final = "apiextensions.k8s.io"
_NOT_FOUND: Final = 404


def collectable_kinds() -> list[ResourceKind]:
    """Return the built-in kinds that can be watched and deleted; events are left to age."""
    return [kind for kind in BUILTIN if {"watch", "delete"} <= set(kind.verbs) and kind.plural != "events"]


def _owner_uids(obj: Obj) -> Iterable[str]:
    return [str(reference["uid"]) for reference in obj["metadata"].get("ownerReferences") or ()]


def _finalizers(obj: Obj) -> list[str]:
    return obj["metadata"].get("finalizers") or []


@dataclass(slots=True)
class _Owners:
    """The owner references of an object, by the state of the owner."""

    solid: list[Obj] = field(default_factory=list)
    absent: list[Obj] = field(default_factory=list)
    waiting: list[Obj] = field(default_factory=list)
    """Owners that are being deleted in the foreground and wait for the object to go."""


class GarbageCollector:
    """The stand-in for kube-controller-manager's garbage collector; keys are uids."""

    def __init__(self, api: Api, settings: StandInSettings) -> None:
        """Set up watches of all built-in kinds; custom ones follow when they are defined."""
        self._api = api.acting_as("kube-controller-manager")
        self._loop = Loop(self._api, "gc", self._reconcile, settings.rng)
        self._stores: dict[tuple[str, str], Store] = {}
        for kind in collectable_kinds():
            self._add(kind)
        definitions = self._stores[_CRDS, "CustomResourceDefinition"].kind
        self._definitions = self._loop.store(definitions, lambda crd: (Key(_DEFINITION, crd["metadata"]["name"]),))

    async def run(self) -> None:
        """Work until cancelled."""
        await self._loop.run()

    def _add(self, kind: ResourceKind) -> None:
        if (kind.group, kind.kind) not in self._stores:
            store = self._loop.store(kind, self._keys, uid=lambda obj: (uid_of(obj),), owner=_owner_uids)
            self._stores[kind.group, kind.kind] = store

    def _keys(self, obj: Obj) -> Iterable[Key]:
        uids = [uid_of(obj), *_owner_uids(obj)]
        if dying(obj) or self._find(uid_of(obj)) is None:
            uids += [uid_of(dependent) for _, dependent in self._dependents(obj)]
        return [Key("", uid) for uid in uids]

    def _find(self, uid: str) -> tuple[Store, Obj] | None:
        return next(((store, obj) for store in self._stores.values() for obj in store.by("uid", uid)), None)

    def _dependents(self, owner: Obj) -> list[tuple[Store, Obj]]:
        return [(store, obj) for store in self._stores.values() for obj in store.by("owner", uid_of(owner))]

    async def _reconcile(self, key: Key) -> float | None:
        if key.namespace == _DEFINITION:
            self._define(key.name)
            return None
        found = self._find(key.name)
        if found is None:
            return None
        store, obj = found
        if not dying(obj):
            await self._collect(store, obj)
        elif FOREGROUND in _finalizers(obj):
            await self._wait_for_dependents(store, obj)
        elif ORPHAN in _finalizers(obj):
            await self._orphan_dependents(store, obj)
        return None

    def _define(self, name: str) -> None:
        definition = self._definitions.get(Key("", name))
        established = condition(definition, "Established") if definition else None
        if definition is not None and established is not None and established["status"] == "True":
            self._add(self._api.kind(definition["spec"]["group"], definition["spec"]["names"]["plural"]))

    async def _wait_for_dependents(self, store: Store, owner: Obj) -> None:
        dependents = self._dependents(owner)
        if not any(_blocks(dependent, owner) for _, dependent in dependents):
            await _without_finalizer(store, owner, FOREGROUND)
        for _, dependent in dependents:
            if not dying(dependent):
                self._loop.queue.add(Key("", uid_of(dependent)))

    async def _orphan_dependents(self, store: Store, owner: Obj) -> None:
        for where, dependent in self._dependents(owner):
            await _without_owners(where, dependent, {uid_of(owner)})
        await _without_finalizer(store, owner, ORPHAN)

    async def _collect(self, store: Store, obj: Obj) -> None:
        references = obj["metadata"].get("ownerReferences") or ()
        owners = await self._judge(obj, references) if references else None
        if owners is None:
            return
        if owners.solid:
            gone = {reference["uid"] for reference in [*owners.absent, *owners.waiting]}
            if gone:
                await _without_owners(store, obj, gone)
            return
        await store.delete(obj, propagation=self._propagation(obj, owners))

    def _propagation(self, obj: Obj, owners: _Owners) -> str:
        if owners.waiting and self._dependents(obj):
            return "Foreground"
        if ORPHAN in _finalizers(obj):
            return "Orphan"
        return "Foreground" if FOREGROUND in _finalizers(obj) else "Background"

    async def _judge(self, obj: Obj, references: Iterable[Obj]) -> _Owners | None:
        """Sort the owners of an object; None where one of them cannot be judged, which keeps the object."""
        owners = _Owners()
        for reference in references:
            group, _, _ = reference["apiVersion"].rpartition("/")
            store = self._stores.get((group, reference["kind"]))
            if store is None or (store.kind.namespaced and "namespace" not in obj["metadata"]):
                return None
            owner = await self._owner(store, obj, reference)
            if owner is None:
                owners.absent.append(reference)
            elif dying(owner) and FOREGROUND in _finalizers(owner):
                owners.waiting.append(reference)
            else:
                owners.solid.append(reference)
        return owners

    async def _owner(self, store: Store, obj: Obj, reference: Obj) -> Obj | None:
        """Return the owner if it lives, from the API itself where the cache does not show it."""
        key = Key(obj["metadata"]["namespace"] if store.kind.namespaced else "", reference["name"])
        held = store.get(key)
        if held is not None and uid_of(held) == reference["uid"]:
            return held
        try:
            live = await self._api.get(store.kind, key.name, key.namespace)
        except ApiError as error:
            if error.code != _NOT_FOUND:
                raise
            return None
        return live if uid_of(live) == reference["uid"] else None


def _blocks(dependent: Obj, owner: Obj) -> bool:
    references = dependent["metadata"].get("ownerReferences") or ()
    return any(reference["uid"] == uid_of(owner) and reference.get("blockOwnerDeletion") for reference in references)


def _precise(obj: Obj) -> Obj:
    return {"uid": uid_of(obj), "resourceVersion": obj["metadata"]["resourceVersion"]}


async def _without_finalizer(store: Store, obj: Obj, name: str) -> None:
    kept = [finalizer for finalizer in _finalizers(obj) if finalizer != name]
    await store.patch(obj, {"metadata": {**_precise(obj), "finalizers": kept or None}})


async def _without_owners(store: Store, obj: Obj, uids: Iterable[str]) -> None:
    kept = [reference for reference in obj["metadata"]["ownerReferences"] if reference["uid"] not in uids]
    await store.patch(obj, {"metadata": {**_precise(obj), "ownerReferences": kept or None}})

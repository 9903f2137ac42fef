"""Who owns what: workloads adopt what their selector matches and nobody controls, and let go what it no longer matches."""

from collections.abc import Callable, Iterable

from kubernaut.localcluster.api import Obj, ResourceKind
from kubernaut.localcluster.controllers.loop import Key, Store, key_of
from kubernaut.localcluster.controllers.meta import controller_keys, controller_of, dying, labels_of, orphans_in, owner_reference, uid_of
from kubernaut.localcluster.selectors import label_selector_of

__all__ = ["claimed", "claiming_keys"]


def claiming_keys(owners: Callable[[], Store], kind: str) -> Callable[[Obj], Iterable[Key]]:
    """Return a function from an object to the owners it concerns: its controller, or every one whose selector matches an orphan.

    The store of owners needs the index `namespace`.
    """

    def keys(obj: Obj) -> Iterable[Key]:
        if controller_of(obj) is not None:
            return controller_keys(obj, kind)
        rivals = owners().by("namespace", obj["metadata"].get("namespace", ""))
        return [key_of(owner) for owner in rivals if _matches(owner, obj)]

    return keys


def _matches(owner: Obj, obj: Obj) -> bool:
    return label_selector_of(owner["spec"].get("selector"))(labels_of(obj))


async def claimed(store: Store, owner: Obj, kind: ResourceKind) -> list[Obj]:
    """Adopt and release, then return what the owner controls; the store needs the index `controller`."""
    held = store.by("controller", uid_of(owner))
    if dying(owner):
        return held
    chosen = label_selector_of(owner["spec"].get("selector"))
    mine = [obj for obj in held if dying(obj) or chosen(labels_of(obj))]
    for obj in held:
        if not dying(obj) and not chosen(labels_of(obj)):
            await _release(store, obj, uid_of(owner))
    orphans = store.by("controller", orphans_in(owner["metadata"].get("namespace", "")))
    found = [obj for obj in orphans if not dying(obj) and chosen(labels_of(obj))]
    return mine + [await _adopt(store, obj, owner_reference(owner, kind)) for obj in found]


async def _adopt(store: Store, obj: Obj, reference: Obj) -> Obj:
    references = [*(obj["metadata"].get("ownerReferences") or ()), reference]
    return await store.patch(obj, {"metadata": {"uid": uid_of(obj), "ownerReferences": references}})


async def _release(store: Store, obj: Obj, owner_uid: str) -> None:
    references = [row for row in obj["metadata"]["ownerReferences"] if row["uid"] != owner_uid]
    await store.patch(obj, {"metadata": {"uid": uid_of(obj), "ownerReferences": references or None}})

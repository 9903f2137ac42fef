"""What stand-ins read from and write into metadata and conditions: owners, labels, liveness."""

from collections.abc import Iterable, Mapping
from typing import Any

from kubernaut.localcluster.api import Obj, ResourceKind
from kubernaut.localcluster.controllers.loop import Key

__all__ = [
    "by_controller",
    "by_namespace",
    "condition",
    "controller_keys",
    "controller_of",
    "dying",
    "labels_of",
    "orphans_in",
    "own_key",
    "owner_reference",
    "replaced",
    "scaled_value",
    "uid_of",
    "with_status",
]


def uid_of(obj: Obj) -> str:
    """Return metadata.uid."""
    return str(obj["metadata"]["uid"])


def labels_of(obj: Obj) -> Mapping[str, str]:
    """Return metadata.labels, empty where absent."""
    return obj["metadata"].get("labels") or {}


def dying(obj: Obj) -> bool:
    """Tell whether the object is being deleted."""
    return "deletionTimestamp" in obj["metadata"]


def controller_of(obj: Obj) -> Obj | None:
    """Return the owner reference with controller true, or None."""
    references = obj["metadata"].get("ownerReferences") or ()
    return next((reference for reference in references if reference.get("controller")), None)


def owner_reference(owner: Obj, kind: ResourceKind) -> Obj:
    """Build the reference by which a controller owns what it makes."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": owner["metadata"]["name"],
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def own_key(obj: Obj) -> Iterable[Key]:
    """Tell the key of the object itself."""
    return (Key(obj["metadata"].get("namespace", ""), obj["metadata"]["name"]),)


def orphans_in(namespace: str) -> str:
    """Return the value under which `by_controller` keeps the objects of a namespace that nobody controls."""
    return f"none in {namespace}"


def by_controller(obj: Obj) -> Iterable[str]:
    """Index by the uid of the controlling owner."""
    owner = controller_of(obj)
    return (owner["uid"] if owner else orphans_in(obj["metadata"].get("namespace", "")),)


def by_namespace(obj: Obj) -> Iterable[str]:
    """Index by namespace."""
    return (obj["metadata"].get("namespace", ""),)


def controller_keys(obj: Obj, kind: str) -> Iterable[Key]:
    """Tell the key of the controlling owner, if it is of this kind."""
    owner = controller_of(obj)
    return (Key(obj["metadata"].get("namespace", ""), owner["name"]),) if owner and owner["kind"] == kind else ()


def condition(obj: Obj, type_: str) -> Obj | None:
    """Return a condition of the status, or None."""
    return next((row for row in (obj.get("status") or {}).get("conditions") or () if row["type"] == type_), None)


def replaced(conditions: Iterable[Obj], new: Obj) -> list[Obj]:
    """Set a condition; its transition time stays where its status does, and an unchanged status and reason change nothing."""
    rows = list(conditions)
    old = next((row for row in rows if row["type"] == new["type"]), None)
    if old is not None and (old["status"], old.get("reason")) == (new["status"], new.get("reason")):
        return rows
    if old is not None and old["status"] == new["status"]:
        new = {**new, "lastTransitionTime": old["lastTransitionTime"]}
    return [row for row in rows if row["type"] != new["type"]] + [new]


def with_status(obj: Obj, status: Obj) -> Obj:
    """Return the object with another status; the one given is left as it is."""
    return {**obj, "status": status}


def scaled_value(value: Any, total: int, *, up: bool) -> int:
    """Resolve a number or percentage of a total, rounded up or down."""
    if isinstance(value, str) and value.endswith("%"):
        exact = int(value[:-1]) * total
        return -(-exact // 100) if up else exact // 100
    return int(value)

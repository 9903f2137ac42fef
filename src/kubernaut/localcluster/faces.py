"""One stored object, several faces: the versions of a custom resource, and the two groups of events."""

from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.store import Record

_EVENTS = "events.k8s.io"
# core v1 name -> events.k8s.io name
_RENAMED = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_BACK = {new: old for old, new in _RENAMED.items()}
# core v1 events carry these even when empty
_ALWAYS_CORE: Obj = {
    "reportingComponent": "",
    "reportingInstance": "",
    "source": {},
    "firstTimestamp": None,
    "lastTimestamp": None,
    "involvedObject": {},
    "eventTime": None,
}
_ALWAYS_NEW: Obj = {
    "deprecatedSource": {},
    "deprecatedFirstTimestamp": None,
    "deprecatedLastTimestamp": None,
    "regarding": {},
    "eventTime": None,
}
_DROPPED_WHEN_EMPTY = ("reportingController", "reportingInstance")


def as_stored(kind: ResourceKind, obj: Obj) -> bool:
    """Say whether a version shows an object just as it is stored; custom ones may be stored in a former storage version."""
    return kind.api_version == (obj.get("apiVersion") if kind.custom else kind.hub)


def from_stored(kind: ResourceKind, obj: Obj) -> Obj:
    """Return a stored object as a version shows it; the same object where nothing changes."""
    if as_stored(kind, obj):
        return obj
    shown = {**obj, "apiVersion": kind.api_version}
    return _new_event(shown) if kind.group == _EVENTS else shown


def to_stored(kind: ResourceKind, obj: Obj) -> Obj:
    """Return an object of a version as it is stored."""
    if kind.group == _EVENTS:
        return core_event({**obj, "apiVersion": kind.hub})
    return obj if kind.api_version == kind.hub else {**obj, "apiVersion": kind.hub}


def shown(kind: ResourceKind, record: Record) -> Obj:
    """Return a record as a version shows it; shared, never to be mutated."""
    return from_stored(kind, record.obj)


def own(kind: ResourceKind, record: Record) -> Obj:
    """Return a record as a version shows it, as a value of the caller's own."""
    return from_stored(kind, record.copy())


def _new_event(obj: Obj) -> Obj:
    renamed = {_RENAMED.get(key, key): value for key, value in obj.items()}
    kept = {key: value for key, value in renamed.items() if value or key not in _DROPPED_WHEN_EMPTY}
    return {**kept, **{key: value for key, value in _ALWAYS_NEW.items() if key not in kept}}


def core_event(obj: Obj) -> Obj:
    """Return an event with core v1 names and the members that core v1 always shows."""
    renamed = {_BACK.get(key, key): value for key, value in obj.items()}
    return {**renamed, **{key: value for key, value in _ALWAYS_CORE.items() if key not in renamed}}

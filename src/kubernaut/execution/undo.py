"""How a change is taken back, and whether the way back still fits the object; pure.

An operation's way back is judged three ways: the fields as they were, as the operation left them, and as they are now. All three are
compared with their lists of named things as maps (`kubernaut.api.keyed`): what stands beside a change in the same list is no part of it.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from kubernaut.api.base import Obj
from kubernaut.api.execution import ChangedResource, Disagreement, OperationResult, UndoKind
from kubernaut.api.keyed import keyed
from kubernaut.api.redact import redact_value
from kubernaut.kube.patches import both, leaves, merged

OPERATION_ANNOTATION = "kubernaut.ai/operation"
"""`{uid of the KubernetesExecution}/{step}`, written in the same patch as the change: who sees it knows that it took effect."""
MARK_PATH: Final = ("metadata", "annotations", OPERATION_ANNOTATION)
SHOWN: Final = 20
"""Conflicts that are told of one operation."""
TEXT: Final = 1024
ABSENT: Final = object()
_SERVERS: Final = frozenset({"apiVersion", "kind", "metadata", "status"})


def marked(patch: Obj, mark: str) -> Obj:
    """Return a patch that also marks the object as changed by an operation."""
    return merged_patches(patch, {"metadata": {"annotations": {OPERATION_ANNOTATION: mark}}})


def merged_patches(one: Obj, other: Obj) -> Obj:
    """Return one patch with the effect of two that do not contradict each other."""
    result = dict(one)
    for key, value in other.items():
        result[key] = merged_patches(result[key], value) if both(result.get(key), value) else value
    return result


def mark_of(obj: Obj) -> str:
    """Return the operation that changed an object last; empty when none did."""
    return str((obj["metadata"].get("annotations") or {}).get(OPERATION_ANNOTATION) or "")


def content_of(obj: Obj) -> Obj:
    """Return what people write of an object beside its labels and annotations: its spec, data and the like."""
    return {name: value for name, value in obj.items() if name not in _SERVERS}


def digest_of(obj: Obj) -> str:
    """Return the SHA-256 of what people write of an object; neither its status nor its annotations."""
    written = [obj["metadata"].get("labels") or {}, content_of(obj)]
    return hashlib.sha256(orjson.dumps(written, option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass(frozen=True, slots=True)
class Restore:
    """Patch the object back."""

    patch: Obj
    """For the object as `keyed` writes it."""
    done: bool = False
    """It is as before already."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete what the operation made."""

    uid: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is nothing to take back."""

    why: str


@dataclass(frozen=True, slots=True)
class Impossible:
    """It cannot be taken back."""

    why: str


@dataclass(frozen=True, slots=True)
class Clash:
    """Somebody else changed it since."""

    why: str
    conflicts: tuple[Disagreement, ...] = ()


Back = Restore | Remove | Nothing | Impossible | Clash


class ObjectKey(NamedTuple):
    """Which object, to find it among those read."""

    api_version: str
    kind: str
    namespace: str
    name: str


def key_of(changed: ChangedResource) -> ObjectKey:
    """Return the key of a changed object."""
    return ObjectKey(changed.api_version, changed.kind, changed.namespace, changed.name)


def ways_back(
    results: Sequence[OperationResult], objects: Mapping[ObjectKey, Obj | None], mark: Callable[[int], str]
) -> list[tuple[OperationResult, Back]]:
    """Return how each operation is taken back, the last one first; each is judged by the objects as the ones before it leave them."""
    seen: dict[ObjectKey, Obj | None] = {key: keyed(obj) for key, obj in objects.items()}
    found = list[tuple[OperationResult, Back]]()
    backwards = sorted(results, key=_carried_out_at, reverse=True)
    for place, result in enumerate(backwards):
        key = key_of(result.resources_affected[0]) if result.resources_affected else None
        current = seen.get(key) if key else None
        earlier = [each for each in backwards[place + 1 :] if each.resources_affected and key_of(each.resources_affected[0]) == key]
        back = way_back(result, current, mark(result.step_number), list(_before(result, earlier)))
        found.append((result, back))
        if key and isinstance(back, Restore):
            seen[key] = merged(current, back.patch)
        elif key and isinstance(back, Remove):
            seen[key] = None
    return found


def _before(result: OperationResult, earlier: Sequence[OperationResult]) -> Iterator[Obj]:
    """Yield an operation's fields as they were before each operation on the object that went before it, the latest first."""
    state = result.resources_affected[0].before if result.resources_affected else {}
    for each in earlier:
        back = each.undo.patch if each.undo and each.undo.patch else each.resources_affected[0].before
        state = merged(state, back)
        yield state


def _carried_out_at(result: OperationResult) -> tuple[bool, float, int]:
    at = result.started_at
    return at is not None, at.timestamp() if at else 0.0, result.step_number


def way_back(result: OperationResult, current: Obj | None, mark: str, earlier: Sequence[Obj] = ()) -> Back:
    """Return how one operation is taken back from an object as it is now (`keyed`).

    `earlier` is the object before operations that went before: where it is back there, this one is taken back too.
    """
    carried_out = result.started_at is not None or (current is not None and mark_of(current) == mark)
    if not carried_out or not result.resources_affected:
        return Nothing("nothing was changed")
    undo, changed = result.undo, result.resources_affected[0]
    if undo is None or undo.kind is UndoKind.NONE:
        return Impossible(undo.note if undo and undo.note else f"{result.action} cannot be taken back")
    if undo.created:
        return _removal(changed, current)
    if current is None:
        return Clash("the object is gone")
    if current["metadata"].get("uid") != changed.uid:
        return Clash("the object was replaced by another of its name")
    return _restoration(changed, undo.patch, current, mark, earlier)


def _removal(changed: ChangedResource, current: Obj | None) -> Back:
    if current is None:
        return Restore({}, done=True)
    uid = str(current["metadata"].get("uid"))
    if changed.uid and uid != changed.uid:
        return Clash("the object was replaced by another of its name")
    conflicts = [each for path in leaves(changed.after) if (each := _compared(path, changed, current, reverting=False))]
    if conflicts:
        return Clash("somebody else changed what was made", tuple(conflicts[:SHOWN]))
    return Remove(uid)


def _restoration(changed: ChangedResource, patch: Obj, current: Obj, mark: str, earlier: Sequence[Obj]) -> Back:
    paths = [path for path in leaves(patch) if path != MARK_PATH and not _idle(patch, current, path)]
    states = (changed.before, *earlier)
    if mark_of(current) != mark and all(any(_same(_at(current, path), _at(state, path)) for state in states) for path in paths):
        return Restore({}, done=True)
    conflicts = [each for path in paths if (each := _compared(path, changed, current))]
    if conflicts:
        return Clash("somebody else changed the same fields", tuple(conflicts[:SHOWN]))
    return Restore(patch if mark_of(current) == mark else _unmarked(patch))


def _idle(patch: Obj, current: Obj, path: tuple[str, ...]) -> bool:
    """Tell whether a patch changes nothing at a path: an empty object leaves an object as it is."""
    return _at(patch, path) == {} and isinstance(_at(current, path), dict)


def _compared(path: tuple[str, ...], changed: ChangedResource, current: Obj, *, reverting: bool = True) -> Disagreement | None:
    """Return how a field differs from what the operation left; one that is as before is no conflict."""
    before, ours, now = _at(changed.before, path), _at(changed.after, path), _at(current, path)
    if path == MARK_PATH or _same(now, ours) or (reverting and _same(now, before)):
        return None
    texts = (_text(path, value) for value in (before, ours, now))
    return Disagreement(path=".".join(path)[:TEXT], **dict(zip(("before", "ours", "now"), texts, strict=True)))


def _at(obj: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(obj, dict) or name not in obj:
            return ABSENT
        obj = obj[name]
    return obj


def _same(one: Any, other: Any) -> bool:
    if one is ABSENT or other is ABSENT:
        return _empty(one) and _empty(other)
    return orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)


def _empty(value: Any) -> bool:
    """Tell whether a value is stored as no value."""
    return value is ABSENT or value == {} or value is None


def _text(path: tuple[str, ...], value: Any) -> str:
    """Return a value as JSON text for people, without secrets."""
    if value is ABSENT:
        return ""
    text = orjson.dumps(redact_value(value, key=path[-1])).decode()
    return text if len(text) <= TEXT else f"{text[: TEXT - 1]}…"


def _unmarked(patch: Obj) -> Obj:
    """Return the patch without the part that takes our mark away: another operation's stands there now."""
    annotations = {key: value for key, value in patch.get("metadata", {}).get("annotations", {}).items() if key != OPERATION_ANNOTATION}
    return {**patch, "metadata": {**patch.get("metadata", {}), "annotations": annotations}}

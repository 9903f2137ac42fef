"""Field management: what an update does to `metadata.managedFields`, and server-side apply.

The rules are those of kube-apiserver's field manager over structured-merge-diff. Nothing is changed in place, but results share parts
with the arguments: copy before changing them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kubernaut.localcluster.fields import (
    FieldSet,
    KeyError_,
    compare,
    describe,
    element_of,
    fields_of,
    from_fields_v1,
    is_keyed_list,
    is_map,
    merge,
    without,
)
from kubernaut.localcluster.gotypes import zero_object
from kubernaut.localcluster.nodes import Node

Obj = dict[str, Any]

_BEFORE_FIRST_APPLY, _ANCIENT, _UNKNOWN = "before-first-apply", "ancient-changes", "unknown"
_MAX_UPDATERS = 10
_UNTRACKED_META = (
    "creationTimestamp",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
    "clusterName",
)
_UNTRACKED = FieldSet({"f:apiVersion", "f:kind", "f:metadata"}, {"f:metadata": FieldSet({f"f:{name}" for name in _UNTRACKED_META})})


class ApplyError(ValueError):
    """The applied configuration does not fit the schema (the API server's 500 without a reason)."""


@dataclass(frozen=True, slots=True)
class ConflictCause:
    """One field that another manager owns."""

    manager: str
    """The manager as messages name it, e.g. `"alpha"` or `"recorder" using v1`, quotes included."""
    field: str

    @property
    def message(self) -> str:
        """The sentence of a Status cause."""
        return f"conflict with {self.manager}"


class ApplyConflict(ValueError):  # noqa: N818 - named as the API names it
    """Fields of the configuration are owned by others and would change; `conflicts` make the causes of a 409."""

    def __init__(self, causes: Sequence[ConflictCause]) -> None:
        """Keep the causes and tell them in kube's words."""
        super().__init__(_conflict_words(causes))
        self.conflicts = tuple(causes)


@dataclass(frozen=True, order=True, slots=True)
class _Manager:
    """Who wrote; appliers are the same whatever version they speak."""

    name: str
    operation: str
    api_version: str
    subresource: str

    def words(self) -> str:
        told = json.dumps(self.name, ensure_ascii=False)
        told += f' with subresource "{self.subresource}"' if self.subresource else ""
        return f"{told} using {self.api_version}" if self.operation == "Update" else told


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a manager owns."""

    fields: FieldSet
    api_version: str
    time: str = ""


_Managed = dict[_Manager, _Entry]


def update_managed(old: Obj | None, new: Obj, *, manager: str, api_version: str, subresource: str, now: str, schema: Node) -> list[Obj]:
    """Return the new metadata.managedFields after a create (`old` None) or update; `schema` is `Schema.node`, `now` RFC 3339.

    Call it with the object as decoded and defaulted, before admission and strategies add to it: what these add has no owner.
    managedFields that the client sent in `new` count (a list of one empty entry clears them), except on a subresource. An object
    without managedFields stays so on update.
    """
    asked, lived = _entries(new), _entries(old or {})
    if asked == [{}] and not subresource:
        return []
    if old is not None and asked == lived and _untimed(old) == _untimed(new):
        return lived
    managed = _read(lived if subresource or not asked else asked) or _read(lived)
    if old is not None and not managed:
        return []
    writer = _Manager(manager or _UNKNOWN, "Update", api_version, subresource)
    base = old if old is not None else _empty(schema, new)
    return _write(_capped(_own_changes(base, new, managed, writer, now, schema)))


def _empty(schema: Node, new: Obj) -> Obj:
    """Give what a new object is compared with: a built-in one with Go's empty struct; status with itself, so that nobody owns it."""
    if not schema.builtin:
        return {}
    return {**zero_object(schema.definition), **({"status": new["status"]} if "status" in new else {})}


def apply(live: Obj | None, config: Obj, *, manager: str, force: bool, api_version: str, subresource: str, now: str, schema: Node) -> Obj:
    """Return the object after a server-side apply, with its managedFields; defaults are not filled in, and nulls may be in it.

    Fields that the manager applied before and no longer does, and that nobody else owns, are gone. When nothing changes the
    manager's time stays as it was. The caller has checked that `config` names its kind, has no managedFields, and holds nothing
    that the subresource does not write. Raises ApplyConflict unless `force`, ApplyError where the configuration does not fit
    the schema.
    """
    _check_config(config, schema)
    base = live if live is not None else {}
    managed = _read(_entries(base))
    if live is not None and not managed:
        before = _Manager(_BEFORE_FIRST_APPLY, "Update", api_version, "")
        managed = _own_changes({}, live, {}, before, now, schema)
    applier = _Manager(manager, "Apply", "", subresource)
    last = managed.get(applier)
    config_fields = fields_of(config, schema)
    managed[applier] = _Entry(config_fields, api_version, last.time if last else "")
    merged = merge(base, config, schema)
    merged = _prune(merged, managed, last.fields if last else FieldSet(), schema)
    managed = _settle(base, merged, managed, applier, schema, force=force)
    managed = _strip(managed, applier)
    if applier in managed and merged != base:
        managed[applier] = replace(managed[applier], time=now)
    return {**merged, "metadata": {**merged.get("metadata", {}), "managedFields": _write(managed)}}


def _entries(obj: Obj) -> list[Obj]:
    return list((obj.get("metadata") or {}).get("managedFields") or [])


def _read(entries: Sequence[Obj]) -> _Managed:
    """Read managedFields; entries that are none count as nothing, as with kube."""
    managed: _Managed = {}
    for entry in entries:
        operation = entry.get("operation", "")
        version = entry.get("apiVersion", "")
        who = _Manager(entry.get("manager", ""), operation, "" if operation == "Apply" else version, entry.get("subresource", ""))
        try:
            fields = from_fields_v1(entry.get("fieldsV1") or {})
        except ValueError:
            return {}
        managed[who] = _Entry(fields, version, entry.get("time") or "")
    return managed


def _write(managed: _Managed) -> list[Obj]:
    """Write managedFields in kube's order: appliers first, then by time."""
    order = sorted(managed, key=lambda who: (who.operation, managed[who].time, who.name, managed[who].api_version, who.subresource))
    return [_write_entry(who, managed[who]) for who in order]


def _write_entry(who: _Manager, entry: _Entry) -> Obj:
    written = {"manager": who.name, "operation": who.operation, "apiVersion": entry.api_version}
    written |= {"time": entry.time} if entry.time else {}
    written |= {"fieldsType": "FieldsV1", "fieldsV1": entry.fields.to_fields_v1()}  # type: ignore[dict-item]
    return written | ({"subresource": who.subresource} if who.subresource else {})


def _own_changes(old: Obj, new: Obj, managed: _Managed, writer: _Manager, now: str, schema: Node) -> _Managed:
    """Give a writer the fields it changed, and take these from all others; items without keys leave everything as it was."""
    try:
        difference = compare(_untimed(old), _untimed(new), schema)
    except KeyError_:
        return managed
    changed = difference.modified.union(difference.added)
    others = {who: replace(entry, fields=entry.fields.difference(changed).difference(difference.removed)) for who, entry in managed.items()}
    mine = changed.difference(_UNTRACKED)
    result = {who: entry for who, entry in others.items() if entry.fields}
    if mine:
        before = managed[writer].fields.difference(difference.removed) if writer in managed else FieldSet()
        result[writer] = _Entry(before.union(mine), writer.api_version, now)
    return result


def _untimed(obj: Obj) -> Obj:
    """Leave managedFields and resourceVersion out of a comparison."""
    metadata = {name: value for name, value in (obj.get("metadata") or {}).items() if name not in {"managedFields", "resourceVersion"}}
    return {**obj, "metadata": metadata} if "metadata" in obj else obj


def _capped(managed: _Managed) -> _Managed:
    """Merge the oldest updaters into one when there are more than ten."""
    updaters = sorted((who for who in managed if who.operation == "Update"), key=lambda who: (managed[who].time, who))
    spare = len(updaters) - _MAX_UPDATERS
    if spare <= 0:
        return managed
    result = dict(managed)
    for who in updaters[: spare + 1]:
        entry = result.pop(who)
        bucket = _Manager(_ANCIENT, "Update", entry.api_version, who.subresource)
        held = result.get(bucket)
        result[bucket] = entry if held is None else _Entry(held.fields.union(entry.fields), entry.api_version, max(held.time, entry.time))
    return result


def _settle(base: Obj, merged: Obj, managed: _Managed, applier: _Manager, schema: Node, *, force: bool) -> _Managed:
    """Take from the others what an apply changed or removed; raise ApplyConflict where that needs force."""
    difference = compare(base, merged, schema)
    changed = difference.modified.union(difference.added)
    conflicts = {who: entry.fields.intersection(changed) for who, entry in managed.items() if who != applier}
    if not force and any(conflicts.values()):
        raise ApplyConflict(list(_causes(conflicts)))
    result: _Managed = {}
    for who, entry in managed.items():
        left = entry.fields if who == applier else entry.fields.difference(changed).difference(difference.removed)
        if left:
            result[who] = replace(entry, fields=left)
    return result


def _strip(managed: _Managed, applier: _Manager) -> _Managed:
    """Drop the fields that nobody owns from the applier's."""
    result = dict(managed)
    if applier in result:
        result[applier] = replace(result[applier], fields=result[applier].fields.difference(_UNTRACKED))
        if not result[applier].fields:
            del result[applier]
    return result


def _causes(conflicts: Mapping[_Manager, FieldSet]) -> Iterator[ConflictCause]:
    for who in sorted(conflicts):
        for path in conflicts[who].paths():
            yield ConflictCause(who.words(), describe(path))


def _conflict_words(causes: Sequence[ConflictCause]) -> str:
    if len(causes) == 1:
        return f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}"
    lines: list[str] = []
    for who in dict.fromkeys(cause.manager for cause in causes):
        lines += [f"conflicts with {who}:", *(f"- {cause.field}" for cause in causes if cause.manager == who)]
    return f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines)


def _prune(merged: Obj, managed: _Managed, last: FieldSet, schema: Node) -> Obj:
    """Drop what the applier set last time, sets no longer, and nobody else owns."""
    if not last:
        return merged
    pruned = without(merged, schema, last.with_named(schema)) or {}
    owned = FieldSet()
    for entry in managed.values():
        owned = owned.union(entry.fields)
    all_fields = fields_of(merged, schema).with_named(schema)
    kept = fields_of(pruned, schema).with_named(schema).union(owned.with_named(schema))
    pruned = without(merged, schema, all_fields.difference(kept)) or {}
    gone = all_fields.difference(fields_of(pruned, schema).with_named(schema)).intersection(last.with_named(schema))
    result: Obj = without(merged, schema, gone) or {}
    return result


def _check_config(config: Obj, schema: Node) -> None:
    """Raise for members the schema does not know, wrong forms, and items that are there twice."""
    found = list(_config_faults(config, schema, ()))
    if found:
        meta = config.get("metadata") or {}
        group_version, kind = config.get("apiVersion", ""), config.get("kind", "")
        told = found[0] if len(found) == 1 else "\n".join(["errors:", *(f"  {fault}" for fault in found)])
        where = f"{meta.get('namespace', '')}/{meta.get('name', '')}; {group_version}, Kind={kind}"
        raise ApplyError(f"failed to create typed patch object ({where}): {told}")


def _config_faults(value: Any, node: Node, path: tuple[str, ...]) -> Iterator[str]:
    if is_map(value, node):
        for name, item in value.items():
            below, here = node.member(name), (*path, f"f:{name}")
            if below is None:
                yield f"{describe(here)}: field not declared in schema"
            else:
                yield from _config_faults(item, below, here)
    elif is_keyed_list(value, node):
        yield from _item_faults(value, node, path)
    elif value is not None and (words := _form_fault(value, node)):
        yield f"{describe(path)}: {words}"


def _item_faults(value: list[Any], node: Node, path: tuple[str, ...]) -> Iterator[str]:
    seen: set[str] = set()
    for index, item in enumerate(value):
        try:
            element = element_of(item, node)
        except KeyError_ as fault:
            yield f"{describe(path)}: element {index}: {fault}"
            continue
        if element in seen:
            yield f"{describe(path)}: duplicate entries for key {describe((element,))}"
        seen.add(element)
        yield from _config_faults(item, node.items, (*path, element))


_FORMS: Mapping[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "boolean": (bool,), "integer": (int, float), "number": (int, float),
}  # fmt: skip


def _form_fault(value: Any, node: Node) -> str:
    """Say that a value has another form than the schema; numbers and texts are told apart only where the schema does."""
    if node.type not in _FORMS or node.int_or_string or isinstance(value, _FORMS[node.type]):
        return ""
    names = {"object": "map", "array": "list", "integer": "numeric (int or float)", "number": "numeric (int or float)"}
    return f"expected {names.get(node.type, node.type)}, got {json.dumps(value)}"

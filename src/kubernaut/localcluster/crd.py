"""Custom resource definitions at work: accepting their names, serving their versions, and clearing up behind them."""

from collections.abc import Iterable, Iterator

from kubernaut.localcluster import deletion
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.calls import Call, DeleteOptions
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.kinds import CUSTOM_VERBS, builtin
from kubernaut.localcluster.registry import Registry
from kubernaut.localcluster.store import Record
from kubernaut.localcluster.versions import by_priority

CRDS = builtin("apiextensions.k8s.io", "customresourcedefinitions")
_NAMES = ("plural", "singular", "shortNames", "kind", "listKind", "categories")
_CALL = Call(manager="kube-apiserver")


def kinds_of(definition: Obj) -> Iterator[ResourceKind]:
    """Yield the served versions of a definition, best first."""
    spec, names = definition["spec"], definition["spec"]["names"]
    stored = next(row["name"] for row in spec["versions"] if row["storage"])
    resource = f"{names['plural']}.{spec['group']}"
    for row in sorted((row for row in spec["versions"] if row["served"]), key=lambda row: by_priority(row["name"])):
        parts = tuple(sorted(part for part, given in (row.get("subresources") or {}).items() if given is not None))
        yield ResourceKind(
            spec["group"],
            row["name"],
            names["kind"],
            names["plural"],
            spec["scope"] == "Namespaced",
            singular=names.get("singular") or names["kind"].lower(),
            list_kind=names.get("listKind") or f"{names['kind']}List",
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            subresources=parts,
            verbs=CUSTOM_VERBS,
            generation=True,
            custom=True,
            stored=resource,
            hub=f"{spec['group']}/{stored}",
            definition=row,
        )


class Definitions:
    """Follows every write of a definition or of an object that one defines."""

    def __init__(self, registry: Registry) -> None:
        """Serve the definitions that are stored already, and follow those to come."""
        self._registry = registry
        for record in registry.all_of(CRDS):
            if _is_true(record.obj, "Established"):
                self._serve(record.obj)
        registry.written.append(self._written)

    def _written(self, kind: ResourceKind, record: Record) -> None:
        if kind.resource == CRDS.resource:
            self._settle(record)
        elif kind.custom and record.type == "DELETED":
            holder = self._registry.find(CRDS, "", kind.stored)
            if holder is not None and "deletionTimestamp" in holder.obj["metadata"]:
                self._clear(holder)

    def _settle(self, record: Record) -> None:
        definition = record.obj
        if record.type == "DELETED":
            self._registry.catalog.replace(definition["spec"]["group"], definition["spec"]["names"]["plural"], [])
            self._registry.store.dismiss(definition["metadata"]["name"])
            self._retry_refused(definition["spec"]["group"])
        elif "deletionTimestamp" in definition["metadata"]:
            self._clear(record)
        else:
            self._accept(definition)

    def _retry_refused(self, group: str) -> None:
        for other in list(self._registry.all_of(CRDS)):
            if other.obj["spec"]["group"] == group and not _is_true(other.obj, "Established"):
                self._accept(other.obj)

    def _accept(self, definition: Obj) -> None:
        clashes = list(self._clashes(definition))
        status = self._status(definition, clashes)
        if not clashes:
            self._serve(definition)
        if _untimed(status) != _untimed(definition.get("status") or {}):
            self._registry.update(CRDS, "", definition["metadata"]["name"], lambda obj: {**obj, "status": status}, _CALL, "status")

    def _serve(self, definition: Obj) -> None:
        spec = definition["spec"]
        known = {
            kind.definition["name"]: kind.definition
            for kind in self._registry.catalog
            if kind.definition and kind.stored == definition["metadata"]["name"]
        }
        kinds = list(kinds_of(definition))
        if (
            [known.get(kind.version) for kind in kinds] != [kind.definition for kind in kinds]
            or len(known) != len(kinds)
            or self._renamed(kinds)
        ):
            self._registry.catalog.replace(spec["group"], spec["names"]["plural"], kinds)

    def _renamed(self, kinds: Iterable[ResourceKind]) -> bool:
        return any(self._registry.catalog.find(kind.group, kind.version, kind.plural) != kind for kind in kinds)

    def _clashes(self, definition: Obj) -> Iterator[tuple[str, str]]:
        """Yield the reason and message of each name that another definition of the group holds."""
        names, taken = definition["spec"]["names"], self._taken(definition)
        for field, reason in (
            ("plural", "PluralConflict"),
            ("singular", "SingularConflict"),
            ("kind", "KindConflict"),
            ("listKind", "ListKindConflict"),
        ):
            if names.get(field) and names[field] in taken:
                yield reason, f'"{names[field]}" is already in use'
        for name in names.get("shortNames") or []:
            if name in taken:
                yield "ShortNamesConflict", f'"{name}" is already in use'

    def _taken(self, definition: Obj) -> set[str]:
        taken: set[str] = set()
        for record in self._registry.all_of(CRDS):
            other = record.obj
            if other["spec"]["group"] == definition["spec"]["group"] and other["metadata"]["name"] != definition["metadata"]["name"]:
                names = (other.get("status") or {}).get("acceptedNames") or {}
                taken |= {names[field] for field in ("plural", "singular", "kind", "listKind") if names.get(field)} | set(
                    names.get("shortNames") or []
                )
        return taken

    def _status(self, definition: Obj, clashes: list[tuple[str, str]]) -> Obj:
        names, before = definition["spec"]["names"], definition.get("status") or {}
        if clashes:
            accepted = {"plural": names["plural"], "kind": ""} | (
                {"shortNames": names["shortNames"]} if names.get("shortNames") and not before else {}
            )
            rows = [
                _condition("NamesAccepted", "False", *clashes[-1]),
                _condition("Established", "False", "NotAccepted", "not all names are accepted"),
            ]
        else:
            accepted = {field: names[field] for field in _NAMES if names.get(field)}
            rows = [_condition("NamesAccepted", "True", "NoConflicts", "no conflicts found")]
            rows.append(_condition("Established", "True", "InitialNamesAccepted", "the initial names have been accepted"))
        stored = [row["name"] for row in definition["spec"]["versions"] if row["storage"]]
        versions = list(dict.fromkeys([*(before.get("storedVersions") or []), *stored]))
        return {"conditions": self._timed(rows, before), "acceptedNames": accepted, "storedVersions": versions}

    def _timed(self, rows: list[Obj], before: Obj) -> list[Obj]:
        known = {row["type"]: row for row in before.get("conditions") or []}
        now = self._registry.sources.now()
        return [{**row, "lastTransitionTime": _since(row, known.get(row["type"]), now)} for row in rows]

    def _clear(self, record: Record) -> None:
        """Delete the objects of a dying definition, and let it go when none is left."""
        definition = record.obj
        kind = next(kinds_of(definition), None)
        if kind is not None and _is_true(definition, "Established"):
            for instance in list(self._registry.all_of(kind)):
                if "deletionTimestamp" not in instance.obj["metadata"]:
                    deletion.delete(self._registry, kind, *instance.key, DeleteOptions(), _CALL)
            if self._registry.store.count(kind.stored):
                return
        self._release(definition["metadata"]["name"])

    def _release(self, name: str) -> None:
        record = self._registry.find(CRDS, "", name)
        if record is not None and deletion.CRD_FINALIZER in (record.obj["metadata"].get("finalizers") or []):
            self._registry.update(CRDS, "", name, _released, _CALL)


def _released(obj: Obj) -> Obj:
    obj["metadata"]["finalizers"] = [name for name in obj["metadata"]["finalizers"] if name != deletion.CRD_FINALIZER]
    return obj


def _condition(type_: str, status: str, reason: str, message: str) -> Obj:
    return {"type": type_, "status": status, "reason": reason, "message": message}


def _since(row: Obj, before: Obj | None, now: str) -> str:
    same = before is not None and before["status"] == row["status"]
    return str(before["lastTransitionTime"]) if same and before else now


def _untimed(status: Obj) -> Obj:
    rows = [{key: value for key, value in row.items() if key != "lastTransitionTime"} for row in status.get("conditions") or []]
    return {**status, "conditions": rows}


def _is_true(definition: Obj, type_: str) -> bool:
    return any(row["type"] == type_ and row["status"] == "True" for row in (definition.get("status") or {}).get("conditions") or [])

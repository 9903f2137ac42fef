"""The one way in to the store: every read and write of every kind, over HTTP or in process, passes here.

A write runs from the stored object to the new one without an await, so that no other write comes between.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from kubernaut.localcluster import errors, faces, metadata, strategy
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.calls import Call
from kubernaut.localcluster.catalog import Catalog
from kubernaut.localcluster.errors import Cause, Obj
from kubernaut.localcluster.faults import Fault
from kubernaut.localcluster.journal import Row
from kubernaut.localcluster.kinds import builtin
from kubernaut.localcluster.metadata import Sources
from kubernaut.localcluster.schemas import Schemas
from kubernaut.localcluster.store import Key, Record, Store, encode

NAMESPACES = builtin("", "namespaces")

Change = Callable[[Obj], Obj]
B = TypeVar("B")
R = TypeVar("R")


class Gate(Protocol):
    """Admission: it may add to an object (`mutate`) and refuse a write (`check`, with ApiError)."""

    def mutate(self, kind: ResourceKind, obj: Obj, call: Call) -> None:
        """Add what the cluster adds to a new object."""

    def check(self, kind: ResourceKind, operation: str, new: Obj | None, old: Obj | None, call: Call, subresource: str) -> None:
        """Refuse a write with ApiError; `operation` is CREATE, UPDATE or DELETE."""


class Hooks(Protocol):
    """What is asked about a write outside of the process."""

    def amend(self, kind: ResourceKind, operation: str, new: Obj, old: Obj | None, call: Call, subresource: str) -> Obj | None:
        """Return what is made of an object, None where nothing is changed; raise ApiError."""

    async def carry_out(self, call: Call, body: B, write: Callable[[Call, B], R]) -> R:
        """Write, waiting for answers where some are needed; `write` may run several times, each with its own copy of the body."""


class _Unhooked:
    """Nobody is asked."""

    def amend(self, kind: ResourceKind, operation: str, new: Obj, old: Obj | None, call: Call, subresource: str) -> Obj | None:
        """Change nothing."""

    async def carry_out(self, call: Call, body: B, write: Callable[[Call, B], R]) -> R:
        """Write at once."""
        return write(call, body)


class Registry:
    """Create, update and remove objects under the rules of their kinds."""

    def __init__(self, store: Store, catalog: Catalog, schemas: Schemas, sources: Sources) -> None:
        """Stand on a store; gates are added later, as they read through the registry themselves."""
        self.store = store
        self.catalog = catalog
        self.schemas = schemas
        self.sources = sources
        self.gates: list[Gate] = []
        self.hooks: Hooks = _Unhooked()
        self.written: list[Callable[[ResourceKind, Record], None]] = []
        """Called after each write, with the record stored."""

    def find(self, kind: ResourceKind, namespace: str, name: str) -> Record | None:
        """Return an object's newest record, or None."""
        return self.store.get(kind.stored, namespace if kind.namespaced else "", name)

    def get(self, kind: ResourceKind, namespace: str, name: str) -> Record:
        """Return an object's newest record; raise ApiError 404."""
        if record := self.find(kind, namespace, name):
            return record
        raise errors.not_found(kind, name)

    def create(self, kind: ResourceKind, namespace: str, obj: Obj, call: Call) -> Record:
        """Create an object (which becomes the registry's); raise ApiError where a rule is broken."""
        if obj["metadata"].get("resourceVersion"):
            raise errors.internal("resourceVersion should not be set on objects to be created")
        namespace = namespace if kind.namespaced else ""
        self._check_namespace(kind, namespace, obj)
        schema = self.schemas.of(kind)
        if not call.applied:
            obj["metadata"].pop("managedFields", None)
        metadata.start(kind, obj, namespace, self.sources)
        strategy.drop_status(kind, obj)
        strategy.settle(kind, obj)
        schema.default(obj)
        # what admission and the kind's own preparation add belongs to nobody
        self.schemas.track(kind, None, obj, call, self.sources.now(), "")
        self._mutate(kind, obj, call)
        obj = self._amended(kind, "CREATE", obj, None, call, "")
        strategy.prepare_create(kind, obj)
        self._refuse_faults(kind, obj, self._faults(kind, obj, None, metadata.faults(kind, obj), ""))
        call.warnings.extend(metadata.warnings(kind, obj))
        self._pass_gates(kind, "CREATE", obj, None, call, "")
        key = (namespace, obj["metadata"]["name"])
        if taken := self.store.get(kind.stored, *key):
            raise errors.already_exists(kind, key[1], dying="deletionTimestamp" in taken.obj["metadata"])
        return self._save(kind, key, obj, call, None)

    def _mutate(self, kind: ResourceKind, obj: Obj, call: Call) -> None:
        for gate in self.gates:
            gate.mutate(kind, obj, call)

    def _amended(self, kind: ResourceKind, operation: str, new: Obj, old: Obj | None, call: Call, subresource: str) -> Obj:
        """Return what webhooks make of an object, of the shape that its kind has."""
        amended = self.hooks.amend(kind, operation, new, old, call, subresource)
        if amended is None:
            return new
        schema = self.schemas.of(kind)
        schema.prune(amended)
        schema.default(amended)
        return amended

    def _check_namespace(self, kind: ResourceKind, namespace: str, obj: Obj) -> None:
        if not kind.namespaced:
            return
        holder = self.find(NAMESPACES, "", namespace)
        if holder is None:
            raise errors.not_found(NAMESPACES, namespace)
        if "deletionTimestamp" in holder.obj["metadata"]:
            name = obj["metadata"].get("name") or ""
            why = f"namespace {namespace} is being terminated"
            error = errors.forbidden(kind, name, f"unable to create new content in namespace {namespace} because it is being terminated")
            error.details["causes"] = [{"reason": "NamespaceTerminating", "message": why, "field": "metadata.namespace"}]
            raise error

    def _refuse_faults(self, kind: ResourceKind, obj: Obj, found: Sequence[Cause]) -> None:
        if found:
            # events of both groups are checked as those of core
            group = "" if kind.hub == "v1" else kind.group
            raise errors.invalid_named(kind.kind, group, obj["metadata"].get("name") or "", found)

    def _pass_gates(self, kind: ResourceKind, operation: str, new: Obj | None, old: Obj | None, call: Call, subresource: str) -> None:
        for gate in self.gates:
            gate.check(kind, operation, new, old, call, subresource)

    def update(self, kind: ResourceKind, namespace: str, name: str, change: Change, call: Call, subresource: str = "") -> Record:
        """Replace an object by what `change` makes of a copy of it; raise ApiError where a rule is broken."""
        record = self.get(kind, namespace, name)
        old = faces.shown(kind, record)
        asked = change(faces.own(kind, record))
        new = strategy.merge_parts(kind, asked, old, subresource)
        self._check_version(kind, asked, record)
        metadata.carry_over(new, old)
        schema = self.schemas.of(kind)
        strategy.settle(kind, new)
        schema.default(new)
        self.schemas.track(kind, old, new, call, self.sources.now(), subresource)
        new = self._amended(kind, "UPDATE", new, old, call, subresource)
        strategy.prepare_update(kind, new, old, subresource)
        if kind.resource == "services" and not subresource:
            self._mutate(kind, new, call)
        self._refuse_changes(kind, new, old, subresource)
        call.warnings.extend(metadata.warnings(kind, new))
        self._pass_gates(kind, "UPDATE", new, old, call, subresource)
        if strategy.same(new, old):
            return record
        return self._finish(kind, record, new, call)

    def _refuse_changes(self, kind: ResourceKind, new: Obj, old: Obj, subresource: str) -> None:
        found = metadata.faults(kind, new) * strategy.times_told(kind, changed=False)
        found += metadata.change_faults(new, old) * strategy.times_told(kind, changed=True)
        self._refuse_faults(kind, new, self._faults(kind, new, old, found, subresource))

    def _faults(self, kind: ResourceKind, new: Obj, old: Obj | None, found: Sequence[Cause], subresource: str) -> list[Cause]:
        schema = self.schemas.of(kind)
        if not kind.custom:
            return [*found, *schema.validate(new, old), *strategy.faults(kind, new, old, subresource)]
        before = [Fault(row.field, row.type, row.message) for row in found]
        seen = None if old is None else strategy.custom_schema_view(old)
        return [*found, *schema.validate(strategy.custom_schema_view(new), seen, before=before)]

    def _check_version(self, kind: ResourceKind, new: Obj, record: Record) -> None:
        version = new["metadata"].get("resourceVersion") or ""
        if version in ("", "0"):
            return
        if not version.isdigit():
            raise errors.internal(f'strconv.ParseUint: parsing "{version}": invalid syntax')
        if int(version) != record.revision:
            raise errors.conflict(kind, record.key[1])

    def _finish(self, kind: ResourceKind, record: Record, new: Obj, call: Call) -> Record:
        if strategy.may_go(kind, new):
            # who lets go of an object is told the revision it had, who deletes it that of the deletion
            self.remove(kind, record, faces.own(kind, record), call)
            return self._removed(kind, record, new)
        new["metadata"]["resourceVersion"] = str(record.revision)
        return self._save(kind, record.key, new, call, record)

    def _removed(self, kind: ResourceKind, record: Record, last: Obj) -> Record:
        last["metadata"].setdefault("resourceVersion", str(record.revision))
        stored = faces.to_stored(kind, last)
        return Record(Row(record.revision, kind.stored, *record.key, "DELETED", encode(stored)), stored, None)

    def _save(self, kind: ResourceKind, key: Key, obj: Obj, call: Call, prior: Record | None) -> Record:
        stored = faces.to_stored(kind, obj)
        if call.dry_run:
            return Record(Row(0, kind.stored, *key, "MODIFIED" if prior else "ADDED", encode(stored)), stored, None)
        record = self.store.put(kind.stored, key, stored)
        self._tell(kind, record)
        return record

    def save(self, kind: ResourceKind, record: Record, new: Obj, call: Call) -> Record:
        """Store a new state that needs no check."""
        return self._save(kind, record.key, new, call, record)

    def remove(self, kind: ResourceKind, record: Record, last: Obj, call: Call) -> Record:
        """Take an object out of the store and return `last`, its state as the caller is told; watchers are told what was stored."""
        if not call.dry_run:
            gone = self.store.remove(kind.stored, record.key, record.copy())
            last["metadata"]["resourceVersion"] = str(gone.revision)
            self._tell(kind, gone)
        return self._removed(kind, record, last)

    def _tell(self, kind: ResourceKind, record: Record) -> None:
        for listener in self.written:
            listener(kind, record)

    def refuse_delete(self, kind: ResourceKind, old: Obj, call: Call) -> None:
        """Let the gates refuse a delete."""
        self._pass_gates(kind, "DELETE", None, old, call, "")

    def all_of(self, kind: ResourceKind, namespace: str = "") -> Iterable[Record]:
        """Return the objects of a namespace (or of all) by namespace and name."""
        return self.store.scan(kind.stored, namespace if kind.namespaced else "")

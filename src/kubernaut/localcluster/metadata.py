"""The rules of `metadata` that all kinds share: what the server sets, what may change, and what a valid one looks like."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from kubernaut.localcluster import formats
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.errors import FieldFault, Obj, encode_go

NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX = 5
_LONGEST_GENERATED = 63
_ANNOTATIONS_MAX = 256 * 1024
# set by the server alone; what a client sends is replaced by what was
_SERVER_OWNED = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink")
_DNS_LABEL_KINDS = {"namespaces"}
_DNS_1035_KINDS = {"services"}
_PATH_KINDS = {"roles", "rolebindings", "clusterroles", "clusterrolebindings"}
# groups whose metadata is checked by the generic rules alone, which take any qualified name for a finalizer
_LENIENT_GROUPS = {"admissionregistration.k8s.io", "apiextensions.k8s.io"}
_BARE = "name is neither a standard finalizer name nor is it fully qualified"
_STANDARD_FINALIZERS = {"foregroundDeletion", "orphan", "kubernetes"}


def rfc3339(moment: datetime) -> str:
    """Return a time as metadata shows it: UTC, whole seconds."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Sources:
    """Where time and chance come from; tests pass their own."""

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    uid: Callable[[], str] = lambda: str(uuid4())
    chance: random.Random = random.SystemRandom()  # noqa: RUF009 - stateless, one for all

    def now(self) -> str:
        """Return the time as metadata shows it."""
        return rfc3339(self.clock())

    def generate(self, prefix: str) -> str:
        """Return a name from a prefix and five letters."""
        room = _LONGEST_GENERATED - _SUFFIX
        return prefix[:room] + "".join(self.chance.choice(NAME_LETTERS) for _ in range(_SUFFIX))


def is_generated(name: str, prefix: str) -> bool:
    """Say whether a name is one that may have been generated from a prefix."""
    stem = prefix[: _LONGEST_GENERATED - _SUFFIX]
    return name.startswith(stem) and len(name) == len(stem) + _SUFFIX


def start(kind: ResourceKind, obj: Obj, namespace: str, sources: Sources) -> None:
    """Give a new object what the server sets."""
    meta = obj["metadata"]
    for field in (*_SERVER_OWNED, "resourceVersion"):
        meta.pop(field, None)
    if not meta.get("name") and meta.get("generateName"):
        meta["name"] = sources.generate(meta["generateName"])
    if kind.namespaced:
        meta["namespace"] = namespace
    else:
        meta.pop("namespace", None)
    meta |= {"uid": sources.uid(), "creationTimestamp": sources.now()}
    if kind.generation:
        meta["generation"] = 1
    _tidy(meta)


def carry_over(new: Obj, old: Obj) -> None:
    """Give a changed object's metadata what only the server sets."""
    meta, before = new["metadata"], old["metadata"]
    for field in _SERVER_OWNED:
        if field in before:
            meta[field] = before[field]
        else:
            meta.pop(field, None)
    for field in ("namespace", "name"):
        if field in before:
            meta[field] = before[field]
    if "generateName" in before:
        meta.setdefault("generateName", before["generateName"])
    _tidy(meta)


def _tidy(meta: Obj) -> None:
    # Go leaves empty maps, lists and strings out of what it writes
    for field in [name for name, value in meta.items() if value in (None, "", [], {})]:
        del meta[field]


def name_faults(kind: ResourceKind, name: str) -> list[str]:
    """Say what is wrong with an object's name."""
    if kind.group == "" and kind.plural in _DNS_LABEL_KINDS:
        return formats.label(name)
    if kind.group == "" and kind.plural in _DNS_1035_KINDS:
        return formats.label_1035(name)
    return formats.path_segment(name) if kind.plural in _PATH_KINDS else formats.subdomain(name)


def faults(kind: ResourceKind, obj: Obj) -> list[FieldFault]:
    """Return what is wrong with an object's metadata."""
    meta = obj["metadata"]
    found = [*_named(kind, meta)]
    found += [_invalid("metadata.labels", *pair) for pair in _key_faults(meta.get("labels"))]
    found += [
        _invalid("metadata.labels", value, text) for value in (meta.get("labels") or {}).values() for text in formats.label_value(value)
    ]
    found += [_invalid("metadata.annotations", *pair) for pair in _key_faults(meta.get("annotations"), lower=True)]
    found += _annotation_size(meta.get("annotations") or {})
    found += [*_finalizers(kind, meta.get("finalizers") or []), *_owners(meta.get("ownerReferences") or [])]
    return found


def _named(kind: ResourceKind, meta: Obj) -> Iterator[FieldFault]:
    name = meta.get("name") or ""
    if not name:
        yield FieldFault("metadata.name", "FieldValueRequired", "Required value: name or generateName is required")
        return
    for text in name_faults(kind, name):
        yield _invalid("metadata.name", name, text)


def _key_faults(pairs: dict[str, str] | None, *, lower: bool = False) -> Iterator[tuple[str, str]]:
    for key in pairs or {}:
        for text in formats.qualified_name(key.lower() if lower else key):
            yield key, text


def _invalid(field: str, value: object, text: str) -> FieldFault:
    return FieldFault(field, "FieldValueInvalid", f"Invalid value: {encode_go(value)}: {text}")


def _annotation_size(annotations: dict[str, str]) -> list[FieldFault]:
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size <= _ANNOTATIONS_MAX:
        return []
    return [FieldFault("metadata.annotations", "FieldValueTooLong", f"Too long: may not be more than {_ANNOTATIONS_MAX} bytes")]


def _finalizers(kind: ResourceKind, names: list[str]) -> Iterator[FieldFault]:
    for name in names:
        for text in formats.qualified_name(name):
            yield _invalid("metadata.finalizers", name, text)
        if not kind.custom and kind.group not in _LENIENT_GROUPS and _is_bare(name):
            yield _invalid("metadata.finalizers", name, _BARE)


def namespace_finalizer_faults(namespace: Obj) -> Iterator[FieldFault]:
    """Yield what is wrong with the finalizers in a namespace's spec."""
    for index, name in enumerate((namespace.get("spec") or {}).get("finalizers") or []):
        if _is_bare(name):
            yield _invalid(f"spec.finalizers[{index}]", name, _BARE)


def _is_bare(name: str) -> bool:
    return "/" not in name and name not in _STANDARD_FINALIZERS


def warnings(kind: ResourceKind, obj: Obj) -> list[str]:
    """Return what is allowed in a custom resource's metadata but not advised."""
    told = "prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers"
    names = obj["metadata"].get("finalizers") or [] if kind.custom else []
    return [f"metadata.finalizers: {encode_go(name)}: {told}" for name in names if _is_bare(name)]


def _owners(owners: list[Obj]) -> Iterator[FieldFault]:
    for owner in owners:
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                yield _invalid(f"metadata.ownerReferences.{field}", "", "must not be empty")
    holders = [owner for owner in owners if owner.get("controller")]
    if len(holders) > 1:
        first, second = (f"{owner.get('kind')}/{owner.get('name')}" for owner in holders[:2])
        text = f'Only one reference can have Controller set to true. Found "true" in references for {first} and {second}'
        yield _invalid("metadata.ownerReferences", owners, text)


def change_faults(new: Obj, old: Obj) -> list[FieldFault]:
    """Return what may not change in metadata but did."""
    added = sorted(set(new["metadata"].get("finalizers") or []) - set(old["metadata"].get("finalizers") or []))
    if not old["metadata"].get("deletionTimestamp") or not added:
        return []
    told = ", ".join(encode_go(name) for name in added)
    text = f"Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{{told}}}"
    return [FieldFault("metadata.finalizers", "FieldValueForbidden", text)]

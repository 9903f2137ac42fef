"""What is particular to a kind when it is written: which part a subresource writes, when generation moves, when a deletion is final."""

from collections.abc import Sequence

from kubernaut.localcluster import crdrules, errors, kindrules, validation
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.errors import Cause, FieldFault, Obj
from kubernaut.localcluster.metadata import namespace_finalizer_faults

CRDS = "customresourcedefinitions.apiextensions.k8s.io"
_ALWAYS_VERSIONED = {"leases.coordination.k8s.io"}


def splits_status(kind: ResourceKind) -> bool:
    """Say whether status is written through its subresource alone."""
    return "status" in kind.subresources


def drop_status(kind: ResourceKind, obj: Obj) -> None:
    """Drop what a creator may not set; a node alone is born with its status."""
    if splits_status(kind) and kind.resource != "nodes":
        obj.pop("status", None)


def prepare_create(kind: ResourceKind, obj: Obj) -> None:
    """Set what the server sets by itself in a new object of a built-in kind."""
    if not kind.custom:
        kindrules.at_create(kind, obj)


def settle(kind: ResourceKind, obj: Obj) -> None:
    """Set what every write of a built-in kind settles."""
    if not kind.custom:
        kindrules.at_write(kind, obj)


def merge_parts(kind: ResourceKind, asked: Obj, old: Obj, subresource: str) -> Obj:
    """Return what a write asks for, cut down to the part it may write, the rest as it was."""
    if kind.resource == "namespaces" and subresource != "status":
        return _namespace_parts(asked, old, finalize=subresource == "finalize")
    if not splits_status(kind):
        return asked
    if subresource == "status":
        return _with_status(kind, asked, old)
    if subresource == "ephemeralcontainers":
        return {**old, "spec": _with(old["spec"], "ephemeralContainers", asked["spec"])}
    return asked if subresource else _with(asked, "status", old)


def _namespace_parts(asked: Obj, old: Obj, *, finalize: bool) -> Obj:
    # spec holds nothing but the finalizers, which have a subresource of their own
    if finalize:
        return _with({**old, "metadata": {**old["metadata"], **_version_of(asked)}}, "spec", asked)
    return _with(_with(asked, "spec", old), "status", old)


def _version_of(obj: Obj) -> Obj:
    version = obj["metadata"].get("resourceVersion")
    return {"resourceVersion": version} if version else {}


def _with(obj: Obj, field: str, source: Obj) -> Obj:
    kept = {key: value for key, value in obj.items() if key != field}
    return kept | ({field: source[field]} if field in source else {})


def _with_status(kind: ResourceKind, asked: Obj, old: Obj) -> Obj:
    version = {key: asked["metadata"][key] for key in ("resourceVersion", "managedFields") if key in asked["metadata"]}
    dropped = ("resourceVersion", "managedFields") if "managedFields" in asked["metadata"] else ("resourceVersion",)
    meta = {key: value for key, value in old["metadata"].items() if key not in dropped} | version
    if not kind.custom:
        meta |= {key: asked["metadata"][key] for key in ("annotations", "finalizers") if key in asked["metadata"]}
    return _with({**old, "metadata": meta}, "status", asked)


def must_name_version(kind: ResourceKind) -> bool:
    """Say whether a replace has to carry a resourceVersion."""
    return kind.custom or kind.resource in _ALWAYS_VERSIONED


def version_required(kind: ResourceKind, name: str) -> errors.ApiError:
    """422 of a replace without a resourceVersion."""
    fault = FieldFault("metadata.resourceVersion", "FieldValueInvalid", "Invalid value: 0: must be specified for an update")
    return errors.invalid_named(kind.plural, kind.group, name, [fault])


def prepare_update(kind: ResourceKind, new: Obj, old: Obj, subresource: str = "") -> None:
    """Keep what was allotted, and move generation where the desired state changed; giving a pod its node counts for no change."""
    if not kind.custom:
        kindrules.at_update(kind, new, old)
    if subresource != "binding" and kind.generation and _desired(kind, new) != _desired(kind, old):
        new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def _desired(kind: ResourceKind, obj: Obj) -> Obj:
    if not kind.custom:
        # kinds without spec (webhook configurations, priority classes) change with any of their members
        return {"spec": obj["spec"]} if "spec" in obj else {key: value for key, value in obj.items() if key not in {"metadata", "status"}}
    hidden = {"metadata", "status"} if splits_status(kind) else {"metadata"}
    return {key: value for key, value in obj.items() if key not in hidden}


def faults(kind: ResourceKind, new: Obj, old: Obj | None, subresource: str = "") -> Sequence[Cause]:
    """Return what the rules of a built-in kind find wrong."""
    if kind.custom:
        return []
    if kind.resource == CRDS:
        changed = [] if old is None else crdrules.change_faults(new, old)
        return [*validation.faults(kind, new, old, subresource), *crdrules.faults(new), *changed]
    if kind.resource == "namespaces":
        return [*validation.faults(kind, new, old, subresource), *namespace_finalizer_faults(new)]
    return validation.faults(kind, new, old, subresource)


def times_told(kind: ResourceKind, *, changed: bool) -> int:
    """Return how often a fault of metadata is told in an update: kube-apiserver checks that of custom resources several times over."""
    if not kind.custom:
        return 1
    return 2 if changed else 3


def custom_schema_view(obj: Obj) -> Obj:
    """Return a custom resource as its schema sees it: of metadata only the name."""
    meta = {field: obj["metadata"][field] for field in ("name", "generateName") if field in obj["metadata"]}
    return {**obj, "metadata": meta}


_UNCOMPARED = ("managedFields", "resourceVersion")


def same(new: Obj, old: Obj) -> bool:
    """Say whether a write changes nothing."""
    return _bare(new) == _bare(old) and _managers(new) == _managers(old)


def _bare(obj: Obj) -> Obj:
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key not in _UNCOMPARED}}


def _managers(obj: Obj) -> list[Obj]:
    return [{key: value for key, value in row.items() if key != "time"} for row in obj["metadata"].get("managedFields") or []]


def may_go(kind: ResourceKind, obj: Obj) -> bool:
    """Say whether nothing holds a dying object any more."""
    meta = obj["metadata"]
    if not meta.get("deletionTimestamp") or meta.get("finalizers") or meta.get("deletionGracePeriodSeconds"):
        return False
    return not (kind.resource == "namespaces" and obj.get("spec", {}).get("finalizers"))

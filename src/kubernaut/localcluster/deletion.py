"""Deleting: preconditions, grace, finalizers, and the choice between gone at once and dying."""

from dataclasses import dataclass
from datetime import timedelta

from kubernaut.localcluster import errors, faces, strategy
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.calls import Call, DeleteOptions
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.metadata import rfc3339
from kubernaut.localcluster.registry import Registry
from kubernaut.localcluster.store import Record

_ANSWER_OBJECT = {"pods", "namespaces", "serviceaccounts", "services", "customresourcedefinitions.apiextensions.k8s.io"}
_POLICY_FINALIZERS = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}
_KEPT_NAMESPACES = {"default", "kube-system", "kube-public"}
_WITHOUT_GRACE = {"Namespace", "CustomResourceDefinition"}
_POD_GRACE = 30
CRD_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
_PODS, _NAMESPACES, _CRDS = "pods", "namespaces", "customresourcedefinitions.apiextensions.k8s.io"


@dataclass(frozen=True, slots=True)
class Deleted:
    """How a delete went: the last or dying state, and whether the answer is that object rather than a Status."""

    record: Record
    gone: bool
    answer_object: bool


def delete(registry: Registry, kind: ResourceKind, namespace: str, name: str, options: DeleteOptions, call: Call) -> Deleted:
    """Delete an object or mark it as dying; raise ApiError 404, 409 or 403."""
    record = registry.get(kind, namespace, name)
    old = faces.shown(kind, record)
    _check_preconditions(kind, record, options)
    if kind.resource == _NAMESPACES and name in _KEPT_NAMESPACES:
        raise errors.forbidden(kind, name, "this namespace may not be deleted")
    registry.refuse_delete(kind, old, call)
    new = faces.own(kind, record)
    grace = _grace(kind, new, options)
    _set_finalizers(kind, new, options.propagation)
    at_once = grace == 0 and not new["metadata"].get("finalizers") and not (kind.resource == _NAMESPACES and new["spec"].get("finalizers"))
    if at_once and not _shows_death(kind):
        return Deleted(registry.remove(kind, record, new, call), gone=True, answer_object=kind.resource in _ANSWER_OBJECT)
    _mark(registry, kind, new, grace)
    if not strategy.same(new, old):
        record = registry.save(kind, record, new, call)
    if at_once:
        return Deleted(registry.remove(kind, record, faces.own(kind, record), call), gone=True, answer_object=True)
    return Deleted(record, gone=False, answer_object=True)


def _check_preconditions(kind: ResourceKind, record: Record, options: DeleteOptions) -> None:
    uid = record.obj["metadata"]["uid"]
    if options.uid and options.uid != uid:
        why = f"the UID in the precondition ({options.uid}) does not match the UID in record ({uid}). "
        raise _precondition(kind, record, why + "The object might have been deleted and then recreated")
    if options.resource_version and options.resource_version != str(record.revision):
        told = f"the ResourceVersion in the precondition ({options.resource_version})"
        why = f"{told} does not match the ResourceVersion in record ({record.revision}). "
        raise _precondition(kind, record, why + "The object might have been modified")


def _precondition(kind: ResourceKind, record: Record, why: str) -> errors.ApiError:
    # of all conflicts, this one names the kind instead of the resource
    text = f'Operation cannot be fulfilled on {errors.qualified(kind.kind, kind.group)} "{record.key[1]}": {why}'
    details = {"name": record.key[1], **({"group": kind.group} if kind.group else {}), "kind": kind.kind}
    return errors.ApiError(409, "Conflict", text, details)


def _shows_death(kind: ResourceKind) -> bool:
    # a pod that goes at once is still answered, and watched, with its deletionTimestamp
    return kind.resource == _PODS


def _grace(kind: ResourceKind, obj: Obj, options: DeleteOptions) -> int:
    if kind.resource != _PODS:
        return 0
    if not obj["spec"].get("nodeName") or obj.get("status", {}).get("phase") in {"Succeeded", "Failed"}:
        return 0
    own = obj["spec"].get("terminationGracePeriodSeconds", _POD_GRACE)
    asked = own if options.grace_seconds is None else max(options.grace_seconds, 0)
    already = obj["metadata"].get("deletionGracePeriodSeconds")
    return int(asked if already is None else min(asked, already))


def _set_finalizers(kind: ResourceKind, obj: Obj, propagation: str) -> None:
    meta = obj["metadata"]
    if meta.get("deletionTimestamp") and not propagation:
        return
    kept = [name for name in meta.get("finalizers") or [] if not propagation or name not in _POLICY_FINALIZERS.values()]
    if (wanted := _POLICY_FINALIZERS.get(propagation)) and wanted not in kept:
        kept.append(wanted)
    if kind.resource == _CRDS and CRD_FINALIZER not in kept:
        kept.append(CRD_FINALIZER)
    meta.pop("finalizers", None)
    if kept:
        meta["finalizers"] = kept


def _mark(registry: Registry, kind: ResourceKind, obj: Obj, grace: int) -> None:
    meta = obj["metadata"]
    if "deletionTimestamp" in meta:
        if grace < meta.get("deletionGracePeriodSeconds", grace):
            _stamp(registry, obj, grace)
        return
    _stamp(registry, obj, grace)
    if kind.resource == _CRDS:
        obj["status"] = _terminating(obj.get("status") or {}, meta["deletionTimestamp"])
    elif "generation" in meta:
        meta["generation"] += 1
    if kind.resource == _NAMESPACES:
        obj["status"] = {**obj.get("status", {}), "phase": "Terminating"}


def _terminating(status: Obj, now: str) -> Obj:
    told = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
    row = {"type": "Terminating", "status": "True", "lastTransitionTime": now, "reason": "InstanceDeletionPending", "message": told}
    return {**status, "conditions": [*(status.get("conditions") or []), row]}


def _stamp(registry: Registry, obj: Obj, grace: int) -> None:
    obj["metadata"]["deletionTimestamp"] = rfc3339(registry.sources.clock() + timedelta(seconds=grace))
    if obj.get("kind") not in _WITHOUT_GRACE:
        obj["metadata"]["deletionGracePeriodSeconds"] = grace


def success(kind: ResourceKind, record: Record) -> Obj:
    """Return the Status of a delete that is done."""
    details = {
        "name": record.key[1],
        **({"group": kind.group} if kind.group else {}),
        "kind": kind.plural,
        "uid": record.obj["metadata"]["uid"],
    }
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}

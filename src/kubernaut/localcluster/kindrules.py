"""What the server sets by itself in objects of certain built-in kinds."""

import base64
from collections.abc import Callable, Mapping

from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.qos import qos_class

_DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
_FINALIZER = "kubernetes"
_ALLOTTED = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")


def at_create(kind: ResourceKind, obj: Obj) -> None:
    """Set what only a new object gets, after its fields were ascribed to their writer."""
    if prepare := _AT_CREATE.get(kind.resource):
        prepare(obj)


def at_write(kind: ResourceKind, obj: Obj) -> None:
    """Settle what every write settles, before defaults."""
    if settle := _AT_WRITE.get(kind.resource):
        settle(obj)


def at_update(kind: ResourceKind, new: Obj, old: Obj) -> None:
    """Keep what was allotted to an object, where a write leaves it out."""
    if kind.resource == _DEFINITIONS:
        _remember_stored(new)
    if kind.resource == "services" and new["spec"].get("type") != "ExternalName":
        for field in _ALLOTTED:
            if field in old["spec"] and not new["spec"].get(field):
                new["spec"][field] = old["spec"][field]
        _keep_node_ports(new["spec"], old["spec"])


def _keep_node_ports(new: Obj, old: Obj) -> None:
    if new.get("type") not in {"NodePort", "LoadBalancer"}:
        return
    known = {(row.get("port"), row.get("protocol")): row["nodePort"] for row in old.get("ports") or [] if row.get("nodePort")}
    for row in new.get("ports") or []:
        held = known.get((row.get("port"), row.get("protocol")))
        if held and not row.get("nodePort"):
            row["nodePort"] = held


def _namespace(obj: Obj) -> None:
    asked = (obj.get("spec") or {}).get("finalizers") or []
    obj["spec"] = {"finalizers": asked if _FINALIZER in asked else [*asked, _FINALIZER]}
    obj["status"] = {"phase": "Active"}


def _pod(obj: Obj) -> None:
    obj["status"] = {"phase": "Pending", "qosClass": qos_class(obj["spec"])}
    if obj["spec"].get("schedulingGates"):
        when = {"lastProbeTime": None, "lastTransitionTime": obj["metadata"]["creationTimestamp"]}
        told = {"reason": "SchedulingGated", "message": "Scheduling is blocked due to non-empty scheduling gates"}
        obj["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", **when, **told}]


def _definition(obj: Obj) -> None:
    stored = [row["name"] for row in obj["spec"].get("versions") or [] if row.get("storage")]
    obj["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}


def _remember_stored(definition: Obj) -> None:
    """Count the storage version among those that objects may be stored in."""
    stored = [row["name"] for row in definition["spec"].get("versions") or [] if row.get("storage")]
    status = definition.get("status") or {}
    known = status.get("storedVersions") or []
    definition["status"] = {**status, "storedVersions": [*known, *(name for name in stored if name not in known)]}


def _claim(obj: Obj) -> None:
    obj["status"] = {"phase": "Pending"}


def _volume(obj: Obj) -> None:
    obj["status"] = {"phase": "Pending"}


def _service(obj: Obj) -> None:
    obj["status"] = {"loadBalancer": {}}


def _namespace_label(obj: Obj) -> None:
    meta = obj["metadata"]
    if meta.get("name"):
        meta["labels"] = {**(meta.get("labels") or {}), "kubernetes.io/metadata.name": meta["name"]}


def _secret(obj: Obj) -> None:
    plain = obj.pop("stringData", None)
    if isinstance(plain, dict) and plain:
        encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}


def _replication_controller(obj: Obj) -> None:
    """Select, and label, as the pod template is labelled."""
    spec, meta = obj.get("spec") or {}, obj["metadata"]
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels:
        spec["selector"] = spec.get("selector") or dict(labels)
        meta["labels"] = meta.get("labels") or dict(labels)


def _names(obj: Obj) -> None:
    names = (obj.get("spec") or {}).get("names")
    if isinstance(names, dict) and names.get("kind"):
        names["singular"] = names.get("singular") or names["kind"].lower()
        names["listKind"] = names.get("listKind") or f"{names['kind']}List"


def _limit_range(obj: Obj) -> None:
    """Derive what containers get: limits from the largest allowed, requests from these, or else from the least allowed."""
    for item in (obj.get("spec") or {}).get("limits") or ():
        if item.get("type") == "Container":
            item["default"] = {**(item.get("max") or {}), **(item.get("default") or {})}
            item["defaultRequest"] = {**(item.get("min") or {}), **item["default"], **(item.get("defaultRequest") or {})}


_AT_CREATE: Mapping[str, Callable[[Obj], None]] = {
    "namespaces": _namespace,
    "pods": _pod,
    "persistentvolumeclaims": _claim,
    "persistentvolumes": _volume,
    "services": _service,
    _DEFINITIONS: _definition,
}
_AT_WRITE: Mapping[str, Callable[[Obj], None]] = {
    "limitranges": _limit_range,
    "namespaces": _namespace_label,
    "replicationcontrollers": _replication_controller,
    "secrets": _secret,
    _DEFINITIONS: _names,
}

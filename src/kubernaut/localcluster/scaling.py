"""The scale subresource: the number of replicas of anything that has one, in one shape."""

from kubernaut.localcluster import errors, jsonpath
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.calls import Call
from kubernaut.localcluster.errors import FieldFault, Obj
from kubernaut.localcluster.printers.base import NONE, label_selector
from kubernaut.localcluster.printers.base import selector as plain_selector
from kubernaut.localcluster.registry import Registry

SCALE = ResourceKind("autoscaling", "v1", "Scale", "scales")
_META = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def show(kind: ResourceKind, obj: Obj) -> Obj:
    """Return an object's scale."""
    meta = {field: obj["metadata"][field] for field in _META if field in obj["metadata"]}
    wanted, held, selector = _read(kind, obj)
    spec = {"replicas": wanted} if wanted else {}
    status = {"replicas": held or 0, **({"selector": selector} if selector else {})}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta, "spec": spec, "status": status}


def _read(kind: ResourceKind, obj: Obj) -> tuple[int | None, int | None, str]:
    if kind.definition is None:
        selector = (plain_selector if kind.resource == "replicationcontrollers" else label_selector)(obj["spec"].get("selector"))
        return obj["spec"].get("replicas"), (obj.get("status") or {}).get("replicas"), "" if selector == NONE else selector
    paths = kind.definition["subresources"]["scale"]
    selector = jsonpath.find(obj, paths["labelSelectorPath"]) if paths.get("labelSelectorPath") else ""
    return jsonpath.find(obj, paths["specReplicasPath"]), jsonpath.find(obj, paths["statusReplicasPath"]), selector or ""


def check(scale: Obj, name: str) -> int:
    """Return the replicas asked for; raise ApiError 422."""
    wanted = (scale.get("spec") or {}).get("replicas", 0)
    if wanted is None or wanted < 0:
        text = f"Invalid value: {errors.encode_go(wanted)}: must be greater than or equal to 0"
        raise errors.invalid_named("Scale", "autoscaling", name, [FieldFault("spec.replicas", "FieldValueInvalid", text)])
    return int(wanted)


def write(registry: Registry, kind: ResourceKind, namespace: str, name: str, scale: Obj, call: Call) -> Obj:
    """Set the number of replicas; raise ApiError 404, 409 or 422."""
    wanted = check(scale, name)
    version = (scale.get("metadata") or {}).get("resourceVersion")

    def scaled(obj: Obj) -> Obj:
        if version:
            obj["metadata"]["resourceVersion"] = version
        path = ".spec.replicas" if kind.definition is None else kind.definition["subresources"]["scale"]["specReplicasPath"]
        _put(obj, path.lstrip(".").split("."), wanted)
        return obj

    record = registry.update(kind, namespace, name, scaled, call, "scale")
    return show(kind, record.obj)


def _put(obj: Obj, path: list[str], value: int) -> None:
    for field in path[:-1]:
        obj = obj.setdefault(field, {})
    obj[path[-1]] = value

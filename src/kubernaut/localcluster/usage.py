"""What objects count for in a ResourceQuota, and which quotas cover a pod."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from kubernaut.localcluster import quantity
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.kinds import BUILTIN
from kubernaut.localcluster.qos import qos_class

Usage = dict[str, Decimal]
ONE = Decimal(1)
_PLAIN = {"configmaps", "persistentvolumeclaims", "pods", "resourcequotas", "secrets", "services"}
"""Resources that are counted under their own name too."""
_COMPUTED = ("cpu", "memory", "ephemeral-storage")
_CLASS = ".storageclass.storage.k8s.io/"


def usage_of(kind: ResourceKind, obj: Obj) -> Usage:
    """Return what one object takes."""
    if kind.resource == "pods":
        return _of_pod(obj)
    found = {f"count/{kind.resource}": ONE} | ({kind.plural: ONE} if kind.resource in _PLAIN else {})
    if kind.resource == "services":
        return found | _of_service(obj["spec"])
    return found | _of_claim(obj["spec"]) if kind.resource == "persistentvolumeclaims" else found


def _of_pod(pod: Obj) -> Usage:
    found: Usage = {"count/pods": ONE}
    if (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}:
        return found
    for field in ("requests", "limits"):
        for name, value in total(pod["spec"], field).items():
            found[f"{field}.{name}"] = value
            if field == "requests" and name in _COMPUTED:
                found[name] = value
    return found | {"pods": ONE}


def total(spec: Obj, field: str) -> Usage:
    """Sum up what the containers of a pod request, or are limited to; init containers count where one takes more than the rest."""
    found: Usage = {}
    for container in spec.get("containers") or ():
        for name, value in _given(container, field):
            found[name] = found.get(name, Decimal(0)) + value
    for container in spec.get("initContainers") or ():
        for name, value in _given(container, field):
            found[name] = max(found.get(name, Decimal(0)), value)
    return found


def _given(container: Obj, field: str) -> Iterable[tuple[str, Decimal]]:
    rows = (container.get("resources") or {}).get(field) or {}
    return [(name, quantity.parse(value)) for name, value in rows.items()]


def _of_service(spec: Obj) -> Usage:
    ports = Decimal(len(spec.get("ports") or ()))
    if spec.get("type") == "NodePort":
        return {"services.nodeports": ports}
    if spec.get("type") == "LoadBalancer":
        return {"services.loadbalancers": ONE, "services.nodeports": ports}
    return {}


def _of_claim(spec: Obj) -> Usage:
    storage = quantity.parse(((spec.get("resources") or {}).get("requests") or {}).get("storage", 0))
    found = {"requests.storage": storage}
    if name := spec.get("storageClassName"):
        found |= {f"{name}{_CLASS}requests.storage": storage, f"{name}{_CLASS}persistentvolumeclaims": ONE}
    return found


def covers(quota: Obj, kind: ResourceKind, obj: Obj) -> bool:
    """Tell whether an object falls under a quota: its scopes are about pods alone."""
    spec = quota["spec"]
    terms = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    terms += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return not terms or (kind.resource == "pods" and all(_meets(term, obj["spec"]) for term in terms))


def _meets(term: Obj, spec: Obj) -> bool:
    scope = term["scopeName"]
    if scope == "PriorityClass":
        return _class_meets(term, spec.get("priorityClassName") or "")
    best_effort, ends = qos_class(spec) == "BestEffort", spec.get("activeDeadlineSeconds") is not None
    held: Mapping[str, bool] = {
        "BestEffort": best_effort,
        "NotBestEffort": not best_effort,
        "Terminating": ends,
        "NotTerminating": not ends,
    }
    return held.get(scope, False)


def _class_meets(term: Obj, name: str) -> bool:
    operator, listed = str(term["operator"]), name in (term.get("values") or ())
    if operator in {"Exists", "DoesNotExist"}:
        return bool(name) is (operator == "Exists")
    return listed is (operator == "In")


def kinds_counted(quota: Obj) -> list[ResourceKind]:
    """Return the built-in kinds whose objects a quota is about."""
    hard = quota["spec"].get("hard") or {}
    return [kind for kind in BUILTIN if kind.namespaced and any(_about(name, kind) for name in hard)]


def _about(name: str, kind: ResourceKind) -> bool:
    if name in {f"count/{kind.resource}", kind.resource} or name.startswith(f"{kind.plural}."):
        return not name.startswith(f"{kind.plural}.") or not kind.group
    if kind.resource == "persistentvolumeclaims":
        return name == "requests.storage" or _CLASS in name
    computed = name.split(".", 1)[0] in {"requests", "limits"} or name in _COMPUTED
    return kind.resource == "pods" and computed and name != "requests.storage" and _CLASS not in name


def spelt(value: Decimal, like: object) -> str:
    """Spell an amount in the way another one is spelt: binary where that is."""
    kibi = 1024
    if str(like).endswith("i") and value == value.to_integral_value() and value % kibi == 0:
        return quantity.canonical(f"{int(value) // kibi}Ki") if value else "0"
    return quantity.canonical(f"{value:f}")


def used(quota: Obj, objects: Iterable[tuple[ResourceKind, Obj]]) -> Usage:
    """Return how much of what a quota bounds is taken by objects of its namespace."""
    found = dict.fromkeys(quota["spec"].get("hard") or {}, Decimal(0))
    for kind, obj in objects:
        if covers(quota, kind, obj):
            for name, value in usage_of(kind, obj).items():
                if name in found:
                    found[name] += value
    return found

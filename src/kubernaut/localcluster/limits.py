"""LimitRanges: what pods and claims of a namespace get where they ask for nothing, and the bounds that they must keep."""

from collections.abc import Iterator
from decimal import Decimal

from kubernaut.localcluster import errors, quantity
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.calls import Call
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.kinds import builtin
from kubernaut.localcluster.registry import Registry
from kubernaut.localcluster.usage import spelt, total

_RANGES = builtin("", "limitranges")
_ANNOTATION = "kubernetes.io/limit-ranger"
_CONTAINERS = ("containers", "initContainers")


class LimitRanger:
    """The gate of LimitRanges, with the words of kube-apiserver's."""

    def __init__(self, registry: Registry) -> None:
        """Look up in a registry."""
        self._registry = registry

    def _items(self, namespace: str) -> Iterator[Obj]:
        for record in self._registry.all_of(_RANGES, namespace):
            yield from record.obj["spec"].get("limits") or ()

    def mutate(self, kind: ResourceKind, obj: Obj, call: Call) -> None:  # noqa: ARG002 - the seam of a gate
        """Give containers of a new pod the requests and limits that they lack."""
        if kind.resource != "pods":
            return
        told = [
            text
            for item in self._items(obj["metadata"]["namespace"])
            if item["type"] == "Container"
            for part in _CONTAINERS
            for container in obj["spec"].get(part) or ()
            for text in _fill(container, item, part)
        ]
        if told:
            obj["metadata"].setdefault("annotations", {})[_ANNOTATION] = f"LimitRanger plugin set: {'; '.join(told)}"

    def check(self, kind: ResourceKind, operation: str, new: Obj | None, old: Obj | None, call: Call, subresource: str) -> None:  # noqa: ARG002
        """Refuse a new pod or claim out of bounds with ApiError 403."""
        if operation != "CREATE" or new is None or kind.resource not in _FAULTS:
            return
        meta = new["metadata"]
        found = [text for item in self._items(meta["namespace"]) for text in _FAULTS[kind.resource](new, item)]
        if found:
            raise errors.forbidden(kind, meta["name"], found[0] if len(found) == 1 else f"[{', '.join(found)}]")


def _fill(container: Obj, item: Obj, part: str) -> Iterator[str]:
    resources = container.setdefault("resources", {})
    label = "container" if part == "containers" else "init container"
    for field, defaults, word in (("requests", "defaultRequest", "request"), ("limits", "default", "limit")):
        lacking = {name: value for name, value in (item.get(defaults) or {}).items() if name not in (resources.get(field) or {})}
        if lacking:
            resources[field] = {**(resources.get(field) or {}), **lacking}
            yield f"{', '.join(sorted(lacking))} {word} for {label} {container['name']}"


def _pod_faults(pod: Obj, item: Obj) -> Iterator[str]:
    if item["type"] == "Container":
        for container in (row for part in _CONTAINERS for row in pod["spec"].get(part) or ()):
            resources = container.get("resources") or {}
            yield from _bounds(item, _numbers(resources.get("requests")), _numbers(resources.get("limits")))
    elif item["type"] == "Pod":
        yield from _bounds(item, total(pod["spec"], "requests"), total(pod["spec"], "limits"))


def _claim_faults(claim: Obj, item: Obj) -> Iterator[str]:
    if item["type"] == "PersistentVolumeClaim":
        asked = _numbers((claim["spec"].get("resources") or {}).get("requests"))
        yield from _least(item, asked, {})
        for name, bound in (item.get("max") or {}).items():
            told = f"maximum {name} usage per PersistentVolumeClaim is {bound}"
            if name not in asked:
                yield f"{told}.  No request is specified"
            elif asked[name] > quantity.parse(bound):
                yield f"{told}, but request is {spelt(asked[name], bound)}"


_FAULTS = {"pods": _pod_faults, "persistentvolumeclaims": _claim_faults}


def _numbers(given: Obj | None) -> dict[str, Decimal]:
    return {name: quantity.parse(value) for name, value in (given or {}).items()}


def _bounds(item: Obj, requests: dict[str, Decimal], limits: dict[str, Decimal]) -> Iterator[str]:
    yield from _least(item, requests, limits)
    yield from _most(item, requests, limits)
    yield from _ratios(item, requests, limits)


def _least(item: Obj, requests: dict[str, Decimal], limits: dict[str, Decimal]) -> Iterator[str]:
    for name, bound in (item.get("min") or {}).items():
        told, least = f"minimum {name} usage per {item['type']} is {bound}", quantity.parse(bound)
        if name not in requests:
            yield f"{told}.  No request is specified"
        elif requests[name] < least:
            yield f"{told}, but request is {spelt(requests[name], bound)}"
        elif name in limits and limits[name] < least:
            yield f"{told}, but limit is {spelt(limits[name], bound)}"


def _most(item: Obj, requests: dict[str, Decimal], limits: dict[str, Decimal]) -> Iterator[str]:
    for name, bound in (item.get("max") or {}).items():
        told, most = f"maximum {name} usage per {item['type']} is {bound}", quantity.parse(bound)
        if name not in limits:
            yield f"{told}.  No limit is specified"
        elif limits[name] > most:
            yield f"{told}, but limit is {spelt(limits[name], bound)}"
        elif name in requests and requests[name] > most:
            yield f"{told}, but request is {spelt(requests[name], bound)}"


def _ratios(item: Obj, requests: dict[str, Decimal], limits: dict[str, Decimal]) -> Iterator[str]:
    for name, bound in (item.get("maxLimitRequestRatio") or {}).items():
        told = f"{name} max limit to request ratio per {item['type']} is {bound}"
        if not requests.get(name):
            yield f"{told}, but no request is specified or request is 0"
        elif not limits.get(name):
            yield f"{told}, but no limit is specified or limit is 0"
        elif (ratio := limits[name] / requests[name]) > quantity.parse(bound):
            yield f"{told}, but provided ratio is {ratio:.6f}"

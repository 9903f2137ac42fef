"""How much of a resource a container may be given: LimitRange, ResourceQuota and the largest node say so."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Obj
from kubernaut.api.quantity import parse_quantity

_OTHER_PODS = frozenset({"Terminating", "BestEffort"})
"""Quota scopes that a container with limits in a long-running pod is not under."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most that a limit may be, and who says so."""

    amount: Decimal
    obj: Obj
    field: str
    value: str
    says: str


def ceilings(snapshot: Snapshot, container: Obj, resource: str, current: Decimal) -> Iterator[Ceiling]:
    """Yield every bound on a container's limit of a resource."""
    yield from _limit_ranges(snapshot, container, resource, current)
    yield from _quotas(snapshot, resource, current)
    yield from _largest_node(snapshot, resource)


def _limit_ranges(snapshot: Snapshot, container: Obj, resource: str, current: Decimal) -> Iterator[Ceiling]:
    others = _pod_limits(snapshot, resource) - current
    for obj in snapshot.of("LimitRange"):
        for row in obj["spec"].get("limits") or ():
            taken = {"Container": Decimal(0), "Pod": max(Decimal(0), others)}.get(row.get("type"))
            if taken is not None and resource in (row.get("max") or {}):
                text = str(row["max"][resource])
                says = f"a {row['type'].lower()} here may have {text} {resource} at most"
                yield Ceiling(parse_quantity(text) - taken, obj, f"spec.limits[{row['type']}].max.{resource}", text, says)
            yield from _ratio(obj, row, container, resource)


def _ratio(obj: Obj, row: Obj, container: Obj, resource: str) -> Iterator[Ceiling]:
    ratio = (row.get("maxLimitRequestRatio") or {}).get(resource)
    request = ((container.get("resources") or {}).get("requests") or {}).get(resource)
    if row.get("type") == "Container" and ratio and request:
        says = f"a limit here may be {ratio} times the request of {request} at most"
        yield Ceiling(
            parse_quantity(request) * parse_quantity(ratio),
            obj,
            f"spec.limits[Container].maxLimitRequestRatio.{resource}",
            str(ratio),
            says,
        )


def _pod_limits(snapshot: Snapshot, resource: str) -> Decimal:
    rows = snapshot.template.get("spec", {}).get("containers") or ()
    limits = (((row.get("resources") or {}).get("limits") or {}).get(resource) for row in rows)
    return sum((parse_quantity(text) for text in limits if text), Decimal(0))


def _quotas(snapshot: Snapshot, resource: str, current: Decimal) -> Iterator[Ceiling]:
    """A quota must hold all replicas, and the pods that a roll-out has besides for a while."""
    replicas, surge = replicas_and_surge(snapshot.top or {})
    name = f"limits.{resource}"
    for obj in snapshot.of("ResourceQuota"):
        status = obj.get("status") or {}
        hard = (status.get("hard") or obj["spec"].get("hard") or {}).get(name)
        if hard is None or _OTHER_PODS & set(obj["spec"].get("scopes") or ()):
            continue
        used = parse_quantity((status.get("used") or {}).get(name, "0"))
        room = parse_quantity(hard) - used + replicas * current
        says = f"{replicas} pods (and {surge} more while they are replaced) must fit the quota of {hard}, of which {used} is used"
        yield Ceiling(room / max(1, replicas + surge), obj, f"spec.hard[{name}]", str(hard), says)


def _largest_node(snapshot: Snapshot, resource: str) -> Iterator[Ceiling]:
    found = [(parse_quantity(text), node, str(text)) for node in snapshot.nodes if (text := allocatable(node, resource))]
    if found:
        amount, node, text = max(found, key=lambda row: (row[0], row[1]["metadata"]["name"]))
        yield Ceiling(amount, node, f"status.allocatable.{resource}", text, f"the largest node has {text} {resource} to give")


def allocatable(node: Obj, resource: str) -> str | None:
    """Return what a node that takes pods has to give; None where it takes none."""
    if node.get("spec", {}).get("unschedulable"):
        return None
    found = ((node.get("status") or {}).get("allocatable") or {}).get(resource)
    return None if found is None else str(found)


def replicas_and_surge(workload: Obj) -> tuple[int, int]:
    """Return how many pods a workload wants, and how many more it needs while they are replaced (none where one may be missing)."""
    spec = workload.get("spec") or {}
    replicas = int(spec.get("replicas", 1))
    if workload.get("kind") != "Deployment" or (spec.get("strategy") or {}).get("type") == "Recreate":
        return replicas, 0
    rolling = (spec.get("strategy") or {}).get("rollingUpdate") or {}
    missing = _share(rolling.get("maxUnavailable", "25%"), replicas, math.floor)
    surge = _share(rolling.get("maxSurge", "25%"), replicas, math.ceil)
    return replicas, 0 if missing else max(surge, 0)


def _share(value: Any, replicas: int, rounding: Any) -> int:
    text = str(value)
    return int(rounding(int(text[:-1]) * replicas / 100)) if text.endswith("%") else int(text)

"""What a change means beside its text: replicas, pods replaced, disruption budgets, quotas. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from kubernaut.api.base import Obj
from kubernaut.api.quantity import parse_quantity

WORKLOADS: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"})


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around the object."""

    budgets: Sequence[Obj] = ()
    """PodDisruptionBudgets of the namespace."""
    quotas: Sequence[Obj] = ()
    """ResourceQuotas of the namespace."""


@dataclass(frozen=True, slots=True)
class Impact:
    """What a change means."""

    says: str = ""
    warnings: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    """Why it could not take effect."""


def of_change(before: Obj, after: Obj, around: Around) -> Impact:
    """Return what changing an object means; `after` is what the server-side dry run gave."""
    if before.get("kind") not in WORKLOADS:
        return Impact()
    was, becomes = _replicas(before), _replicas(after)
    replaced = before["kind"] != "ReplicaSet" and before["spec"].get("template") != after["spec"].get("template")
    said = [f"replicas {was} -> {becomes}"] if was != becomes else []
    said += [f"replaces {min(was, becomes)} pods"] if replaced and min(was, becomes) else []
    disturbed = replaced or becomes < was
    warnings = _forbidding(around.budgets, _labels(after)) if disturbed else ()
    return Impact("; ".join(said), tuple(warnings), tuple(_over_quota(before, after, around.quotas)))


def of_deletion(pod: Obj, around: Around) -> Impact:
    """Return what deleting a pod means."""
    labels = pod["metadata"].get("labels") or {}
    return Impact("deletes 1 pod, which its controller replaces", tuple(_forbidding(around.budgets, labels)))


def _replicas(workload: Obj) -> int:
    status = workload.get("status") or {}
    return int(status.get("desiredNumberScheduled") or 0) if workload["kind"] == "DaemonSet" else int(workload["spec"].get("replicas", 1))


def _labels(workload: Obj) -> Mapping[str, str]:
    labels: dict[str, str] = ((workload["spec"].get("template") or {}).get("metadata") or {}).get("labels") or {}
    return labels


def _forbidding(budgets: Iterable[Obj], labels: Mapping[str, str]) -> Iterator[str]:
    for budget in budgets:
        allowed = int((budget.get("status") or {}).get("disruptionsAllowed") or 0)
        if allowed == 0 and selects(budget["spec"].get("selector"), labels):
            name = budget["metadata"]["name"]
            yield f"PodDisruptionBudget {name} allows no disruption now, and this does not ask it"


def selects(selector: Obj | None, labels: Mapping[str, str]) -> bool:
    """Tell whether a label selector picks an object with these labels; no selector picks nothing, an empty one everything."""
    if selector is None:
        return False
    exact = all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return exact and all(_meets(each, labels) for each in selector.get("matchExpressions") or ())


def _meets(wanted: Obj, labels: Mapping[str, str]) -> bool:
    key, values = wanted["key"], wanted.get("values") or ()
    match wanted["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def _over_quota(before: Obj, after: Obj, quotas: Iterable[Obj]) -> Iterator[str]:
    """Yield which quotas leave no room for what the change adds."""
    had, needs = demand_of(before), demand_of(after)
    for quota in quotas:
        status = quota.get("status") or {}
        for name, hard in (status.get("hard") or {}).items():
            more = needs.get(name, Decimal()) - had.get(name, Decimal())
            used = parse_quantity(str((status.get("used") or {}).get(name, "0")))
            if more > 0 and used + more > parse_quantity(str(hard)):
                told = (
                    f"ResourceQuota {quota['metadata']['name']} allows {hard} of {name}, {(status.get('used') or {}).get(name, 0)} is used"
                )
                yield f"{told}: the new pods would not be let in"


def demand_of(workload: Obj) -> dict[str, Decimal]:
    """Return what all pods of a workload count for in a quota, by its resource names."""
    count = _replicas(workload)
    demand = {"pods": Decimal(count)}
    for container in ((workload["spec"].get("template") or {}).get("spec") or {}).get("containers") or ():
        for kind, amounts in (container.get("resources") or {}).items():
            for name, text in amounts.items() if kind in {"requests", "limits"} else ():
                for counted in _counted(kind, name):
                    demand[counted] = demand.get(counted, Decimal()) + count * parse_quantity(str(text))
    return demand


def _counted(kind: str, name: str) -> tuple[str, ...]:
    return (f"{kind}.{name}", name) if kind == "requests" else (f"{kind}.{name}",)

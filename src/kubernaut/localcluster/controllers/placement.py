"""Where a pod may run, and in kube-scheduler's words why it may not: requests, selectors, taints, node affinity, host ports."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final

from kubernaut.localcluster.api import Obj
from kubernaut.localcluster.controllers.meta import controller_of, labels_of
from kubernaut.localcluster.quantity import parse as quantity
from kubernaut.localcluster.selectors import label_selector_of

__all__ = ["NodeLoad", "place", "selects", "tolerates", "total_requests", "unplaceable"]

_AFFINITY: Final = "node(s) didn't match Pod's node affinity/selector"
_TAINTED: Final = "node(s) had untolerated taint(s)"
_CORDONED: Final = "node(s) were unschedulable"
_PORTS: Final = "node(s) didn't have free ports for the requested pod ports"
_CROWDED: Final = "Too many pods"
_HOPELESS: Final = "Preemption is not helpful for scheduling"
_NO_VICTIMS: Final = "No preemption victims found for incoming pod"
_EFFECTS: Final = ("NoSchedule", "NoExecute")


@lru_cache(maxsize=4096)
def _amount(text: str | float) -> Decimal:
    return quantity(text)


def _requests(container: Obj) -> dict[str, Decimal]:
    resources = container.get("resources") or {}
    asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: _amount(value) for name, value in asked.items()}


def total_requests(spec: Obj) -> dict[str, Decimal]:
    """Return what a pod asks of its node: the sum of its containers, or its greediest init container, plus overhead."""
    total: dict[str, Decimal] = {}
    for container in spec.get("containers") or ():
        for name, value in _requests(container).items():
            total[name] = total.get(name, Decimal(0)) + value
    for container in spec.get("initContainers") or ():
        for name, value in _requests(container).items():
            total[name] = max(total.get(name, Decimal(0)), value)
    for name, value in (spec.get("overhead") or {}).items():
        total[name] = total.get(name, Decimal(0)) + _amount(value)
    return total


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """A node and the pods bound to it that have not ended."""

    node: Obj
    pods: Sequence[Obj]

    @property
    def allocatable(self) -> Mapping[str, Decimal]:
        """Return what the node offers."""
        status = self.node.get("status") or {}
        return {name: _amount(value) for name, value in (status.get("allocatable") or status.get("capacity") or {}).items()}

    def used(self) -> dict[str, Decimal]:
        """Return what its pods have asked for."""
        total: dict[str, Decimal] = {}
        for pod in self.pods:
            for name, value in total_requests(pod["spec"]).items():
                total[name] = total.get(name, Decimal(0)) + value
        return total


@dataclass(frozen=True, slots=True)
class _Refusal:
    reasons: tuple[str, ...]
    hopeless: bool = True


def place(pod: Obj, loads: Sequence[NodeLoad]) -> tuple[str, str]:
    """Return the name of the best node and an empty message, or no name and the reason of the scheduler."""
    if not loads:
        return "", "no nodes available to schedule pods"
    refusals: list[_Refusal] = []
    fitting: list[NodeLoad] = []
    for load in loads:
        refusal = _refusal(pod, load)
        if refusal is None:
            fitting.append(load)
        else:
            refusals.append(refusal)
    if fitting:
        return _best(pod, fitting), ""
    return "", _told(len(loads), refusals)


def unplaceable(nodes: int, why: str) -> str:
    """Return the message for a pod that no node can help, such as one whose claim does not exist."""
    return f"0/{nodes} nodes are available: {why}. not found"


def _best(pod: Obj, fitting: Iterable[NodeLoad]) -> str:
    return str(min(fitting, key=lambda load: _rank(pod, load)).node["metadata"]["name"])


def _rank(pod: Obj, load: NodeLoad) -> tuple[int, Decimal, int, str]:
    owner = (controller_of(pod) or {}).get("uid")
    siblings = sum(owner is not None and (controller_of(other) or {}).get("uid") == owner for other in load.pods)
    offered, used = load.allocatable, load.used()
    share = max((used.get(name, Decimal(0)) / offered[name] for name in ("cpu", "memory") if offered.get(name)), default=Decimal(0))
    return siblings, share, len(load.pods), str(load.node["metadata"]["name"])


def _told(nodes: int, refusals: Sequence[_Refusal]) -> str:
    reasons = Counter(reason for refusal in refusals for reason in refusal.reasons)
    helpful = Counter(_HOPELESS if refusal.hopeless else _NO_VICTIMS for refusal in refusals)
    listed = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
    preempted = ", ".join(sorted(f"{count} {reason}" for reason, count in helpful.items()))
    return f"0/{nodes} nodes are available: {listed}. no new claims to deallocate, preemption: 0/{nodes} nodes are available: {preempted}."


def _refusal(pod: Obj, load: NodeLoad) -> _Refusal | None:
    spec, node = pod["spec"], load.node
    if node["spec"].get("unschedulable") and not tolerates(spec, {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}):
        return _Refusal((_CORDONED,))
    taints = node["spec"].get("taints") or ()
    if any(taint["effect"] in _EFFECTS and not tolerates(spec, taint) for taint in taints):
        return _Refusal((_TAINTED,))
    if not selects(spec, node):
        return _Refusal((_AFFINITY,))
    if _ports(spec) & {port for other in load.pods for port in _ports(other["spec"])}:
        return _Refusal((_PORTS,), hopeless=False)
    return _short(spec, load)


def tolerates(spec: Obj, taint: Obj) -> bool:
    """Tell whether a pod tolerates a taint."""
    return any(_covers(toleration, taint) for toleration in spec.get("tolerations") or ())


def _covers(toleration: Obj, taint: Obj) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    return bool(toleration.get("operator", "Equal") == "Exists" or toleration.get("value", "") == taint.get("value", ""))


def selects(spec: Obj, node: Obj) -> bool:
    """Tell whether a pod's node selector and required node affinity allow a node."""
    labels = labels_of(node)
    if not (spec.get("nodeSelector") or {}).items() <= dict(labels).items():
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or any(_term(term, node) for term in required.get("nodeSelectorTerms") or ())


def _term(term: Obj, node: Obj) -> bool:
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    named = {"metadata.name": node["metadata"]["name"]}
    by_label = label_selector_of({"matchExpressions": list(expressions)})(labels_of(node))
    return bool(expressions or fields) and by_label and label_selector_of({"matchExpressions": list(fields)})(named)


def _ports(spec: Obj) -> set[tuple[str, int]]:
    ports = (port for container in spec.get("containers") or () for port in container.get("ports") or ())
    return {(port.get("protocol", "TCP"), port["hostPort"]) for port in ports if port.get("hostPort")}


def _short(spec: Obj, load: NodeLoad) -> _Refusal | None:
    offered, used, asked = load.allocatable, load.used(), total_requests(spec)
    crowded = [_CROWDED] if len(load.pods) + 1 > offered.get("pods", Decimal(110)) else []
    lacking = [name for name, value in asked.items() if value and value > offered.get(name, Decimal(0)) - used.get(name, Decimal(0))]
    if not crowded and not lacking:
        return None
    # where the node would be too small even when empty, removing pods from it is of no use
    hopeless = any(asked[name] > offered.get(name, Decimal(0)) for name in lacking)
    return _Refusal((*crowded, *(f"Insufficient {name}" for name in lacking)), hopeless)

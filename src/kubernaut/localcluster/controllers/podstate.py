"""What a pod's status says to those who count pods: alive, ready, available, and which to remove first."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from kubernaut.localcluster.api import Obj
from kubernaut.localcluster.controllers.meta import condition, dying
from kubernaut.localcluster.controllers.moments import moment

__all__ = ["active", "available", "available_in", "ended", "phase_of", "ready", "removal_order"]

_PHASES: Final = {"Pending": 0, "Unknown": 1, "Running": 2}
_COST: Final = "controller.kubernetes.io/pod-deletion-cost"


def phase_of(pod: Obj) -> str:
    """Return status.phase, Pending where nothing is told yet."""
    return str((pod.get("status") or {}).get("phase") or "Pending")


def ended(pod: Obj) -> bool:
    """Tell whether all containers have ended for good."""
    return phase_of(pod) in {"Succeeded", "Failed"}


def active(pod: Obj) -> bool:
    """Tell whether the pod counts towards what a workload wants."""
    return not ended(pod) and not dying(pod)


def ready(pod: Obj) -> bool:
    """Tell whether the pod's Ready condition holds."""
    row = condition(pod, "Ready")
    return row is not None and row["status"] == "True"


def available_in(pod: Obj, minimum: int, now: datetime) -> float:
    """Return the seconds until a ready pod has been so for long enough; infinite for one that is not ready."""
    row = condition(pod, "Ready")
    if row is None or row["status"] != "True":
        return float("inf")
    if minimum == 0:
        return 0.0
    return max(0.0, (moment(row["lastTransitionTime"]) + timedelta(seconds=minimum) - now).total_seconds())


def available(pod: Obj, minimum: int, now: datetime) -> bool:
    """Tell whether the pod has been ready for `minimum` seconds."""
    return available_in(pod, minimum, now) == 0


def _ready_since(pod: Obj) -> str:
    row = condition(pod, "Ready")
    return str(row["lastTransitionTime"]) if row and row["status"] == "True" else ""


def _restarts(pod: Obj) -> int:
    return sum(row.get("restartCount", 0) for row in (pod.get("status") or {}).get("containerStatuses") or ())


def _cost(pod: Obj) -> int:
    text = (pod["metadata"].get("annotations") or {}).get(_COST, "0")
    return int(text) if text.lstrip("-").isdigit() else 0


def removal_order(pods: Sequence[Obj]) -> list[Obj]:
    """Sort pods as a ReplicaSet removes them: unbound, pending, not ready, cheap, crowded, younger ready, restarted, younger first."""
    crowd: dict[str, int] = {}
    for pod in pods:
        node = pod["spec"].get("nodeName", "")
        crowd[node] = crowd.get(node, 0) + 1
    newest_first = sorted(pods, key=lambda pod: (_ready_since(pod), pod["metadata"]["creationTimestamp"]), reverse=True)
    return sorted(
        newest_first,
        key=lambda pod: (
            bool(pod["spec"].get("nodeName")),
            _PHASES.get(phase_of(pod), 0),
            ready(pod),
            _cost(pod),
            -crowd[pod["spec"].get("nodeName", "")],
            -_restarts(pod),
        ),
    )

"""A pod's phase and conditions, told from its container statuses as a kubelet tells them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from kubernaut.localcluster.api import Obj
from kubernaut.localcluster.controllers.moments import stamp
from kubernaut.localcluster.quantity import parse as quantity

__all__ = ["initialised", "is_sidecar", "phase", "qos_class", "with_conditions"]

_DONE: Final = ("Succeeded", "Failed")


def is_sidecar(container: Obj) -> bool:
    """Tell whether an init container keeps running beside the others."""
    return container.get("restartPolicy") == "Always"


def _passed(container: Obj, row: Obj) -> bool:
    if is_sidecar(container):
        return bool(row.get("started"))
    return (row["state"].get("terminated") or {}).get("exitCode") == 0


def initialised(spec: Obj, init_rows: Sequence[Obj]) -> list[str]:
    """Return the names of the init containers that have not done their part."""
    containers = {container["name"]: container for container in spec.get("initContainers") or ()}
    return [row["name"] for row in init_rows if not _passed(containers[row["name"]], row)]


def phase(spec: Obj, init_rows: Sequence[Obj], rows: Sequence[Obj]) -> str:
    """Return the pod's phase."""
    never = spec.get("restartPolicy", "Always") == "Never"
    if initialised(spec, init_rows):
        failed = any((row["state"].get("terminated") or {}).get("exitCode", 0) for row in init_rows)
        return "Failed" if failed and never else "Pending"
    states = [_kind_of(row) for row in rows]
    if "waiting" in states:
        return "Pending"
    if "running" in states or spec.get("restartPolicy", "Always") == "Always":
        return "Running"
    codes = [(row["state"].get("terminated") or row["lastState"].get("terminated") or {}).get("exitCode", 0) for row in rows]
    if not any(codes):
        return "Succeeded"
    return "Failed" if never else "Running"


def _kind_of(row: Obj) -> str:
    if "waiting" in row["state"]:
        return "stopped" if "terminated" in row["lastState"] else "waiting"
    return "running" if "running" in row["state"] else "stopped"


def with_conditions(pod: Obj, status: Obj, *, sandbox: bool, now: datetime) -> Obj:
    """Return the status with the conditions that its containers deserve, in a kubelet's order; foreign ones are kept."""
    wanted = {
        "PodReadyToStartContainers": _plain(ok=sandbox),
        "Initialized": _initialized(pod["spec"], status),
        "Ready": _ready(status),
        "ContainersReady": _ready(status),
        "PodScheduled": _plain(ok=True),
    }
    held = {row["type"]: row for row in status.get("conditions") or ()}
    generation = pod["metadata"].get("generation", 1)
    rows = [_row(type_, told, held.get(type_), generation, stamp(now)) for type_, told in wanted.items()]
    foreign = [row for type_, row in held.items() if type_ not in wanted]
    return {**status, "observedGeneration": generation, "conditions": foreign + rows}


def _row(type_: str, told: dict[str, str], held: Obj | None, generation: int, now: str) -> Obj:
    since = held["lastTransitionTime"] if held and held["status"] == told["status"] else now
    return {"type": type_, "observedGeneration": generation, "lastProbeTime": None, "lastTransitionTime": since, **told}


def _plain(*, ok: bool) -> dict[str, str]:
    return {"status": "True" if ok else "False"}


def _initialized(spec: Obj, status: Obj) -> dict[str, str]:
    pending = initialised(spec, status.get("initContainerStatuses") or ())
    if pending:
        return {
            "status": "False",
            "reason": "ContainersNotInitialized",
            "message": f"containers with incomplete status: [{' '.join(pending)}]",
        }
    return {"status": "True"} | ({"reason": "PodCompleted"} if status["phase"] == "Succeeded" else {})


def _ready(status: Obj) -> dict[str, str]:
    if status["phase"] in _DONE:
        return {"status": "False", "reason": "PodCompleted" if status["phase"] == "Succeeded" else "PodFailed"}
    unready = [row["name"] for row in status.get("containerStatuses") or () if not row["ready"]]
    if unready:
        return {"status": "False", "reason": "ContainersNotReady", "message": f"containers with unready status: [{' '.join(unready)}]"}
    return {"status": "True"}


def qos_class(spec: Obj) -> str:
    """Return the quality of service that requests and limits of cpu and memory give."""
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    asked = [_cpu_and_memory(container) for container in containers]
    if not any(requests or limits for requests, limits in asked):
        return "BestEffort"
    guaranteed = all(limits.keys() == {"cpu", "memory"} and {**limits, **requests} == limits for requests, limits in asked)
    return "Guaranteed" if guaranteed else "Burstable"


def _cpu_and_memory(container: Obj) -> tuple[Obj, Obj]:
    resources = container.get("resources") or {}

    def of(field: str) -> Obj:
        values = {name: quantity(value) for name, value in (resources.get(field) or {}).items() if name in {"cpu", "memory"}}
        return {name: value for name, value in values.items() if value}

    return of("requests"), of("limits")

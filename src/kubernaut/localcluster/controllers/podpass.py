"""One look of a simulated kubelet at one pod: from its status to the next one, one visible step at a time.

Pure but for the memory it is handed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from kubernaut.localcluster.api import Obj
from kubernaut.localcluster.controllers.behaviour import Behaviour, Exit, Role
from kubernaut.localcluster.controllers.containers import NEVER, Circumstances, Memo, Told, new_row, step, stopped
from kubernaut.localcluster.controllers.meta import dying
from kubernaut.localcluster.controllers.moments import stamp
from kubernaut.localcluster.controllers.podconditions import initialised, is_sidecar, phase, qos_class, with_conditions
from kubernaut.localcluster.controllers.podstate import ended
from kubernaut.localcluster.controllers.recorder import NORMAL, WARNING
from kubernaut.localcluster.controllers.settings import Pace

__all__ = ["Kubelet", "Memory", "Outcome", "look"]

_MOUNT_RETRY_CAP: Final = 122.0


@dataclass(slots=True)
class Memory:
    """What a kubelet remembers of a pod; may be lost at any time."""

    containers: dict[str, Memo] = field(default_factory=dict)
    seen: datetime | None = None
    stopping: datetime | None = None
    mount_tries: int = 0
    mount_tried: datetime | None = None


@dataclass(frozen=True, slots=True)
class Kubelet:
    """What the node's agent knows at the moment of a look."""

    now: datetime
    pace: Pace
    host_ip: str
    pod_ip: str
    mount_faults: Sequence[str]
    behaviours: Callable[[Obj, Role], Behaviour]
    has_image: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The status to write, what to tell (by field path), the seconds until the next look; `gone` asks for the final delete."""

    status: Obj
    told: tuple[tuple[str, Told], ...] = ()
    wait: float = NEVER
    gone: bool = False


def look(pod: Obj, memory: Memory, kubelet: Kubelet) -> Outcome:
    """Decide what becomes of a pod bound to the kubelet's node."""
    status = pod.get("status") or {}
    if dying(pod):
        return _stop(pod, status, memory, kubelet)
    if ended(pod):
        return Outcome(status)
    if "startTime" not in status:
        return Outcome(_first_status(pod, kubelet), wait=0.0)
    if "podIP" not in status:
        return _set_up(pod, status, memory, kubelet)
    return _run(pod, status, memory, kubelet)


def _first_status(pod: Obj, kubelet: Kubelet) -> Obj:
    spec, held = pod["spec"], pod.get("status") or {}
    reason = "PodInitializing" if spec.get("initContainers") else "ContainerCreating"
    status = {
        **{name: held[name] for name in ("conditions", "qosClass") if name in held},
        "phase": "Pending",
        "hostIP": kubelet.host_ip,
        "hostIPs": [{"ip": kubelet.host_ip}],
        "startTime": stamp(kubelet.now),
        "containerStatuses": [new_row(container, reason) for container in spec["containers"]],
    }
    status.setdefault("qosClass", qos_class(spec))
    if spec.get("initContainers"):
        status["initContainerStatuses"] = [new_row(container, reason) for container in spec["initContainers"]]
    return with_conditions(pod, status, sandbox=False, now=kubelet.now)


def _set_up(pod: Obj, status: Obj, memory: Memory, kubelet: Kubelet) -> Outcome:
    if kubelet.mount_faults:
        return _not_mounted(status, memory, kubelet)
    memory.seen = memory.seen or kubelet.now
    rest = (memory.seen + timedelta(seconds=kubelet.pace.sandbox) - kubelet.now).total_seconds()
    if rest > 0:
        return Outcome(status, wait=rest)
    status = {**status, "podIP": kubelet.pod_ip, "podIPs": [{"ip": kubelet.pod_ip}]}
    return Outcome(with_conditions(pod, status, sandbox=True, now=kubelet.now), wait=0.0)


def _not_mounted(status: Obj, memory: Memory, kubelet: Kubelet) -> Outcome:
    delay = min(_MOUNT_RETRY_CAP, 0.5 * 2 ** min(memory.mount_tries, 8))
    rest = (memory.mount_tried + timedelta(seconds=delay) - kubelet.now).total_seconds() if memory.mount_tried else 0.0
    if rest > 0:
        return Outcome(status, wait=rest)
    memory.mount_tried, memory.mount_tries = kubelet.now, memory.mount_tries + 1
    return Outcome(status, tuple(("", Told(WARNING, "FailedMount", fault)) for fault in kubelet.mount_faults), wait=delay)


@dataclass(slots=True)
class _Rows:
    """Container statuses being moved on."""

    pod: Obj
    memory: Memory
    kubelet: Kubelet
    told: list[tuple[str, Told]] = field(default_factory=list)
    wait: float = NEVER

    def move(self, container: Obj, row: Obj, role: Role) -> Obj:
        """Move one container on and keep what it tells."""
        moved = step(container, row, self.memory.containers.get(container["name"], Memo()), self._around(container, role))
        self.memory.containers[container["name"]] = moved.memo
        self.wait = min(self.wait, moved.wait)
        path = f"spec.{'initContainers' if role == 'init' else 'containers'}{{{container['name']}}}"
        self.told += [(path, told) for told in moved.told]
        return moved.row

    def _around(self, container: Obj, role: Role) -> Circumstances:
        policy, meta = self.pod["spec"].get("restartPolicy", "Always"), self.pod["metadata"]
        if role == "init" and not is_sidecar(container):
            policy = "Never" if policy == "Never" else "OnFailure"
        behaviour = self.kubelet.behaviours(container, "app" if is_sidecar(container) else role)
        if is_sidecar(container):
            policy = "Always"
        name = f"{meta['name']}_{meta['namespace']}({meta['uid']})"
        return Circumstances(
            self.kubelet.now, behaviour, self.kubelet.pace, name, policy, self.kubelet.has_image(container.get("image", ""))
        )


def _run(pod: Obj, status: Obj, memory: Memory, kubelet: Kubelet) -> Outcome:
    rows = _Rows(pod, memory, kubelet)
    init = _move_init(rows, pod["spec"], status.get("initContainerStatuses") or [])
    apps = status["containerStatuses"]
    if not initialised(pod["spec"], init):
        by_name = {container["name"]: container for container in pod["spec"]["containers"]}
        apps = [rows.move(by_name[row["name"]], row, "app") for row in apps]
    new = {**status, "containerStatuses": apps} | ({"initContainerStatuses": init} if init else {})
    new["phase"] = phase(pod["spec"], init, apps)
    new = with_conditions(pod, new, sandbox=new["phase"] not in {"Succeeded", "Failed"}, now=kubelet.now)
    return Outcome(new, tuple(rows.told), NEVER if new["phase"] in {"Succeeded", "Failed"} else rows.wait)


def _move_init(rows: _Rows, spec: Obj, held: Sequence[Obj]) -> list[Obj]:
    by_name: Mapping[str, Obj] = {container["name"]: container for container in spec.get("initContainers") or ()}
    result: list[Obj] = []
    for row in held:
        blocked = bool(initialised(spec, result))
        done = not is_sidecar(by_name[row["name"]]) and not initialised(spec, [row])
        moved = row if blocked or done else rows.move(by_name[row["name"]], row, "init")
        result.append(_init_ready(by_name[row["name"]], moved))
    return result


def _init_ready(container: Obj, row: Obj) -> Obj:
    return row if is_sidecar(container) else row | {"ready": (row["state"].get("terminated") or {}).get("exitCode") == 0}


def _stop(pod: Obj, status: Obj, memory: Memory, kubelet: Kubelet) -> Outcome:
    running = [row for row in status.get("containerStatuses") or () if "running" in row["state"]]
    if not running:
        return Outcome(_stopped_status(pod, status, kubelet), gone=True)
    first = memory.stopping is None
    memory.stopping = memory.stopping or kubelet.now
    grace = pod["metadata"].get("deletionGracePeriodSeconds", 30)
    rest = (memory.stopping + timedelta(seconds=min(kubelet.pace.stop, grace)) - kubelet.now).total_seconds()
    if rest > 0:
        killing = ((f"spec.containers{{{row['name']}}}", Told(NORMAL, "Killing", f"Stopping container {row['name']}")) for row in running)
        return Outcome(status, tuple(killing) if first else (), rest)
    return Outcome(_stopped_status(pod, status, kubelet), gone=True)


def _stopped_status(pod: Obj, status: Obj, kubelet: Kubelet) -> Obj:
    if "containerStatuses" not in status or ended(pod):
        return status
    end = Exit(0.0, 0, "Completed")
    init = [_stopped_row(row, end, kubelet.now) for row in status.get("initContainerStatuses") or ()]
    apps = [_stopped_row(row, end, kubelet.now) for row in status["containerStatuses"]]
    failed = any(row["state"]["terminated"]["exitCode"] for row in [*apps])
    new = {**status, "containerStatuses": apps, "phase": "Failed" if failed else "Succeeded"} | (
        {"initContainerStatuses": init} if init else {}
    )
    return with_conditions(pod, new, sandbox=False, now=kubelet.now)


def _stopped_row(row: Obj, end: Exit, now: datetime) -> Obj:
    if "running" in row["state"]:
        return stopped(row, end, now)
    if "terminated" in row["state"]:
        return row
    if "terminated" in row["lastState"]:
        return row | {"state": row["lastState"], "lastState": {}, "ready": False}
    unknown = {
        "exitCode": 137,
        "reason": "ContainerStatusUnknown",
        "message": "The container could not be located when the pod was terminated",
    }
    return row | {"state": {"terminated": {**unknown, "startedAt": None, "finishedAt": None}}, "ready": False, "started": False}

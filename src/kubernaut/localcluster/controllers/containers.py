"""One container's life as a kubelet writes it down: waiting, running, terminated, and back again, later and later.

`step` moves a container status one visible step on. It reads nothing but its arguments; what a kubelet keeps in memory is the `Memo`,
which may be lost at any time: the status then tells the same to the second.
"""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from kubernaut.localcluster.api import Obj
from kubernaut.localcluster.controllers.behaviour import Behaviour, Exit, ImageFault
from kubernaut.localcluster.controllers.images import full_name, image_id, size_of_image
from kubernaut.localcluster.controllers.moments import go_duration, moment, stamp
from kubernaut.localcluster.controllers.recorder import NORMAL, WARNING
from kubernaut.localcluster.controllers.settings import Pace

__all__ = ["Circumstances", "Memo", "Step", "Told", "back_off_seconds", "new_row", "step", "stopped"]

NEVER: Final = float("inf")
KILLED: Final = 137
_CRASH_LOOP: Final = "CrashLoopBackOff"


@dataclass(frozen=True, slots=True)
class Told:
    """An event about a container."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Memo:
    """What a kubelet remembers of one container, to the microsecond."""

    pulling: datetime | None = None
    pulls: int = 0
    created: datetime | None = None
    started: datetime | None = None
    finished: datetime | None = None
    probed: datetime | None = None
    misses: int = 0


@dataclass(frozen=True, slots=True)
class Circumstances:
    """All that a step depends on beside the container itself."""

    now: datetime
    behaviour: Behaviour
    pace: Pace
    pod: str
    """`name_namespace(uid)`, as kubelet messages have it."""
    restart: str
    """Always, OnFailure or Never."""
    image_present: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """The container status after a step, what to tell, and the seconds until the next."""

    row: Obj
    memo: Memo
    wait: float = NEVER
    told: tuple[Told, ...] = field(default=())


def new_row(container: Obj, reason: str) -> Obj:
    """Return the status of a container that nothing was done for yet."""
    row: Obj = {
        "name": container["name"],
        "state": {"waiting": {"reason": reason}},
        "lastState": {},
        "ready": False,
        "restartCount": 0,
        "image": container.get("image", ""),
        "imageID": "",
        "started": False,
    }
    mounts = [_mount(mount) for mount in container.get("volumeMounts") or ()]
    return row | ({"volumeMounts": mounts} if mounts else {})


def _mount(mount: Obj) -> Obj:
    told = {"name": mount["name"], "mountPath": mount["mountPath"]}
    return told | ({"readOnly": True, "recursiveReadOnly": "Disabled"} if mount.get("readOnly") else {})


def back_off_seconds(restarts: int, pace: Pace) -> float:
    """Return how long a container waits before its next start: at once after its first end, then doubling up to a bound."""
    return 0.0 if restarts == 0 else min(pace.back_off_cap, pace.back_off * 2 ** min(restarts - 1, 30))


def step(container: Obj, row: Obj, memo: Memo, around: Circumstances) -> Step:
    """Move a container that may run one step on."""
    state = row["state"]
    if "running" in state:
        return _run(container, row, memo, around)
    if "terminated" in state:
        return _after_end(container, row, memo, around)
    return _from_waiting(container, row, memo, around)


def _from_waiting(container: Obj, row: Obj, memo: Memo, around: Circumstances) -> Step:
    if row["state"]["waiting"].get("reason") == _CRASH_LOOP and (rest := _back_off_left(row, memo, around)) > 0:
        return Step(row, memo, rest)
    return _start(container, row, memo, around)


def _back_off_left(row: Obj, memo: Memo, around: Circumstances) -> float:
    ended = row["state"].get("terminated") or row["lastState"].get("terminated") or {}
    if not ended.get("finishedAt"):
        return 0.0
    ran = moment(ended["finishedAt"]) - moment(ended["startedAt"])
    restarts = 0 if ran.total_seconds() > 2 * around.pace.back_off_cap else row["restartCount"]
    due = (memo.finished or moment(ended["finishedAt"])) + timedelta(seconds=back_off_seconds(restarts, around.pace))
    return (due - around.now).total_seconds()


def _start(container: Obj, row: Obj, memo: Memo, around: Circumstances) -> Step:
    if around.behaviour.image_fault:
        return _no_image(container, row, memo, around, around.behaviour.image_fault)
    if memo.created is None:
        fetched = _fetch(container, row, memo, around)
        if fetched is not None:
            return fetched
    if around.behaviour.config_fault:
        return _no_config(row, memo, around.behaviour.config_fault)
    if memo.created is None:
        return _create(container, row, memo, around)
    rest = _left(memo.created, around.pace.start, around.now)
    return Step(row, memo, rest) if rest > 0 else _started(container, row, memo, around)


def _left(since: datetime, seconds: float, now: datetime) -> float:
    return (since + timedelta(seconds=seconds) - now).total_seconds()


def _fetch(container: Obj, row: Obj, memo: Memo, around: Circumstances) -> Step | None:
    """Pull the image unless it is there; None says that it is."""
    if around.image_present and container.get("imagePullPolicy") != "Always":
        return None
    if memo.pulling is None:
        told = Told(NORMAL, "Pulling", f'Pulling image "{container["image"]}"')
        return Step(row, replace(memo, pulling=around.now), _pull_seconds(around), (told,))
    rest = _left(memo.pulling, _pull_seconds(around), around.now)
    return Step(row, memo, rest) if rest > 0 else None


def _pull_seconds(around: Circumstances) -> float:
    return around.pace.image_pull / 4 if around.image_present else around.pace.image_pull


def _create(container: Obj, row: Obj, memo: Memo, around: Circumstances) -> Step:
    image = container["image"]
    if memo.pulling is None:
        pulled = f'Container image "{image}" already present on machine and can be accessed by the pod'
    else:
        took = go_duration((around.now - memo.pulling).total_seconds())
        pulled = f'Successfully pulled image "{image}" in {took} ({took} including waiting). Image size: {size_of_image(image)} bytes.'
    told = (Told(NORMAL, "Pulled", pulled), Told(NORMAL, "Created", "Container created"))
    return Step(row, Memo(created=around.now, finished=memo.finished), around.pace.start, told)


def _started(container: Obj, row: Obj, memo: Memo, around: Circumstances) -> Step:
    again = "terminated" in row["state"] or "terminated" in row["lastState"]
    restarts = row["restartCount"] + 1 if again else 0
    last = row["state"] if "terminated" in row["state"] else row["lastState"]
    resources = {
        name: dict(container["resources"][name]) for name in ("limits", "requests") if (container.get("resources") or {}).get(name)
    }
    new = row | {
        "state": {"running": {"startedAt": stamp(around.now)}},
        "lastState": last,
        "restartCount": restarts,
        "ready": False,
        "started": "startupProbe" not in container,
        "image": full_name(container["image"]),
        "imageID": image_id(container["image"]),
        "containerID": _container_id(around.pod, container["name"], restarts),
        "resources": resources,
    }
    if "requests" in resources:
        new["allocatedResources"] = resources["requests"]
    started = Step(new, Memo(started=around.now, finished=memo.finished), 0.0, (Told(NORMAL, "Started", "Container started"),))
    # a container without probes is ready in the same breath
    return replace(started, row=new | {"ready": _has_no_probes(container)})


def _has_no_probes(container: Obj) -> bool:
    return "readinessProbe" not in container and "startupProbe" not in container


def _container_id(pod: str, name: str, restarts: int) -> str:
    return "containerd://" + hashlib.sha256(f"{pod}/{name}/{restarts}".encode()).hexdigest()


def _no_config(row: Obj, memo: Memo, fault: str) -> Step:
    waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": fault}}
    if row["state"] == waiting:
        return Step(row, memo)
    return Step(_waiting(row, waiting), memo, told=(Told(WARNING, "Failed", f"Error: {fault}"),))


def _waiting(row: Obj, state: Obj) -> Obj:
    last = row["state"] if "terminated" in row["state"] else row["lastState"]
    return row | {"state": state, "lastState": last, "ready": False, "started": False}


def _no_image(container: Obj, row: Obj, memo: Memo, around: Circumstances, fault: ImageFault) -> Step:
    image = container["image"]
    if fault.reason != "ErrImagePull":
        waiting = {"waiting": {"reason": fault.reason, "message": fault.message}}
        told = () if row["state"] == waiting else (Told(WARNING, "Failed", f"Error: {fault.reason}"),)
        return Step(_waiting(row, waiting), memo, told=told)
    if memo.pulling is None or _left(memo.pulling, back_off_seconds(memo.pulls, around.pace), around.now) <= 0:
        return _failed_pull(image, row, memo, around, fault)
    return _resting_pull(image, row, memo, around, fault)


def _failed_pull(image: str, row: Obj, memo: Memo, around: Circumstances, fault: ImageFault) -> Step:
    told = (
        Told(NORMAL, "Pulling", f'Pulling image "{image}"'),
        Told(WARNING, "Failed", f'Failed to pull image "{image}": {fault.message}'),
        Told(WARNING, "Failed", "Error: ErrImagePull"),
    )
    new = _waiting(row, {"waiting": {"reason": "ErrImagePull", "message": fault.message}})
    return Step(new, replace(memo, pulling=around.now, pulls=memo.pulls + 1), around.pace.start, told)


def _resting_pull(image: str, row: Obj, memo: Memo, around: Circumstances, fault: ImageFault) -> Step:
    since = memo.pulling or around.now
    rest = _left(since, back_off_seconds(memo.pulls, around.pace), around.now)
    soon = _left(since, around.pace.start, around.now)
    if row["state"]["waiting"]["reason"] == "ErrImagePull" and 0 < soon < rest:
        return Step(row, memo, soon)
    resting = {"waiting": {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{image}": ErrImagePull: {fault.message}'}}
    if row["state"] == resting:
        return Step(row, memo, rest)
    told = (Told(NORMAL, "BackOff", f'Back-off pulling image "{image}"'), Told(WARNING, "Failed", "Error: ImagePullBackOff"))
    return Step(_waiting(row, resting), memo, rest, told)


def _run(container: Obj, row: Obj, memo: Memo, around: Circumstances) -> Step:
    started = memo.started or moment(row["state"]["running"]["startedAt"])
    if row["image"] != full_name(container["image"]):
        return _replaced(container, row, memo, around)
    end = around.behaviour.exit
    if end is not None and (rest := _left(started, end.after, around.now)) <= 0:
        return Step(stopped(row, end, around.now), replace(memo, finished=around.now, probed=None, misses=0), around.pace.start)
    left = NEVER if end is None else rest
    probed = _probe(container, row, replace(memo, started=started), around)
    return replace(probed, wait=min(probed.wait, left))


def _replaced(container: Obj, row: Obj, memo: Memo, around: Circumstances) -> Step:
    killing = Told(NORMAL, "Killing", f"Container {container['name']} definition changed, will be restarted")
    ended = stopped(row, Exit(0.0, 0, "Completed"), around.now)
    return Step(ended, replace(memo, finished=around.now, probed=None, misses=0), around.pace.start, (killing,))


def stopped(row: Obj, end: Exit, now: datetime) -> Obj:
    """Return the status of a container that ran and has come to an end."""
    ended = {"exitCode": end.code, "reason": end.reason, "startedAt": row["state"]["running"]["startedAt"], "finishedAt": stamp(now)}
    ended |= {"message": end.message} if end.message else {}
    ended["containerID"] = row.get("containerID", "")
    return row | {"state": {"terminated": ended}, "ready": False, "started": False}


def _probe(container: Obj, row: Obj, memo: Memo, around: Circumstances) -> Step:
    if not row["started"]:
        return _probe_startup(container, row, memo, around)
    rest = _fault_in("liveness", container, memo, around)
    if rest <= 0:
        return _miss("liveness", container, row, memo, around)
    probed = _probe_readiness(container, row, memo, around)
    return replace(probed, wait=min(probed.wait, rest))


def _due(probe: Obj, memo: Memo, around: Circumstances, extra: float = 0.0) -> float:
    since = memo.started or around.now
    return _left(since, probe.get("initialDelaySeconds", 0) * around.pace.probe + extra, around.now)


def _period(probe: Obj, around: Circumstances) -> float:
    return max(0.2, float(probe.get("periodSeconds", 10)) * around.pace.probe)


def _probe_startup(container: Obj, row: Obj, memo: Memo, around: Circumstances) -> Step:
    probe, fault = container["startupProbe"], _fault_in("startup", container, memo, around)
    if fault <= 0:
        return _miss("startup", container, row, memo, around)
    rest = _due(probe, memo, around, around.behaviour.slow_start)
    if rest > 0:
        return Step(row, memo, min(rest, fault))
    return Step(row | {"started": True, "ready": "readinessProbe" not in container}, replace(memo, misses=0, probed=None), 0.0)


def _fault_in(name: str, container: Obj, memo: Memo, around: Circumstances) -> float:
    """Return the seconds until a probe begins to fail; infinite for one that does not."""
    probe, fault = container.get(f"{name}Probe"), around.behaviour.probe_faults.get(name)
    if probe is None or fault is None:
        return NEVER
    return max(_due(probe, memo, around), _left(memo.started or around.now, fault.after, around.now))


def _miss(name: str, container: Obj, row: Obj, memo: Memo, around: Circumstances) -> Step:
    """Count a miss of the liveness or startup probe each period, and kill the container at the threshold."""
    probe, fault = container[f"{name}Probe"], around.behaviour.probe_faults[name]
    wait = _left(memo.probed, _period(probe, around), around.now) if memo.probed else 0.0
    if wait > 0:
        return Step(row, memo, wait)
    missed = Told(WARNING, "Unhealthy", f"{name.capitalize()} probe failed: {fault.message}")
    if memo.misses + 1 < probe.get("failureThreshold", 3):
        return Step(row, replace(memo, probed=around.now, misses=memo.misses + 1), _period(probe, around), (missed,))
    killing = Told(NORMAL, "Killing", f"Container {container['name']} failed {name} probe, will be restarted")
    ended = stopped(row, Exit(0.0, KILLED, "Error"), around.now)
    return Step(ended, replace(memo, finished=around.now, probed=None, misses=0), around.pace.start, (missed, killing))


def _probe_readiness(container: Obj, row: Obj, memo: Memo, around: Circumstances) -> Step:
    probe = container.get("readinessProbe")
    if probe is None:
        return Step(row | {"ready": True}, memo)
    fault = _fault_in("readiness", container, memo, around)
    if fault <= 0:
        return _not_ready(probe, row, memo, around, around.behaviour.probe_faults["readiness"].message)
    rest = _due(probe, memo, around, around.behaviour.slow_start)
    if rest > 0 and not row["ready"]:
        return Step(row, memo, min(rest, fault))
    return Step(row | {"ready": True}, replace(memo, probed=None), fault)


def _not_ready(probe: Obj, row: Obj, memo: Memo, around: Circumstances, message: str) -> Step:
    wait = _left(memo.probed, _period(probe, around), around.now) if memo.probed else 0.0
    if wait > 0:
        return Step(row, memo, wait)
    told = (Told(WARNING, "Unhealthy", f"Readiness probe failed: {message}"),)
    return Step(row | {"ready": False}, replace(memo, probed=around.now), _period(probe, around), told)


def _after_end(container: Obj, row: Obj, memo: Memo, around: Circumstances) -> Step:
    code = row["state"]["terminated"]["exitCode"]
    if around.restart == "Never" or (around.restart == "OnFailure" and code == 0):
        return Step(row, memo)
    rest = _back_off_left(row, memo, around)
    seen = 0.0 if memo.finished is None else _left(memo.finished, around.pace.start, around.now)  # after a restart it was seen already
    if seen > 0:
        return Step(row, memo, seen)
    if rest <= 0:
        return _start(container, row, memo, around)
    delay = go_duration(back_off_seconds(row["restartCount"], around.pace))
    message = f"back-off {delay} restarting failed container={container['name']} pod={around.pod}"
    told = Told(WARNING, "BackOff", f"Back-off restarting failed container {container['name']} in pod {around.pod}")
    return Step(_waiting(row, {"waiting": {"reason": _CRASH_LOOP, "message": message}}), memo, rest, (told,))

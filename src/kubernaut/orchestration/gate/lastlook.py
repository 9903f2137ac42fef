"""Just before acting: is the problem still there, and is the target still what was analysed? Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from kubernaut.api.base import Obj, ResourceIdentifier
from kubernaut.api.durations import Length
from kubernaut.api.verification import Baseline

ROLLOUT: Final = "RolloutInProgress"
JOB: Final = "JobRunning"
CORDONED: Final = "NodeCordoned"
UNREADABLE: Final = "TargetUnreadable"
CHANGED: Final = "TargetChanged"
GONE: Final = "TargetGone"
VOID: Final = "ApprovalVoid"
CALM: Final = "SymptomGone"
RESOLVED: Final = "AlertResolved"


class LookSettings(BaseModel):
    """When the last look before acting stops a fix."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    calm: Length = Field(default=timedelta(minutes=5), gt=timedelta())
    """How long all pods must have been ready, without a restart, for the problem to count as gone though the alert still fires."""
    look_again: Length = Field(default=timedelta(seconds=15), gt=timedelta())
    """How often a target that is busy is looked at."""
    patience: Length = Field(default=timedelta(minutes=15), gt=timedelta())
    """How long to wait for a roll-out, a Job or a cordoned node before people are called."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the plan was made from."""

    baseline: Baseline | None = None
    """How the target's pods stood; None where nobody saw."""
    bound: bool = True
    """Whether the target still is, in spec and uid, what the plan was made for."""
    asked: bool = False
    """Whether a person allowed exactly that plan: then a changed target voids the approval instead."""
    cordoned: frozenset[str] = frozenset()
    """Nodes that took no pods when the case was enriched."""
    ends_work: bool = False
    """Whether the plan is to end the very Job that is at work."""


@dataclass(frozen=True, slots=True)
class World:
    """The target as it stands now; read-only objects."""

    named: ResourceIdentifier
    target: Obj | None = None
    """None: it does not exist."""
    pods: tuple[Obj, ...] = ()
    nodes: tuple[Obj, ...] = ()
    """Those that the pods run on, or the target itself."""
    fault: str = ""
    """Why it could not be read; empty when it could."""
    looked: bool = True
    """False: its kind is none that we can read."""


@dataclass(frozen=True, slots=True)
class Over:
    """There is nothing left to fix."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Busy:
    """Something is under way; look again."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Other:
    """The target is no longer what the plan was made for: a person must look."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Void:
    """What a person allowed is not what would be done: they are to be asked again."""

    reason: str
    message: str


Sight = Over | Busy | Other | Void


def judge(world: World, known: Known, settings: LookSettings, now: datetime) -> Sight | None:
    """Return what stands in the way of acting, or None."""
    name = world.named.path()
    if world.fault:
        return Busy(UNREADABLE, f"{name} cannot be looked at before acting: {world.fault}")
    if not world.looked:
        return None
    if world.target is None:  # one that was not there when the plan was made is the plan's own affair
        return None if known.bound else Over(GONE, f"{name} does not exist any more")
    looks = (_changing, _other, _at_work, _cordoned, _calm, _void)
    sights = (look(_Scene(world, world.target, known, settings, now, name)) for look in looks)
    return next((sight for sight in sights if sight is not None), None)


@dataclass(frozen=True, slots=True)
class _Scene:
    world: World
    target: Obj
    known: Known
    settings: LookSettings
    now: datetime
    name: str


def _changing(scene: _Scene) -> Busy | None:
    """A roll-out of something newer than was analysed may be the cure; the one that was analysed is the patient."""
    if scene.known.bound or not rolling(scene.target):
        return None
    return Busy(ROLLOUT, f"{scene.name} was changed since it was analysed, and its roll-out is under way{_by(scene.target)}")


def _other(scene: _Scene) -> Sight | None:
    """A target that was changed or recreated is no longer what the fix was made for; one that is well again needs none."""
    if scene.known.bound or scene.known.asked:
        return None
    if well := _calm(scene):
        return well
    message = f"{scene.name} was changed or recreated since it was analysed{_by(scene.target)}: the fix was made for what it was before"
    return Other(CHANGED, message)


def _at_work(scene: _Scene) -> Busy | None:
    status, kind = scene.target.get("status") or {}, scene.target.get("kind")
    if scene.known.ends_work:
        return None
    jobs = [each["name"] for each in status.get("active") or ()] if kind == "CronJob" else []
    if jobs:
        return Busy(JOB, f"Job {', '.join(jobs[:3])} of {scene.name} is running")
    if kind == "Job" and status.get("active") and not status.get("failed"):
        return Busy(JOB, f"{scene.name} is running and has not failed")
    return None


def _cordoned(scene: _Scene) -> Busy | None:
    """A node that somebody cordoned since is being worked on by them; the target itself is as the plan was made for it, or not bound."""
    planned = {scene.target["metadata"]["name"]} if scene.target.get("kind") == "Node" and scene.known.bound else set()
    names = sorted(
        node["metadata"]["name"]
        for node in scene.world.nodes
        if (node.get("spec") or {}).get("unschedulable") and node["metadata"]["name"] not in scene.known.cordoned | planned
    )
    return Busy(CORDONED, f"node {', '.join(names[:3])} was cordoned since the case was analysed: somebody works on it") if names else None


def _calm(scene: _Scene) -> Over | None:
    """A problem that was seen in the pods is gone once all of them are ready and have been left in peace for a while."""
    baseline, pods = scene.known.baseline, [pod for pod in scene.world.pods if _counts(pod)]
    if baseline is None or not (baseline.ready < baseline.desired or baseline.crash_reasons):
        return None  # it never showed there: that it does not show now says nothing
    wanted = _wanted(scene.target, baseline)
    quiet_since = _quiet_since(pods)
    if quiet_since is None or len(pods) < wanted or not pods or rolling(scene.target):
        return None
    if scene.now - quiet_since < scene.settings.calm:
        return None
    minutes = int(scene.settings.calm.total_seconds() // 60)
    return Over(CALM, f"{len(pods)} of {wanted} pods of {scene.name} are ready, without a restart for at least {minutes} minutes")


def _void(scene: _Scene) -> Void | None:
    if scene.known.bound:
        return None
    return Void(VOID, f"{scene.name} was changed since the approval{_by(scene.target)}: what was allowed is not what would be done")


def _wanted(target: Obj, baseline: Baseline) -> int:
    replicas = (target.get("spec") or {}).get("replicas")
    scheduled = (target.get("status") or {}).get("desiredNumberScheduled")
    return int(next((each for each in (replicas, scheduled) if each is not None), baseline.desired or 1))


def rolling(target: Obj) -> bool:
    """Tell whether a Deployment, StatefulSet or DaemonSet has not brought all its pods to its newest spec yet."""
    if (judge_ := _ROLLING.get(str(target.get("kind")))) is None:
        return False
    status, meta = target.get("status") or {}, target["metadata"]
    return int(status.get("observedGeneration") or 0) < int(meta.get("generation") or 0) or judge_(target.get("spec") or {}, status)


def _deployment(spec: Obj, status: Obj) -> bool:
    wanted = spec.get("replicas", 1)
    return int(status.get("updatedReplicas") or 0) < wanted or int(status.get("replicas") or 0) > int(status.get("updatedReplicas") or 0)


def _stateful_set(spec: Obj, status: Obj) -> bool:
    moving = status.get("updateRevision") != status.get("currentRevision")
    return bool(moving) and int(status.get("updatedReplicas") or 0) < spec.get("replicas", 1)


def _daemon_set(_spec: Obj, status: Obj) -> bool:
    return int(status.get("updatedNumberScheduled") or 0) < int(status.get("desiredNumberScheduled") or 0)


_ROLLING: Final[dict[str, Callable[[Obj, Obj], bool]]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
}


def _by(target: Obj) -> str:
    """Say who wrote the spec last, as far as the field managers tell."""
    entries = [entry for entry in target["metadata"].get("managedFields") or () if not entry.get("subresource")]
    writers = [entry for entry in entries if "f:spec" in (entry.get("fieldsV1") or {})]
    last = max(writers, key=lambda entry: str(entry.get("time") or ""), default=None)
    return f" (last by {last['manager']})" if last and last.get("manager") else ""


def _counts(pod: Obj) -> bool:
    return not pod["metadata"].get("deletionTimestamp") and (pod.get("status") or {}).get("phase") not in {"Succeeded", "Failed"}


def _quiet_since(pods: list[Obj]) -> datetime | None:
    """Return since when all pods are ready and nothing of them restarted; None when one is not ready."""
    since = [_ready_since(pod) for pod in pods]
    if None in since:
        return None
    moments = [moment for moment in since if moment] + [moment for pod in pods for moment in _restarts(pod)]
    return max(moments, default=None)


def _ready_since(pod: Obj) -> datetime | None:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = next((each for each in conditions if each.get("type") == "Ready" and each.get("status") == "True"), None)
    return _moment((ready or {}).get("lastTransitionTime"))


def _restarts(pod: Obj) -> Iterator[datetime]:
    for container in (pod.get("status") or {}).get("containerStatuses") or ():
        for state in (container.get("lastState") or {}, container.get("state") or {}):
            for moment in (_moment(each.get("finishedAt") or each.get("startedAt")) for each in state.values() if isinstance(each, dict)):
                if moment is not None:
                    yield moment


def _moment(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) and text else None

"""Jobs: pods that run to their end, as many as wanted, until enough have succeeded or too many have failed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kubernaut.localcluster.api import Api, Obj
from kubernaut.localcluster.controllers.loop import Key, Loop
from kubernaut.localcluster.controllers.meta import condition, dying, replaced, uid_of, with_status
from kubernaut.localcluster.controllers.moments import moment, stamp
from kubernaut.localcluster.controllers.podstate import active, ended, phase_of, ready
from kubernaut.localcluster.controllers.recorder import NORMAL, WARNING
from kubernaut.localcluster.controllers.replicasets import PodControl, pod_from
from kubernaut.localcluster.controllers.settings import Pace, StandInSettings

__all__ = ["Jobs", "Tally", "Verdict", "next_pod_in", "tally", "verdict", "wanted_active"]

_BACK_OFF_CAP: Final = 600.0
_INDEX: Final = "batch.kubernetes.io/job-completion-index"


@dataclass(frozen=True, slots=True)
class Tally:
    """A Job's pods, counted; those counted before are not forgotten when their pods go."""

    active: int
    ready: int
    succeeded: int
    failed: int
    terminating: int
    restarts: int
    last_failure: datetime | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a Job ends: the condition's type, reason and message."""

    type: str
    reason: str
    message: str


def tally(job: Obj, pods: Sequence[Obj]) -> Tally:
    """Count the pods of a Job."""
    told = job.get("status") or {}
    alive = [pod for pod in pods if active(pod)]
    failed = [pod for pod in pods if phase_of(pod) == "Failed"]
    return Tally(
        active=len(alive),
        ready=sum(ready(pod) for pod in alive),
        succeeded=max(told.get("succeeded", 0), sum(phase_of(pod) == "Succeeded" for pod in pods)),
        failed=max(told.get("failed", 0), len(failed)),
        terminating=sum(dying(pod) and not ended(pod) for pod in pods),
        restarts=sum(row.get("restartCount", 0) for pod in alive for row in (pod.get("status") or {}).get("containerStatuses") or ()),
        last_failure=max(map(_finished, failed), default=None),
    )


def _finished(pod: Obj) -> datetime:
    rows = (pod.get("status") or {}).get("containerStatuses") or ()
    times = [row["state"]["terminated"].get("finishedAt") for row in rows if "terminated" in row["state"]]
    return max((moment(time) for time in times if time), default=moment(pod["metadata"]["creationTimestamp"]))


def verdict(job: Obj, seen: Tally, now: datetime) -> Verdict | None:
    """Return how the Job ends, if it ends now."""
    spec, started = job["spec"], (job.get("status") or {}).get("startTime")
    deadline = spec.get("activeDeadlineSeconds")
    if seen.failed > spec.get("backoffLimit", 6) or _restarted_too_often(spec, seen):
        return Verdict("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    if deadline is not None and started and now >= moment(started) + timedelta(seconds=deadline):
        return Verdict("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
    completions = spec.get("completions")
    done = seen.succeeded >= completions if completions is not None else seen.succeeded > 0 and seen.active == 0
    return Verdict("Complete", "CompletionsReached", "Reached expected number of succeeded pods") if done else None


def _restarted_too_often(spec: Obj, seen: Tally) -> bool:
    policy, limit = spec["template"]["spec"].get("restartPolicy"), spec.get("backoffLimit", 6)
    return bool(policy == "OnFailure" and seen.restarts > 0 and seen.restarts >= limit)


def wanted_active(job: Obj, seen: Tally) -> int:
    """Return how many pods should be running."""
    spec = job["spec"]
    if spec.get("suspend"):
        return 0
    parallelism, completions = spec.get("parallelism", 1), spec.get("completions")
    if completions is None:
        return int(seen.active if seen.succeeded else parallelism)
    return int(min(parallelism, max(0, completions - seen.succeeded)))


def next_pod_in(seen: Tally, pace: Pace, now: datetime) -> float:
    """Return the seconds until another pod may be made: after failures later and later."""
    if not seen.failed or seen.last_failure is None:
        return 0.0
    delay = min(_BACK_OFF_CAP, pace.back_off * 2.0 ** min(seen.failed - 1, 20))
    return max(0.0, (seen.last_failure + timedelta(seconds=delay) - now).total_seconds())


class Jobs:
    """The stand-in for kube-controller-manager's job and ttl-after-finished controllers."""

    def __init__(self, api: Api, settings: StandInSettings) -> None:
        """Set up watches; `run` starts the work."""
        api = api.acting_as("kube-controller-manager")
        self._settings = settings
        self._loop = Loop(api, "jobs", self._reconcile, settings.rng)
        self._control = PodControl(self._loop, api, "job-controller", settings, "Job")

    async def run(self) -> None:
        """Work until cancelled."""
        await self._loop.run()

    async def _reconcile(self, key: Key) -> float | None:
        job = self._control.owners.get(key)
        if job is None or dying(job):
            return None
        if _ending(job) is not None:
            return await self._expire(job)
        pods = self._control.pods.by("controller", uid_of(job))
        seen, now = tally(job, pods), self._settings.clock()
        end = verdict(job, seen, now)
        wait = 0.0 if end else await self._manage(job, pods, seen)
        await self._report(job, end)
        if end is not None:
            await self._finish(job, pods, end)
        return min(wait or float("inf"), _deadline_in(job, now), 1e9)

    async def _manage(self, job: Obj, pods: Sequence[Obj], seen: Tally) -> float:
        alive = [pod for pod in pods if active(pod)]
        missing = wanted_active(job, seen) - len(alive)
        for pod in alive[len(alive) + min(0, missing) :]:
            await self._control.delete(job, pod)
        wait = next_pod_in(seen, self._settings.pace, self._settings.clock()) if missing > 0 else 0.0
        if wait == 0:
            for index in _free_indexes(job, pods)[: max(0, missing)]:
                await self._control.create(job, self._pod(job, index))
        return wait

    def _pod(self, job: Obj, index: int) -> Obj:
        meta = job["metadata"]
        indexed = job["spec"].get("completionMode") == "Indexed"
        prefix = f"{meta['name']}-{index}-" if indexed else f"{meta['name']}-"
        pod = pod_from(job["spec"]["template"], self._control.reference(job), meta["namespace"], generateName=prefix)
        own = {"batch.kubernetes.io/controller-uid": uid_of(job), "batch.kubernetes.io/job-name": meta["name"]}
        own |= {"controller-uid": uid_of(job), "job-name": meta["name"]} | ({_INDEX: str(index)} if indexed else {})
        pod["metadata"]["labels"] = {**pod["metadata"].get("labels", {}), **own}
        if indexed:
            pod["metadata"]["annotations"] = {**pod["metadata"].get("annotations", {}), _INDEX: str(index)}
        return pod

    async def _report(self, job: Obj, end: Verdict | None) -> None:
        now = self._settings.clock()
        seen = tally(job, self._control.pods.by("controller", uid_of(job)))
        status = _status(job, seen, now) if end is None else _ended(_status(job, seen, now), end, now)
        if status != job.get("status"):
            await self._control.owners.update(with_status(job, status), "status")

    async def _finish(self, job: Obj, pods: Sequence[Obj], end: Verdict) -> None:
        type_, reason = (NORMAL, "Completed") if end.type == "Complete" else (WARNING, end.reason)
        message = "Job completed" if end.type == "Complete" else end.message
        await self._control.events.tell(self._control.owners.kind, job, type_, reason, message)
        for pod in pods:
            if active(pod):
                await self._control.delete(job, pod)

    async def _expire(self, job: Obj) -> float | None:
        ttl, end = job["spec"].get("ttlSecondsAfterFinished"), _ending(job)
        if ttl is None or end is None:
            return None
        wait = (moment(end["lastTransitionTime"]) + timedelta(seconds=ttl) - self._settings.clock()).total_seconds()
        if wait > 0:
            return wait
        await self._control.owners.delete(job, propagation="Foreground")
        return None


def _ending(job: Obj) -> Obj | None:
    rows = (condition(job, "Complete"), condition(job, "Failed"))
    return next((row for row in rows if row is not None and row["status"] == "True"), None)


def _deadline_in(job: Obj, now: datetime) -> float:
    started, deadline = (job.get("status") or {}).get("startTime"), job["spec"].get("activeDeadlineSeconds")
    if started is None or deadline is None or _ending(job) is not None:
        return float("inf")
    return max(0.05, (moment(started) + timedelta(seconds=deadline) - now).total_seconds())


def _free_indexes(job: Obj, pods: Sequence[Obj]) -> list[int]:
    """Return the completion indexes that no living or successful pod has; without indexes, just enough numbers."""
    total = job["spec"].get("completions") or job["spec"].get("parallelism", 1)
    if job["spec"].get("completionMode") != "Indexed":
        return list(range(job["spec"].get("parallelism", 1)))
    taken = {(pod["metadata"].get("annotations") or {}).get(_INDEX) for pod in pods if active(pod) or phase_of(pod) == "Succeeded"}
    return [index for index in range(total) if str(index) not in taken]


def _status(job: Obj, seen: Tally, now: datetime) -> Obj:
    held = job.get("status") or {}
    counts = {"active": seen.active, "succeeded": seen.succeeded, "failed": seen.failed}
    status: Obj = {name: count for name, count in counts.items() if count}
    status |= {"ready": seen.ready, "terminating": seen.terminating, "uncountedTerminatedPods": {}}
    rows = _suspension(job, held.get("conditions") or [], now)
    if rows:
        status["conditions"] = rows
    if not job["spec"].get("suspend"):
        status["startTime"] = held.get("startTime") or stamp(now)
    return status


def _suspension(job: Obj, rows: list[Obj], now: datetime) -> list[Obj]:
    suspended = bool(job["spec"].get("suspend"))
    if not suspended and not any(row["type"] == "Suspended" for row in rows):
        return rows
    reason, message = ("JobSuspended", "Job suspended") if suspended else ("JobResumed", "Job resumed")
    return replaced(rows, _condition("Suspended", reason, message, now, status="True" if suspended else "False"))


def _condition(type_: str, reason: str, message: str, now: datetime, *, status: str = "True") -> Obj:
    seen = stamp(now)
    return {"type": type_, "status": status, "lastProbeTime": seen, "lastTransitionTime": seen, "reason": reason, "message": message}


def _ended(status: Obj, end: Verdict, now: datetime) -> Obj:
    first = "SuccessCriteriaMet" if end.type == "Complete" else "FailureTarget"
    rows = status.get("conditions") or []
    for type_ in (first, end.type):
        rows = replaced(rows, _condition(type_, end.reason, end.message, now))
    status = {name: value for name, value in status.items() if name != "active"} | {"conditions": rows, "ready": 0}
    return status | ({"completionTime": stamp(now)} if end.type == "Complete" else {})

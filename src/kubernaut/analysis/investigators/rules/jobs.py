"""Jobs and CronJobs: work that took too long, failed too often, is stuck, or is not started any more."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from kubernaut.analysis.containers import condition, containers_of, live_pods, succeeded_since
from kubernaut.analysis.investigators.rules.judging import Candidate, Rule, evidence, told_by
from kubernaut.analysis.investigators.rules.remedies import Remedy, concluded
from kubernaut.analysis.snapshot import Snapshot, moment
from kubernaut.api.base import Obj

_QUEUE: Final = "kueue.x-k8s.io/queue-name"
"""The label by which a Job says which queue suspends and admits it."""
_LINGERS = timedelta(minutes=3)
"""How long a container may take to end after the work is done."""


def newest_jobs(snapshot: Snapshot) -> Iterator[Obj]:
    """Yield the subject if it is a Job; the Jobs of a CronJob, the newest first."""
    if not snapshot.chain:
        return
    first, top = snapshot.chain[0], snapshot.chain[-1]
    own = [obj for obj in snapshot.chain if obj["kind"] == "Job"]
    if own:
        yield own[0]
    elif first["kind"] == "CronJob" or top["kind"] == "CronJob":
        mine = [job for job in snapshot.of("Job") if _owner(job).get("uid") == top["metadata"].get("uid")]
        yield from sorted(mine, key=lambda job: (job["metadata"].get("creationTimestamp") or "", job["metadata"]["name"]), reverse=True)[:1]


def _owner(obj: Obj) -> Obj:
    return next((row for row in obj["metadata"].get("ownerReferences") or () if row.get("controller")), {})


def _failed(snapshot: Snapshot, *reasons: str) -> tuple[Obj, Obj] | None:
    for job in newest_jobs(snapshot):
        row = condition(job, "Failed")
        ended = moment(row.get("lastTransitionTime"))
        since = max(filter(None, (snapshot.since, succeeded_since(snapshot))))
        if row.get("status") == "True" and row.get("reason") in reasons and (ended is None or ended >= since):
            return job, row
    return None


def deadline_exceeded(snapshot: Snapshot) -> Candidate | None:
    """A Job was ended because it took longer than its deadline allows."""
    found = _failed(snapshot, "DeadlineExceeded")
    if found is None:
        return None
    job, row = found
    limit = job["spec"].get("activeDeadlineSeconds")
    said = (
        evidence(job, "status.conditions[Failed].reason", row.get("reason"), "why the Job was ended"),
        evidence(job, "spec.activeDeadlineSeconds", limit, "how long it may take"),
    )
    remedy = Remedy(advice="Give the Job more time, or find out what makes it slow.", target=job)
    summary = f"Job {job['metadata']['name']} took longer than the {limit} seconds it may take."
    return concluded(snapshot, "JobDeadlineExceeded", summary, 0.86, said, remedy)


def backoff_limit_exceeded(snapshot: Snapshot) -> Candidate | None:
    """A Job failed as often as it may, and its pods do not tell why: whatever they say explains this."""
    found = _failed(snapshot, "BackoffLimitExceeded", "PodFailurePolicy")
    if found is None:
        return None
    job, row = found
    said = (evidence(job, "status.conditions[Failed].message", row.get("message") or row.get("reason"), "why the Job was given up"),)
    remedy = Remedy(advice="Read the logs of its pods; then start the Job anew.", target=job)
    return concluded(snapshot, "JobBackoffLimitExceeded", f"Job {job['metadata']['name']} failed as often as it may.", 0.7, said, remedy)


def stuck(snapshot: Snapshot) -> Candidate | None:
    """A Job of a CronJob does not end, and the next one may not start beside it: the CronJob's controller says that it waits.

    Or the work of a Job is done, and a container beside it that never ends keeps its pod open.
    """
    for job in newest_jobs(snapshot):
        owner = next(
            (obj for obj in (*snapshot.chain, *snapshot.of("CronJob")) if obj["metadata"].get("uid") == _owner(job).get("uid")), None
        )
        if owner is None or owner["kind"] != "CronJob" or owner["spec"].get("concurrencyPolicy") != "Forbid":
            continue
        told = next(iter(snapshot.events_about(owner, "JobAlreadyActive")), None)
        if told is None or not int((job.get("status") or {}).get("active") or 0):
            continue
        name = job["metadata"]["name"]
        said = (
            evidence(job, "status.active", (job["status"]).get("active"), "it has not ended"),
            evidence(told, "message", told.get("message", ""), "the next one waits for it"),
            evidence(owner, "spec.concurrencyPolicy", "Forbid", "no two may run at once"),
        )
        facts = {"job.uid": str(job["metadata"].get("uid") or "")}
        remedy = Remedy(advice=f"Delete Job {name} so that the next one starts.", action="DeleteJob", target=job, facts=facts)
        return concluded(snapshot, "JobStuck", f"Job {name} does not end and keeps the next one from starting.", 0.8, said, remedy)
    return _kept_open(snapshot)


def _kept_open(snapshot: Snapshot) -> Candidate | None:
    """Tell of Jobs whose work is done, and whose pods another container keeps from ending: one that is made to run for ever."""
    for pod in live_pods(snapshot) if snapshot.top is not None and snapshot.top["kind"] in {"Job", "CronJob"} else ():
        rows = [row for row in containers_of(pod) if not row.init]
        done = [(row, end) for row in rows for end in row.ends()[:1] if end.where == "state" and end.exit_code == 0]
        left = [row for row in rows if row.running_since]
        if not done or not left or done[0][1].finished is None or snapshot.at - done[0][1].finished < _LINGERS:
            continue
        (worker, _), name = done[0], left[0].name
        said = (
            told_by(worker, "state.terminated.exitCode", 0, "its work is done"),
            told_by(left[0], "state.running.startedAt", left[0].running_since, "it runs on, and keeps the pod and its Job from ending"),
        )
        advice = (
            f"Make {name} a sidecar that Kubernetes ends: an init container with restartPolicy Always; then delete the Jobs that are left."
        )
        summary = f"Jobs of {snapshot.target.path()} do not end: container {worker.name} is done, and {name} runs on beside it."
        return concluded(snapshot, "JobStuck", summary, 0.82, said, Remedy(advice=advice), pods=[pod])
    return None


def suspended(snapshot: Snapshot) -> Candidate | None:
    """A CronJob is suspended: it starts nothing, until somebody lets it."""
    top = snapshot.top
    if top is None or top["kind"] != "CronJob" or not top["spec"].get("suspend"):
        return None
    said = [evidence(top, "spec.suspend", "true", "it starts no Jobs")]
    last = (top.get("status") or {}).get("lastScheduleTime")
    said += [evidence(top, "status.lastScheduleTime", last, "when it last started one")] if last else []
    remedy = Remedy(advice="Ask who suspended it; let it start Jobs again when that was forgotten.", action="ResumeCronJob", target=top)
    return concluded(snapshot, "CronJobSuspended", f"CronJob {top['metadata']['name']} is suspended and starts no Jobs.", 0.8, said, remedy)


def job_suspended(snapshot: Snapshot) -> Candidate | None:
    """A Job is suspended: its pods are not made, until somebody, or the queue that admits it, lets it go on."""
    for job in newest_jobs(snapshot):
        if not job["spec"].get("suspend"):
            continue
        row, name = condition(job, "Suspended"), job["metadata"]["name"]
        queue = (job["metadata"].get("labels") or {}).get(_QUEUE, "")
        said = [evidence(job, "spec.suspend", "true", "no pods are made for it")]
        said += [evidence(job, "status.conditions[Suspended]", row.get("lastTransitionTime", ""), "since when")] if row else []
        said += (
            [evidence(job, f"metadata.labels[{_QUEUE}]", queue, "speaks against it: a queue admits it when there is room")] if queue else []
        )
        advice = (
            f"Look at queue {queue}: it waits for room there." if queue else "Ask who suspended it; set spec.suspend to false to go on."
        )
        summary = f"Job {name} is suspended: no pods are made for it."
        return concluded(snapshot, "JobSuspended", summary, 0.7 if queue else 0.82, said, Remedy(advice=advice, target=job))
    return None


def schedule_invalid(snapshot: Snapshot) -> Candidate | None:
    """A CronJob's schedule or time zone cannot be read, or too many starts were missed: its controller gives up."""
    top = snapshot.top
    if top is None or top["kind"] != "CronJob":
        return None
    told = next(
        iter(snapshot.events_about(top, "UnparseableSchedule", "UnParseableCronJobSchedule", "UnknownTimeZone", "InvalidSchedule")), None
    )
    missed = next(iter(snapshot.events_about(top, "TooManyMissedTimes")), None)
    event = told or missed
    if event is None:
        return None
    cause_words = "its schedule or time zone cannot be read" if told else "too many starts were missed"
    said = (
        evidence(event, "message", event.get("message", ""), "what its controller says"),
        evidence(top, "spec.schedule", f"{top['spec'].get('schedule')} {top['spec'].get('timeZone') or ''}".strip(), "when it is to start"),
    )
    advice = "Correct schedule and timeZone." if told else "Set startingDeadlineSeconds, so that old starts are not counted."
    summary = f"CronJob {top['metadata']['name']} starts no Jobs: {cause_words}."
    return concluded(snapshot, "CronJobNotScheduled", summary, 0.85, said, Remedy(advice=advice, target=top))


RULES = (
    Rule("JobDeadlineExceeded", deadline_exceeded),
    Rule("JobBackoffLimitExceeded", backoff_limit_exceeded),
    Rule("JobStuck", stuck),
    Rule("JobSuspended", job_suspended),
    Rule("CronJobSuspended", suspended),
    Rule("CronJobNotScheduled", schedule_invalid),
)

"""Containers as a snapshot shows them: spec and status side by side, how they ended, and whether they have recovered."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from kubernaut.analysis.snapshot import Snapshot, moment
from kubernaut.api.base import Obj

STEADY = timedelta(minutes=10)
"""A container that is ready for this long, and twice as long as its last run, has recovered. (Kubelet backs off for 5 minutes at most.)"""

SLOW = timedelta(minutes=5)
"""A Job that has no pods for so long does not get any."""
ONCE = timedelta(hours=1)
"""A container that was started again only once need not be up for longer than this."""


@dataclass(frozen=True, slots=True)
class Ended:
    """One end of a container's process."""

    where: str
    """`state` when it is down now, `lastState` when it was started again."""
    reason: str
    exit_code: int
    message: str
    started: datetime | None
    finished: datetime | None
    logged: bool = False
    """Whether `message` was read from the log, for lack of a termination message."""

    @property
    def ran(self) -> timedelta:
        """How long the process lived; nothing where times are missing."""
        return self.finished - self.started if self.finished and self.started else timedelta()


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a pod."""

    pod: Obj
    spec: Obj
    status: Obj
    init: bool = False

    @property
    def name(self) -> str:
        """Its name in the pod."""
        return str(self.spec["name"])

    @property
    def key(self) -> str:
        """What tells it from all others: pod and container."""
        return f"{self.pod['metadata'].get('namespace', '')}/{self.pod['metadata']['name']}/{self.name}"

    @property
    def field(self) -> str:
        """Where its status stands in the pod."""
        return f"status.{'initC' if self.init else 'c'}ontainerStatuses[{self.name}]"

    @property
    def ready(self) -> bool:
        """Whether it serves."""
        return bool(self.status.get("ready"))

    @property
    def restarts(self) -> int:
        """How often kubelet started it again."""
        return int(self.status.get("restartCount") or 0)

    @property
    def waiting(self) -> Obj:
        """Why it does not run: reason and message; empty when it does."""
        found: Obj = (self.status.get("state") or {}).get("waiting") or {}
        return found

    @property
    def running_since(self) -> datetime | None:
        """When its present process started."""
        return moment(((self.status.get("state") or {}).get("running") or {}).get("startedAt"))

    def limit(self, resource: str) -> str | None:
        """Return the limit in force: what kubelet reports, else what the spec asks."""
        for resources in (self.status.get("resources"), self.spec.get("resources")):
            if found := ((resources or {}).get("limits") or {}).get(resource):
                return str(found)
        return None

    def ends(self) -> list[Ended]:
        """Return how it ended, the latest first."""
        found = (_ended(where, self.status.get(where)) for where in ("state", "lastState"))
        return [ended for ended in found if ended is not None]

    def recovered(self, at: datetime) -> bool:
        """Tell whether it has been up and ready for long enough to call its last end history."""
        since, ends = self.running_since, self.ends()
        if not self.ready or since is None:
            return False
        last = ends[0].ran if ends else timedelta()
        return at - since >= max(STEADY, min(2 * last, ONCE) if self.restarts <= 1 else 2 * last)


def _ended(where: str, state: Obj | None) -> Ended | None:
    found = (state or {}).get("terminated")
    if not found:
        return None
    return Ended(
        where=where,
        reason=str(found.get("reason") or ""),
        exit_code=int(found.get("exitCode") or 0),
        message=str(found.get("message") or ""),
        started=moment(found.get("startedAt")),
        finished=moment(found.get("finishedAt")),
    )


def live_pods(snapshot: Snapshot) -> list[Obj]:
    """Return the pods that count: not on their way out, not done, not left behind by an eviction."""
    return [pod for pod in snapshot.pods if _counts(pod)]


def _counts(pod: Obj) -> bool:
    return not pod["metadata"].get("deletionTimestamp") and _phase(pod) not in {"Succeeded", "Failed"}


def judged_pods(snapshot: Snapshot) -> list[Obj]:
    """Return the pods that a cause is looked for in: those that count, and failed ones of a Job, which leaves them for that."""
    kept = snapshot.top is not None and snapshot.top["kind"] in {"Job", "CronJob", "Pod"}
    succeeded = succeeded_since(snapshot)
    return [pod for pod in snapshot.pods if _counts(pod) or (kept and _phase(pod) == "Failed" and not _before(pod, succeeded))]


def succeeded_since(snapshot: Snapshot) -> datetime | None:
    """Return when a CronJob last succeeded: what failed before is history; None where it never did, or the top is no CronJob."""
    top = snapshot.top
    return moment((top.get("status") or {}).get("lastSuccessfulTime")) if top is not None and top["kind"] == "CronJob" else None


def _before(pod: Obj, succeeded: datetime | None) -> bool:
    made = moment(pod["metadata"].get("creationTimestamp"))
    return succeeded is not None and made is not None and made < succeeded


def containers(snapshot: Snapshot) -> Iterator[Container]:
    """Yield the containers of all pods that a cause is looked for in, init containers first."""
    for pod in judged_pods(snapshot):
        yield from containers_of(pod)


def containers_of(pod: Obj) -> Iterator[Container]:
    """Yield the containers of a pod, init containers first."""
    for kind, init in (("initContainers", True), ("containers", False)):
        rows = (pod.get("status") or {}).get("initContainerStatuses" if init else "containerStatuses") or ()
        statuses = {row["name"]: row for row in rows}
        for spec in pod["spec"].get(kind) or ():
            yield Container(pod, spec, statuses.get(spec["name"], {}), init)


def _phase(pod: Obj) -> str:
    return str((pod.get("status") or {}).get("phase") or "Pending")


def condition(obj: Obj, type_: str) -> Obj:
    """Return a condition of an object by its type; empty where there is none."""
    rows = (obj.get("status") or {}).get("conditions") or ()
    return next((row for row in rows if row.get("type") == type_), {})


def idle(job: Obj, now: datetime) -> bool:
    """Tell whether a Job has no pods and is not done, minutes after it was made."""
    made, status = moment(job["metadata"].get("creationTimestamp")), job.get("status") or {}
    done = any(condition(job, type_).get("status") == "True" for type_ in ("Complete", "Failed"))
    return not done and not status.get("active") and made is not None and now - made >= SLOW


def pod_ready(pod: Obj) -> bool:
    """Tell whether the pod's Ready condition holds."""
    return bool(condition(pod, "Ready").get("status") == "True")


def names_of(found: list[Container]) -> str:
    """Name the pods of containers for a sentence, three at most."""
    names = sorted({row.pod["metadata"]["name"] for row in found})
    rest = len(names) - 3
    return ", ".join(names[:3]) + (f" and {rest} more" if rest > 0 else "")

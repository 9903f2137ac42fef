"""How the pods of a target stand: readiness, crashes, restarts since the fix. Pure reading of pod objects."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kubernaut.api.base import Obj

CRASHING: Final = frozenset(
    {
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "ErrImagePull",
        "ErrImageNeverPull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)
"""Why a container waits that will not run by itself."""
OOM: Final = "OOMKilled"


@dataclass(frozen=True, slots=True)
class Pods:
    """The pods of a target in sum; those that are being deleted or have ended well do not count."""

    total: int
    ready: int
    crashes: tuple[str, ...] = ()
    """Why containers do not run now, each reason once."""
    oom_killed: int = 0
    """Containers killed for memory since the fix."""
    restarted_at: datetime | None = None
    """The newest restart since the fix."""
    ready_since: datetime | None = None
    """When the last of them became ready."""
    restarts: int = 0
    """Of all containers since their pods were made."""


def sum_up(pods: Sequence[Obj], fixed_at: datetime) -> Pods:
    """Sum up pods as seen now, with what happened to them since the fix."""
    counted = [pod for pod in pods if _counts(pod)]
    statuses = [status for pod in counted for status in _statuses(pod)]
    ends = [(reason, at) for status in statuses for reason, at in _ends(status) if at is not None and at > fixed_at]
    ready = [moment for pod in counted if (moment := _ready_since(pod)) is not None]
    return Pods(
        total=len(counted),
        ready=len(ready),
        crashes=tuple(sorted({reason for status in statuses if (reason := waiting_reason(status)) in CRASHING})),
        oom_killed=sum(reason == OOM for reason, _ in ends),
        restarted_at=max((at for _, at in ends), default=None),
        ready_since=max(ready, default=None),
        restarts=sum(int(status.get("restartCount") or 0) for status in statuses),
    )


def waiting_reason(status: Obj) -> str:
    """Return why a container waits, or nothing."""
    waiting = (status.get("state") or {}).get("waiting") or {}
    return str(waiting.get("reason") or "")


def moment(text: object) -> datetime | None:
    """Read a Kubernetes time; None where there is none."""
    return datetime.fromisoformat(text) if isinstance(text, str) and text else None


def _counts(pod: Obj) -> bool:
    return not pod["metadata"].get("deletionTimestamp") and (pod.get("status") or {}).get("phase") not in {"Succeeded", "Failed"}


def _statuses(pod: Obj) -> list[Obj]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def _ends(status: Obj) -> Iterator[tuple[str, datetime | None]]:
    """Yield how a container's runs ended, as far as its status remembers; an init container's good end is none."""
    for state in (status.get("lastState") or {}, status.get("state") or {}):
        ended = state.get("terminated")
        if ended and ended.get("reason") != "Completed":
            yield str(ended.get("reason") or ""), moment(ended.get("finishedAt"))


def _ready_since(pod: Obj) -> datetime | None:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    found = next((each for each in conditions if each.get("type") == "Ready" and each.get("status") == "True"), None)
    if found is None:
        return None
    return moment(found.get("lastTransitionTime")) or moment(pod["metadata"].get("creationTimestamp"))

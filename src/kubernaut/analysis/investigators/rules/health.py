"""Health: whether the workload does what it should, so that an honest 'nothing is to be done' can be said, with the reason."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from kubernaut.analysis.containers import Container, condition, containers, live_pods, pod_ready
from kubernaut.analysis.investigators.base import Evidence
from kubernaut.analysis.investigators.rules.judging import Candidate, Rule, evidence, place, told_by
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Obj

_PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")


@dataclass(frozen=True, slots=True)
class Health:
    """Whether all is well, and what says so."""

    well: bool
    evidence: tuple[Evidence, ...] = ()


def health(snapshot: Snapshot) -> Health:
    """Judge the top of the chain by its own status and its pods; a kind whose health we cannot tell counts as not well."""
    top = snapshot.top
    judge = _JUDGES.get(top["kind"]) if top else None
    if top is None or judge is None or top["metadata"].get("deletionTimestamp"):
        return Health(False)
    found = judge(snapshot, top)
    return Health(True, (*found, *_past(snapshot))) if found else Health(False)


def _workload(snapshot: Snapshot, top: Obj) -> tuple[Evidence, ...]:
    status, wanted = top.get("status") or {}, int(top["spec"].get("replicas", 1))
    seen = int(status.get("observedGeneration") or 0) >= int(top["metadata"].get("generation") or 0)
    counts = [int(status.get(name) or 0) for name in ("replicas", "readyReplicas", "updatedReplicas")]
    if wanted == 0 or not seen or any(count != wanted for count in counts) or not _pods_well(snapshot):
        return ()
    return (evidence(top, "status.readyReplicas", f"{wanted} of {wanted}", "all replicas are up to date and ready"),)


def _replica_set(snapshot: Snapshot, top: Obj) -> tuple[Evidence, ...]:
    wanted, ready = int(top["spec"].get("replicas", 1)), int((top.get("status") or {}).get("readyReplicas") or 0)
    if wanted == 0 or ready != wanted or not _pods_well(snapshot):
        return ()
    return (evidence(top, "status.readyReplicas", f"{ready} of {wanted}", "all replicas are ready"),)


def _daemon_set(snapshot: Snapshot, top: Obj) -> tuple[Evidence, ...]:
    status = top.get("status") or {}
    wanted = int(status.get("desiredNumberScheduled") or 0)
    counts = [int(status.get(name) or 0) for name in ("numberReady", "updatedNumberScheduled")]
    if wanted == 0 or any(count != wanted for count in counts) or not _pods_well(snapshot):
        return ()
    return (evidence(top, "status.numberReady", f"{wanted} of {wanted}", "it runs, up to date and ready, on every node it should"),)


def _pod(snapshot: Snapshot, top: Obj) -> tuple[Evidence, ...]:
    if not _pods_well(snapshot):
        return ()
    return (evidence(top, "status.conditions[Ready]", "True", "the pod is ready"),)


def _node(_: Snapshot, top: Obj) -> tuple[Evidence, ...]:
    pressed = [name for name in _PRESSURES if condition(top, name).get("status") == "True"]
    if condition(top, "Ready").get("status") != "True" or pressed or top.get("spec", {}).get("unschedulable"):
        return ()
    return (evidence(top, "status.conditions[Ready]", "True", "the node is ready and under no pressure"),)


def _job(_: Snapshot, top: Obj) -> tuple[Evidence, ...]:
    if condition(top, "Complete").get("status") != "True":
        return ()
    return (evidence(top, "status.conditions[Complete]", "True", "the job has done its work"),)


_JUDGES: dict[str, Callable[[Snapshot, Obj], tuple[Evidence, ...]]] = {
    "Deployment": _workload,
    "StatefulSet": _workload,
    "ReplicaSet": _replica_set,
    "DaemonSet": _daemon_set,
    "Pod": _pod,
    "Node": _node,
    "Job": _job,
}


def _pods_well(snapshot: Snapshot) -> bool:
    """Tell whether every pod that counts is ready, and no container ended lately without having recovered."""
    pods = live_pods(snapshot)
    return (
        bool(pods)
        and all(pod_ready(pod) for pod in pods)
        and not any(_unsteady(snapshot, row) for row in containers(snapshot) if not row.init)
    )


def _unsteady(snapshot: Snapshot, container: Container) -> bool:
    lately = any(ended.finished is None or ended.finished >= snapshot.since for ended in container.ends())
    return lately and not container.recovered(snapshot.at)


def _past(snapshot: Snapshot) -> Iterator[Evidence]:
    """Yield what was wrong within the window and is over."""
    for container in containers(snapshot):
        for ended in container.ends()[:1]:
            if ended.reason not in {"", "Completed"} and ended.finished and ended.finished >= snapshot.since:
                ago = _hours(snapshot.at - ended.finished)
                yield told_by(
                    container,
                    f"{ended.where}.terminated.reason",
                    ended.reason,
                    f"it is over: that was {ago} ago, and the container has been ready since",
                )


def _hours(length: timedelta) -> str:
    minutes = int(length.total_seconds() // 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"  # noqa: PLR2004  (two hours read better as hours)


def scaled_to_zero(snapshot: Snapshot) -> Candidate | None:
    """Nothing runs because somebody asked for no replicas: whether that is right only a person knows."""
    top = snapshot.top
    if top is None or top["kind"] not in {"Deployment", "StatefulSet"} or top["spec"].get("replicas", 1) != 0:
        return None
    return Candidate(
        cause="ScaledToZero",
        summary=f"{snapshot.target.path()} runs no pods because its spec asks for none.",
        confidence=0.8,
        target=snapshot.target,
        evidence=(evidence(top, "spec.replicas", 0, "no pods are asked for"),),
        advice="Ask who scaled it down; scale it up when that was a mistake.",
        facts=place(snapshot),
    )


RULES = (Rule("ScaledToZero", scaled_to_zero),)

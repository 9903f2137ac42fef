"""Health: whether the workload does what it should, so that an honest 'nothing is to be done' can be said, with the reason."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from kubernaut.analysis.containers import Container, condition, containers, containers_of, idle, live_pods, pod_ready
from kubernaut.analysis.investigators.base import Evidence
from kubernaut.analysis.investigators.rules.jobs import newest_jobs
from kubernaut.analysis.investigators.rules.judging import evidence, told_by
from kubernaut.analysis.leads import backends, labels_of, matches, selector_of
from kubernaut.analysis.snapshot import Snapshot, moment
from kubernaut.api.base import Obj
from kubernaut.api.quantity import parse_quantity

_YOUNG = timedelta(minutes=3)
"""A pod that is younger may still be on its way to being ready."""
_NEXT = timedelta(minutes=10)
"""Where pods are missing and none was made for so long, nobody is about to make them."""
_STARTING = frozenset({"ContainerCreating", "PodInitializing"})
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
    if wanted == 0 or not seen:
        return ()
    if all(count == wanted for count in counts) and _pods_well(snapshot):
        return (evidence(top, "status.readyReplicas", f"{wanted} of {wanted}", "all replicas are up to date and ready"),)
    return _rolling(snapshot, top, wanted)


def _rolling(snapshot: Snapshot, top: Obj, wanted: int) -> tuple[Evidence, ...]:
    """Return what says that a change is under way as it should: pods serve, and those that do not have only just been made."""
    pods = live_pods(snapshot)
    ready = [pod for pod in pods if pod_ready(pod)]
    young = [pod for pod in pods if not pod_ready(pod)]
    nobody_comes = len(pods) < wanted and not any(_recent(snapshot, pod) for pod in pods)
    late = condition(top, "Progressing").get("status") == "False" or nobody_comes
    if late or not ready or not all(_just_made(snapshot, pod) for pod in young):
        return ()
    if any(_unsteady(snapshot, row) for row in containers(snapshot)):
        return ()
    count = f"{len(ready)} of {wanted}"
    return (evidence(top, "status", count, "a change is under way: pods serve, and those that do not yet are just starting"),)


def _recent(snapshot: Snapshot, pod: Obj) -> bool:
    """Tell whether a pod was made so lately that the next one may just be due."""
    made = moment(pod["metadata"].get("creationTimestamp"))
    return made is None or snapshot.at - made < _NEXT


def _just_made(snapshot: Snapshot, pod: Obj) -> bool:
    """Tell whether a pod is young and kubelet is at work on it; one that no node takes is not just starting."""
    made = moment(pod["metadata"].get("creationTimestamp"))
    scheduled = condition(pod, "PodScheduled").get("status") != "False"
    starting = all(str(row.waiting.get("reason") or "PodInitializing") in _STARTING and not row.restarts for row in containers_of(pod))
    return made is not None and snapshot.at - made < _YOUNG and scheduled and starting


def _replica_set(snapshot: Snapshot, top: Obj) -> tuple[Evidence, ...]:
    wanted, ready = int(top["spec"].get("replicas", 1)), int((top.get("status") or {}).get("readyReplicas") or 0)
    if wanted == 0 or ready != wanted or not _pods_well(snapshot):
        return ()
    return (evidence(top, "status.readyReplicas", f"{ready} of {wanted}", "all replicas are ready"),)


def _daemon_set(snapshot: Snapshot, top: Obj) -> tuple[Evidence, ...]:
    status = top.get("status") or {}
    wanted = int(status.get("desiredNumberScheduled") or 0)
    counts = [int(status.get(name) or 0) for name in ("numberReady", "updatedNumberScheduled")]
    if wanted == 0:
        return ()
    if any(count != wanted for count in counts) or not _pods_well(snapshot):
        return _rolling(snapshot, top, wanted)
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


def _job(snapshot: Snapshot, top: Obj) -> tuple[Evidence, ...]:
    if int((top.get("status") or {}).get("active") or 0) and _pods_well(snapshot):
        return (evidence(top, "status.active", top["status"]["active"], "the job is at work, and its pods are well"),)
    if condition(top, "Complete").get("status") != "True":
        return ()
    return (evidence(top, "status.conditions[Complete]", "True", "the job has done its work"),)


def _service(snapshot: Snapshot, top: Obj) -> tuple[Evidence, ...]:
    selector = selector_of(top)
    ready = [pod for pod in snapshot.of("Pod") if matches(selector, labels_of(pod)) and pod_ready(pod)]
    unreached = top["spec"].get("type") == "LoadBalancer" and not ((top.get("status") or {}).get("loadBalancer") or {}).get("ingress")
    if not ready or unreached or any(not _well_behind(lead.snapshot) for lead in snapshot.leads):
        return ()
    return (evidence(top, "spec.selector", f"{len(ready)} ready pods", "pods that are ready answer it"),)


def _ingress(snapshot: Snapshot, top: Obj) -> tuple[Evidence, ...]:
    names = [name for _, name, _ in backends(top)]
    found = [service for name in names if (service := snapshot.named("Service", name))]
    served = [each for each in found if any(matches(selector_of(each), labels_of(pod)) and pod_ready(pod) for pod in snapshot.of("Pod"))]
    if not names or len(served) < len(names):
        return ()
    return (evidence(top, "spec.rules", ", ".join(names), "every Service that it sends to has pods that are ready"),)


def _claim(_: Snapshot, top: Obj) -> tuple[Evidence, ...]:
    status, wanted = top.get("status") or {}, ((top["spec"].get("resources") or {}).get("requests") or {}).get("storage")
    has = (status.get("capacity") or {}).get("storage")
    if status.get("phase") != "Bound" or (wanted and has and parse_quantity(has) < parse_quantity(wanted)):
        return ()
    return (evidence(top, "status.phase", "Bound", "the claim has its volume, and nothing says that it is full"),)


def _volume(_: Snapshot, top: Obj) -> tuple[Evidence, ...]:
    phase = str((top.get("status") or {}).get("phase") or "")
    return (evidence(top, "status.phase", phase, f"the volume is {phase.lower()}"),) if phase in {"Bound", "Available"} else ()


def _autoscaler(snapshot: Snapshot, top: Obj) -> tuple[Evidence, ...]:
    troubled = any(condition(top, name).get("status") == "False" for name in ("ScalingActive", "AbleToScale"))
    if troubled or any(not _well_behind(lead.snapshot) for lead in snapshot.leads):
        return ()
    status = top.get("status") or {}
    count = f"{status.get('currentReplicas', 0)} of {top['spec'].get('maxReplicas')}"
    return (evidence(top, "status.currentReplicas", count, "it measures, scales, and does not want more than it may have"),)


def _budget(_: Snapshot, top: Obj) -> tuple[Evidence, ...]:
    allowed = int((top.get("status") or {}).get("disruptionsAllowed") or 0)
    return (evidence(top, "status.disruptionsAllowed", allowed, "pods may be evicted"),) if allowed else ()


def _cron_job(snapshot: Snapshot, top: Obj) -> tuple[Evidence, ...]:
    if top["spec"].get("suspend") or any(idle(job, snapshot.at) for job in newest_jobs(snapshot)):
        return ()
    last = (top.get("status") or {}).get("lastScheduleTime") or "not yet"
    return (evidence(top, "status.lastScheduleTime", last, "it is scheduled, and its last Job did not fail"),)


def _namespace(snapshot: Snapshot, top: Obj) -> tuple[Evidence, ...]:
    if (top.get("status") or {}).get("phase", "Active") != "Active" or any(not _well_behind(lead.snapshot) for lead in snapshot.leads):
        return ()
    return (evidence(top, "status.phase", "Active", "all its workloads have the pods they should have"),)


def _quota(snapshot: Snapshot, top: Obj) -> tuple[Evidence, ...]:
    return () if snapshot.leads else (evidence(top, "status.used", "within spec.hard", "no workload of the namespace lacks pods"),)


def _well_behind(snapshot: Snapshot | None) -> bool:
    return snapshot is None or health(snapshot).well


_JUDGES: dict[str, Callable[[Snapshot, Obj], tuple[Evidence, ...]]] = {
    "Deployment": _workload,
    "StatefulSet": _workload,
    "ReplicaSet": _replica_set,
    "DaemonSet": _daemon_set,
    "Pod": _pod,
    "Node": _node,
    "Job": _job,
    "CronJob": _cron_job,
    "Service": _service,
    "Ingress": _ingress,
    "PersistentVolumeClaim": _claim,
    "PersistentVolume": _volume,
    "HorizontalPodAutoscaler": _autoscaler,
    "PodDisruptionBudget": _budget,
    "Namespace": _namespace,
    "ResourceQuota": _quota,
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

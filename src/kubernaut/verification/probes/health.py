"""Is the target well? Its pods, its roll-out, its restarts since the fix, against what it was before."""

from collections.abc import Mapping
from typing import Final

from kubernaut.api.base import Kind, Obj, Resource, ResourceIdentifier
from kubernaut.api.core import NODE, POD
from kubernaut.api.verification import Baseline, EffectivenessAssessment
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.informer import IndexFn
from kubernaut.verification.decide import Component, Reading
from kubernaut.verification.probes.pods import Pods, moment, sum_up
from kubernaut.verification.probes.workload import READABLE, Wanted, kind_of, pods_of, wanted

BACK_OFF: Final = "CrashLoopBackOff"
SAME: Final = {
    "ErrImagePull": "ImagePullBackOff",
    "ErrImageNeverPull": "ImagePullBackOff",
    "InvalidImageName": "ImagePullBackOff",
    "CreateContainerError": "RunContainerError",
}
"""Reasons that are one fault seen at different moments, or by different words."""
PRESSURES: Final = frozenset({"MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"})


class HealthProbe:
    """Reads workloads, pods and nodes."""

    component = Component.HEALTH

    def reads(self) -> Mapping[Kind | type[Resource], Mapping[str, IndexFn]]:
        """Return the kinds that are read."""
        return {kind: {} for kind in READABLE}

    async def look(self, cluster: Cluster, assessment: EffectivenessAssessment) -> Reading:
        """Say how the target stands; where that kind has no health of its own, how the signal's object stands."""
        spec = assessment.spec
        target = next((each for each in (spec.remediation_target, spec.signal_target) if kind_of(each)), None)
        kind = kind_of(target) if target else None
        if target is None or kind is None:
            return _unknown(f"the health of a {spec.remediation_target.kind} cannot be told")
        obj = cluster.read(kind, target.namespace if kind.namespaced else "", target.name)
        if obj is None:
            return _gone(kind, target)
        obj = {"kind": kind.kind, **obj}
        if kind is NODE:
            return judge_node(obj)
        return judge(wanted(obj), sum_up(pods_of(cluster, obj), spec.fix_completed_at), spec.baseline)


def judge(want: Wanted, pods: Pods, baseline: Baseline | None = None) -> Reading:
    """Judge a workload: the documented tree, worst news first."""
    score, message = _verdict(want, pods)
    if worse := _worse(want, pods, baseline):
        message = f"{message} ({worse})"
    good = pods.ready >= want.replicas and want.rolled_out and not pods.oom_killed and not pods.crashes
    since = max((each for each in (pods.ready_since, pods.restarted_at) if each), default=None)
    observed = Baseline(ready=pods.ready, desired=want.replicas, restarts=pods.restarts, crash_reasons=list(pods.crashes)[:10])
    return Reading(Component.HEALTH, score, good, message, since if good else None, worse=bool(worse), observed=observed)


def judge_node(node: Obj) -> Reading:
    """Judge a node by its conditions."""
    conditions = {each["type"]: each for each in (node.get("status") or {}).get("conditions") or ()}
    ready = conditions.get("Ready", {})
    pressed = sorted(name for name in PRESSURES if conditions.get(name, {}).get("status") == "True")
    if ready.get("status") != "True":
        return Reading(Component.HEALTH, 0.0, good=False, message="the node is not ready")
    if pressed:
        return Reading(Component.HEALTH, 0.5, good=False, message=f"the node is ready, but has {', '.join(pressed)}")
    return Reading(Component.HEALTH, 1.0, good=True, message="the node is ready", since=moment(ready.get("lastTransitionTime")))


def _verdict(want: Wanted, pods: Pods) -> tuple[float, str]:
    count = f"{pods.ready} of {want.replicas} pods are ready"
    if pods.crashes:
        return 0.0, f"{count}; containers are in {', '.join(pods.crashes)}"
    if pods.ready == 0 and want.replicas:
        return 0.0, count
    if pods.oom_killed:
        return 0.25, f"{count}; {pods.oom_killed} containers were killed for memory since the fix"
    if pods.ready < want.replicas:
        return 0.5, count
    if not want.rolled_out:
        return 0.5, f"{count}; the roll-out is not complete"
    if pods.restarted_at is not None:
        return 0.75, f"{count}; containers restarted since the fix"
    return 1.0, f"{count}, without restarts since the fix"


def _worse(want: Wanted, pods: Pods, baseline: Baseline | None) -> str:
    """Say in what it is worse: fewer are ready than were reliably so before, or containers fail in a way they did not."""
    if baseline is None:
        return ""
    before = min(baseline.ready if baseline.steady is None else baseline.steady, want.replicas)
    if pods.ready < before:
        return f"{before} were ready before"
    known = {*baseline.crash_reasons, *((BACK_OFF,) if baseline.restarts else ())}  # between two starts it looks otherwise
    failed = {SAME.get(reason, reason) for reason in known}
    new = [reason for reason in pods.crashes if SAME.get(reason, reason) not in failed]
    return f"{', '.join(new)} is new" if new else ""


def _gone(kind: Kind, target: ResourceIdentifier) -> Reading:
    """A workload that is gone is the worst end; a pod that is gone was perhaps deleted to be replaced."""
    if kind is POD:
        return _unknown(f"pod {target.name} is gone; whatever took its place cannot be told")
    return Reading(Component.HEALTH, 0.0, good=False, message=f"{target.path()} is gone", worse=True, gone=True)


def _unknown(message: str) -> Reading:
    return Reading(Component.HEALTH, None, good=False, message=message)

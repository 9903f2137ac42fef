"""What pods, workloads, nodes and the alert say."""

from datetime import UTC, datetime, timedelta

import pytest

from kubernaut.api.verification import Baseline
from kubernaut.verification.probes import alert
from kubernaut.verification.probes.health import judge, judge_node
from kubernaut.verification.probes.pods import Pods, sum_up
from kubernaut.verification.probes.workload import Wanted, wanted

pytestmark = pytest.mark.unit

T0 = datetime(2026, 1, 1, tzinfo=UTC)
BEFORE, AFTER = "2025-12-31T23:59:00Z", "2026-01-01T00:01:00Z"


def pod(*, ready=True, ready_at=AFTER, waiting="", last=None, phase="Running", deleted=False, now_ended=None):
    state = {"waiting": {"reason": waiting}} if waiting else {"terminated": now_ended} if now_ended else {"running": {"startedAt": AFTER}}
    return {
        "metadata": {"name": "p", "creationTimestamp": BEFORE, **({"deletionTimestamp": AFTER} if deleted else {})},
        "status": {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": ready_at}],
            "containerStatuses": [{"name": "c", "state": state, "lastState": {"terminated": last} if last else {}}],
        },
    }


def ended(reason, at):
    return {"reason": reason, "finishedAt": at, "exitCode": 137}


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        pytest.param([], Pods(0, 0), id="none"),
        pytest.param([pod(), pod(ready_at=BEFORE)], Pods(2, 2, ready_since=T0 + timedelta(minutes=1)), id="ready since the last of them"),
        pytest.param([pod(ready=False)], Pods(1, 0), id="not ready"),
        pytest.param([pod(deleted=True)], Pods(0, 0), id="one on its way out does not count"),
        pytest.param([pod(phase="Failed")], Pods(0, 0), id="one that has ended does not count"),
        pytest.param([pod(ready=False, waiting="CrashLoopBackOff")], Pods(1, 0, ("CrashLoopBackOff",)), id="in a crash loop"),
        pytest.param([pod(ready=False, waiting="ContainerCreating")], Pods(1, 0), id="on its way up"),
        pytest.param([pod(ready=False, last=ended("OOMKilled", BEFORE))], Pods(1, 0), id="killed before the fix"),
        pytest.param(
            [pod(ready=False, last=ended("OOMKilled", AFTER))],
            Pods(1, 0, (), 1, T0 + timedelta(minutes=1)),
            id="killed for memory after the fix",
        ),
        pytest.param(
            [pod(ready=False, now_ended=ended("Error", AFTER))], Pods(1, 0, (), 0, T0 + timedelta(minutes=1)), id="ended just now"
        ),
    ],
)
def test_pods_in_sum(pods, expected):
    assert sum_up(pods, T0) == expected


SINCE = T0 + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("want", "pods", "score", "good", "says"),
    [
        pytest.param(
            Wanted(3, True), Pods(3, 3, ready_since=SINCE), 1.0, True, "3 of 3 pods are ready, without restarts", id="all is well"
        ),
        pytest.param(
            Wanted(3, True),
            Pods(3, 3, restarted_at=SINCE, ready_since=T0),
            0.75,
            True,
            "restarted since the fix",
            id="ready after restarts",
        ),
        pytest.param(Wanted(3, True), Pods(3, 2), 0.5, False, "2 of 3 pods are ready", id="partly ready"),
        pytest.param(Wanted(3, False), Pods(5, 3), 0.5, False, "roll-out is not complete", id="old pods still serve"),
        pytest.param(
            Wanted(3, True), Pods(3, 3, oom_killed=1, restarted_at=SINCE), 0.25, False, "killed for memory", id="killed for memory again"
        ),
        pytest.param(Wanted(3, True), Pods(3, 0), 0.0, False, "0 of 3", id="none is ready"),
        pytest.param(Wanted(3, True), Pods(3, 2, ("CrashLoopBackOff",)), 0.0, False, "CrashLoopBackOff", id="one crashes"),
        pytest.param(Wanted(0, True), Pods(0, 0), 1.0, True, "0 of 0", id="scaled to none on purpose"),
    ],
)
def test_the_health_tree(want, pods, score, good, says):
    reading = judge(want, pods)
    assert (reading.score, reading.good) == (score, good)
    assert says in reading.message


def test_health_counts_from_the_last_restart():
    assert judge(Wanted(1, True), Pods(1, 1, restarted_at=SINCE, ready_since=T0)).since == SINCE


@pytest.mark.parametrize(
    ("pods", "baseline", "worse"),
    [
        pytest.param(Pods(3, 1), None, False, id="nothing to compare with"),
        pytest.param(Pods(3, 1), Baseline(ready=2, desired=3), True, id="fewer are ready"),
        pytest.param(Pods(3, 2), Baseline(ready=2, desired=3), False, id="as many are ready"),
        pytest.param(
            Pods(3, 2, ("ImagePullBackOff",)), Baseline(ready=1, crash_reasons=["CrashLoopBackOff"]), True, id="a new way to fail"
        ),
        pytest.param(
            Pods(3, 1, ("CrashLoopBackOff",)), Baseline(ready=1, crash_reasons=["CrashLoopBackOff"]), False, id="the old way to fail"
        ),
        pytest.param(Pods(3, 0), Baseline(ready=3, desired=3, steady=0), False, id="all were ready, each for a moment"),
        pytest.param(Pods(3, 1), Baseline(ready=3, desired=3, steady=2), True, id="fewer than were reliably ready"),
        pytest.param(
            Pods(3, 0, ("CrashLoopBackOff",)),
            Baseline(ready=3, desired=3, restarts=7, steady=0),
            False,
            id="a crash loop seen between two crashes",
        ),
        pytest.param(
            Pods(3, 1, ("ErrImagePull",)),
            Baseline(ready=1, crash_reasons=["ImagePullBackOff"]),
            False,
            id="the same fault at another moment",
        ),
    ],
)
def test_worse_is_told_by_what_was_before(pods, baseline, worse):
    assert judge(Wanted(3, True), pods, baseline).worse is worse


def test_scaling_down_on_purpose_is_not_worse():
    assert not judge(Wanted(1, True), Pods(1, 1), Baseline(ready=3, desired=3)).worse


def deployment(generation=2, observed=2, **status):
    return {
        "kind": "Deployment",
        "metadata": {"generation": generation},
        "spec": {"replicas": 3},
        "status": {"observedGeneration": observed, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3, **status},
    }


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        pytest.param(deployment(), Wanted(3, True), id="rolled out"),
        pytest.param(deployment(observed=1), Wanted(3, False), id="its controller has not seen the new spec"),
        pytest.param(deployment(updatedReplicas=1), Wanted(3, False), id="one pod is new"),
        pytest.param(deployment(replicas=4), Wanted(3, False), id="an old pod is left"),
        pytest.param(deployment(availableReplicas=2), Wanted(3, False), id="one is not available"),
        pytest.param({"kind": "Deployment", "metadata": {"generation": 1}, "spec": {}, "status": {}}, Wanted(1, False), id="no word yet"),
        pytest.param(
            {
                "kind": "StatefulSet",
                "metadata": {"generation": 1},
                "spec": {"replicas": 2},
                "status": {"observedGeneration": 1, "readyReplicas": 2},
            },
            Wanted(2, True),
            id="stateful set",
        ),
        pytest.param(
            {
                "kind": "DaemonSet",
                "metadata": {"generation": 1},
                "status": {"observedGeneration": 1, "desiredNumberScheduled": 4, "updatedNumberScheduled": 3},
            },
            Wanted(4, False),
            id="daemon set under way",
        ),
        pytest.param({"kind": "Pod", "metadata": {}}, Wanted(1, True), id="a pod wants itself"),
    ],
)
def test_what_a_workload_wants(obj, expected):
    assert wanted(obj) == expected


@pytest.mark.parametrize(
    ("conditions", "score"),
    [
        pytest.param([{"type": "Ready", "status": "True", "lastTransitionTime": BEFORE}], 1.0, id="ready"),
        pytest.param([{"type": "Ready", "status": "True"}, {"type": "MemoryPressure", "status": "True"}], 0.5, id="under pressure"),
        pytest.param([{"type": "Ready", "status": "Unknown"}], 0.0, id="not ready"),
        pytest.param([], 0.0, id="no word"),
    ],
)
def test_nodes(conditions, score):
    assert judge_node({"metadata": {}, "status": {"conditions": conditions}}).score == score


def test_without_the_remediation_the_alert_is_unknown():
    assert alert.judge(None).score is None

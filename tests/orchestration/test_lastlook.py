"""The last look before acting: what is over, what is busy, what is no longer what was analysed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.base import ResourceIdentifier
from kubernaut.api.verification import Baseline
from kubernaut.orchestration.gate.lastlook import Busy, Known, LookSettings, Other, Over, Void, World, judge, rolling

T0 = datetime(2026, 1, 1, 3, 0, tzinfo=UTC)
NAMED = ResourceIdentifier(kind="Deployment", namespace="production", name="shop")
SICK = Baseline(ready=0, desired=2, restarts=9, crash_reasons=["CrashLoopBackOff"])
WELL = Baseline(ready=2, desired=2, restarts=9)
SETTINGS = LookSettings()


def at(minutes):
    return (T0 - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def workload(kind="Deployment", *, generation=3, observed=3, replicas=2, updated=2, total=2, manager="", **status):
    fields = [{"manager": manager, "time": at(1), "fieldsV1": {"f:spec": {}}}] if manager else []
    meta = {"name": "shop", "namespace": "production", "uid": "u1", "generation": generation, "managedFields": fields}
    seen = {"observedGeneration": observed, "updatedReplicas": updated, "replicas": total, **status}
    return {"kind": kind, "metadata": meta, "spec": {"replicas": replicas}, "status": seen}


def pod(name="shop-1", *, ready=30, started=30, died=None, node="n1", deleted=False, phase="Running"):
    container = {"name": "c", "state": {"running": {"startedAt": at(started)}}}
    if died is not None:
        container["lastState"] = {"terminated": {"reason": "OOMKilled", "finishedAt": at(died)}}
    conditions = [{"type": "Ready", "status": "False" if ready is None else "True", "lastTransitionTime": at(ready or 0)}]
    meta = {"name": name, "namespace": "production"} | ({"deletionTimestamp": at(0)} if deleted else {})
    status = {"phase": phase, "conditions": conditions, "containerStatuses": [container]}
    return {"metadata": meta, "spec": {"nodeName": node}, "status": status}


def node(name="n1", *, cordoned=False):
    return {"metadata": {"name": name}, "spec": {"unschedulable": True} if cordoned else {}}


UNKNOWN = Known()


def sight(target=None, pods=(), nodes=(), known=UNKNOWN, **world):
    return judge(World(NAMED, target, tuple(pods), tuple(nodes), **world), known, SETTINGS, T0)


CALM = (pod("a"), pod("b"))
CHANGED = Known(bound=False)


@pytest.mark.parametrize(
    ("seen", "kind", "reason"),
    [
        pytest.param(sight(workload()), None, "", id="nothing to say"),
        pytest.param(sight(fault="pods is forbidden"), Busy, "TargetUnreadable", id="what cannot be read is not acted on"),
        pytest.param(sight(looked=False), None, "", id="a kind that we cannot look at"),
        pytest.param(sight(known=CHANGED), Over, "TargetGone", id="deleted since it was analysed"),
        pytest.param(sight(), None, "", id="not there when it was analysed either: the plan's own affair"),
        pytest.param(sight(workload(updated=1)), None, "", id="the roll-out that was analysed is the patient"),
        pytest.param(sight(workload(updated=1), known=CHANGED), Busy, "RolloutInProgress", id="a newer roll-out may be the cure"),
        pytest.param(sight(workload(observed=2), known=CHANGED), Busy, "RolloutInProgress", id="its controller has not seen it yet"),
        pytest.param(sight(workload(), known=CHANGED), Other, "TargetChanged", id="changed or recreated, and rolled out"),
        pytest.param(
            sight(workload(), CALM, known=Known(SICK, bound=False)), Over, "SymptomGone", id="changed, and the change was the cure"
        ),
        pytest.param(sight(workload(), known=Known(bound=False, asked=True)), Void, "ApprovalVoid", id="changed since a person allowed it"),
        pytest.param(
            sight(workload(updated=1), known=Known(bound=False, asked=True)), Busy, "RolloutInProgress", id="the roll-out first, then void"
        ),
        pytest.param(sight(workload(), CALM, known=Known(SICK)), Over, "SymptomGone", id="all pods are ready, and have been for a while"),
        pytest.param(sight(workload(), CALM, known=Known(WELL)), None, "", id="the problem never showed in the pods"),
        pytest.param(sight(workload(), CALM), None, "", id="nobody saw the pods before"),
        pytest.param(sight(workload(), [pod("a"), pod("b", ready=2)], known=Known(SICK)), None, "", id="ready for two minutes only"),
        pytest.param(sight(workload(), [pod("a"), pod("b", died=4)], known=Known(SICK)), None, "", id="restarted four minutes ago"),
        pytest.param(sight(workload(), [pod("a"), pod("b", started=4)], known=Known(SICK)), None, "", id="started four minutes ago"),
        pytest.param(sight(workload(), [pod("a"), pod("b", ready=None)], known=Known(SICK)), None, "", id="one is not ready"),
        pytest.param(sight(workload(), [pod("a")], known=Known(SICK)), None, "", id="one is missing"),
        pytest.param(sight(workload(), [pod("a"), pod("b", deleted=True)], known=Known(SICK)), None, "", id="one is going"),
        pytest.param(
            sight(workload(), [*CALM, pod("c", phase="Failed", ready=None)], known=Known(SICK)),
            Over,
            "SymptomGone",
            id="a failed pod is past",
        ),
        pytest.param(sight(workload(updated=1), CALM, known=Known(SICK)), None, "", id="calm, but a roll-out is stuck"),
        pytest.param(sight(workload(), nodes=[node(cordoned=True)]), Busy, "NodeCordoned", id="somebody works on a node"),
        pytest.param(
            sight(workload(), nodes=[node(cordoned=True)], known=Known(cordoned=frozenset({"n1"}))), None, "", id="it was cordoned before"
        ),
        pytest.param(sight(workload("CronJob", active=[{"name": "shop-1"}])), Busy, "JobRunning", id="a Job of the target is running"),
        pytest.param(sight(workload("Job", active=1)), Busy, "JobRunning", id="the Job itself is running and has not failed"),
        pytest.param(sight(workload("Job", active=1), known=Known(ends_work=True)), None, "", id="to end the running Job is the plan"),
        pytest.param(
            sight(workload("Node"), nodes=[node("shop", cordoned=True)]), None, "", id="the node that was cordoned is the patient"
        ),
        pytest.param(sight(workload("Job", active=1, failed=2)), None, "", id="a Job that fails again and again is the patient"),
    ],
)
def test_what_is_seen(seen, kind, reason):
    assert (type(seen) if seen else None, seen.reason if seen else "") == (kind, reason)


def test_who_changed_it_is_said():
    assert "(last by kubectl-edit)" in sight(workload(manager="kubectl-edit"), known=CHANGED).message


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        pytest.param(workload(), False, id="complete"),
        pytest.param(workload(total=3), True, id="an old pod is left"),
        pytest.param(workload("StatefulSet", updated=1, updateRevision="b", currentRevision="a"), True, id="StatefulSet moving"),
        pytest.param(workload("StatefulSet", updated=0, updateRevision="a", currentRevision="a"), False, id="StatefulSet at rest"),
        pytest.param(workload("DaemonSet", updatedNumberScheduled=1, desiredNumberScheduled=3), True, id="DaemonSet moving"),
        pytest.param(workload("DaemonSet", updatedNumberScheduled=3, desiredNumberScheduled=3), False, id="DaemonSet at rest"),
        pytest.param(workload("Node", observed=0), False, id="a node rolls nothing out"),
    ],
)
def test_roll_outs(target, expected):
    assert rolling(target) is expected


moments = st.one_of(st.none(), st.integers(0, 60))
some_pods = st.lists(st.builds(pod, ready=moments, started=st.integers(0, 60), died=moments, deleted=st.booleans()), max_size=4)
some_known = st.builds(Known, st.sampled_from([None, SICK, WELL]), st.booleans(), st.booleans())


@given(st.one_of(st.none(), st.builds(workload, updated=st.integers(0, 3), total=st.integers(0, 3))), some_pods, some_known)
def test_calm_is_never_said_of_a_target_that_is_not(target, pods, known):
    found = sight(target, pods, known=known)
    if found and found.reason == "SymptomGone":
        assert known.baseline is SICK
        assert all(each["status"]["conditions"][0]["status"] == "True" for each in pods if "deletionTimestamp" not in each["metadata"])


@given(st.one_of(st.none(), st.builds(workload)), some_pods, some_known)
def test_what_was_changed_is_never_acted_on(target, pods, known):
    if not known.bound:
        assert sight(target, pods, known=known) is not None

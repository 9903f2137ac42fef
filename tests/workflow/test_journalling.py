"""What a run changed of its target, told from the target before and after it."""

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.workflow import TargetState
from kubernaut.kube.patches import merged
from kubernaut.kube.reversal import against, sealed
from kubernaut.workflow.journalling import SIZE_LIMIT, content_of, journal, unkept
from tests.workflow.executions import execution_of

pytestmark = pytest.mark.unit
T0 = datetime(2026, 1, 1, tzinfo=UTC)
SCALER = {"manager": "kube-controller-manager", "subresource": "scale"}
BY_HAND = {"manager": "kubectl", "subresource": "scale"}


def deployment(memory="128Mi", replicas=2, uid="u-1", managers=(), **more):
    container = {"name": "app", "image": "app:1", "resources": {"limits": {"memory": memory}}}
    return {
        "kind": "Deployment",
        "metadata": {"name": "payment-service", "namespace": "production", "uid": uid, "managedFields": list(managers)},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [container]}}, **more},
        "status": {"replicas": replicas},
    }


def journalled(before, after):
    execution = execution_of()
    uid = before["metadata"]["uid"]
    content, seal = sealed(content_of(before), uid)
    journal(execution, TargetState(uid=uid, content=content, seal=seal), after, T0)
    return execution.status


def put_back(after, reversal):
    return merged(after, against(after, reversal.patch))


def limits(memory):
    containers = {"[app]": {"resources": {"limits": {"memory": memory}}}}
    return {"spec": {"template": {"spec": {"containers": containers}}}}


def test_the_difference_is_kept_with_its_way_back_and_told_to_the_audit_trail():
    status = journalled(deployment(), deployment("256Mi"))
    changed, reversal = status.changed, status.reversal
    assert changed is not None
    assert reversal is not None
    assert (changed.kind, changed.namespace, changed.name, changed.uid) == ("Deployment", "production", "payment-service", "u-1")
    assert (changed.before, changed.after) == (limits("128Mi"), limits("256Mi"))
    assert put_back(deployment("256Mi"), reversal) == deployment()
    [fact] = status.journal.pending
    assert (fact.reason, fact.data["undo"], fact.data["undoPatch"]) == ("TargetChanged", "exact", reversal.patch)
    assert fact.message == "the run changed spec.template of production/deployment/payment-service"


def test_a_run_that_changed_nothing_says_so():
    status = journalled(deployment(), deployment())
    assert status.changed is None
    assert status.reversal is not None
    assert status.reversal.patch == {}


@pytest.mark.parametrize(
    ("managers", "patch"),
    [
        pytest.param([SCALER], {}, id="an autoscaler"),
        pytest.param([BY_HAND], {"spec": {"replicas": 2}}, id="the run itself"),
        pytest.param([], {"spec": {"replicas": 2}}, id="the run, as a plain patch"),
    ],
)
def test_what_an_autoscaler_set_meanwhile_is_not_the_runs(managers, patch):
    reversal = journalled(deployment(), deployment(replicas=5, managers=managers)).reversal
    assert reversal is not None
    assert reversal.patch == patch


def test_another_object_of_the_name_is_left_alone():
    status = journalled(deployment(), deployment("256Mi", uid="u-2"))
    assert (status.reversal, status.changed) == (None, None)
    assert "replaced by another object" in status.reversal_note


LITERAL = {"args": ["--token=hunter2-token"], "paused": False}


def test_a_secret_of_the_target_that_the_run_left_alone_is_not_in_the_way():
    before, after = deployment(**LITERAL), deployment("256Mi", **LITERAL)
    status = journalled(before, after)
    assert status.reversal is not None
    assert put_back(after, status.reversal) == before
    assert "hunter2" not in orjson.dumps(status.wire()).decode()


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"args": ["--token=another-token"]}, id="another secret"),
        pytest.param({"args": ["--token=hunter2-token", "-v"]}, id="something beside it in the same list"),
        pytest.param({}, id="none any more"),
    ],
)
def test_a_secret_that_the_run_changed_is_not_kept(spec):
    status = journalled(deployment(**LITERAL), deployment("256Mi", **spec))
    assert status.reversal is None
    assert "what looks like a secret, which is not kept" in status.reversal_note
    assert "-token" not in orjson.dumps(status.wire()).decode()


def test_a_secret_that_the_run_itself_brought_is_not_kept():
    status = journalled(deployment(), deployment(args=["--password=hunter2"]))
    assert status.reversal is None
    assert "hunter2" not in orjson.dumps(status.wire()).decode()


def test_what_is_too_large_is_not_kept():
    assert "larger than" in unkept({"data": {"a": "x" * SIZE_LIMIT}})


KEYS = st.sampled_from("abcd")
SCALARS = st.one_of(st.booleans(), st.integers(-3, 3), st.text("xyz", max_size=3))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6)
SPECS = st.dictionaries(KEYS, VALUES, max_size=4)


@given(SPECS, SPECS)
def test_a_run_and_then_its_reversal_is_no_change_at_all(one, other):
    before, after = ({**deployment(), "spec": spec} for spec in (one, other))
    reversal = journalled(before, after).reversal
    assert reversal is not None
    assert put_back(after, reversal) == before

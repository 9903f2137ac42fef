"""Against which state a fix is judged, and with how much patience."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from kubernaut.api.base import ResourceIdentifier
from kubernaut.api.processing import EnrichedSignal
from kubernaut.orchestration.baseline import baseline_of
from kubernaut.orchestration.proving import patience
from kubernaut.orchestration.settings import OrchestrationSettings

pytestmark = pytest.mark.unit

T0 = datetime(2026, 1, 1, 12, tzinfo=UTC)
SHOP = ResourceIdentifier(kind="Deployment", name="shop", namespace="production")


def container(*, ready=True, since="2026-01-01T11:58:00Z", ended="", waiting=""):
    state = {"waiting": {"reason": waiting}} if waiting else {"running": {"startedAt": since}}
    last = {"terminated": {"reason": ended, "exitCode": 1}} if ended else {}
    return {"name": "c", "ready": ready, "restarts": 4 if ended else 0, "state": state, "lastState": last}


def baseline(*containers, ready, seen_at=T0):
    context = {
        "workload": {"kind": "Deployment", "name": "shop", "replicas": 3, "readyReplicas": ready},
        "pods": [{"name": f"shop-{number}", "containers": [each]} for number, each in enumerate(containers)],
    }
    signal = EnrichedSignal.model_validate(
        {
            "fingerprint": "a",
            "severity": "critical",
            "environment": "production",
            "businessPriority": "P0",
            "resourceKind": "Deployment",
            "resourceName": "shop",
            "kubernetesContext": context,
        }
    )
    return baseline_of(signal, SHOP, seen_at)


WELL = container()
BETWEEN = container(ended="Error")
LONG_AGO = container(ended="Error", since="2026-01-01T08:00:00Z")
DOWN = container(ready=False, ended="Error", waiting="CrashLoopBackOff")


@pytest.mark.parametrize(
    ("containers", "ready", "steady"),
    [
        pytest.param((WELL, WELL, WELL), 3, 3, id="all well"),
        pytest.param((BETWEEN, BETWEEN, BETWEEN), 3, 0, id="all ready between two crashes"),
        pytest.param((LONG_AGO, WELL, WELL), 3, 3, id="a crash of hours ago is forgotten"),
        pytest.param((DOWN, WELL, WELL), 2, 2, id="one down"),
        pytest.param((DOWN, BETWEEN, WELL), 2, 1, id="one down, one about to be"),
        pytest.param((BETWEEN,), 30, 29, id="pods that enrichment left out count as they are reported"),
        pytest.param((container(ended="Completed"), WELL, WELL), 3, 3, id="one that ended as it should"),
        pytest.param((container(ended="Error", since="nonsense"), WELL, WELL), 3, 2, id="nobody knows since when it runs"),
    ],
)
def test_only_pods_that_were_reliably_ready_count_as_well_before(containers, ready, steady):
    assert baseline(*containers, ready=ready).steady == steady


def test_without_a_time_nobody_says_which_were_reliable():
    assert baseline(WELL, ready=1, seen_at=None).steady is None


def test_seen_an_hour_later_a_restart_is_old():
    assert baseline(BETWEEN, ready=1, seen_at=T0 + timedelta(hours=1)).steady == 1


@pytest.mark.parametrize(
    ("detected", "validity", "delay"),
    [
        pytest.param({}, 25, "0s", id="nobody keeps it"),
        pytest.param({"gitOpsManaged": "true"}, 25, "3m0s", id="a repository keeps it"),
        pytest.param({"gitOpsManaged": "true", "gitOpsSuspended": "true"}, 25, "0s", id="the tool is suspended"),
        pytest.param({"gitOpsManaged": "true"}, 7, "1m0s", id="the window keeps its room"),
    ],
)
def test_a_fix_is_given_time_to_arrive_where_a_tool_keeps_the_target(case, detected, validity, delay):
    fixed = case.processed()
    fixed.family.processing.status.detected_labels = detected
    settings = OrchestrationSettings(validity=timedelta(minutes=validity))
    found = patience(fixed.request, fixed.family, settings, timedelta(minutes=30))
    assert (found.hash_compute_delay, found.stabilization_window, found.validity) == (delay, "5m0s", f"{validity}m0s")


@pytest.mark.parametrize(
    ("query", "delay"),
    [
        pytest.param("predict_linear(node_filesystem_free_bytes[6h], 4*3600) < 0", "5m0s", id="a forecast"),
        pytest.param("rate(restarts[5m]) > 0", "0s", id="what is"),
        pytest.param("", "0s", id="nobody knows"),
    ],
)
def test_a_resolved_forecast_is_not_believed_at_once(case, query, delay):
    data = {"namespace": "production", "resource": SHOP.wire(), **({"prometheusQuery": query} if query else {})}
    spec = case.request.spec.model_copy(update={"provider_data": json.dumps(data)})
    request = case.request.model_copy(update={"spec": spec})
    assert patience(request, case.family, OrchestrationSettings(), timedelta(minutes=30)).alert_check_delay == delay

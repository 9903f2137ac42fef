"""Every kind: what the API server takes we read, what we write reads back the same, and nothing empty is written."""

import random

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kubernaut.api.base import EMPTY, Condition, ConditionStatus, ResourceIdentifier
from kubernaut.api.crd import crd
from kubernaut.api.kinds import ALL
from kubernaut.api.notification import NotificationRequest, NotificationRequestSpec
from kubernaut.api.remediation import Phase, RemediationRequest
from kubernaut.api.signal import PRODUCTION_NAMES, Priority, Severity, fallback_priority, is_production
from kubernaut.api.workflow import WorkflowExecution
from tests.api.schemas import example

SCHEMAS = {model: crd(model)["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for model in ALL}
META = {"name": "one", "namespace": "kubernaut-system", "uid": "u-1"}
every_kind = pytest.mark.parametrize("model", ALL, ids=lambda model: model.card.kind)
seeds = given(seed=st.integers(0, 2**32))
quietly = settings(max_examples=40, deadline=None)


def drawn(model, seed):
    """Return an object that the schema of a kind allows."""
    rng, properties = random.Random(seed), SCHEMAS[model]["properties"]
    status = {"status": example(properties["status"], rng)} if seed % 4 else {}
    return model.model_validate({"metadata": META, "spec": example(properties["spec"], rng), **status})


@every_kind
@quietly
@seeds
def test_what_the_api_server_takes_is_read_and_reads_back_the_same(model, seed):
    resource = drawn(model, seed)
    again = model.model_validate(resource.wire())
    assert again == resource
    assert again.wire() == resource.wire()


@every_kind
@quietly
@seeds
def test_what_we_write_is_what_the_api_server_takes(model, seed):
    checker = jsonschema_rs.validator_for(SCHEMAS[model], validate_formats=True)
    assert [f"{fault.instance_path}: {fault.message}" for fault in checker.iter_errors(drawn(model, seed).wire())] == []


def empties(value, at=""):
    """Give the paths at which something empty stands; free-form maps and lists hold what they hold."""
    for name, child in value.items():
        if child in EMPTY:
            yield f"{at}.{name}"
        if isinstance(child, dict) and name not in {"kubernetesContext", "parameters", "escalationDetails", "data", "details"}:
            yield from empties(child, f"{at}.{name}")


@every_kind
@quietly
@seeds
def test_nothing_empty_is_written(model, seed):
    assert list(empties(drawn(model, seed).wire())) == []


@every_kind
def test_a_fresh_object_says_only_what_was_said(model):
    wire = model.model_validate({"metadata": META, "spec": least(model)}).wire()
    assert wire["metadata"].items() >= META.items()
    assert set(least(model)) <= set(wire["spec"])
    assert list(empties(wire)) == []


@every_kind
def test_a_null_is_an_absent_field(model):
    optional = [name for name in SCHEMAS[model]["properties"]["status"]["properties"] if name != "journal"]
    read = model.model_validate({"metadata": META, "spec": least(model), "status": dict.fromkeys(optional)})
    assert read.status == model.model_validate({"metadata": META, "spec": least(model)}).status


def least(model):
    """Return the least spec that is valid."""
    return {
        "RemediationRequest": request()["spec"],
        "RemediationProcessing": {
            "remediationRequestRef": {"name": "rr"},
            "alert": {"fingerprint": "f", "payload": "{}", "severity": "high"},
            "target": {"kind": "Pod", "name": "p"},
        },
        "AIAnalysis": {
            "remediationRequestRef": {"name": "rr"},
            "analysisRequest": {
                "alertContext": {
                    "fingerprint": "f",
                    "severity": "high",
                    "environment": "test",
                    "businessPriority": "P1",
                    "resourceKind": "Pod",
                    "resourceName": "p",
                }
            },
        },
        "AIApprovalRequest": {
            "aiAnalysisRef": {"name": "a"},
            "remediationRequestRef": {"name": "rr"},
            "recommendation": {"action": "restart", "targetResource": "ns/pod/p"},
            "reason": "r",
            "confidence": 0.5,
            "confidenceLevel": "low",
            "investigationSummary": "s",
            "whyApprovalRequired": "w",
            "requiredBy": "2026-01-01T00:00:00Z",
        },
        "WorkflowExecution": execution()["spec"],
        "KubernetesExecution": {
            "remediationRequestRef": {"name": "rr"},
            "operations": [{"stepNumber": 1, "action": "restart_pod"}],
        },
        "EffectivenessAssessment": {
            "remediationRequestRef": {"name": "rr"},
            "signalTarget": {"kind": "Pod", "name": "p"},
            "remediationTarget": {"kind": "Pod", "name": "p"},
            "signalFingerprint": "f",
            "signalName": "n",
            "fixStartedAt": "2026-01-01T00:00:00Z",
            "fixCompletedAt": "2026-01-01T00:00:00Z",
        },
        "NotificationRequest": {"type": "Simple", "subject": "s", "body": "b", "channels": ["console"]},
        "RemediationWorkflow": {
            "workflowId": "w",
            "version": "1.0.0",
            "description": "d",
            "actionType": "Restart",
            "execution": {"bundle": "registry.example/w@sha256:" + "0" * 64},
        },
        "RemediationBrake": {"pauses": [{"by": "oncall@example.com", "at": "2026-01-01T00:00:00Z", "namespace": "shop"}]},
    }[model.card.kind]


def request(**more):
    spec = {
        "signalFingerprint": "a" * 64,
        "signalName": "PodOOMKilled",
        "severity": "critical",
        "targetResource": "production/deployment/shop",
        "target": {"kind": "Deployment", "name": "shop", "namespace": "production"},
        **dict.fromkeys(("firingTime", "receivedTime", "createdAt"), "2026-01-01T00:00:00Z"),
        "originalPayload": "{}",
    }
    return {"metadata": META, "spec": spec | more}


def execution(**more):
    spec = {
        "remediationRequestRef": {"name": "rr", "namespace": "system"},
        "targetResource": "production/deployment/shop",
        "workflowRef": {"workflowId": "restart", "containerImage": "registry.example/w@sha256:" + "0" * 64},
    }
    return {"metadata": {**META, "name": "rr-wfe"}, "spec": spec | more}


@pytest.mark.parametrize("spelled", ["AwaitingApproval", "awaitingapproval", "AWAITINGAPPROVAL", "awaitingApproval"])
def test_an_enum_is_read_in_any_case_and_written_in_one(spelled):
    read = RemediationRequest.model_validate({**request(), "status": {"overallPhase": spelled}})
    assert read.status.phase is Phase.AWAITING_APPROVAL
    assert read.wire()["status"]["overallPhase"] == "AwaitingApproval"


def test_an_unknown_word_is_refused():
    with pytest.raises(ValidationError, match="overallPhase"):
        RemediationRequest.model_validate({**request(), "status": {"overallPhase": "Dreaming"}})


def test_fields_of_a_later_version_are_tolerated():
    assert RemediationRequest.model_validate(request(someNewField={"a": 1})) == RemediationRequest.model_validate(request())


def test_times_are_written_in_utc_as_rfc_3339():
    read = RemediationRequest.model_validate(request(firingTime="2026-01-01T01:30:00+01:00"))
    assert read.wire()["spec"]["firingTime"].startswith("2026-01-01T01:30:00")
    assert RemediationRequest.model_validate(read.wire()).spec.firing_time == read.spec.firing_time


@pytest.mark.parametrize(
    ("identifier", "path"),
    [
        pytest.param({"kind": "Deployment", "name": "shop", "namespace": "prod"}, "prod/deployment/shop", id="namespaced"),
        pytest.param({"kind": "Node", "name": "node-1"}, "node/node-1", id="cluster-scoped"),
        pytest.param({"kind": "StatefulSet", "name": "db", "namespace": "prod"}, "prod/statefulSet/db", id="a kind of two words"),
    ],
)
def test_an_object_is_named_the_way_people_name_it(identifier, path):
    assert ResourceIdentifier.model_validate(identifier).path() == path


@pytest.mark.parametrize("kind", ["pod", "", "Pod/x", "../Pod"])
def test_a_kind_that_is_none_is_refused(kind):
    with pytest.raises(ValidationError):
        ResourceIdentifier(kind=kind, name="x")


def test_a_correlation_id_is_the_label_else_the_remediation_else_the_own_name():
    assert RemediationRequest.model_validate(request()).correlation_id == "one"
    assert WorkflowExecution.model_validate(execution()).correlation_id == "rr"
    labelled = execution()
    labelled["metadata"] = {**labelled["metadata"], "labels": {"kubernaut.ai/correlation-id": "case-7"}}
    assert WorkflowExecution.model_validate(labelled).correlation_id == "case-7"


def test_two_objects_never_share_a_list_or_a_map():
    one, two = (NotificationRequest(spec=NotificationRequestSpec.model_validate(least(NotificationRequest))) for _ in range(2))
    one.status.conditions.append(Condition(type="Ready", status=ConditionStatus.TRUE))
    one.metadata.labels["a"] = "b"
    assert two.status.conditions == []
    assert two.metadata.labels == {}


@pytest.mark.parametrize(
    ("severity", "environment", "priority"),
    [
        ("critical", "production", "P0"),
        ("critical", "prod", "P0"),
        ("critical", "PRD", "P0"),
        ("critical", "live", "P0"),
        ("critical", "production-eu", "P0"),
        ("critical", "staging", "P1"),
        ("critical", "unknown", "P1"),
        ("critical", "", "P1"),
        ("critical", "development", "P2"),
        ("high", "production", "P1"),
        ("warning", "production", "P1"),
        ("warning", "staging", "P2"),
        ("warning", "development", "P2"),
        ("warning", "unknown", "P2"),
        ("low", "production", "P2"),
        ("info", "production", "P3"),
        ("unknown", "production", "P2"),
    ],
)
def test_priority_follows_from_severity_and_environment(severity, environment, priority):
    assert fallback_priority(Severity(severity), environment) is Priority(priority)


@pytest.mark.parametrize("name", ["product-catalogue", "preprod", "development", "staging", "", "lively"])
def test_other_environments_are_not_production(name):
    assert not is_production(name)


def test_every_production_name_is_production():
    assert all(is_production(name.upper()) for name in PRODUCTION_NAMES)


def test_severities_are_ordered_and_unknown_counts_as_warning():
    ordered = sorted(Severity, key=lambda severity: severity.rank)
    assert [each for each in ordered if each is not Severity.UNKNOWN] == ["info", "low", "warning", "medium", "high", "critical"]
    assert Severity.UNKNOWN.rank == Severity.WARNING.rank

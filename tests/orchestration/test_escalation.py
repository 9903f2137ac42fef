"""The escalation body against the schema, its delivery over real HTTP, and what happens when nobody takes it."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from kubernaut.api.notification import EscalationReason, EscalationRequest
from kubernaut.api.remediation import Phase
from kubernaut.orchestration.escalation import Escalation, body_of, deliver
from kubernaut.orchestration.facts import Stage
from kubernaut.orchestration.settings import OrchestrationSettings
from kubernaut.orchestration.steps import End, Notice
from kubernaut.outbound import JsonService

T0 = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
TIMEOUT = End(Phase.TIMED_OUT, Stage.ANALYSIS, "TimedOut", "out of time", Notice.ESCALATION, escalation=EscalationReason.TIMEOUT)
FAILURE = End(Phase.FAILED, Stage.WORKFLOW, "Forbidden", "may not patch", Notice.ESCALATION, escalation=EscalationReason.FAILED)
REJECTION = End(Phase.FAILED, Stage.APPROVAL, "ApprovalRejected", "no", Notice.ESCALATION, escalation=EscalationReason.REJECTED)
FAST = OrchestrationSettings(escalation_backoff=timedelta(milliseconds=1))


def escalation(case, end=TIMEOUT, settings=FAST):
    return Escalation(case.request, case.family, end, case.now, settings)


def test_a_timeout_has_every_field_of_the_document(case):
    case.spec = {"timeoutConfig": {"aiAnalysisTimeout": "10m"}}
    case.status = {"retryCount": 2}
    assert body_of(escalation(case.processed().analysed("Analyzing").later(minutes=10, milliseconds=500))).wire() == {
        "remediationRequestName": "remediation-abcde12345",
        "remediationRequestNamespace": "kubernaut-system",
        "escalatingController": "remediation-orchestrator",
        "alertFingerprint": "a" * 64,
        "alertName": "PodOOMKilled",
        "severity": "critical",
        "environment": "production",
        "priority": "P0",
        "signalType": "prometheus",
        "namespace": "production",
        "resource": {"kind": "Pod", "name": "payment-service-5d8f-x2", "namespace": "production"},
        "escalationReason": "timeout",
        "escalationPhase": "ai-analysis",
        "escalationTime": "2026-01-01T12:10:00.500000Z",
        "escalationDetails": {"timeoutDuration": "10m0s", "phase": "ai-analysis", "retryCount": 2},
        "alertFiringTime": "2026-01-01T11:58:00Z",
        "alertReceivedTime": "2026-01-01T11:59:59Z",
        "remediationDuration": "10m0.5s",
        "channels": ["pagerduty", "slack", "email"],
        "urgency": "critical",
        "alertmanagerURL": "http://alertmanager.example:9093",
        "grafanaURL": "http://grafana.example/d/1",
    }


@pytest.mark.parametrize(
    ("priority", "channels", "urgency"),
    [
        ("P0", ["pagerduty", "slack", "email"], "critical"),
        ("P1", ["slack", "email"], "high"),
        ("P2", ["email"], "normal"),
        ("P3", ["email"], "low"),
    ],
)
def test_channels_and_urgency_follow_the_priority(case, priority, channels, urgency):
    case.spec = {"priority": priority}
    body = body_of(escalation(case)).wire()
    assert (body["channels"], body["urgency"]) == (channels, urgency)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("critical", "critical"),
        ("high", "critical"),
        ("medium", "warning"),
        ("warning", "warning"),
        ("unknown", "warning"),
        ("low", "info"),
        ("info", "info"),
    ],
)
def test_every_severity_has_a_place_on_the_receivers_scale(case, ours, theirs):
    case.spec = {"severity": ours}
    assert body_of(escalation(case)).wire()["severity"] == theirs


def test_a_skewed_clock_does_not_silence_a_page(case):
    case.spec = {"firingTime": T0 + timedelta(hours=1)}
    body = body_of(escalation(case)).wire()
    assert body["escalationTime"] == body["alertFiringTime"]


def test_a_failure_says_why_and_what_a_person_might_do(case):
    body = body_of(escalation(case.processed().analysed().run("Failed"), FAILURE)).wire()
    assert body["escalationDetails"] == {"phase": "workflow-execution", "retryCount": 0, "failureReason": "Forbidden: may not patch"}
    assert body["aiAnalysis"]["rootCause"] == "memory limit of 128Mi is too low"
    assert [each["action"] for each in body["recommendedActions"]] == ["review failed step logs", "retry workflow"]


def test_a_rejection_says_who_and_why(case):
    rejected = {"approvalStatus": "Rejected", "rejectedBy": "alice", "rejectionReason": "not on a Friday", "approvalTime": T0}
    details = body_of(escalation(case.processed().analysed("Rejected", **rejected), REJECTION)).wire()["escalationDetails"]
    assert (details["operator"], details["rejectionReason"], details["rejectionTime"]) == ("alice", "not on a Friday", T0.isoformat())


@pytest.mark.parametrize("data", ["", "{", "[]", '{"namespace": "x"}', '{"namespace": "x", "resource": {"kind": "pod"}}'])
def test_provider_data_that_cannot_be_decoded_is_an_error(case, data):
    case.spec = {"providerData": data}
    with pytest.raises(ValidationError):
        body_of(escalation(case))


async def post(service, case):
    client = JsonService(service.url, token=lambda: "s3cret")
    try:
        return await deliver(client, escalation(case))
    finally:
        await client.close()


async def test_an_escalation_is_posted_once_with_our_token(case, serve):
    service = await serve(202)
    assert await post(service, case)
    ((path, authorization, body),) = service.requests
    assert (path, authorization) == ("/api/v1/notify/escalation", "Bearer s3cret")
    assert EscalationRequest.model_validate(body) == body_of(escalation(case))


@pytest.mark.parametrize("refusal", [408, 429, 500, 503])
async def test_a_service_in_trouble_is_tried_again(case, serve, refusal):
    service = await serve(refusal, refusal, 202)
    assert await post(service, case)
    assert len(service.requests) == 3


async def test_after_three_tries_people_are_told_another_way(case, serve):
    service = await serve(503)
    assert not await post(service, case)
    assert len(service.requests) == 3


@pytest.mark.parametrize("refusal", [400, 401, 403, 404])
async def test_a_refusal_for_good_is_not_tried_again(case, serve, refusal):
    service = await serve(refusal)
    assert not await post(service, case)
    assert len(service.requests) == 1


async def test_nobody_there_is_told_another_way(case, serve):
    service = await serve(202)
    service.url = "http://127.0.0.1:9"
    assert not await post(service, case)


async def test_provider_data_that_cannot_be_decoded_is_never_posted(case, serve):
    service = await serve(202)
    case.spec = {"providerData": "{"}
    assert not await post(service, case)
    assert service.requests == []

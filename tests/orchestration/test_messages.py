"""What people read: the approval request as documented, the good end, and the ends that need them."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from kubernaut.api.notification import EscalationReason
from kubernaut.api.remediation import Outcome, Phase
from kubernaut.orchestration.escalation import Escalation
from kubernaut.orchestration.facts import Stage
from kubernaut.orchestration.messages import approval, completion, escalation_fallback, manual_review
from kubernaut.orchestration.steps import End, Notice

pytestmark = pytest.mark.unit

T0 = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
RR = "remediation-abcde12345"
GOOD = End(Phase.COMPLETED, Stage.VERIFICATION, "Remediated", "3 of 3 pods are ready", Notice.COMPLETION, Outcome.REMEDIATED)
UNSURE = End(
    Phase.FAILED, Stage.ANALYSIS, "NoMatchingWorkflows", "no workflow fits an OOM kill", Notice.REVIEW, Outcome.MANUAL_REVIEW_REQUIRED
)
LATE = End(Phase.TIMED_OUT, Stage.ANALYSIS, "TimedOut", "out of time", Notice.ESCALATION, escalation=EscalationReason.TIMEOUT)


def asked(case):
    case.processed().asking().questioned()
    return approval(case.request, case.family, "#kubernaut-approvals")


def test_the_approval_notification_is_the_documented_one(case):
    message = asked(case)
    spec = message.wire()["spec"]
    assert message.metadata.name == f"{RR}-approval-notification"
    assert (spec["type"], spec["priority"], spec["channels"]) == ("Approval", "High", ["slack", "console"])
    assert spec["recipients"] == [{"channel": "slack", "address": "#kubernaut-approvals"}]
    assert spec["subject"] == "🚨 Approval Required: production asks for a person"
    assert spec["metadata"] == {
        "remediationRequest": RR,
        "aiAnalysis": f"{RR}-analysis",
        "aiApprovalRequest": f"approval-{RR}-analysis",
        "confidence": "0.92",
    }


@pytest.mark.parametrize(
    "part",
    [
        pytest.param("The container is OOM-killed at its limit of 128Mi.", id="investigation summary"),
        pytest.param("- pod payment-service-5d8f-x2 was OOMKilled", id="evidence"),
        pytest.param("- increase the memory limit to 256Mi: it needs more than 128Mi", id="recommended actions"),
        pytest.param("- restart: quick, but it would be killed again", id="alternatives"),
        pytest.param("the target is in production", id="approval rationale"),
        pytest.param("+        memory: 256Mi", id="what will change"),
        pytest.param(f"`kubernaut approve approval-{RR}-analysis`", id="how to decide with our command"),
        pytest.param(
            f"kubectl patch aiapprovalrequest approval-{RR}-analysis -n kubernaut-system --subresource=status",
            id="how to decide with kubectl",
        ),
        pytest.param("2026-01-01 12:15:00 UTC", id="until when"),
    ],
)
def test_the_approval_body_has(case, part):
    assert part in asked(case).spec.body


def test_an_approval_without_preview_says_so(case):
    case.processed().asking()
    assert "cannot be previewed" in approval(case.request, case.family, "#a").spec.body


def test_an_approval_without_context_still_tells_the_cause(case):
    case.processed().analysed("Approving", approvalRequestName="approval-x", approvalRequestedAt=T0)
    assert "memory limit of 128Mi is too low" in approval(case.request, case.family, "#a").spec.body


def test_a_subject_fits_its_bound(case):
    case.processed().asking()
    context = case.family.analysis.status.approval_context
    context.reason = "x" * 1024
    assert len(approval(case.request, case.family, "#a").spec.subject) == 500


@pytest.mark.parametrize(
    ("priority", "channels"), [("P0", ["console", "slack"]), ("P1", ["console", "slack"]), ("P2", ["console"]), ("P3", ["console"])]
)
def test_good_news_goes_to_the_console_and_to_slack_when_it_was_urgent(case, priority, channels):
    case.spec = {"priority": priority}
    message = completion(case.processed().analysed().request, case.family, GOOD, T0 + timedelta(minutes=3))
    assert message.metadata.name == f"{RR}-completion"
    assert message.wire()["spec"]["channels"] == channels
    assert "3 of 3 pods are ready" in message.spec.body
    assert "increase-memory-conservative" in message.spec.body
    assert "after 3m0s" in message.spec.body


def test_the_same_evidence_from_many_pods_is_told_once_with_the_first_of_them(case):
    rows = [{"source": f"pod/production/web-{n}", "says": "the kernel killed it"} for n in range(3)]
    limit = {"source": "deployment/production/web", "says": "the limit is 128Mi"}
    message = completion(case.processed().analysed(evidence=[*rows, limit]).request, case.family, GOOD, T0)
    assert [line for line in message.spec.body.splitlines() if "Evidence" in line] == [
        "- Evidence: the kernel killed it (`pod/production/web-0` and 2 more)",
        "- Evidence: the limit is 128Mi (`deployment/production/web`)",
    ]


def test_no_workflow_fits_tells_a_person_why(case):
    case.processed().analysed(selectedWorkflow=None)
    message = manual_review(case.request, case.family, UNSURE, T0)
    assert (message.metadata.name, message.spec.type.value) == (f"{RR}-manual-review", "ManualReview")
    assert "no workflow fits an OOM kill" in message.spec.body
    assert [each.value for each in message.spec.channels] == ["console", "pagerduty", "slack", "email"]


def test_what_nobody_knows_is_told_once_in_whole_sentences_with_commands_that_work_as_they_stand(case):
    unknown = "I don't know what is wrong. A person must look."
    case.processed().analysed(phase="Failed", selectedWorkflow=None, rootCause=unknown, confidence=0)
    body = manual_review(case.request, case.family, dataclasses.replace(UNSURE, message=unknown), T0).spec.body
    assert f": {unknown}\n- Cause: not known\n" in body
    assert f"`kubectl describe rr {RR} -n {case.request.metadata.namespace}`" in body


def test_the_fallback_of_an_escalation_has_its_name_and_its_owner(case):
    message = escalation_fallback(Escalation(case.request, case.family, LATE, T0, case.settings))
    assert message.metadata.name == f"{RR}-escalation-ai-analysis"
    (owner,) = message.metadata.owner_references
    assert (owner.uid, owner.controller, owner.block_owner_deletion) == (f"uid-{RR}", True, True)
    details = message.spec.details["escalationDetails"]
    assert isinstance(details, dict)
    assert details["timeoutDuration"] == "10m0s"

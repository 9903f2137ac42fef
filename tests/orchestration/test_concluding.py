"""An end is decided once and written down before people are told, so that a crash between the two cannot tell two ends."""

import pytest

from kubernaut.api.notification import ChannelName, EscalationReason, NotificationRequest, NotificationRequestSpec, NotificationType
from kubernaut.api.remediation import Outcome, Phase, RemediationRequest, RemediationRequestStatus
from kubernaut.orchestration.facts import Stage
from kubernaut.orchestration.family import Family
from kubernaut.orchestration.report import report
from kubernaut.orchestration.settings import OrchestrationSettings
from kubernaut.orchestration.steps import Conclude, End, Notice, concluded
from tests.orchestration.cases import T0, Case
from tests.orchestration.staging import RR
from tests.world import eventually

ENDS = {
    "all fields": End(
        Phase.FAILED,
        Stage.EXECUTION,
        "ExecutionFailed",
        "step 2 failed",
        Notice.ESCALATION,
        outcome=Outcome.MANUAL_REVIEW_REQUIRED,
        escalation=EscalationReason.FAILED,
        failure_phase="recovery_evaluation",
        verdict="same_failure_again",
        duplicate_of="remediation-other",
        proposal="```diff\n+ memory: 1Gi\n```",
    ),
    "few fields": End(Phase.CANCELLED, Stage.OVERALL, "Cancelled", "", Notice.COMPLETION),
}
ENDING = {
    "phase": "Failed",
    "stage": "remediation-processing",
    "reason": "InvalidSignal",
    "message": "nobody can read it",
    "notice": "manual-review",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_an_end_is_read_back_as_it_was_written(end):
    request = Case().request
    report(request, Family(), Conclude(end, T0), OrchestrationSettings(), T0)
    stored = RemediationRequestStatus.model_validate(request.status.wire())
    assert stored.ending is not None
    assert (concluded(stored.ending), stored.completion_time, stored.overall_phase) == (end, None, Phase.PENDING)


@pytest.mark.asyncio(loop_scope="module")
async def test_what_was_decided_before_a_crash_stands_though_the_signal_has_resolved_since(stage):
    await stage.open()
    status = {"ending": ENDING, "signalState": "resolved"}
    await stage.world.client.patch(RemediationRequest.card, RR, stage.namespace, {"status": status}, subresource="status")
    async with stage.orchestrator():
        ended = await stage.until(overallPhase="Failed", failureReason="InvalidSignal: nobody can read it")
        await stage.there(NotificationRequest, f"{RR}-manual-review")
    assert (ended.get("ending"), await stage.get(NotificationRequest, f"{RR}-completion")) == (None, None)


@pytest.mark.asyncio(loop_scope="module")
async def test_it_is_written_down_before_people_are_told(stage):
    """The message cannot be made, since its name is another's: what was decided is on record all the same."""
    spec = NotificationRequestSpec(type=NotificationType.SIMPLE, subject="of another", body="b", channels=[ChannelName.CONSOLE]).wire()
    other = {"metadata": {"name": f"{RR}-completion", "namespace": stage.namespace}, "spec": spec}
    await stage.world.client.create(NotificationRequest.card, other)

    async def decided():
        status = (await stage.get(RemediationRequest, RR)).get("status", {})
        return status if "ending" in status else None

    async with stage.orchestrator():
        await stage.open()
        await stage.planned(phase="Completed", actionRequired=False, message="all pods are healthy")
        status = await eventually(decided)
        assert (status["ending"]["outcome"], status.get("completionTime")) == ("NoActionRequired", None)
        await stage.world.client.delete(NotificationRequest.card, f"{RR}-completion", stage.namespace)
        await stage.skip(seconds=1)
        await stage.until(overallPhase="Completed", outcome="NoActionRequired")

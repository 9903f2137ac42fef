"""Cases that do not end well: each ends as it should, and somebody is told."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from kubernaut.analysis.settings import PlanMode
from kubernaut.api import core
from kubernaut.api import workflow as we
from kubernaut.api.approval import AIApprovalRequest, Decision
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.notification import ChannelName, NotificationType
from kubernaut.api.remediation import Outcome, Phase
from kubernaut.api.verification import EffectivenessAssessment, Verdict
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.catalog import account
from kubernaut.cli.approving import CannotDecide, answer
from kubernaut.cli.embedded import APPROVER
from kubernaut.kube.errors import ApiError
from kubernaut.manifests import SYSTEM_NAMESPACE
from tests.journey.stage import alone, playing, settings_for, told

MODES = pytest.mark.parametrize("mode", PlanMode, ids=lambda mode: mode.value)
BEYOND = alone(told(needsMemory={"memory": "600Mi", "after": 0.4}), minReadySeconds=5)
"""A container that needs more than the doubled limit, and dies before its pod counts as available: no roll-out comes to its end."""
LATE = alone(told(needsMemory={"memory": "600Mi", "after": 1.2}))
"""The same, but its pod is available at once: a roll-out comes to its end before it dies."""


async def escalation(stage, request, phase, reason):
    """Check the message that calls people; return it as it was delivered."""
    message = await stage.message(f"{request.metadata.name}-escalation-{phase}")
    assert message.spec.type is NotificationType.ESCALATION
    assert message.status.successful_deliveries == 1
    assert [each.channel for each in message.status.delivery_attempts] == [ChannelName.CONSOLE]
    [sent] = [each for each in await stage.facts(request.metadata.name) if each["event_action"] == "EscalationSent"]
    assert (sent["event_data"]["reason"], sent["event_data"]["phase"]) == (reason, phase)
    assert message.spec.details["escalationReason"] == reason  # the form in which a POST came in; what is made without one differs
    assert request.status.escalation_sent_for == [f"{phase}/{reason}"]
    return message


async def untouched(stage):
    """Check that nothing was done to the Deployment."""
    assert (await stage.deployment())["metadata"]["generation"] == 1
    assert await stage.objects(core.PIPELINE_RUN) == []
    await stage.unlocked()


async def test_a_workflow_that_may_not_change_its_target_fails_in_plain_words_and_without_another_a_person_must_look(tmp_path):
    async with playing(tmp_path, played=alone(told())) as stage:
        await stage.client.delete(core.CLUSTER_ROLE_BINDING, account("increase-memory-conservative"))
        await stage.alert()
        await stage.decide(Decision.APPROVED)
        request = await stage.ended()
        details = stage.only(WorkflowExecution).status.failure_details
        assert details is not None
        assert (request.status.phase, request.status.outcome) == (Phase.FAILED, Outcome.MANUAL_REVIEW_REQUIRED)
        assert (request.status.failure_phase, request.status.recovery_attempts) == ("Analyzing", 1)
        assert (details.category, details.was_execution_failure, details.failed_task_name) == (
            we.FailureCategory.FORBIDDEN,
            True,
            "apply",
        )
        assert details.exit_code not in {None, 0}
        assert "forbidden" in f"{details.message} {details.termination_message}".lower()
        assert "increase-memory-conservative" in details.natural_language_summary
        assert details.natural_language_summary[:200] in request.status.failure_reason
        message = await stage.message(f"{request.metadata.name}-manual-review")
        assert "increase-memory-conservative" in message.spec.body
        assert [each.outcome for each in request.status.workflow_execution_refs] == ["failed"]
        assert (await stage.deployment())["metadata"]["generation"] == 1
        await stage.unlocked()


@MODES
async def test_a_rejected_fix_is_not_carried_out_and_people_are_told(tmp_path, mode):
    async with playing(tmp_path, played=alone(told()), settings=partial(settings_for, mode=mode)) as stage:
        await stage.alert()
        await stage.decide(Decision.REJECTED, "we scale down tonight")
        request = await stage.ended()
        assert (request.status.phase, request.status.failure_phase) == (Phase.FAILED, "Approval")
        assert f"{APPROVER} rejected the fix: we scale down tonight" in request.status.failure_reason
        message = await escalation(stage, request, "approval", "rejected")
        assert message.spec.details["escalationDetails"]["rejectionReason"] == "we scale down tonight"
        assert message.spec.details["escalationDetails"]["operator"] == APPROVER
        assert stage.view.all(WorkflowExecution) == []
        await untouched(stage)


async def test_nobody_answering_in_time_is_a_no(tmp_path):
    patience = {"approval_timeout": timedelta(seconds=1)}
    async with playing(tmp_path, played=alone(told()), settings=partial(settings_for, analysis=patience)) as stage:
        await stage.alert()
        request = await stage.ended()
        question = stage.only(AIApprovalRequest)
        assert (question.status.decision, question.status.decided_by) == (Decision.EXPIRED, "system")
        assert (request.status.phase, request.status.failure_phase) == (Phase.FAILED, "Approval")
        assert request.status.failure_reason.startswith("ApprovalExpired")
        await escalation(stage, request, "approval", "timeout")
        with pytest.raises(CannotDecide):
            await answer(stage.person, question, Decision.APPROVED, "too late", datetime.now(UTC))
        await untouched(stage)


async def test_nobody_decides_under_another_name_nor_twice(tmp_path):
    async with playing(tmp_path, played=alone(told())) as stage:
        await stage.alert()
        question = await stage.question()
        meta = question.metadata
        forged = {"status": {"decision": "Approved", "decidedBy": "somebody@example.com", "decidedVia": "kubectl"}}
        with pytest.raises(ApiError) as refused:
            await stage.person.patch(AIApprovalRequest.card, meta.name, meta.namespace, forged, subresource="status")
        assert (refused.value.status, "nobody decides for somebody else" in refused.value.message) == (403, True)
        await stage.decide(Decision.REJECTED, "no")
        changed = {"status": {"decision": "Approved", "decidedBy": APPROVER}}
        with pytest.raises(ApiError):
            await stage.person.patch(AIApprovalRequest.card, meta.name, meta.namespace, changed, subresource="status")
        assert (await stage.ended()).status.failure_phase == "Approval"


async def test_a_run_that_outlives_its_limit_is_cancelled_and_the_case_is_out_of_time(tmp_path):
    async with playing(tmp_path, played=BEYOND) as stage:
        await stage.alert()
        await stage.question()
        await stage.patience(workflowExecutionTimeout="2s")
        await stage.decide(Decision.APPROVED)
        request = await stage.ended()
        status = request.status
        assert (status.phase, status.outcome, status.timeout_phase, status.failure_phase) == (
            Phase.TIMED_OUT,
            None,
            "workflow-execution",
            "Executing",
        )
        message = await escalation(stage, request, "workflow-execution", "timeout")
        assert message.spec.details["escalationDetails"]["timeoutDuration"] == "2s"
        execution = await stage.until(WorkflowExecution, lambda each: each.status.completion_time is not None)
        assert execution.status.failure_details
        assert execution.status.failure_details.category is we.FailureCategory.DEADLINE_EXCEEDED
        [run] = await stage.objects(core.PIPELINE_RUN)
        assert [each["reason"] for each in run["status"]["conditions"]] == ["PipelineRunTimeout"]
        await stage.unlocked()


async def test_an_operation_whose_effect_does_not_come_is_out_of_time(tmp_path):
    async with playing(tmp_path, played=BEYOND, settings=partial(settings_for, mode=PlanMode.STEPS)) as stage:
        await stage.alert()
        await stage.question()
        await stage.patience(kubernetesExecutionTimeout="2s")
        await stage.decide(Decision.APPROVED)
        request = await stage.ended()
        assert (request.status.phase, request.status.timeout_phase) == (Phase.TIMED_OUT, "kubernetes-execution")
        await escalation(stage, request, "kubernetes-execution", "timeout")
        execution = await stage.until(KubernetesExecution, lambda each: each.status.completion_time is not None)
        assert execution.status.failure_reason == "timeout"
        await stage.unlocked()


@MODES
async def test_a_fix_that_does_not_help_is_called_so(tmp_path, mode):
    patience = {"stabilization_window": timedelta(seconds=2), "validity": timedelta(seconds=5)}
    async with playing(tmp_path, played=LATE, settings=partial(settings_for, mode=mode, orchestration=patience)) as stage:
        await stage.alert()
        async with stage.alerting():
            await stage.decide(Decision.APPROVED)
            request = await stage.ended()
        assert (request.status.phase, request.status.outcome) == (Phase.COMPLETED, Outcome.INCONCLUSIVE)
        assert stage.only(EffectivenessAssessment).status.verdict in {Verdict.INEFFECTIVE, Verdict.WORSE}
        assert (await stage.deployment())["metadata"]["generation"] == 2
        assert request.status.signal_state == "firing"
        await escalation(stage, request, "verification", "failed")
        await stage.unlocked()


async def test_where_no_workflow_fits_a_person_is_told(tmp_path):
    async with playing(tmp_path, played=alone(told())) as stage:
        for workflow in stage.view.all(RemediationWorkflow):
            await stage.client.delete(RemediationWorkflow.card, workflow.metadata.name, SYSTEM_NAMESPACE)
        await stage.alert()
        request = await stage.ended()
        assert (request.status.phase, request.status.outcome) == (Phase.FAILED, Outcome.MANUAL_REVIEW_REQUIRED)
        assert request.status.escalated_to_manual_review
        message = await stage.message(f"{request.metadata.name}-manual-review")
        assert message.spec.type is NotificationType.MANUAL_REVIEW
        assert message.status.successful_deliveries == 1
        assert "needs more memory" in message.spec.body
        assert stage.view.all(WorkflowExecution) == []
        await untouched(stage)

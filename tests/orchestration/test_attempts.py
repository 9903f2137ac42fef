"""A fix that failed is followed by another, never by the same; what somebody deleted is never done again."""

from datetime import timedelta

import pytest

from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.base import CANCEL_ANNOTATION
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.notification import NotificationRequest
from kubernaut.api.processing import RemediationProcessing
from kubernaut.api.remediation import RemediationRequest
from kubernaut.api.verification import EffectivenessAssessment
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.orchestration.settings import OrchestrationSettings
from tests.orchestration.cases import DEPLOYMENT, SIGNAL, STEPS, WORKFLOW
from tests.orchestration.staging import ANALYSIS, EA, EXECUTION, PLAN, PROCESSING, QUESTION, RR, STEP_WFE, WFE

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORBIDDEN = {"category": "Forbidden", "failedTaskName": "apply", "naturalLanguageSummary": "the runner may not patch deployments"}
OTHER = {**PLAN, "selectedWorkflow": {**WORKFLOW, "workflowId": "restart-pods", "parameters": {"NAMESPACE": "production"}}}


def failed(**details):
    return {"phase": "Failed", "outcome": "Failed", "failureDetails": {**FORBIDDEN, **details}}


async def again(stage, number, **analysis):
    """Report what an attempt's processing and analysis found."""
    await stage.report(RemediationProcessing, f"{RR}-recovery-{number}", phase="Completed", enrichedSignal=SIGNAL)
    await stage.report(AIAnalysis, f"{ANALYSIS}-{number}", **(analysis or OTHER))


async def test_a_failed_fix_is_followed_by_another_that_knows_of_it(stage):
    async with stage.orchestrator():
        await stage.open()
        await stage.planned()
        await stage.report(WorkflowExecution, WFE, **failed())
        recovering = await stage.until(overallPhase="Recovering", recoveryAttempts=1)
        assert recovering["recoveryReason"] == "Forbidden: the runner may not patch deployments"
        anew = await stage.there(RemediationProcessing, f"{RR}-recovery-1")
        assert anew["metadata"]["labels"] | {"remediation-request": RR, "type": "recovery", "attempt": "1"} == anew["metadata"]["labels"]
        told = anew["spec"]
        assert (told["isRecoveryAttempt"], told["recoveryAttemptNumber"], told["failedStep"]) == (True, 1, "apply")
        assert (told["failedWorkflowRef"]["name"], told["originalProcessingRef"]["name"]) == (WFE, PROCESSING)
        await again(stage, 1)
        await stage.report(WorkflowExecution, f"{WFE}-1", phase="Completed")
        await stage.report(EffectivenessAssessment, EA, phase="Completed", verdict="Effective")
        ended = await stage.until(overallPhase="Completed", outcome="Remediated")
        spec = (await stage.there(AIAnalysis, f"{ANALYSIS}-1"))["spec"]
    (before,) = spec["previousExecutions"]
    assert (spec["isRecoveryAttempt"], spec["recoveryAttemptNumber"]) == (True, 1)
    assert (before["workflowId"], before["parameters"]) == (WORKFLOW["workflowId"], WORKFLOW["parameters"])
    assert (before["failedStep"], before["reason"]) == ("apply", "Forbidden")
    assert [(each["name"], each.get("attemptNumber", 0), each["outcome"]) for each in ended["workflowExecutionRefs"]] == [
        (WFE, 0, "failed"),
        (f"{WFE}-1", 1, "completed"),
    ]
    assert [each["name"] for each in ended["aiAnalysisRefs"]] == [ANALYSIS, f"{ANALYSIS}-1"]
    assert [each["type"] for each in ended["remediationProcessingRefs"]] == ["initial", "recovery"]
    assert (ended["workflowExecutionRef"]["name"], ended["retryCount"]) == (f"{WFE}-1", 1)
    assert stage.escalations() == []


async def ends_in_a_persons_hands(stage, reason):
    ended = await stage.until(overallPhase="Failed", failurePhase="recovery_evaluation", escalatedToManualReview=True)
    assert ended["recoveryReason"] == reason
    assert [each["escalationReason"] for each in stage.escalations()] == ["failed"]
    return ended


async def test_the_same_failure_twice_is_the_last(stage):
    async with stage.orchestrator():
        await stage.open()
        await stage.planned()
        await stage.report(WorkflowExecution, WFE, **failed())
        await again(stage, 1)
        await stage.report(WorkflowExecution, f"{WFE}-1", **failed())
        await ends_in_a_persons_hands(stage, "repeated_failure_pattern")
        assert await stage.get(RemediationProcessing, f"{RR}-recovery-2") is None


async def test_what_failed_is_not_carried_out_again_even_if_it_is_chosen_again(stage):
    async with stage.orchestrator():
        await stage.open()
        await stage.planned()
        await stage.report(WorkflowExecution, WFE, **failed())
        await again(stage, 1, **PLAN)
        await ends_in_a_persons_hands(stage, "repeated_failure_pattern")
        assert await stage.get(WorkflowExecution, f"{WFE}-1") is None


async def test_nobody_is_asked_for_what_has_failed(stage):
    async with stage.orchestrator():
        await stage.open()
        await stage.planned()
        await stage.report(WorkflowExecution, WFE, **failed())
        moment = stage.clock.now().isoformat()
        await again(stage, 1, **{**QUESTION, **PLAN, "phase": "Approving", "approvalRequestedAt": moment})
        await ends_in_a_persons_hands(stage, "repeated_failure_pattern")
        assert await stage.get(NotificationRequest, f"{RR}-approval-notification") is None


async def test_there_are_no_more_attempts_than_allowed(stage):
    settings = OrchestrationSettings(max_recovery_attempts=1)
    async with stage.orchestrator(settings=settings):
        await stage.open()
        await stage.planned()
        await stage.report(WorkflowExecution, WFE, **failed())
        await again(stage, 1)
        await stage.report(WorkflowExecution, f"{WFE}-1", **failed(category="TaskFailed"))
        await ends_in_a_persons_hands(stage, "max_recovery_attempts_exceeded")


async def test_nothing_is_tried_again_while_fixes_fail_all_over_the_cluster(stage):
    settings = OrchestrationSettings(termination_sample=2)
    async with stage.orchestrator(settings=settings):
        spec = {"remediationRequestRef": {"name": "other"}, "targetResource": "shop/deployment/other", "workflowRef": WORKFLOW}
        ended = {"phase": "Failed", "completionTime": stage.clock.now().isoformat()}
        await stage.world.create(WorkflowExecution.card, {"metadata": {"name": "other-wfe", "namespace": stage.namespace}, "spec": spec})
        await stage.report(WorkflowExecution, "other-wfe", **ended)
        await stage.open()
        await stage.planned()
        await stage.report(WorkflowExecution, WFE, **failed(), completionTime=ended["completionTime"])
        found = await ends_in_a_persons_hands(stage, "termination_rate_exceeded")
    assert "2 of 2 fixes in the cluster failed in the last hour" in found["failureReason"]


async def test_steps_that_failed_are_followed_by_other_steps(stage):
    other = [{"stepNumber": 1, "action": "restart_pod", "parameters": {}, "target": DEPLOYMENT}]
    async with stage.orchestrator():
        await stage.open()
        steps = {"phase": "Completed", "rootCause": "the limit is too low"}
        await stage.planned(**steps, recommendations=[{"id": "1", "action": "increase_resources", "workflowSteps": STEPS}])
        await stage.report(WorkflowExecution, STEP_WFE, phase="Completed", operations=STEPS)
        result = {"stepNumber": 1, "action": "increase_resources", "phase": "Failed"}
        await stage.report(KubernetesExecution, EXECUTION, phase="Failed", failureReason="dry_run_failed", operationResults=[result])
        await again(stage, 1, **steps, recommendations=[{"id": "1", "action": "restart_pod", "workflowSteps": other}])
        await stage.report(WorkflowExecution, f"{STEP_WFE}-1", phase="Completed", operations=other)
        await stage.report(KubernetesExecution, f"{EXECUTION}-1", phase="Completed")
        ended = await stage.until(overallPhase="Verifying")
        (before,) = (await stage.there(AIAnalysis, f"{ANALYSIS}-1"))["spec"]["previousExecutions"]
    assert [(each["failedStep"], each["errorType"]) for each in ended["kubernetesExecutionRefs"][:1]] == [
        ("increase_resources", "dry_run_failed")
    ]
    assert (before["failedStep"], before["parameters"]) == ("increase_resources", STEPS[0]["parameters"])


async def test_a_finished_fix_that_somebody_deletes_is_not_done_again(stage):
    async with stage.orchestrator():
        await stage.open()
        await stage.planned()
        await stage.report(WorkflowExecution, WFE, phase="Completed")
        await stage.until(overallPhase="Verifying")
        await stage.world.client.delete(WorkflowExecution.card, WFE, stage.namespace)
        await stage.gone(WorkflowExecution, WFE)
        await stage.report(EffectivenessAssessment, EA, phase="Completed", verdict="Effective")
        ended = await stage.until(overallPhase="Completed", outcome="Remediated")
        assert await stage.get(WorkflowExecution, WFE) is None
    assert ended["workflowExecutionRefs"][0]["outcome"] == "completed"


async def test_a_fix_that_somebody_deletes_at_work_is_told_to_people_and_not_begun_again(stage):
    async with stage.orchestrator():
        await stage.open()
        await stage.planned()
        await stage.until(overallPhase="Executing")
        await stage.report(WorkflowExecution, WFE, phase="Running", startTime=stage.clock.now().isoformat())
        await stage.world.client.delete(WorkflowExecution.card, WFE, stage.namespace)
        await stage.gone(WorkflowExecution, WFE)
        ended = await stage.until(overallPhase="Failed", failurePhase="Executing")
    assert ended["failureReason"] == f"StageObjectDeleted: {WFE} was deleted before its end was seen; it is not made again"
    assert len(stage.escalations()) == 1


@pytest.mark.parametrize("after", ["processing", "analysis"])
async def test_what_is_behind_us_may_be_deleted(stage, after):
    model, name = {"processing": (RemediationProcessing, PROCESSING), "analysis": (AIAnalysis, ANALYSIS)}[after]
    async with stage.orchestrator():
        await stage.open()
        await stage.planned()
        await stage.there(WorkflowExecution, WFE)
        await stage.until(overallPhase="Executing")
        await stage.world.client.delete(model.card, name, stage.namespace)
        await stage.gone(model, name)
        await stage.report(WorkflowExecution, WFE, phase="Completed")
        await stage.until(overallPhase="Verifying")
        assert await stage.get(model, name) is None


async def test_a_person_cancels_and_nothing_is_begun_after(stage):
    async with stage.orchestrator():
        await stage.open()
        await stage.until(overallPhase="Processing")
        await stage.annotate(**{CANCEL_ANNOTATION: "alice: we fix it by hand"})
        ended = await stage.until(overallPhase="Cancelled")
        await stage.report(RemediationProcessing, PROCESSING, phase="Completed", enrichedSignal=SIGNAL)
        message = await stage.there(NotificationRequest, f"{RR}-completion")
        await stage.skip(minutes=1)
        assert await stage.get(AIAnalysis, ANALYSIS) is None
    assert ended["cancelReason"] == "alice: we fix it by hand"
    assert "cancelled: alice: we fix it by hand" in message["spec"]["body"]
    assert stage.escalations() == []


async def test_a_fix_that_has_not_begun_is_withdrawn_when_a_person_cancels(stage):
    async with stage.orchestrator():
        await stage.open()
        await stage.planned()
        await stage.there(WorkflowExecution, WFE)
        await stage.annotate(**{CANCEL_ANNOTATION: "not now"})
        await stage.until(overallPhase="Cancelled")
        await stage.gone(WorkflowExecution, WFE)


async def test_work_is_told_to_stop_and_awaited_when_a_person_cancels(stage):
    async with stage.orchestrator():
        await stage.open()
        await stage.planned()
        await stage.until(overallPhase="Executing")
        await stage.report(WorkflowExecution, WFE, phase="Running", startTime=stage.clock.now().isoformat())
        await stage.annotate(**{CANCEL_ANNOTATION: "wrong fix"})
        stopping = await stage.until(overallPhase="Executing", message="stopping: wrong fix")
        assert stopping["cancelReason"] == "wrong fix"
        await stage.annotate(**{CANCEL_ANNOTATION: None})
        told = await stage.there(WorkflowExecution, WFE)
        assert told["metadata"]["annotations"][CANCEL_ANNOTATION] == "wrong fix"
        await stage.report(WorkflowExecution, WFE, **failed(category="Unknown"))
        ended = await stage.until(overallPhase="Cancelled")
        assert await stage.get(RemediationProcessing, f"{RR}-recovery-1") is None
    assert ended["workflowExecutionRefs"][0]["outcome"] == "failed"


async def test_work_that_does_not_stop_is_told_to_people(stage):
    async with stage.orchestrator():
        await stage.open()
        await stage.planned()
        await stage.until(overallPhase="Executing")
        await stage.report(WorkflowExecution, WFE, phase="Running", startTime=stage.clock.now().isoformat())
        await stage.annotate(**{CANCEL_ANNOTATION: ""})
        await stage.until(message="stopping: by a person")
        await stage.skip(minutes=2)
        await stage.until(overallPhase="Cancelled")
    assert [each["escalationPhase"] for each in stage.escalations()] == ["workflow-execution"]


@pytest.mark.parametrize("asked", [False, True], ids=["no question", "a person would be asked"])
async def test_a_dry_run_stops_where_a_fix_would_be_carried_out(stage, asked):
    async with stage.orchestrator():
        await stage.open(annotations={"kubernaut.ai/dry-run": "true"})
        question = {"phase": "Approving", "approvalRequestedAt": stage.clock.now().isoformat(), **QUESTION}
        await stage.planned(**(question if asked else PLAN))
        ended = await stage.until(overallPhase="Completed", outcome="DryRun")
        message = await stage.there(NotificationRequest, f"{RR}-completion")
        assert await stage.get(WorkflowExecution, WFE) is None
        assert await stage.get(NotificationRequest, f"{RR}-approval-notification") is None
    assert ended["dryRun"] is True
    assert "dry run: a fix was found" in message["spec"]["body"]


async def test_dry_run_can_be_set_for_all(stage):
    async with stage.orchestrator(settings=OrchestrationSettings(dry_run=True)):
        await stage.open()
        await stage.planned()
        await stage.until(overallPhase="Completed", outcome="DryRun")


async def test_a_status_that_lags_walks_through_the_rows(stage):
    await stage.open()
    async with stage.orchestrator():
        await stage.until(overallPhase="Processing")
    await stage.report(RemediationProcessing, PROCESSING, phase="Completed", enrichedSignal=SIGNAL)
    async with stage.orchestrator():
        await stage.until(overallPhase="Analyzing")
    await stage.report(AIAnalysis, ANALYSIS, phase="Rejected", approvalStatus="Rejected", rejectedBy="alice")
    await stage.report(RemediationRequest, RR, overallPhase="Pending")
    async with stage.orchestrator():
        await stage.until(overallPhase="Failed", failurePhase="Approval")
    await stage.walks("Pending-Processing", "Processing-Analyzing", "Analyzing-AwaitingApproval", "AwaitingApproval-Failed-Approval")


async def test_an_operator_who_shortens_a_limit_is_obeyed_at_once(stage):
    async with stage.orchestrator():
        await stage.open()
        await stage.until(overallPhase="Processing")
        body = {"spec": {"timeoutConfig": {"remediationProcessingTimeout": "10ms"}}}
        await stage.world.client.patch(RemediationRequest.card, RR, stage.namespace, body)
        await stage.until(overallPhase="TimedOut", timeoutPhase="remediation-processing")


async def test_retention_follows_the_environment(stage):
    settings = OrchestrationSettings(retention_by_environment={"production": timedelta(hours=72)})
    async with stage.orchestrator(settings=settings):
        await stage.open()
        await stage.planned(phase="Completed", actionRequired=False)
        ended = await stage.until(overallPhase="Completed")
    assert ended["retentionExpiryTime"][:10] > ended["completionTime"][:10]
    assert settings.retention < timedelta(hours=72)

"""The orchestrator over a real Kubernetes API: the test plays the stages, and writes what they would report."""

import pytest

from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.base import CORRELATION_LABEL
from kubernaut.api.brake import EVERYWHERE
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.notification import NotificationRequest
from kubernaut.api.processing import RemediationProcessing
from kubernaut.api.remediation import RemediationRequest
from kubernaut.api.verification import EffectivenessAssessment
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.cli import pausing
from kubernaut.kube.journal import JOURNAL_FINALIZER
from kubernaut.orchestration.records import records
from tests.orchestration.cases import DEPLOYMENT
from tests.orchestration.conftest import SIGNAL, STEPS
from tests.orchestration.staging import ANALYSIS, EA, EXECUTION, PLAN, PROCESSING, QUESTION, RR, STEP_WFE, WFE

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_catalogue_path_from_signal_to_remediated(stage):
    async with stage.orchestrator():
        request = await stage.open()
        await stage.until(overallPhase="Processing")
        await stage.report(RemediationProcessing, PROCESSING, phase="Completed", enrichedSignal=SIGNAL)
        await stage.until(overallPhase="Analyzing", environment="production", priority="P0")
        await stage.report(AIAnalysis, ANALYSIS, phase="Approving", approvalRequestedAt=stage.clock.now().isoformat(), **QUESTION)
        await stage.until(overallPhase="AwaitingApproval", approvalNotificationSent=True)
        message = await stage.there(NotificationRequest, f"{RR}-approval-notification")
        await stage.report(AIAnalysis, ANALYSIS, approvalStatus="Approved", approvalTime=stage.clock.now().isoformat(), **PLAN)
        await stage.until(overallPhase="Executing", selectedWorkflow="increase-memory-conservative")
        await stage.report(WorkflowExecution, WFE, phase="Completed", outcome="Success")
        await stage.until(overallPhase="Verifying")
        await stage.report(
            EffectivenessAssessment, EA, phase="Completed", verdict="Effective", reason="Full", message="3 of 3 pods are ready"
        )
        ended = await stage.until(overallPhase="Completed", outcome="Remediated")
        completion = await stage.there(NotificationRequest, f"{RR}-completion")

        children = [await stage.there(model, name) for model, name in CATALOGUE]
    for child in (*children, message, completion):
        (owner,) = child["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == (request["metadata"]["uid"], True, True)
        assert child["metadata"]["labels"] == {CORRELATION_LABEL: RR}
    ref = {"namespace": stage.namespace}
    assert ended["remediationProcessingRef"] == {"name": PROCESSING, **ref}
    assert ended["aiAnalysisRef"] == {"name": ANALYSIS, **ref}
    assert ended["workflowExecutionRef"] == {"name": WFE, **ref}
    assert ended["effectivenessAssessmentRef"] == {"name": EA, **ref}
    assert ended["remediationTarget"] == "production/deployment/payment-service"
    assert "kubernetesExecutionRef" not in ended
    assert [entry["reason"] for entry in ended["journal"]["pending"]] == STORY
    told = RemediationRequest.model_validate(await stage.get(RemediationRequest, RR))
    assert [each.overall_phase for each in records(told, told.status.journal.pending)] == PHASES
    assert stage.escalations() == []


CATALOGUE = [(RemediationProcessing, PROCESSING), (AIAnalysis, ANALYSIS), (WorkflowExecution, WFE), (EffectivenessAssessment, EA)]
STORY = [
    "RemediationProcessingCreated",
    "PhaseTransition",
    "AIAnalysisCreated",
    "PhaseTransition",
    "NotificationCreated",
    "PhaseTransition",
    "WorkflowExecutionCreated",
    "PhaseTransition",
    "EffectivenessAssessmentCreated",
    "PhaseTransition",
    "RemediationRequestCompleted",
    "PhaseTransition",
]
PHASES = ["processing", "analyzing", "awaitingapproval", "executing", "verifying", "completed"]


async def test_step_path_makes_an_execution_of_the_planned_operations(stage):
    async with stage.orchestrator():
        await stage.open()
        recommended = [{"id": "1", "action": "increase_resources", "workflowSteps": STEPS}]
        await stage.planned(phase="Completed", rootCause="the limit is too low", recommendations=recommended)
        await stage.report(WorkflowExecution, STEP_WFE, phase="Completed", operations=STEPS)
        execution = await stage.there(KubernetesExecution, EXECUTION)
        assert [each["action"] for each in execution["spec"]["operations"]] == ["increase_resources"]
        assert execution["spec"]["executionConfig"].items() >= {"dryRun": False, "safetyValidation": True, "timeout": "10m"}.items()
        await stage.report(KubernetesExecution, EXECUTION, phase="Completed")
        ended = await stage.until(overallPhase="Verifying")
        assert ended["kubernetesExecutionRef"]["name"] == EXECUTION
        assert await stage.get(WorkflowExecution, WFE) is None


async def test_a_phase_that_outlives_its_limit_times_out_and_people_are_called(stage):
    async with stage.orchestrator():
        await stage.open()
        await stage.until(overallPhase="Processing")
        await stage.skip(minutes=5)
        ended = await stage.until(overallPhase="TimedOut")
        (body,) = stage.escalations()
    assert (ended["timeoutPhase"], ended["failurePhase"]) == ("remediation-processing", "Processing")
    assert ended["escalationSentFor"] == ["remediation-processing/timeout"]
    assert (body["escalationReason"], body["escalationPhase"]) == ("timeout", "remediation-processing")
    assert body["escalationDetails"]["timeoutDuration"] == "5m0s"


async def test_a_limit_of_its_own_is_kept_without_anybody_stirring(stage):
    async with stage.orchestrator():
        await stage.open(timeoutConfig={"remediationProcessingTimeout": "100ms"})
        await stage.until(overallPhase="TimedOut")


@pytest.mark.parametrize("trouble", ["the service answers 503", "the service is unknown", "the provider data is broken"])
async def test_nobody_goes_untold(stage, trouble):
    stage.answer = 503 if "503" in trouble else 202
    async with stage.orchestrator(services="unknown" not in trouble):
        await stage.open(**({"providerData": "{"} if "broken" in trouble else {}))
        await stage.report(RemediationProcessing, PROCESSING, phase="Failed", failureReason="the cluster could not be read")
        ended = await stage.until(overallPhase="Failed")
        message = await stage.there(NotificationRequest, f"{RR}-escalation-remediation-processing")
    assert ended["failureReason"] == "ProcessingFailed: the cluster could not be read"
    assert "the cluster could not be read" in message["spec"]["body"]
    assert len(stage.escalations()) == (3 if "503" in trouble else 0)


async def test_a_fallback_finds_the_message_that_the_service_made_after_all(stage):
    stage.answer = 503
    made = {"type": "Escalation", "subject": "s", "body": "b", "channels": ["console"]}
    meta = {"name": f"{RR}-escalation-remediation-processing", "namespace": stage.namespace}
    await stage.world.create(NotificationRequest.card, {"metadata": meta, "spec": made})
    async with stage.orchestrator():
        await stage.open()
        await stage.report(RemediationProcessing, PROCESSING, phase="Failed")
        await stage.until(overallPhase="Failed")
    assert (await stage.get(NotificationRequest, meta["name"]))["spec"]["body"] == "b"


async def test_no_workflow_fits_and_a_person_is_told(stage):
    async with stage.orchestrator():
        await stage.open()
        review = {"needsHumanReview": True, "humanReviewReason": "no_matching_workflows", "subReason": "NoMatchingWorkflows"}
        await stage.planned(phase="Completed", rootCause="disk full", message="no workflow in the catalogue fits a full disk", **review)
        ended = await stage.until(overallPhase="Failed", outcome="ManualReviewRequired", escalatedToManualReview=True)
        message = await stage.there(NotificationRequest, f"{RR}-manual-review")
    assert ended["failureReason"] == "NoMatchingWorkflows: no workflow in the catalogue fits a full disk"
    assert "no workflow in the catalogue fits a full disk" in message["spec"]["body"]
    assert stage.escalations() == []


async def test_a_rejection_ends_it_and_nothing_is_carried_out(stage):
    async with stage.orchestrator():
        await stage.open()
        await stage.planned(phase="Rejected", approvalStatus="Rejected", rejectedBy="alice", rejectionReason="not today")
        ended = await stage.until(overallPhase="Failed", failurePhase="Approval")
        (body,) = stage.escalations()
    assert ended["failureReason"] == "ApprovalRejected: alice rejected the fix: not today"
    assert (body["escalationReason"], body["escalationPhase"]) == ("rejected", "approval")
    assert await stage.get(WorkflowExecution, WFE) is None


async def test_a_fix_that_has_not_begun_does_not_begin_after_the_end(stage):
    async with stage.orchestrator():
        await stage.open()
        await stage.planned()
        held = [{"type": "ResourceLocked", "status": "True", "reason": "TargetBusy", "message": "another fix works on it"}]
        await stage.report(WorkflowExecution, WFE, phase="Pending", conditions=held)
        blocked = await stage.until(overallPhase="Blocked", blockReason="TargetBusy")
        assert blocked["blockMessage"] == "another fix works on it"
        await stage.skip(minutes=31)
        await stage.until(overallPhase="TimedOut", timeoutPhase="workflow-execution", blockReason=None)
        await stage.gone(WorkflowExecution, WFE)


async def test_a_restart_at_every_step_changes_nothing(stage):
    """Each stage is seen by an orchestrator of its own; nothing is made twice and nothing is forgotten."""
    await stage.open()
    moment = stage.clock.now().isoformat()
    reports = [
        (RemediationProcessing, PROCESSING, {"phase": "Completed", "enrichedSignal": SIGNAL}),
        (AIAnalysis, ANALYSIS, {"phase": "Approving", "approvalRequestedAt": moment, **QUESTION}),
        (AIAnalysis, ANALYSIS, {"approvalStatus": "Approved", "approvalTime": moment, **PLAN}),
        (WorkflowExecution, WFE, {"phase": "Completed"}),
        (EffectivenessAssessment, EA, {"phase": "Completed", "verdict": "Effective"}),
    ]
    phases = ["Processing", "Analyzing", "AwaitingApproval", "Executing", "Verifying"]
    for phase, (model, name, status) in zip(phases, reports, strict=True):
        async with stage.orchestrator():
            await stage.until(overallPhase=phase)
        await stage.report(model, name, **status)
    async with stage.orchestrator():
        ended = await stage.until(overallPhase="Completed")
    assert [entry["reason"] for entry in ended["journal"]["pending"]] == STORY


async def test_a_wiped_status_comes_back(stage):
    async with stage.orchestrator():
        await stage.open()
        await stage.planned()
        before = await stage.until(overallPhase="Executing")
        await stage.there(WorkflowExecution, WFE)
        wiped = dict.fromkeys(before) | {"journal": None}
        await stage.world.client.patch(RemediationRequest.card, RR, stage.namespace, {"status": wiped}, subresource="status")
        after = await stage.until(overallPhase="Executing", workflowExecutionRef=before["workflowExecutionRef"])
    told = {"journal", "message", "phaseStartTime", "conditions"}
    assert {key: value for key, value in after.items() if key not in told} == {
        key: value for key, value in before.items() if key not in told
    }


async def test_what_has_ended_stays_ended_and_goes_with_its_children_after_a_day(stage):
    async with stage.orchestrator(services=False):
        await stage.open()
        await stage.planned(phase="Completed", actionRequired=False, message="all pods are healthy")
        ended = await stage.until(overallPhase="Completed", outcome="NoActionRequired")
        await stage.report(AIAnalysis, ANALYSIS, phase="Failed")
        await stage.skip(hours=23)
        assert (await stage.get(RemediationRequest, RR))["status"]["completionTime"] == ended["completionTime"]
        await stage.skip(hours=1)
        await stage.gone(RemediationRequest, RR)
        await stage.gone(RemediationProcessing, PROCESSING)


async def test_an_alert_that_resolved_by_itself_is_said_so(stage):
    async with stage.orchestrator():
        await stage.open()
        await stage.report(RemediationRequest, RR, signalState="resolved")
        await stage.planned(phase="Completed", actionRequired=False, message="all pods are healthy")
        await stage.until(overallPhase="Completed", outcome="SelfResolved")


async def test_a_signal_that_is_no_json_fails_and_people_are_called(stage):
    async with stage.orchestrator():
        await stage.open(originalPayload="not json")
        ended = await stage.until(overallPhase="Failed")
        (body,) = stage.escalations()
    assert ended["failureReason"].startswith("InvalidSignal: originalPayload is not JSON")
    assert body["escalationReason"] == "validation-error"
    assert await stage.get(RemediationProcessing, PROCESSING) is None


async def test_a_deleted_remediation_leaves_children_whose_facts_are_not_on_record(stage):
    async with stage.orchestrator():
        await stage.open()
        child = await stage.there(RemediationProcessing, PROCESSING)
        await stage.world.client.delete(RemediationRequest.card, RR, stage.namespace)
        await stage.gone(RemediationRequest, RR)
        left = await stage.there(RemediationProcessing, PROCESSING)
    assert (left["metadata"]["uid"], left["metadata"]["finalizers"]) == (child["metadata"]["uid"], [JOURNAL_FINALIZER])
    assert left["metadata"]["deletionTimestamp"]


async def test_a_plan_that_nobody_has_begun_is_made_anew_where_people_are_asked_anew(stage):
    stepwise = {"phase": "Completed", "rootCause": "the limit", "confidence": 0.92, "remediationTarget": DEPLOYMENT}
    recommended = {"recommendations": [{"id": "1", "action": "increase_resources", "workflowSteps": STEPS}]}
    brake = stage.world.client, stage.namespace, EVERYWHERE
    async with stage.orchestrator():
        await stage.open()
        await stage.planned(**stepwise, **recommended)
        old = await stage.there(WorkflowExecution, STEP_WFE)
        await pausing.pause(*brake, "a look", stage.clock.now(), cancel=False)
        await stage.report(WorkflowExecution, STEP_WFE, phase="Completed", operations=STEPS)
        await stage.until(overallPhase="Blocked", blockReason="Paused")
        await stage.report(AIAnalysis, ANALYSIS, phase="Approving", approvalRequestedAt=stage.clock.now().isoformat(), **QUESTION)
        await stage.until(overallPhase="AwaitingApproval")
        await stage.gone(WorkflowExecution, STEP_WFE)
        await pausing.resume(*brake, "seen")
        await stage.report(AIAnalysis, ANALYSIS, **stepwise, **recommended)
        new = await stage.there(WorkflowExecution, STEP_WFE)
        assert await stage.get(KubernetesExecution, EXECUTION) is None
    assert new["metadata"]["uid"] != old["metadata"]["uid"]

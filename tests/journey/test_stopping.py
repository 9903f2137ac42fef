"""A person's word: cancelled, rehearsed, deleted by hand. What runs stops, and nothing begins that should not."""

from datetime import UTC, datetime, timedelta
from functools import partial

from kubernaut.analysis.settings import PlanMode
from kubernaut.api import core
from kubernaut.api.approval import AIApprovalRequest, Decision
from kubernaut.api.base import CANCEL_ANNOTATION
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.processing import RemediationProcessing
from kubernaut.api.remediation import Outcome, Phase, RemediationRequest
from kubernaut.api.workflow import Phase as RunPhase
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.cli.embedded import APPROVER
from kubernaut.manifests import SYSTEM_NAMESPACE
from tests.journey.stage import alone, playing, settings_for, told
from tests.journey.test_ends import BEYOND, MODES, untouched

WHY = f"{APPROVER}: wrong fix"


async def cancel(stage):
    """Annotate the one remediation, as a person would by kubectl."""
    [request] = stage.view.all(RemediationRequest)
    body = {"metadata": {"annotations": {CANCEL_ANNOTATION: WHY}}}
    await stage.person.patch(RemediationRequest.card, request.metadata.name, SYSTEM_NAMESPACE, body)


async def test_a_cancelled_run_is_stopped_and_the_target_is_free_again(tmp_path):
    async with playing(tmp_path, played=BEYOND) as stage:
        await stage.alert()
        await stage.decide(Decision.APPROVED)
        await stage.until(WorkflowExecution, lambda each: each.status.phase is RunPhase.RUNNING)
        await cancel(stage)
        request = await stage.ended()
        assert (request.status.phase, request.status.outcome, request.status.cancel_reason) == (Phase.CANCELLED, None, WHY)
        [run] = await stage.objects(core.PIPELINE_RUN)
        assert run["spec"]["status"] == "Cancelled"
        assert [each["status"] for each in run["status"]["conditions"]] == ["False"]
        assert len(stage.view.all(RemediationProcessing)) == 1
        message = await stage.message(f"{request.metadata.name}-completion")
        assert WHY in message.spec.body
        facts = {each["event_action"] for each in await stage.facts(request.metadata.name)}
        assert {"CancellationRequested", "RemediationRequestCancelled"} <= facts
        await stage.unlocked()


async def test_a_cancelled_execution_takes_no_further_step(tmp_path):
    async with playing(tmp_path, played=BEYOND, settings=partial(settings_for, mode=PlanMode.STEPS)) as stage:
        await stage.alert()
        await stage.decide(Decision.APPROVED)
        await stage.until(
            KubernetesExecution,
            lambda each: bool(
                not each.spec.execution_config.dry_run and each.status.operation_results and each.status.operation_results[0].started_at
            ),
        )
        await cancel(stage)
        request = await stage.ended()
        execution = stage.only(KubernetesExecution)
        assert request.status.phase is Phase.CANCELLED
        assert (execution.status.failure_reason, WHY in execution.status.message) == ("cancelled", True)
        await stage.unlocked()


async def test_a_question_that_nobody_waits_for_any_more_cannot_be_answered_into_a_fix(tmp_path):
    async with playing(tmp_path, played=alone(told())) as stage:
        await stage.alert()
        question = await stage.question()
        await cancel(stage)
        assert (await stage.ended()).status.phase is Phase.CANCELLED
        body = {"status": {"decision": "Approved", "decidedBy": APPROVER, "decidedAt": datetime.now(UTC).isoformat()}}
        meta = question.metadata
        found = await stage.client.get(AIApprovalRequest.card, meta.name, meta.namespace)
        if not found["status"].get("decision") and not found["status"].get("voidedAt"):
            await stage.person.patch(AIApprovalRequest.card, meta.name, meta.namespace, body, subresource="status")
        assert stage.view.all(WorkflowExecution) == []
        await untouched(stage)


@MODES
async def test_a_dry_run_touches_nothing_and_tells_what_would_have_been_done(tmp_path, mode):
    rehearsing = partial(settings_for, mode=mode, orchestration={"dry_run": True})
    async with playing(tmp_path, played=alone(told()), settings=rehearsing) as stage:
        await stage.alert()
        request = await stage.ended()
        assert (request.status.phase, request.status.outcome) == (Phase.COMPLETED, Outcome.DRY_RUN)
        message = await stage.message(f"{request.metadata.name}-completion")
        assert "a person would have been asked first" in message.spec.body
        assert request.status.selected_workflow
        assert request.status.selected_workflow in message.spec.body
        assert stage.view.all(WorkflowExecution) == []
        await untouched(stage)


async def test_a_finished_run_that_a_person_deletes_is_not_run_again(tmp_path):
    patience = {"stabilization_window": timedelta(seconds=3)}
    async with playing(tmp_path, played=alone(told()), settings=partial(settings_for, orchestration=patience)) as stage:
        await stage.alert()
        async with stage.alerting():
            await stage.decide(Decision.APPROVED)
            await stage.until(RemediationRequest, lambda each: each.status.phase is Phase.VERIFYING)
            execution = stage.only(WorkflowExecution)
            await stage.client.delete(WorkflowExecution.card, execution.metadata.name, SYSTEM_NAMESPACE)
            request = await stage.ended()
        assert (request.status.phase, request.status.outcome) == (Phase.COMPLETED, Outcome.REMEDIATED)
        assert stage.view.all(WorkflowExecution) == []
        assert (await stage.deployment())["metadata"]["generation"] == 2

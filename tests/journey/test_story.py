"""Both paths of the founding documents' story, from the webhook to the audit trail."""

import re
from functools import partial
from itertools import pairwise

from kubernaut.analysis.settings import PlanMode
from kubernaut.api import core
from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.approval import AIApprovalRequest, Decision
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.kinds import CASE
from kubernaut.api.notification import NotificationRequest, NotificationType
from kubernaut.api.processing import RemediationProcessing
from kubernaut.api.remediation import Outcome, Phase, RemediationRequest
from kubernaut.api.verification import EffectivenessAssessment, Verdict
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.cli.embedded import APPROVER
from kubernaut.manifests import SYSTEM_NAMESPACE, WORKFLOW_NAMESPACE
from tests.journey.stage import DEPLOYMENT, NAMESPACE, playing, settings_for

PATH = f"{NAMESPACE}/deployment/{DEPLOYMENT}"


async def played(stage):
    """Play the story: the group, the same again, one more pod; a person says yes; return the remediation as it ended."""
    first, again, more = await stage.alert(2), await stage.alert(2), await stage.alert(3)
    assert [first[0], again[0], more[0]] == [201, 202, 202]
    assert [first[1]["summary"][key] for key in ("created", "deduplicated")] == [1, 1]
    async with stage.alerting():
        await stage.decide(Decision.APPROVED, "go on")
        return await stage.ended()


def owner_of(resource):
    [reference] = resource.metadata.owner_references
    assert reference.controller
    return reference.kind, reference.name, reference.uid


async def test_the_catalogue_path_ends_with_a_fix_that_is_approved_run_once_and_verified(tmp_path):
    async with playing(tmp_path) as stage:
        request = await played(stage)
        name = request.metadata.name
        execution = stage.only(WorkflowExecution)
        [run] = await stage.objects(core.PIPELINE_RUN)
        assert (execution.metadata.name, run["metadata"]["name"], run["metadata"]["namespace"]) == (
            f"{name}-wfe",
            f"{name}-wfe",
            WORKFLOW_NAMESPACE,
        )
        assert run["spec"]["pipelineRef"]["resolver"] == "bundles"
        params = {each["name"]: each["value"] for each in run["spec"]["pipelineRef"]["params"]}
        assert "@sha256:" in params["bundle"]
        assert execution.spec.parameters == {
            "NAMESPACE": NAMESPACE,
            "DEPLOYMENT_NAME": DEPLOYMENT,
            "CONTAINER_NAME": "payment",
            "MEMORY_LIMIT": "256Mi",
            "ROLLOUT_TIMEOUT": "180s",
        }
        assert stage.view.all(KubernetesExecution) == []
        assert request.status.selected_workflow == "increase-memory-conservative"
        assert request.status.workflow_execution_ref.name == execution.metadata.name
        await told_in_full(stage, request, execution)


async def test_the_step_path_ends_with_a_plan_that_is_approved_carried_out_once_and_verified(tmp_path):
    async with playing(tmp_path, settings=partial(settings_for, mode=PlanMode.STEPS)) as stage:
        request = await played(stage)
        name = request.metadata.name
        plan, execution = stage.only(WorkflowExecution), stage.only(KubernetesExecution)
        assert (plan.metadata.name, execution.metadata.name) == (f"{name}-workflow", f"{name}-execution")
        assert (
            [step.action for step in plan.status.operations]
            == [step.action for step in execution.spec.operations]
            == ["increase_resources"]
        )
        assert owner_of(execution) == ("RemediationRequest", name, request.metadata.uid)
        [result] = execution.status.operation_results
        assert all(check.passed for check in result.checks)
        assert {"access", "dry-run"} <= {check.name for check in result.checks}
        [changed] = result.resources_affected
        assert ("128Mi" in str(changed.before), "256Mi" in str(changed.after)) == (True, True)
        assert await stage.objects(core.PIPELINE_RUN) == []
        assert request.status.kubernetes_execution_ref.name == execution.metadata.name
        await told_in_full(stage, request, plan, execution)


async def told_in_full(stage, request, *executions):
    """Check what both paths have in common."""
    name, status = request.metadata.name, request.status
    assert re.fullmatch(r"remediation-[a-z0-9]{10}", name)
    assert (status.phase, status.outcome) == (Phase.COMPLETED, Outcome.REMEDIATED)
    assert len(stage.view.all(RemediationRequest)) == 1
    assert status.deduplication.occurrence_count >= 7
    assert len(status.deduplication.resources) == 3
    family_is_complete(stage, request, executions)
    await fixed_once(stage)
    await told_to_people(stage, request)
    await on_record(stage, request)
    await stage.unlocked()


def family_is_complete(stage, request, executions):
    name, status = request.metadata.name, request.status
    processing, analysis, assessment = stage.only(RemediationProcessing), stage.only(AIAnalysis), stage.only(EffectivenessAssessment)
    question = stage.only(AIApprovalRequest)
    assert [child.metadata.name for child in (processing, analysis, assessment)] == [f"{name}-processing", f"{name}-analysis", f"ea-{name}"]
    for child in (processing, analysis, assessment, *executions):
        assert owner_of(child) == ("RemediationRequest", name, request.metadata.uid)
        assert child.spec.remediation_request_ref.name == name
    assert owner_of(question) == ("AIAnalysis", analysis.metadata.name, analysis.metadata.uid)
    refs = (status.remediation_processing_ref, status.ai_analysis_ref, status.effectiveness_assessment_ref)
    assert [ref.name for ref in refs] == [processing.metadata.name, analysis.metadata.name, assessment.metadata.name]
    assert analysis.status.root_cause_analysis.cause == "OOMKilled"
    assert analysis.status.remediation_target.path() == PATH == status.remediation_target
    assert (status.environment, status.priority, assessment.status.verdict) == ("production", "P0", Verdict.EFFECTIVE)
    assert (
        (question.status.decision, question.status.decided_by)
        == (Decision.APPROVED, APPROVER)
        == (Decision.APPROVED, analysis.status.approved_by)
    )


async def fixed_once(stage):
    """One change of the Deployment's spec, one new revision, all pods of it."""
    deployment = await stage.deployment()
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"memory": "256Mi"}
    assert deployment["metadata"]["generation"] == 2
    sets = await stage.objects(core.REPLICA_SET, NAMESPACE)
    revisions = {each["metadata"]["annotations"]["deployment.kubernetes.io/revision"]: each["spec"]["replicas"] for each in sets}
    assert revisions == {"1": 0, "2": 3}


async def told_to_people(stage, request):
    name = request.metadata.name
    asked, done = await stage.message(f"{name}-approval-notification"), await stage.message(f"{name}-completion")
    assert (asked.spec.type, done.spec.type) == (NotificationType.APPROVAL, NotificationType.COMPLETION)
    assert len(stage.view.all(NotificationRequest)) == 2
    for message in (asked, done):
        assert owner_of(message) == ("RemediationRequest", name, request.metadata.uid)
        assert message.status.successful_deliveries == 1


async def on_record(stage, request):
    """Check the audit trail: every fact of every object, none twice, each object's life in one piece, in order."""
    name = request.metadata.name
    facts = await stage.facts(name)
    assert len({each["event_id"] for each in facts}) == len(facts)
    assert [each["event_timestamp"] for each in facts] == sorted(each["event_timestamp"] for each in facts)
    for model in CASE:
        for obj in await stage.objects(model.card, SYSTEM_NAMESPACE):
            life_is_whole(model.model_validate(obj), [each for each in facts if each["resource_id"] == obj["metadata"]["uid"]])
    phases = [
        each["event_data"]["to"]
        for each in facts
        if each["resource_type"] == "RemediationRequest" and each["event_action"] == "PhaseTransition"
    ]
    story = ["Processing", "Analyzing", "AwaitingApproval", "Executing", "Verifying", "Completed"]
    assert phases == story
    [decided] = [each for each in facts if each["event_action"] == "ApprovalDecided"]
    assert (decided["actor_type"], decided["actor_id"]) == ("user", APPROVER)
    kept = await stage.record(name)
    assert kept["overallPhase"] == "completed"
    assert {each["phase"] for each in kept["serviceCrdStatuses"]} <= {"completed", "approved"}


def life_is_whole(resource, facts):
    journal, phase = resource.status.journal, resource.status.phase
    facts.sort(key=lambda each: each["sequence"])
    assert [each["sequence"] for each in facts] == list(range(journal.count))
    moves = [each["event_data"] for each in facts if each["event_action"] == "PhaseTransition"]
    assert all(before["to"] == after["from"] for before, after in pairwise(moves))
    assert not moves or (moves[0]["from"], moves[-1]["to"]) == ("Pending", phase)

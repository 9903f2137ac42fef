"""The analysis stage over the embedded cluster: from an AIAnalysis to a fix, with pods as a kubelet writes them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from kubernaut.analysis.settings import AnalysisSettings, PlanMode
from kubernaut.api import core
from kubernaut.api.analysis import AIAnalysis, ApprovalStatus, Phase
from kubernaut.api.approval import AIApprovalRequest, Decision
from kubernaut.api.approval import Phase as RequestPhase
from kubernaut.api.base import Obj
from tests.analysis.checkout import NAME, NS, approving, ask, deploy, done, offer, stamp
from tests.analysis.conftest import SYSTEM, Bench


async def test_a_memory_kill_in_production_is_found_asked_about_and_approved(bench):
    await deploy(bench)
    await offer(bench)
    async with bench.running():
        await ask(bench)
        asked = await bench.until(approving)
        status = asked.status
        assert status.root_cause_analysis is not None
        assert (status.root_cause_analysis.cause, status.investigator) == ("OOMKilled", "rules")
        assert status.remediation_target is not None
        assert status.remediation_target.path() == "shop/deployment/checkout"
        assert status.selected_workflow is not None
        assert status.selected_workflow.parameters == {
            "NAMESPACE": "shop",
            "DEPLOYMENT_NAME": "checkout",
            "CONTAINER_NAME": "app",
            "MEMORY_LIMIT": "256Mi",
            "ROLLOUT_TIMEOUT": "180s",
        }
        assert status.recommendations[0].workflow_steps[0].action == "increase_resources"
        request = await bench.request()
        assert "128Mi" in request.spec.what_will_change
        assert "256Mi" in request.spec.what_will_change
        assert "production" in request.spec.why_approval_required
        assert request.spec.bound_to.startswith("sha256:")
        assert request.metadata.owner_references[0].uid == asked.metadata.uid
        await bench.answer("Approved")
        ended = (await bench.until(done)).status
    assert (ended.phase, ended.approval_status, ended.approved_by, ended.approval_method) == (
        Phase.COMPLETED,
        ApprovalStatus.APPROVED,
        "alice",
        "kubectl",
    )
    assert ended.selected_workflow is not None
    assert [entry.reason for entry in ended.journal.pending if entry.reason != "PhaseTransition"] == ["InvestigationCompleted"]


async def test_outside_production_a_sure_fix_runs_by_itself(bench):
    await deploy(bench)
    await offer(bench)
    async with bench.running():
        await ask(bench, "staging")
        ended = (await bench.until(done)).status
    assert (ended.phase, ended.approval_required, ended.approval_request_name) == (Phase.COMPLETED, False, "")
    assert ended.selected_workflow is not None


async def test_a_rejection_ends_it_with_who_and_why(bench):
    await deploy(bench)
    await offer(bench)
    async with bench.running():
        await ask(bench)
        await bench.until(approving)
        await bench.answer("Rejected", by="bob")
        ended = (await bench.until(done)).status
        request = await bench.request()
    assert (ended.phase, ended.approval_status, ended.rejected_by, ended.rejection_reason) == (
        Phase.REJECTED,
        ApprovalStatus.REJECTED,
        "bob",
        "seen",
    )
    assert request.spec.recommendation.action == "IncreaseMemoryLimits"


async def test_nobody_answering_in_time_is_a_no_by_the_system(bench):
    await deploy(bench)
    await offer(bench)
    async with bench.running():
        await ask(bench, approvalTimeout="1s")
        ended = (await bench.until(done)).status
        request = await bench.request()
    assert (ended.phase, ended.approval_status, ended.rejected_by) == (Phase.REJECTED, ApprovalStatus.EXPIRED, "system")
    assert (request.status.decision, request.status.decided_by, request.status.phase) == (Decision.EXPIRED, "system", RequestPhase.EXPIRED)


async def test_without_a_workflow_that_fits_a_person_is_told_and_nothing_may_run(bench):
    await deploy(bench)
    async with bench.running():
        await ask(bench)
        ended = (await bench.until(done)).status
    assert (ended.phase, ended.needs_human_review, ended.human_review_reason) == (Phase.FAILED, True, "no_matching_workflows")
    assert ended.selected_workflow is None
    assert ended.recommendations[0].workflow_steps == []
    assert ended.root_cause_analysis is not None


async def test_in_step_mode_the_fix_is_typed_steps_and_no_workflow(bench):
    await deploy(bench)
    async with bench.running(AnalysisSettings(mode=PlanMode.STEPS)):
        await ask(bench, "staging")
        ended = (await bench.until(done)).status
    step = ended.recommendations[0].workflow_steps[0]
    assert ended.selected_workflow is None
    assert (step.action, step.parameters["memory"], step.parameters["container_name"]) == ("increase_resources", "256Mi", "app")


async def test_a_healthy_target_needs_no_action(bench):
    await deploy(bench, killed=False)
    async with bench.running():
        await ask(bench)
        ended = (await bench.until(done)).status
    assert (ended.phase, ended.action_required, ended.sub_reason) == (Phase.COMPLETED, False, "ProblemResolved")


async def test_a_target_that_does_not_exist_is_said_to_be_unknown(bench):
    async with bench.running():
        await ask(bench)
        ended = (await bench.until(done)).status
    assert (ended.phase, ended.human_review_reason) == (Phase.FAILED, "investigation_inconclusive")
    assert "does not exist" in ended.root_cause


async def test_a_pod_that_is_gone_is_followed_to_the_owner_that_enrichment_saw(bench):
    await deploy(bench)
    await offer(bench)
    await bench.client.delete(core.POD, f"{NAME}-h1-0", NS, grace_seconds=0)
    alert = {"kubernetesContext": {"ownerChain": [f"ReplicaSet/{NAME}-h1", f"Deployment/{NAME}"]}}
    async with bench.running():
        body = (await ask_body(bench, alert)).status
    assert body.remediation_target is not None
    assert body.remediation_target.path() == "shop/deployment/checkout"


async def ask_body(bench: Bench, alert: Obj) -> AIAnalysis:
    context = {
        "fingerprint": "f",
        "severity": "critical",
        "environment": "staging",
        "businessPriority": "P1",
        "namespace": NS,
        "resourceKind": "Pod",
        "resourceName": f"{NAME}-h1-0",
        **alert,
    }
    await ask(bench, analysisRequest={"alertContext": context})
    return await bench.until(done)


async def test_out_of_time_it_fails(bench):
    await deploy(bench)
    async with bench.running():
        await ask(bench, timesOutAt=stamp(datetime.now(UTC) - timedelta(seconds=5)))
        ended = (await bench.until(done)).status
    assert (ended.phase, ended.reason) == (Phase.FAILED, "TimedOut")


async def test_a_wiped_status_comes_back_the_same(bench):
    await deploy(bench)
    await offer(bench)
    async with bench.running():
        await ask(bench)
        before = await bench.until(approving)
        await bench.client.update(AIAnalysis.card, {**before.wire(), "status": {}}, subresource="status")
        after = await bench.until(approving_since(before))
        requests = await bench.client.list(AIApprovalRequest.card, SYSTEM)
    assert len(requests.items) == 1
    for name in (
        "root_cause",
        "selected_workflow",
        "recommendations",
        "evidence",
        "approval_request_name",
        "approval_requested_at",
        "approval_context",
    ):
        assert getattr(after.status, name) == getattr(before.status, name)


def approving_since(before: AIAnalysis) -> Any:
    version = int(before.metadata.resource_version)
    return lambda found: approving(found) and int(found.metadata.resource_version) > version

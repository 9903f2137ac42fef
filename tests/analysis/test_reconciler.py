"""The analysis stage over the embedded cluster: from an AIAnalysis to a fix, with pods as a kubelet writes them."""

import asyncio
import importlib.resources
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from kubernaut.analysis.settings import AnalysisSettings, PlanMode
from kubernaut.api import core
from kubernaut.api.analysis import AIAnalysis, ApprovalStatus, Phase
from kubernaut.api.approval import AIApprovalRequest, Decision
from kubernaut.api.approval import Phase as RequestPhase
from kubernaut.api.base import CANCEL_ANNOTATION, Obj
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.execution import KubernetesExecution, UndoKind
from tests.analysis.conftest import SYSTEM, Bench
from tests.world import eventually

NAME, NS = "checkout", "shop"
DIGEST = "registry.example/w@sha256:" + "a" * 64


def template(memory: str) -> Obj:
    limits = {"resources": {"limits": {"memory": memory}}}
    return {"metadata": {"labels": {"app": NAME}}, "spec": {"containers": [{"name": "app", "image": "app:1", **limits}]}}


async def deploy(bench: Bench, *, memory: str = "128Mi", killed: bool = True) -> None:
    """Make a Deployment with two pods, killed at their limit or well."""
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": NAME}}, "template": template(memory)}
    top = await bench.make(
        core.DEPLOYMENT, {"metadata": {"name": NAME, "namespace": NS}, "spec": spec, "status": counts(2, 0 if killed else 2)}
    )
    labels = {"app": NAME, "pod-template-hash": "h1"}
    meta = {
        "name": f"{NAME}-h1",
        "namespace": NS,
        "annotations": {"deployment.kubernetes.io/revision": "1"},
        "labels": labels,
        "ownerReferences": [owner(top)],
    }
    rs = await bench.make(
        core.REPLICA_SET,
        {
            "metadata": meta,
            "spec": {**spec, "selector": {"matchLabels": labels}, "template": {**template(memory), "metadata": {"labels": labels}}},
        },
    )
    for number in range(2):
        meta = {"name": f"{NAME}-h1-{number}", "namespace": NS, "labels": labels, "ownerReferences": [owner(rs)]}
        await bench.make(core.POD, {"metadata": meta, "spec": template(memory)["spec"], "status": pod_status(killed=killed)})


def counts(wanted: int, ready: int) -> Obj:
    return {"observedGeneration": 1, "replicas": wanted, "updatedReplicas": wanted, "readyReplicas": ready}


def owner(obj: Obj) -> Obj:
    meta = obj["metadata"]
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def pod_status(*, killed: bool) -> Obj:
    now = datetime.now(UTC)
    dead = {
        "reason": "OOMKilled",
        "exitCode": 137,
        "startedAt": stamp(now - timedelta(minutes=2)),
        "finishedAt": stamp(now - timedelta(minutes=1)),
    }
    bad = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": dead}, "restartCount": 4}
    good = {"state": {"running": {"startedAt": stamp(now - timedelta(hours=2))}}, "restartCount": 0}
    row = {"name": "app", "image": "app:1", "imageID": "x", "ready": not killed, **(bad if killed else good)}
    return {"phase": "Running", "conditions": [{"type": "Ready", "status": "False" if killed else "True"}], "containerStatuses": [row]}


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


async def offer(bench: Bench, folder: str = "increase-memory-conservative") -> None:
    """Put a workflow of our own catalogue on offer."""
    text = importlib.resources.files("kubernaut.catalog").joinpath(folder, "workflow.yaml").read_text("utf-8")
    obj = yaml.safe_load(text)
    obj["metadata"]["namespace"] = SYSTEM
    obj["spec"]["execution"]["bundle"] = DIGEST
    await bench.make(RemediationWorkflow.card, obj)


async def ask(bench: Bench, environment: str = "production", **spec: Any) -> AIAnalysis:
    alert = {
        "fingerprint": "f" * 64,
        "severity": "critical",
        "environment": environment,
        "businessPriority": "P0",
        "namespace": NS,
        "resourceKind": "Pod",
        "resourceName": f"{NAME}-h1-0",
    }
    scope = {"resourceScope": [{"kind": "Pod", "namespace": NS, "name": f"{NAME}-h1-0"}]}
    body = {
        "remediationRequestRef": {"name": "rr-1", "namespace": SYSTEM},
        "analysisRequest": {"alertContext": alert, "investigationScope": scope},
        **spec,
    }
    return AIAnalysis.model_validate(
        await bench.make(AIAnalysis.card, {"metadata": {"name": "rr-1-analysis", "namespace": SYSTEM}, "spec": body})
    )


async def no_trial(bench: Bench) -> bool:
    return not (await bench.client.list(KubernetesExecution.card, SYSTEM)).items


def approving(found: AIAnalysis) -> bool:
    return found.status.phase is Phase.APPROVING


def done(found: AIAnalysis) -> bool:
    return found.status.completed_at is not None


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


async def change_target(bench: Bench, name: str) -> None:
    patch = {"spec": {"template": {"metadata": {"annotations": {"touched": name}}}}}
    await bench.client.patch(core.DEPLOYMENT, NAME, NS, patch)


async def test_an_approval_of_something_that_changed_is_void_and_asked_for_again(bench):
    await deploy(bench)
    await offer(bench)
    async with bench.running():
        await ask(bench)
        await bench.until(approving)
        await change_target(bench, "by someone else")
        await bench.answer("Approved")
        again = await bench.until(lambda found: found.status.approval_request_name.endswith("-r2"))
        assert again.status.approved_by == ""
        await bench.answer("Approved", "approval-rr-1-analysis-r2", by="carol")
        ended = (await bench.until(done)).status
    assert (ended.phase, ended.approved_by) == (Phase.COMPLETED, "carol")


async def test_a_question_shows_the_true_difference_the_pods_and_the_way_back(bench):
    await deploy(bench)
    await offer(bench)
    async with bench.running():
        await ask(bench)
        await bench.until(approving)
        spec = (await bench.request()).spec
        await eventually(lambda: no_trial(bench))  # it goes when its difference was copied
    [change] = spec.planned_changes
    changed_lines = [line.split() for line in change.diff.splitlines() if line[:1] in "+-" and line[1:2] == " "]
    assert changed_lines == [["-", "memory:", "128Mi"], ["+", "memory:", "256Mi"]]
    assert (spec.previewed, spec.undo, change.refused) == (True, UndoKind.EXACT, "")
    assert [each.path() for each in spec.objects_touched] == ["shop/deployment/checkout"]
    assert (spec.pods_touched, spec.pods_touched_count) == (["shop/checkout-h1-0", "shop/checkout-h1-1"], 2)
    assert spec.policy_evaluation.matched_rules[0] == "production"
    assert spec.policy_evaluation.approver_groups
    target = await bench.client.get(core.DEPLOYMENT, NAME, NS)
    assert target["metadata"]["generation"] == 1, "nothing was changed"


async def test_a_trial_that_nobody_carries_out_holds_nothing_up(bench):
    await deploy(bench)
    await offer(bench)
    async with bench.running(AnalysisSettings(preview_timeout=timedelta(milliseconds=50)), trials=False):
        await ask(bench)
        await bench.until(approving)
        spec = (await bench.request()).spec
    assert not spec.previewed
    assert "did not come back in time" in spec.what_will_change
    assert "256Mi (now 128Mi)" in spec.what_will_change


async def test_in_step_mode_the_steps_themselves_are_tried(bench):
    await deploy(bench)
    async with bench.running(AnalysisSettings(mode=PlanMode.STEPS)):
        await ask(bench)
        await bench.until(approving)
        spec = (await bench.request()).spec
    assert spec.previewed
    assert "+" in spec.planned_changes[0].diff
    assert spec.recommended_workflow is None


async def test_a_target_that_changes_while_people_think_is_asked_about_anew_at_once(bench):
    await deploy(bench)
    await offer(bench)
    async with bench.running():
        await ask(bench)
        first = await bench.until(approving)
        await change_target(bench, "by hand")
        second = await bench.until(lambda found: found.status.approval_request_name.endswith("-r2"))
        old = await said_so(bench, lambda found: found.status.phase is RequestPhase.VOID)
        assert old.metadata.name == first.status.approval_request_name
        assert second.status.approvals_void == 1
        assert second.status.binding != first.status.binding
        assert (old.status.decision, old.status.phase) == (None, RequestPhase.VOID)
        assert "asked again" in second.status.message
        assert (await bench.request("approval-rr-1-analysis-r2")).spec.bound_to != old.spec.bound_to
    reasons = [entry.reason for entry in second.status.journal.pending]
    assert "ApprovalVoid" in reasons


async def test_a_target_mended_by_hand_while_people_think_needs_no_answer(bench):
    await deploy(bench)
    await offer(bench)
    async with bench.running(AnalysisSettings()):
        await ask(bench)
        await bench.until(approving)
        await bench.client.patch(core.DEPLOYMENT, NAME, NS, {"spec": {"template": template("512Mi")}})
        settling = await bench.until(lambda found: found.status.phase is Phase.ANALYZING)
        assert "being changed" in settling.status.message
        for number in range(2):
            await bench.client.patch(core.POD, f"{NAME}-h1-{number}", NS, {"status": pod_status(killed=False)}, subresource="status")
        over = {**counts(2, 2), "observedGeneration": 2}
        await bench.client.patch(core.DEPLOYMENT, NAME, NS, {"status": over}, subresource="status")
        ended = (await bench.until(done)).status
    assert (ended.phase, ended.action_required) == (Phase.COMPLETED, False)


async def test_what_the_target_reports_and_what_an_autoscaler_sets_voids_nothing(bench):
    await deploy(bench)
    await offer(bench)
    await bench.make(core.HORIZONTAL_POD_AUTOSCALER, scaler())
    async with bench.running():
        await ask(bench)
        asked = await bench.until(approving)
        assert asked.status.binding is not None
        assert asked.status.binding.replicas_left_out
        await bench.client.patch(core.DEPLOYMENT, NAME, NS, {"spec": {"replicas": 5}})
        await bench.client.patch(core.DEPLOYMENT, NAME, NS, {"status": counts(5, 1)}, subresource="status")
        await bench.client.patch(core.DEPLOYMENT, NAME, NS, {"metadata": {"labels": {"touched": "yes"}}})
        await bench.answer("Approved")
        ended = (await bench.until(done)).status
    assert (ended.phase, ended.approvals_void, ended.approval_request_name) == (Phase.COMPLETED, 0, "approval-rr-1-analysis")


def scaler() -> Obj:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME}
    return {"metadata": {"name": NAME, "namespace": NS}, "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 9}}


async def test_an_approval_that_another_part_calls_void_reopens_the_analysis(bench):
    await deploy(bench)
    await offer(bench)
    async with bench.running():
        await ask(bench)
        await bench.until(approving)
        await bench.answer("Approved")
        ended = await bench.until(done)
        note = {"voidedAt": stamp(datetime.now(UTC)), "voidReason": "the target changed before the fix was carried out"}
        await bench.client.patch(AIApprovalRequest.card, "approval-rr-1-analysis", SYSTEM, {"status": note}, subresource="status")
        again = await bench.until(lambda found: found.status.approval_request_name.endswith("-r2"))
        assert (again.status.phase, again.status.completed_at, again.status.approved_by) == (Phase.APPROVING, None, "")
        await bench.answer("Approved", "approval-rr-1-analysis-r2", by="carol")
        final = (await bench.until(lambda found: done(found) and found.status.approved_by == "carol")).status
    assert ended.status.approved_by == "alice"
    assert final.phase is Phase.COMPLETED


async def test_when_nobody_waits_for_the_analysis_any_more_its_question_is_taken_back(bench):
    await deploy(bench)
    await offer(bench)
    async with bench.running():
        asked = await ask(bench)
        await bench.until(approving)
        said = {"metadata": {"annotations": {CANCEL_ANNOTATION: "the alert was resolved"}}}
        await bench.client.patch(AIAnalysis.card, asked.metadata.name, SYSTEM, said)
        ended = await bench.until(done)
    question = await bench.request()
    assert (ended.status.phase, ended.status.reason) == (Phase.FAILED, "Cancelled")
    assert question.status.voided_at is not None
    assert question.status.void_reason == "Nobody need decide any more: the alert was resolved"
    assert (question.status.decision, ended.status.approvals_void) == (None, 0)


async def said_so(bench: Bench, holds: Any) -> AIApprovalRequest:
    async with asyncio.timeout(10), aclosing(bench.client.watch(AIApprovalRequest.card, SYSTEM, resource_version="0")) as events:
        async for type_, obj in events:
            if type_ != "BOOKMARK" and holds(found := AIApprovalRequest.model_validate(obj)):
                return found
    raise AssertionError("the watch ended")


async def test_a_target_that_changes_after_every_approval_goes_to_a_person(bench):
    await deploy(bench)
    await offer(bench)
    async with bench.running(AnalysisSettings(approval_rounds=2, settling_limit=timedelta())):
        await ask(bench)
        for name in ("approval-rr-1-analysis", "approval-rr-1-analysis-r2"):
            await bench.until(lambda found, name=name: found.status.approval_request_name == name)
            await change_target(bench, name)
            await bench.answer("Approved", name)
        ended = (await bench.until(done)).status
    assert (ended.phase, ended.human_review_reason, ended.selected_workflow) == (Phase.FAILED, "target_keeps_changing", None)


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

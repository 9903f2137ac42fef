"""The analysis stage over the embedded cluster: from an AIAnalysis to a fix, with pods as a kubelet writes them."""

import importlib.resources
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from kubernaut.analysis.settings import AnalysisSettings, PlanMode
from kubernaut.api import core
from kubernaut.api.analysis import AIAnalysis, ApprovalStatus, Phase
from kubernaut.api.approval import AIApprovalRequest, Decision
from kubernaut.api.approval import Phase as RequestPhase
from kubernaut.api.base import Obj
from kubernaut.api.catalog import RemediationWorkflow
from tests.analysis.conftest import SYSTEM, Bench

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
        again = await bench.until(lambda found: found.status.approval_request_name.endswith("-2"))
        assert again.status.approved_by == ""
        await bench.answer("Approved", "approval-rr-1-analysis-2", by="carol")
        ended = (await bench.until(done)).status
    assert (ended.phase, ended.approved_by) == (Phase.COMPLETED, "carol")


async def test_a_target_that_changes_after_every_approval_goes_to_a_person(bench):
    await deploy(bench)
    await offer(bench)
    async with bench.running(AnalysisSettings(approval_rounds=2)):
        await ask(bench)
        for name in ("approval-rr-1-analysis", "approval-rr-1-analysis-2"):
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

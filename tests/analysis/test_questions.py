"""What people are asked, shown and told over the embedded cluster, and what becomes of a question when the world changes."""

from datetime import UTC, datetime, timedelta

from kubernaut.analysis.settings import AnalysisSettings, PlanMode
from kubernaut.api import core
from kubernaut.api.analysis import AIAnalysis, Phase
from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.approval import Phase as RequestPhase
from kubernaut.api.base import CANCEL_ANNOTATION, Obj
from kubernaut.api.execution import UndoKind
from tests.analysis.checkout import (
    NAME,
    NS,
    approving,
    ask,
    change_target,
    counts,
    deploy,
    done,
    no_trial,
    offer,
    pod_status,
    said_so,
    stamp,
    template,
)
from tests.analysis.conftest import SYSTEM
from tests.world import eventually


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


async def test_a_question_that_was_written_right_before_a_crash_is_noted_by_the_next_life(bench):
    await deploy(bench)
    await offer(bench)
    async with bench.running():
        await ask(bench)
        noted = (await bench.until(approving)).status
    lost = {"phase": "Recommending", "approvalRequestName": None, "approvalRequestedAt": None, "approvalStatus": None}
    await bench.client.patch(AIAnalysis.card, "rr-1-analysis", SYSTEM, {"status": lost}, subresource="status")
    async with bench.running():
        again = (await bench.until(approving)).status
    assert (again.approval_request_name, again.approval_requested_at) == (noted.approval_request_name, noted.approval_requested_at)

"""What the analysis takes from the cluster beside the target: the approval policy, and what was tried before."""

from datetime import UTC, datetime

from kubernaut.api import core
from kubernaut.api.analysis import Phase
from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.base import Obj
from kubernaut.api.verification import EffectivenessAssessment
from kubernaut.api.workflow import WorkflowExecution
from tests.analysis.checkout import DIGEST, NAME, NS, approving, ask, deploy, done, offer, said_so, stamp
from tests.analysis.conftest import SYSTEM, Bench

TWO = "rules: [{name: two, set: {decision: ManualReviewRequired, why: two people approve, approvers: 2}}]"


async def test_two_people_approve_together_as_the_policy_in_the_cluster_says(bench):
    await deploy(bench)
    await offer(bench)
    await policy(bench, TWO)
    async with bench.running():
        await ask(bench)
        asked = await bench.until(approving)
        assert "Waiting for 2 people" in asked.status.message
        said = [{"approver": "kim", "decision": "Approved", "message": "looks right"}]
        await say(bench, said)
        waiting = await said_so(bench, lambda found: "1 of 2 approvals: kim" in found.status.message)
        assert waiting.status.decision is None
        await say(bench, [*said, {"approver": "lee", "decision": "Approved"}])
        ended = (await bench.until(done)).status
    assert (ended.phase, ended.approved_by) == (Phase.COMPLETED, "kim, lee")


async def policy(bench: Bench, text: str) -> None:
    meta = {"name": "ai-approval-policies", "namespace": SYSTEM}
    await bench.client.create(core.CONFIG_MAP, {"metadata": meta, "data": {"policy.yaml": text}})


async def test_a_fix_that_may_run_by_itself_where_the_policy_says_so(bench):
    await deploy(bench)
    await offer(bench)
    await policy(bench, "rules: [{name: own, match: action == 'IncreaseMemoryLimits', set: {decision: Approved}}]")
    async with bench.running():
        await ask(bench)
        ended = (await bench.until(done)).status
    assert (ended.phase, ended.requires_approval) == (Phase.COMPLETED, False)
    assert "by itself as rule own of policy configmap/ai-approval-policies/policy.yaml allows" in ended.message


async def test_while_the_policy_is_broken_a_person_is_asked_and_told(bench):
    await deploy(bench)
    await offer(bench)
    await policy(bench, "rules: [{name: own, match: confidense > 0.1, set: {decision: Approved}}]")
    async with bench.running():
        await ask(bench, "staging")
        asked = (await bench.until(approving)).status
    assert any("undeclared reference to 'confidense'" in line for line in asked.warnings)
    assert "nothing runs by itself" in (await bench.request()).spec.why_approval_required


async def tried(bench: Bench, verdict: str) -> None:
    """Put a case on record in which the fix was carried out, with what it was assessed as."""
    now = stamp(datetime.now(UTC))
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME, "namespace": NS}
    case = {"remediationRequestRef": {"name": "rr-0", "namespace": SYSTEM}}
    parameters = {"NAMESPACE": NS, "DEPLOYMENT_NAME": NAME, "CONTAINER_NAME": "app", "MEMORY_LIMIT": "256Mi", "ROLLOUT_TIMEOUT": "180s"}
    run = {
        "workflowRef": {"workflowId": "increase-memory-conservative", "containerImage": DIGEST, "version": "1.0.0"},
        "targetResource": f"{NS}/deployment/{NAME}",
        "parameters": parameters,
    }
    await bench.make(WorkflowExecution.card, {"metadata": {"name": "rr-0-wfe", "namespace": SYSTEM}, "spec": case | run})
    told = {"signalTarget": target, "remediationTarget": target, "signalFingerprint": "f", "signalName": "Alert"}
    assessed = case | told | {"fixStartedAt": now, "fixCompletedAt": now}
    await bench.make(
        EffectivenessAssessment.card,
        {"metadata": {"name": "ea-rr-0", "namespace": SYSTEM}, "spec": assessed, "status": {"verdict": verdict}},
    )


async def outcome(bench: Bench, verdict: str) -> tuple[str, str]:
    await deploy(bench)
    await offer(bench)
    await tried(bench, verdict)
    async with bench.running():
        await ask(bench, "staging")
        ended = (await bench.until(done)).status
    return ended.human_review_reason, ended.message


async def test_a_fix_that_did_not_help_is_not_repeated_in_a_later_case(bench):
    reason, message = await outcome(bench, "Ineffective")
    assert reason == "no_matching_workflows"
    assert "it was tried with the same parameters and did not help (assessed as Ineffective at" in message


async def test_a_fix_that_helped_may_be_repeated(bench):
    assert (await outcome(bench, "Effective"))[0] == ""


async def say(bench: Bench, entries: list[Obj]) -> None:
    await bench.client.patch(
        AIApprovalRequest.card, "approval-rr-1-analysis", SYSTEM, {"status": {"approvals": entries}}, subresource="status"
    )

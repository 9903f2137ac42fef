"""Writes a plan into the status of an analysis, in the documented words. Pure but for the status it fills."""

from datetime import datetime
from typing import Final

from kubernaut.analysis.investigators.base import Finding
from kubernaut.analysis.plan import Next, Plan
from kubernaut.analysis.policy import Ruling
from kubernaut.analysis.settings import PlanMode
from kubernaut.api.analysis import (
    AIAnalysis,
    AIAnalysisStatus,
    AlternativeConsidered,
    ApprovalStatus,
    Evidence,
    Phase,
    Recommendation,
    RootCauseAnalysis,
)
from kubernaut.api.base import FreeForm
from kubernaut.api.signal import RiskLevel
from kubernaut.kube.status import cut

_ENDINGS = {
    "investigation_inconclusive": ("NoWorkflowSelected", "InvestigationInconclusive"),
    "low_confidence": ("NoWorkflowSelected", "LowConfidence"),
    "no_matching_workflows": ("WorkflowResolutionFailed", "NoMatchingWorkflows"),
    "policy_denied": ("NoWorkflowSelected", "PolicyDenied"),
}
"""Reason and sub-reason by why a person takes over."""
_BY_PEOPLE: Final = {
    "ProvisionNode": "Nodes cannot be added from inside the cluster: whoever runs its machines must add one, or its node autoscaler.",
    "RefreshImagePullSecret": "Kubernaut has no registry's credentials and reads no Secret: whoever has them must renew the pull secret.",
}
"""What is asked of people where no workflow that ships with us could do it; one of a catalogue's own still may."""
_RISK = {"IncreaseMemoryLimits": RiskLevel.LOW, "RestartPod": RiskLevel.LOW, "RestartDeployment": RiskLevel.LOW}


def write_plan(analysis: AIAnalysis, plan: Plan, mode: PlanMode) -> None:
    """Say what was found, and which fix was chosen; what becomes of it is said by the caller."""
    status = analysis.status
    _write_finding(analysis, plan.finding)
    status.degraded_mode = plan.degraded
    status.warnings = [cut(text) for text in (*plan.finding.warnings, *plan.ruling.faults)][:20]
    status.alternatives = _alternatives(plan)
    status.action_required = plan.next is not Next.NOTHING
    allowed = plan.next in {Next.RUN, Next.ASK}
    status.selected_workflow = plan.selection.chosen if allowed and mode is PlanMode.CATALOGUE else None
    status.recommended_action = plan.finding.action or plan.finding.advice[:200]
    status.recommendations = [_recommendation(plan, with_steps=allowed)] if plan.finding.action or plan.finding.advice else []
    status.requires_approval = status.approval_required = plan.next is Next.ASK


def _write_finding(analysis: AIAnalysis, finding: Finding) -> None:
    status, cause = analysis.status, finding.cause
    status.investigator = finding.investigator
    status.root_cause = cut(cause.summary)
    status.confidence = cause.confidence
    status.remediation_target = finding.target
    status.evidence = [Evidence(source=row.source, field=row.field, value=cut(row.value), says=cut(row.says)) for row in cause.evidence][
        :30
    ]
    status.root_cause_analysis = RootCauseAnalysis(
        summary=cut(cause.summary),
        cause=cause.name,
        severity=analysis.spec.analysis_request.alert_context.severity,
        contributing_factors=[cut(text) for text in cause.factors][:10],
    )


def _alternatives(plan: Plan) -> list[AlternativeConsidered]:
    causes = [AlternativeConsidered(approach=row.cause, pros_cons=cut(row.why_not)) for row in plan.finding.alternatives]
    workflows = [AlternativeConsidered(approach=row.name, pros_cons=cut(row.why)) for row in plan.selection.rejected]
    return (causes + workflows)[:10]


def _recommendation(plan: Plan, *, with_steps: bool) -> Recommendation:
    finding, chosen = plan.finding, plan.selection.chosen
    risk = RiskLevel(chosen.risk_level) if chosen else _RISK.get(finding.action, RiskLevel.MEDIUM)
    facts: FreeForm = dict(sorted(finding.facts.items()))
    return Recommendation(
        id="rec-1",
        action=finding.action or "notify_only",
        target_resource=finding.target.path(),
        parameters={**chosen.parameters} if chosen else facts,
        effectiveness_probability=finding.cause.confidence,
        risk_level=risk,
        explanation=cut(f"{finding.cause.summary} {finding.advice}".strip()),
        supporting_evidence=[cut(f"{row.source} {row.field} = {row.value}") for row in finding.cause.evidence][:10],
        workflow_steps=list(plan.steps) if with_steps else [],
    )


def end(status: AIAnalysisStatus, phase: Phase, reason: str, message: str, now: datetime) -> None:
    """Say the last word; the moment of the end is what makes it the last."""
    status.phase, status.reason, status.message, status.completed_at = phase, reason, cut(message), now


def end_without_action(status: AIAnalysisStatus, plan: Plan, now: datetime) -> None:
    """End because nothing is to be done."""
    status.sub_reason = "ProblemResolved"
    end(status, Phase.COMPLETED, "WorkflowNotNeeded", plan.finding.cause.summary, now)


def end_with_person(status: AIAnalysisStatus, plan: Plan, now: datetime) -> None:
    """End because a person must take over; what was found stays for them to read."""
    reason, status.sub_reason = _ENDINGS[plan.review]
    status.needs_human_review, status.human_review_reason = True, plan.review
    end(status, Phase.FAILED, reason, _for_person(plan), now)


def _for_person(plan: Plan) -> str:
    finding = plan.finding
    why = {
        "low_confidence": f"The likeliest cause is too uncertain to act on ({finding.cause.confidence:.0%}).",
        "no_matching_workflows": no_fix(plan),
        "policy_denied": f"The approval policy forbids it: {plan.ruling.why}.",
    }.get(plan.review, "A person must look.")
    return f"{finding.cause.summary} {why} {finding.advice}".strip()


def no_fix(plan: Plan) -> str:
    """Say why there is no fix to run, and who must act where no workflow could."""
    if not plan.finding.action:
        return "No automatic fix is known for it."
    if plan.obstacle:
        return f"{plan.finding.action} cannot be done: {plan.obstacle}."
    if plan.finding.action in _BY_PEOPLE and not plan.selection.rejected:
        return _BY_PEOPLE[plan.finding.action]
    tried = "; ".join(f"{row.name}: {row.why}" for row in plan.selection.rejected[:3])
    return f"No workflow of the catalogue carries out {plan.finding.action} here{f' ({tried})' if tried else ''}."


def end_in_time_out(status: AIAnalysisStatus, now: datetime) -> None:
    """End because it took too long."""
    end(status, Phase.FAILED, "TimedOut", "The analysis did not come to an end in time.", now)


def end_as_cancelled(status: AIAnalysisStatus, why: str, now: datetime) -> None:
    """End because nobody waits for it any more."""
    end(status, Phase.FAILED, "Cancelled", f"The analysis was stopped: {why}", now)


def end_by_refusal(status: AIAnalysisStatus, now: datetime) -> None:
    """End because a person said no, or nobody answered."""
    expired = status.approval_status is ApprovalStatus.EXPIRED
    said = (
        "Nobody answered the approval request in time." if expired else f"{status.rejected_by} rejected the fix: {status.rejection_reason}"
    )
    end(status, Phase.REJECTED, "ApprovalExpired" if expired else "ApprovalRejected", said, now)


def end_as_void(status: AIAnalysisStatus, rounds: int, now: datetime) -> None:
    """End because the target changed each time that people were asked."""
    status.selected_workflow, status.approval_status = None, None
    status.needs_human_review, status.human_review_reason, status.sub_reason = True, "target_keeps_changing", "ApprovalVoid"
    message = f"The target or the workflow changed each of the {rounds} times that people were asked, so none holds. A person must look."
    end(status, Phase.FAILED, "NoWorkflowSelected", message, now)


def end_with_plan(status: AIAnalysisStatus, now: datetime, ruling: Ruling | None = None) -> None:
    """End with a fix that may run: a person said so, or the policy's ruling does."""
    chosen = status.selected_workflow
    what = f"workflow {chosen.workflow_id} {chosen.version}" if chosen else f"{len(status.recommendations[0].workflow_steps)} typed steps"
    approved = f", approved by {status.approved_by}" if status.approved_by else _allowed(ruling) if ruling else ""
    end(status, Phase.COMPLETED, "AnalysisCompleted", f"{status.root_cause} Fix: {what}{approved}.", now)


def _allowed(ruling: Ruling) -> str:
    evaluation = ruling.evaluation
    return f", by itself as rule {evaluation.matched_rules[0]} of policy {evaluation.policy_name} allows: {ruling.why}"

"""Asking a person: what they are shown, and what their answer makes of the analysis. Pure."""

from datetime import datetime, timedelta
from typing import Final

from kubernaut.analysis.approval_count import verdict
from kubernaut.analysis.approval_preview import Effect
from kubernaut.api.analysis import AIAnalysis, AIAnalysisStatus, ApprovalContext, ApprovalStatus, PolicyEvaluation, RecommendedAction
from kubernaut.api.approval import AIApprovalRequest, AIApprovalRequestSpec, ApprovalRecommendation, Decision
from kubernaut.api.base import CORRELATION_LABEL, ObjectMeta, ObjectReference
from kubernaut.api.durations import go_duration, parse_duration
from kubernaut.api.signal import RiskLevel

_LOW, _HIGH = 0.6, 0.8
_STATUSES: Final = {
    Decision.APPROVED: ApprovalStatus.APPROVED,
    Decision.REJECTED: ApprovalStatus.REJECTED,
    Decision.EXPIRED: ApprovalStatus.EXPIRED,
}


def request_name(analysis: str, round_: int) -> str:
    """Return the name of the request of a round: `approval-{analysis}`, then `approval-{analysis}-r2` and so on.

    A bare number would be that of another analysis of the same remediation.
    """
    return f"approval-{analysis}" if round_ == 1 else f"approval-{analysis}-r{round_}"


def confidence_level(confidence: float) -> str:
    """Return low (below 0.6), medium (below 0.8) or high."""
    return "low" if confidence < _LOW else "medium" if confidence < _HIGH else "high"


def patience(asked: str, evaluation: PolicyEvaluation, otherwise: timedelta) -> timedelta:
    """Return how long people have: as the analysis was told, else as the policy's rule says; a text that is no duration counts as none."""
    for text in (asked, evaluation.approval_timeout):
        try:
            return parse_duration(text)
        except ValueError:
            continue
    return otherwise


def context_of(status: AIAnalysisStatus, why: str, evaluation: PolicyEvaluation) -> ApprovalContext:
    """Return what a person needs to decide."""
    actions = [RecommendedAction(action=row.action, rationale=row.explanation) for row in status.recommendations]
    return ApprovalContext(
        reason=f"{status.recommended_action} on {_target(status)}"[:1024],
        confidence_score=status.confidence,
        confidence_level=confidence_level(status.confidence),
        investigation_summary=status.root_cause,
        evidence_collected=[f"{row.source} {row.field} = {row.value}: {row.says}"[:1024] for row in status.evidence],
        recommended_actions=actions,
        alternatives_considered=status.alternatives,
        why_approval_required=why[:1024],
        policy_evaluation=evaluation,
    )


def _target(status: AIAnalysisStatus) -> str:
    return status.remediation_target.path() if status.remediation_target else "the signal's target"


def request_for(analysis: AIAnalysis, context: ApprovalContext, effect: Effect, *, round_: int, required_by: datetime) -> AIApprovalRequest:
    """Return the question of a round."""
    meta, status = analysis.metadata, analysis.status
    shown = AIApprovalRequestSpec(
        ai_analysis_ref=ObjectReference(name=meta.name, namespace=meta.namespace, uid=meta.uid, kind="AIAnalysis"),
        remediation_request_ref=analysis.spec.remediation_request_ref,
        recommendation=_recommendation(status),
        recommended_workflow=status.selected_workflow,
        reason=context.reason,
        confidence=status.confidence,
        confidence_level=context.confidence_level,
        investigation_summary=context.investigation_summary,
        evidence_collected=context.evidence_collected,
        recommended_actions=context.recommended_actions,
        alternatives_considered=context.alternatives_considered,
        why_approval_required=context.why_approval_required,
        policy_evaluation=context.policy_evaluation,
        bound_to=status.binding.hash if status.binding else "",
        required_by=required_by,
    )
    labels = {CORRELATION_LABEL: analysis.correlation_id}
    return AIApprovalRequest(
        metadata=ObjectMeta(name=request_name(meta.name, round_), namespace=meta.namespace, labels=labels),
        spec=shown.model_copy(update=effect.fields()),
    )


def _recommendation(status: AIAnalysisStatus) -> ApprovalRecommendation:
    first = status.recommendations[0]
    return ApprovalRecommendation(
        action=first.action,
        target_resource=first.target_resource,
        parameters=first.parameters,
        risk_level=first.risk_level or RiskLevel.MEDIUM,
        effectiveness_probability=first.effectiveness_probability,
    )


def note_answer(status: AIAnalysisStatus, request: AIApprovalRequest) -> None:
    """Write what people (or the clock) answered into the analysis."""
    found, answer = verdict(request), request.status
    decision = found.decision or Decision.EXPIRED
    status.approval_status = _STATUSES[decision]
    yes = decision is Decision.APPROVED
    status.approved_by, status.rejected_by = (found.by, "") if yes else ("", found.by)
    status.approval_justification = found.message if yes else ""
    status.rejection_reason = "" if yes else found.message or "no reason given"
    status.approval_method = answer.decided_via
    status.approval_time = answer.decided_at
    asked = request.metadata.creation_timestamp
    if answer.decided_at and asked:
        status.approval_duration = go_duration(answer.decided_at - asked)


def forget_answer(status: AIAnalysisStatus) -> None:
    """Take back an answer that does not hold."""
    status.approval_status = ApprovalStatus.PENDING
    status.approved_by = status.approval_justification = status.approval_method = status.approval_duration = ""
    status.rejected_by = status.rejection_reason = ""
    status.approval_time = None

"""Asking a person: what they are shown, what exactly their yes is bound to, and what their answer makes of the analysis. Pure."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import orjson

from kubernaut.analysis.steps import told, undo_of
from kubernaut.api.analysis import AIAnalysis, AIAnalysisStatus, ApprovalContext, ApprovalStatus, PolicyEvaluation, RecommendedAction
from kubernaut.api.approval import AIApprovalRequest, AIApprovalRequestSpec, ApprovalRecommendation, Decision
from kubernaut.api.base import CORRELATION_LABEL, Obj, ObjectMeta, ObjectReference
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.durations import go_duration
from kubernaut.api.plan import Operation
from kubernaut.api.signal import RiskLevel

_VARIABLE = re.compile(r"\$\(([A-Z][A-Z0-9_]*)\)")
_LOW, _HIGH = 0.6, 0.8
NO_PREVIEW = "This workflow declares no preview: what it changes can only be told from its description."


def request_name(analysis: str, round_: int) -> str:
    """Return the name of the request of a round: `approval-{analysis}`, then `approval-{analysis}-2` and so on."""
    return f"approval-{analysis}" if round_ == 1 else f"approval-{analysis}-{round_}"


def confidence_level(confidence: float) -> str:
    """Return low (below 0.6), medium (below 0.8) or high."""
    return "low" if confidence < _LOW else "medium" if confidence < _HIGH else "high"


def bound_hash(target: Obj | None, status: AIAnalysisStatus, *, scaled_by_others: bool) -> str:
    """Return the hash of all that a yes is for: the target's spec, the workflow's digest with its parameters, and the steps.

    Replicas are left out where an autoscaler owns them; the target's status is no part of it.
    """
    workflow = status.selected_workflow
    bound = {
        "target": _bound_target(target, scaled_by_others=scaled_by_others),
        "workflow": [workflow.workflow_id, workflow.version, workflow.container_image, workflow.parameters] if workflow else None,
        "steps": [step.wire() for step in steps_of(status)],
    }
    return "sha256:" + hashlib.sha256(orjson.dumps(bound, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _bound_target(target: Obj | None, *, scaled_by_others: bool) -> Any:
    if target is None:
        return None
    spec = dict(target.get("spec") or {})
    if scaled_by_others:
        spec.pop("replicas", None)
    meta = target["metadata"]
    return [target["kind"], meta.get("namespace", ""), meta["name"], meta.get("uid", ""), spec]


def steps_of(status: AIAnalysisStatus) -> Sequence[Operation]:
    """Return the typed steps of the first recommendation."""
    return status.recommendations[0].workflow_steps if status.recommendations else ()


def what_will_change(workflow: RemediationWorkflow | None, status: AIAnalysisStatus) -> str:
    """Say in plain words what would be done: the workflow's declared preview with its parameters filled in, else the typed steps."""
    if workflow is None:
        return _sentences(steps_of(status))
    chosen = status.selected_workflow
    values = chosen.parameters if chosen else {}
    previews = [_filled(step, values) for step in workflow.spec.preview]
    if not previews:
        return f"{workflow.spec.description} {NO_PREVIEW}"
    now = status.recommendations[0].workflow_steps if status.recommendations else []
    same = _with_present_values(previews, now)
    return _sentences(same)


def _sentences(steps: Iterable[Operation]) -> str:
    return "\n".join(f"{told(step)} {undo_of(step)}" for step in steps)


def _with_present_values(previews: list[Operation], steps: Sequence[Operation]) -> list[Operation]:
    """Borrow target and present values of the typed step of the same action, so that both sides of the change are shown."""
    known = {step.action: step for step in steps}
    borrowed = ((step, known.get(step.action)) for step in previews)
    return [
        step.model_copy(update={"target": twin.target, "rollback": twin.rollback}) if twin and _same_object(step, twin) else step
        for step, twin in borrowed
    ]


def _same_object(one: Operation, other: Operation) -> bool:
    names = ("namespace", "resource_name")
    return all(str(one.parameters.get(name)) == str(other.parameters.get(name)) for name in names)


def _filled(step: Operation, values: dict[str, str]) -> Operation:
    filled = {name: _replaced(value, values) for name, value in step.parameters.items()}
    return step.model_copy(update={"parameters": filled})


def _replaced(value: Any, values: dict[str, str]) -> Any:
    if not isinstance(value, str):
        return value
    return _VARIABLE.sub(lambda found: values.get(found[1], found[0]), value)


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


def request_for(
    analysis: AIAnalysis, context: ApprovalContext, *, round_: int, bound_to: str, change: str, required_by: datetime
) -> AIApprovalRequest:
    """Return the question of a round."""
    meta, status = analysis.metadata, analysis.status
    return AIApprovalRequest(
        metadata=ObjectMeta(
            name=request_name(meta.name, round_), namespace=meta.namespace, labels={CORRELATION_LABEL: analysis.correlation_id}
        ),
        spec=AIApprovalRequestSpec(
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
            what_will_change=change[:16_384],
            policy_evaluation=context.policy_evaluation,
            bound_to=bound_to,
            required_by=required_by,
        ),
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
    """Write what a person (or the clock) answered into the analysis."""
    answer = request.status
    status.approval_status = {
        Decision.APPROVED: ApprovalStatus.APPROVED,
        Decision.REJECTED: ApprovalStatus.REJECTED,
        Decision.EXPIRED: ApprovalStatus.EXPIRED,
    }[answer.decision or Decision.EXPIRED]
    yes = answer.decision is Decision.APPROVED
    status.approved_by, status.rejected_by = (answer.decided_by, "") if yes else ("", answer.decided_by)
    status.approval_justification = answer.decision_message if yes else ""
    status.rejection_reason = "" if yes else answer.decision_message or "no reason given"
    status.approval_method = answer.decided_via
    status.approval_time = answer.decided_at
    asked = request.metadata.creation_timestamp
    if answer.decided_at and asked:
        status.approval_duration = go_duration(answer.decided_at - asked)


def forget_answer(status: AIAnalysisStatus) -> None:
    """Take back an answer that does not hold."""
    status.approval_status = ApprovalStatus.PENDING
    status.approved_by = status.approval_justification = status.approval_method = status.approval_duration = ""
    status.approval_time = None

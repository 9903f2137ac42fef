"""Turns stage objects into what a decision may look at. Pure: objects, limits and the time in, facts out."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import orjson

from kubernaut.api import analysis as ai
from kubernaut.api import execution as ke
from kubernaut.api import processing as rp
from kubernaut.api import verification as ea
from kubernaut.api import workflow as we
from kubernaut.api.base import Condition, ConditionStatus
from kubernaut.api.remediation import NAME_LIMIT, RemediationRequest
from kubernaut.api.signal import SignalState
from kubernaut.orchestration.decide import Analysis, Answer, Assessment, Child, Progress, Seen, Stage
from kubernaut.orchestration.family import Family
from kubernaut.orchestration.limits import Limits
from kubernaut.orchestration.settings import OrchestrationSettings

HOLDS = frozenset({"ResourceLocked", "Cooldown"})
"""Conditions of a WorkflowExecution that say why it waits for its target."""
ROLLED_BACK = "RolledBack"
"""Condition of a KubernetesExecution that took back what it had changed."""
UNSURE = frozenset({"NoWorkflowSelected", "WorkflowResolutionFailed"})
EXPIRED = "Expired"


def see(request: RemediationRequest, family: Family, settings: OrchestrationSettings, now: datetime) -> Seen:
    """Sum up a remediation and its stage objects."""
    limits, status = Limits(request, settings), request.status
    analysis = _analysis(family, family.analysis, limits, now) if family.analysis else None
    return Seen(
        overall=limits.overall_deadline(waited(family, now)),
        fault=fault_of(request),
        resolved=status.signal_state is SignalState.RESOLVED,
        verify=settings.verification,
        expires_at=status.completion_time and (status.retention_expiry_time or status.completion_time + settings.retention),
        processing=_processing(family.processing, limits, now) if family.processing else None,
        analysis=replace(analysis, asked=status.approval_notification_sent) if analysis else None,
        workflow=_workflow(family.workflow, limits, now) if family.workflow else None,
        execution=_execution(family.execution, limits, now) if family.execution else None,
        assessment=_assessment(family.assessment, limits, now) if family.assessment else None,
    )


def fault_of(request: RemediationRequest) -> str:
    """Say why what was reported cannot be worked on; empty when it can."""
    if len(request.metadata.name) > NAME_LIMIT:
        return f"the name is longer than {NAME_LIMIT} characters: names made from it would not fit"
    try:
        payload = orjson.loads(request.spec.original_payload)
    except orjson.JSONDecodeError as fault:
        return f"originalPayload is not JSON: {fault}"
    return "" if isinstance(payload, dict) else "originalPayload is no JSON object"


def waited(family: Family, now: datetime) -> timedelta:
    """Return the time spent waiting for people and for the target, which the overall limit leaves out."""
    return _asked(family, now) + _queued(family.workflow, now)


def answer_of(analysis: ai.AIAnalysis) -> Answer:
    """Read how far an analysis has come, and what it says."""
    status = analysis.status
    match status.phase:
        case ai.Phase.APPROVING:
            return Answer.ASKING
        case ai.Phase.REJECTED:
            return Answer.EXPIRED if status.approval_status is ai.ApprovalStatus.EXPIRED else Answer.REJECTED
        case ai.Phase.COMPLETED:
            return _conclusion(status)
        case ai.Phase.FAILED:
            return Answer.REVIEW if status.needs_human_review or status.reason in UNSURE else Answer.FAILED
        case _:
            return Answer.WORKING


def _conclusion(status: ai.AIAnalysisStatus) -> Answer:
    if status.needs_human_review:
        return Answer.REVIEW
    if not status.action_required:
        return Answer.HEALTHY
    if status.selected_workflow is not None:
        return Answer.WORKFLOW
    return Answer.STEPS if status.recommendations and status.recommendations[0].workflow_steps else Answer.REVIEW


def _processing(child: rp.RemediationProcessing, limits: Limits, now: datetime) -> Child:
    status, since = child.status, child.metadata.creation_timestamp or now
    deadline = child.spec.times_out_at or since + limits.of(Stage.PROCESSING)
    if status.phase is rp.Phase.COMPLETED and status.enriched_signal is None:
        return Child(Progress.FAILED, since, deadline, None, "NoEnrichedSignal", "processing completed without an enriched signal")
    progress = {rp.Phase.COMPLETED: Progress.SUCCEEDED, rp.Phase.FAILED: Progress.FAILED}.get(status.phase, Progress.RUNNING)
    message = status.failure_reason or status.message
    return Child(progress, since, deadline, status.completion_time, "ProcessingFailed", message)


def _analysis(family: Family, child: ai.AIAnalysis, limits: Limits, now: datetime) -> Analysis:
    status, answer, created = child.status, answer_of(child), child.metadata.creation_timestamp or now
    if answer is Answer.ASKING:
        since = status.approval_requested_at or now
        return Analysis(answer, since, _approval_deadline(family, since, limits), message=_question(status))
    deadline = (child.spec.times_out_at or created + limits.of(Stage.ANALYSIS)) + _asked(family, now)
    message = _rejection(status) if answer is Answer.REJECTED else status.message or status.root_cause
    return Analysis(answer, created, deadline, status.completed_at, _reason(status, answer), message)


def _reason(status: ai.AIAnalysisStatus, answer: Answer) -> str:
    if answer is Answer.REVIEW:
        return status.sub_reason or status.reason or "NoWorkflowSelected"
    return status.reason or "AnalysisFailed"


def _question(status: ai.AIAnalysisStatus) -> str:
    reason = status.approval_context.reason if status.approval_context else ""
    return (
        f"waiting for approval {status.approval_request_name}: {reason}"
        if reason
        else f"waiting for approval {status.approval_request_name}"
    )


def _rejection(status: ai.AIAnalysisStatus) -> str:
    by = status.rejected_by or "a person"
    return f"{by} rejected the fix: {status.rejection_reason}" if status.rejection_reason else f"{by} rejected the fix"


def _approval_deadline(family: Family, since: datetime, limits: Limits) -> datetime:
    own = family.approval.spec.required_by if family.approval else since + limits.of(Stage.APPROVAL)
    return own + limits.approval_grace


def _asked(family: Family, now: datetime) -> timedelta:
    """Return how long a person was or has been asked."""
    if family.analysis is None or family.analysis.status.approval_requested_at is None:
        return timedelta()
    status = family.analysis.status
    until = now if status.phase is ai.Phase.APPROVING else status.approval_time or status.completed_at or now
    return max(timedelta(), until - family.analysis.status.approval_requested_at)


def _workflow(child: we.WorkflowExecution, limits: Limits, now: datetime) -> Child:
    status = child.status
    limit = limits.of(Stage.WORKFLOW, steps=child.spec.workflow_definition is not None)
    created = child.metadata.creation_timestamp or now
    if hold := hold_of(child):
        return Child(Progress.WAITING, created, created + limits.lock_wait, None, hold.reason, hold.message)
    since = status.start_time or created + _queued(child, now)
    if status.phase is we.Phase.COMPLETED and child.spec.workflow_definition is not None and not status.operations:
        return Child(Progress.FAILED, since, since + limit, None, "NothingPlanned", "the plan came out without operations")
    progress = {we.Phase.COMPLETED: Progress.SUCCEEDED, we.Phase.FAILED: Progress.FAILED}.get(status.phase, Progress.RUNNING)
    deadline = created + limits.lock_wait if progress is Progress.FAILED and status.start_time is None else since + limit
    reason, message = _workflow_failure(status)
    return Child(progress, since, deadline, status.completion_time, reason, message)


def _workflow_failure(status: we.WorkflowExecutionStatus) -> tuple[str, str]:
    details = status.failure_details
    if details is None:
        return "WorkflowFailed", status.message
    return details.category.value, details.natural_language_summary or details.message or status.message


def hold_of(child: we.WorkflowExecution) -> Condition | None:
    """Return why a workflow waits for its target, or None when it does not."""
    if child.status.phase is not we.Phase.PENDING or child.status.start_time is not None:
        return None
    return next((each for each in _holds(child.status.conditions) if each.status is ConditionStatus.TRUE), None)


def _holds(conditions: Sequence[Condition]) -> list[Condition]:
    return [condition for condition in conditions if condition.type in HOLDS]


def _queued(child: we.WorkflowExecution | None, now: datetime) -> timedelta:
    """Return how long a workflow was or has been waiting for its target."""
    if child is None or not _holds(child.status.conditions):
        return timedelta()
    created = child.metadata.creation_timestamp or now
    released = [each.last_transition_time for each in _holds(child.status.conditions) if each.last_transition_time]
    until = now if hold_of(child) else child.status.start_time or max(released, default=created)
    return max(timedelta(), until - created)


def _execution(child: ke.KubernetesExecution, limits: Limits, now: datetime) -> Child:
    status, since = child.status, child.metadata.creation_timestamp or now
    deadline = child.spec.times_out_at or since + limits.of(Stage.EXECUTION)
    progress = {ke.Phase.COMPLETED: Progress.SUCCEEDED, ke.Phase.FAILED: Progress.FAILED}.get(status.phase, Progress.RUNNING)
    if progress is Progress.FAILED and _undone(status.conditions):
        progress = Progress.UNDONE
    return Child(progress, since, deadline, status.completion_time, status.failure_reason or "ExecutionFailed", status.message)


def _undone(conditions: Sequence[Condition]) -> bool:
    return any(condition.type == ROLLED_BACK and condition.status is ConditionStatus.TRUE for condition in conditions)


def _assessment(child: ea.EffectivenessAssessment, limits: Limits, now: datetime) -> Assessment:
    status, since = child.status, child.metadata.creation_timestamp or now
    deadline = child.spec.times_out_at or since + limits.of(Stage.VERIFICATION)
    done = status.phase in {ea.Phase.COMPLETED, ea.Phase.FAILED}
    expired = done and status.reason == EXPIRED
    return Assessment(since, deadline, done, expired, status.verdict, status.message)

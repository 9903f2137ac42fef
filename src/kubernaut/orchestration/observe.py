"""Turns stage objects into what a decision may look at. Pure: objects, limits and the time in, facts out."""

from datetime import datetime, timedelta

import orjson

from kubernaut.api import analysis as ai
from kubernaut.api import execution as ke
from kubernaut.api import processing as rp
from kubernaut.api import verification as ea
from kubernaut.api import workflow as we
from kubernaut.api.base import CANCEL_ANNOTATION, Condition, ConditionStatus
from kubernaut.api.brake import PAUSED
from kubernaut.api.remediation import DRY_RUN_ANNOTATION, NAME_LIMIT, ExecutionAttempt, RemediationRequest, RemediationRequestStatus
from kubernaut.api.signal import SignalState
from kubernaut.halt import resumed_at
from kubernaut.orchestration.decide import CANCELLED
from kubernaut.orchestration.facts import Analysis, Answer, Assessment, Child, Progress, Prospects, Seen, Stage, TakingBack
from kubernaut.orchestration.family import Family, is_idle_plan, recorded
from kubernaut.orchestration.limits import Limits
from kubernaut.orchestration.settings import OrchestrationSettings
from kubernaut.orchestration.waiting import asked, hold_of, queued, waited

ROLLED_BACK = "RolledBack"
"""Condition of a KubernetesExecution that took back what it had changed."""
UNSURE = frozenset({"NoWorkflowSelected", "WorkflowResolutionFailed"})
EXPIRED = "Expired"
IDLE = "NoExecution"
"""What an assessment says where all is well and the fix had changed nothing."""
DELETED = "StageObjectDeleted"


def see(
    request: RemediationRequest, family: Family, settings: OrchestrationSettings, now: datetime, *, tally: tuple[int, int] = (0, 0)
) -> Seen:
    """Sum up a remediation and its stage objects; `tally` is how many fixes failed and ended in the last hour, in the whole cluster."""
    limits, status = Limits(request, settings), request.status
    memory = Memory(status, family.attempt, now)
    return Seen(
        overall=limits.overall_deadline(waited(family, now) + held(status, now)),
        fault=fault_of(request),
        resolved=status.signal_state is SignalState.RESOLVED,
        verify=settings.verification,
        dry_run=is_rehearsal(request, settings),
        cancelled=cancelled(request),
        stopped_by=status.cancel_requested_at and status.cancel_requested_at + settings.cancel_limit,
        expires_at=status.completion_time and (status.retention_expiry_time or status.completion_time + settings.retention),
        processing=_processing(family.processing, limits, now) if family.processing else memory.processing(),
        analysis=_analysis(family, family.analysis, status, limits, now) if family.analysis else memory.analysis(),
        workflow=_workflow(family, family.workflow, limits, now) if family.workflow else memory.workflow(),
        stepwise=_is_stepwise(family, status),
        execution=_execution(family.execution, status, limits, now) if family.execution else memory.execution(),
        assessment=_assessment(family.assessment, limits, now) if family.assessment else memory.assessment(),
        undo=_undo(family.execution or family.workflow, family.assessment, limits, now),
        prospects=_prospects(status, family.attempt, settings, tally),
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


def cancelled(request: RemediationRequest) -> str:
    """Return what the person said who cancelled; empty when nobody did. What was once seen counts, whatever became of the annotation."""
    said = request.metadata.annotations.get(CANCEL_ANNOTATION)
    if request.status.cancel_requested_at is not None:
        return request.status.cancel_reason or "by a person"
    return "" if said is None else said.strip() or "by a person"


def is_rehearsal(request: RemediationRequest, settings: OrchestrationSettings) -> bool:
    """Tell whether nothing is to be carried out: by the settings, or by the request's annotation."""
    return settings.dry_run or request.metadata.annotations.get(DRY_RUN_ANNOTATION, "").casefold() == "true"


def retries_of(family: Family, status: RemediationRequestStatus) -> int:
    """Return the attempts of the current phase's child plus recovery attempts."""
    own = sum(result.retries_attempted for result in family.execution.status.operation_results) if family.execution else 0
    return own + max(status.recovery_attempts, family.attempt)


def _is_stepwise(family: Family, status: RemediationRequestStatus) -> bool:
    if family.workflow is not None:
        return family.workflow.spec.workflow_definition is not None
    noted = recorded(status.workflow_execution_refs, family.attempt)
    return noted is not None and noted.planned


def held(status: RemediationRequestStatus, now: datetime) -> timedelta:
    """Return how long a remediation was held before a stage could be opened."""
    current = now - status.blocked_since if status.blocked_since else timedelta()
    return timedelta(seconds=status.held_seconds) + max(timedelta(), current)


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
    deadline = limits.deadline(Stage.PROCESSING, since, child.spec.times_out_at)
    if status.phase is rp.Phase.COMPLETED and status.enriched_signal is None:
        return Child(Progress.FAILED, since, deadline, None, "NoEnrichedSignal", "processing completed without an enriched signal")
    progress = {rp.Phase.COMPLETED: Progress.SUCCEEDED, rp.Phase.FAILED: Progress.FAILED}.get(status.phase, Progress.RUNNING)
    message = status.failure_reason or status.message
    return Child(progress, since, deadline, status.completion_time, "ProcessingFailed", message)


def _analysis(family: Family, child: ai.AIAnalysis, own: RemediationRequestStatus, limits: Limits, now: datetime) -> Analysis:
    status, answer, created = child.status, answer_of(child), child.metadata.creation_timestamp or now
    if answer in FIXES and family.approval is not None and family.approval.status.voided_at is not None:
        answer = Answer.ASKING  # what was allowed is not what would be done: people are asked anew
    if answer is Answer.ASKING:
        since = status.approval_requested_at or now
        notified = own.approval_notification_sent and own.approval_notified_for == status.approval_request_name
        return Analysis(answer, since, _approval_deadline(family, since, limits), message=_question(status), asked=notified)
    deadline = limits.deadline(Stage.ANALYSIS, created, child.spec.times_out_at) + asked(family, now)
    message = _rejection(status) if answer is Answer.REJECTED else status.message or status.root_cause
    return Analysis(answer, created, deadline, status.completed_at, _reason(status, answer), message)


FIXES = frozenset({Answer.WORKFLOW, Answer.STEPS})


def _reason(status: ai.AIAnalysisStatus, answer: Answer) -> str:
    if answer is Answer.REVIEW:
        return status.sub_reason or status.reason or "NoWorkflowSelected"
    return status.reason or "AnalysisFailed"


def _question(status: ai.AIAnalysisStatus) -> str:
    waits = f"waiting for approval {status.approval_request_name}"
    return f"{waits}: {status.approval_context.reason}" if status.approval_context and status.approval_context.reason else waits


def _rejection(status: ai.AIAnalysisStatus) -> str:
    by = status.rejected_by or "a person"
    return f"{by} rejected the fix: {status.rejection_reason}" if status.rejection_reason else f"{by} rejected the fix"


def _approval_deadline(family: Family, since: datetime, limits: Limits) -> datetime:
    own = family.approval.spec.required_by if family.approval else since + limits.of(Stage.APPROVAL)
    return own + limits.approval_grace


def _workflow(family: Family, child: we.WorkflowExecution, limits: Limits, now: datetime) -> Child:
    status, steps = child.status, child.spec.workflow_definition is not None
    created = child.metadata.creation_timestamp or now
    if child.metadata.deletion_timestamp is not None and (_run_progress(status) is Progress.PENDING or is_idle_plan(family)):
        return Child(Progress.WAITING, created, now + limits.lock_wait, None, "Withdrawn", f"{child.metadata.name} is being withdrawn")
    if hold := hold_of(child):
        until = _held_until(hold, status.conditions, created, limits)
        return Child(Progress.WAITING, created, until, None, hold.reason, hold.message)
    since = status.start_time or created + queued(child, now)
    limit = limits.of(Stage.WORKFLOW, steps=steps)
    if status.phase is we.Phase.COMPLETED and steps and not status.operations:
        return Child(Progress.FAILED, since, since + limit, None, "NothingPlanned", "the plan came out without operations")
    deadline = created + limits.lock_wait if status.phase is we.Phase.FAILED and status.start_time is None else since + limit
    reason, message, step = failure_of(status)
    reason = CANCELLED if CANCEL_ANNOTATION in child.metadata.annotations else reason
    return Child(_run_progress(status), since, deadline, status.completion_time, reason, message, step)


def _held_until(hold: Condition, conditions: list[Condition], since: datetime, limits: Limits) -> datetime:
    """Return when waiting is given up; a pause has a limit of its own, and waiting for the target begins anew after it."""
    if hold.type == PAUSED:
        return (hold.last_transition_time or since) + limits.pause
    return max(since, resumed_at(conditions) or since) + limits.lock_wait


def _run_progress(status: we.WorkflowExecutionStatus) -> Progress:
    begun = Progress.PENDING if status.phase is we.Phase.PENDING and status.start_time is None else Progress.RUNNING
    return {we.Phase.COMPLETED: Progress.SUCCEEDED, we.Phase.FAILED: Progress.FAILED}.get(status.phase, begun)


def failure_of(status: we.WorkflowExecutionStatus) -> tuple[str, str, str]:
    """Return why a workflow failed: a word, a sentence, and the step."""
    details = status.failure_details
    if details is None:
        return "WorkflowFailed", status.message, ""
    message = details.natural_language_summary or details.message or status.message
    return details.category.value, message, details.failed_step_name or details.failed_task_name


def _execution(child: ke.KubernetesExecution, own: RemediationRequestStatus, limits: Limits, now: datetime) -> Child:
    status, since = child.status, child.metadata.creation_timestamp or now
    if hold := hold_of(child):
        held_from = hold.last_transition_time or since
        until = _held_until(hold, status.conditions, held_from, limits)
        return Child(Progress.WAITING, held_from, until, None, hold.reason, hold.message)
    deadline = limits.deadline(Stage.EXECUTION, since, child.spec.times_out_at) + held(own, now)
    deadline = max(deadline, (resumed_at(status.conditions) or since) + limits.of(Stage.EXECUTION))
    progress = {ke.Phase.COMPLETED: Progress.SUCCEEDED, ke.Phase.FAILED: Progress.FAILED, ke.Phase.PENDING: Progress.PENDING}
    reason, message = status.failure_reason or "ExecutionFailed", status.message
    reason = CANCELLED if CANCEL_ANNOTATION in child.metadata.annotations else reason
    reached = progress.get(status.phase, Progress.RUNNING)
    if reached is Progress.FAILED and _undone(status.conditions):
        reached = Progress.UNDONE
    return Child(reached, since, deadline, status.completion_time, reason, message, failed_step(status))


def failed_step(status: ke.KubernetesExecutionStatus) -> str:
    """Return the first operation that failed, by its action."""
    failed = (ke.Phase.FAILED, ke.Phase.ROLLBACK_READY)
    return next((result.action for result in status.operation_results if result.phase in failed), "")


def _undone(conditions: list[Condition]) -> bool:
    return any(condition.type == ROLLED_BACK and condition.status is ConditionStatus.TRUE for condition in conditions)


def _assessment(child: ea.EffectivenessAssessment, limits: Limits, now: datetime) -> Assessment:
    status, since = child.status, child.metadata.creation_timestamp or now
    deadline = limits.deadline(Stage.VERIFICATION, since, child.spec.times_out_at)
    done = status.phase in {ea.Phase.COMPLETED, ea.Phase.FAILED}
    expired = done and status.reason == EXPIRED
    idle = done and status.reason == IDLE
    return Assessment(since, deadline, done, expired, idle, status.verdict, status.message, status.completion_time)


def _undo(
    fix: ke.KubernetesExecution | we.WorkflowExecution | None, assessment: ea.EffectivenessAssessment | None, limits: Limits, now: datetime
) -> TakingBack | None:
    """Tell how far taking a fix back has come: it may last as long as a fix. Before its end nothing can be taken back."""
    if fix is None or fix.status.completion_time is None or (isinstance(fix, we.WorkflowExecution) and fix.spec.workflow_definition):
        return None
    asked, answered = fix.spec.undo, fix.status.undo
    judged = assessment.status.completion_time if assessment else None
    deadline = (asked.requested_at if asked else judged or now) + limits.of(Stage.EXECUTION)
    if asked is None or answered is None or answered.requested_at != asked.requested_at or answered.completion_time is None:
        return TakingBack(deadline, asked is not None, message=answered.message if answered else "")
    return TakingBack(deadline, asked=True, outcome=answered.outcome, message=answered.message)


def _prospects(status: RemediationRequestStatus, attempt: int, settings: OrchestrationSettings, tally: tuple[int, int]) -> Prospects:
    tried = (*status.workflow_execution_refs, *status.kubernetes_execution_refs)
    failures = tuple((each.failed_step, each.error_type) for each in tried if each.outcome == "failed" and each.attempt_number < attempt)
    terminated, ended = tally
    sample, rate = settings.termination_sample, settings.termination_rate
    last = status.recovery_reason if attempt else ""
    return Prospects(attempt, settings.max_recovery_attempts, last, failures, terminated, ended, sample, rate)


class Memory:
    """What a remediation remembers of stage objects that are gone: nothing that has run runs again."""

    def __init__(self, status: RemediationRequestStatus, attempt: int, now: datetime) -> None:
        self._now = now
        self._processed = recorded(status.remediation_processing_refs, attempt)
        self._analysed = recorded(status.ai_analysis_refs, attempt)
        self._run = recorded(status.workflow_execution_refs, attempt)
        self._executed = recorded(status.kubernetes_execution_refs, attempt)
        self._assessed = status.effectiveness_assessment_ref

    def processing(self) -> Child | None:
        """Processing is behind us once an analysis was opened."""
        if self._processed is None:
            return None
        return self._behind() if self._analysed else self._gone(self._processed.name)

    def analysis(self) -> Analysis | None:
        """The analysis is behind us once its fix was begun."""
        if self._analysed is None:
            return None
        if self._run is None:
            return Analysis(Answer.FAILED, self._now, self._now, None, DELETED, _deleted(self._analysed.name))
        return Analysis(Answer.STEPS if self._run.planned else Answer.WORKFLOW, self._now, self._now)

    def workflow(self) -> Child | None:
        """A plan that was carried out is behind us; one that was not is lost."""
        if self._run is not None and self._run.planned:
            return self._behind() if self._executed else self._gone(self._run.name)
        return self._fix(self._run)

    def execution(self) -> Child | None:
        """What was recorded counts."""
        return self._fix(self._executed)

    def assessment(self) -> Assessment | None:
        """Nobody knows whether it helped."""
        if self._assessed is None:
            return None
        return Assessment(self._now, self._now, done=True, verdict=None, message=_deleted(self._assessed.name))

    def _fix(self, attempt: ExecutionAttempt | None) -> Child | None:
        if attempt is None:
            return None
        if attempt.outcome == "completed":
            return self._behind()
        if attempt.outcome == "failed":
            return Child(Progress.FAILED, self._now, self._never, None, attempt.error_type, attempt.failure_reason, attempt.failed_step)
        return self._gone(attempt.name)

    @property
    def _never(self) -> datetime:
        return self._now + timedelta(days=1)

    def _behind(self) -> Child:
        return Child(Progress.SUCCEEDED, self._now, self._never)

    def _gone(self, name: str) -> Child:
        return Child(Progress.DELETED, self._now, self._never, None, DELETED, _deleted(name))


def _deleted(name: str) -> str:
    return f"{name} was deleted before its end was seen; it is not made again"

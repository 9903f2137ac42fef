"""What a remediation's status says: the phase that follows from the step, and a digest of its stage objects."""

from datetime import datetime, timedelta
from typing import Final, assert_never

from kubernaut.api.base import AuditOutcome
from kubernaut.api.remediation import Ending, Outcome, Phase, RemediationRequest, RemediationRequestStatus
from kubernaut.kube.journal import record
from kubernaut.kube.status import cut, set_condition
from kubernaut.orchestration import metrics
from kubernaut.orchestration.children import target_of
from kubernaut.orchestration.evidence import evidence_hash
from kubernaut.orchestration.facts import FAILURE_PHASES, TITLES, Stage, phase_of
from kubernaut.orchestration.family import Family
from kubernaut.orchestration.limits import Limits, retention_of
from kubernaut.orchestration.observe import cancelled, is_rehearsal, retries_of
from kubernaut.orchestration.plans import fix_of
from kubernaut.orchestration.records import members, state_of
from kubernaut.orchestration.remembering import remember
from kubernaut.orchestration.settings import OrchestrationSettings
from kubernaut.orchestration.steps import Ask, Block, Conclude, End, Forget, Hold, Keep, Notice, Open, Recover, Step, Stop, Wait
from kubernaut.orchestration.table import mark_of, next_phase
from kubernaut.orchestration.waiting import hold_of, waited

ENDED: Final = "Ended"
BAD: Final = frozenset({Phase.FAILED, Phase.TIMED_OUT})
PROPOSAL_LIMIT: Final = 16_384
"""Characters of a proposed change that a status keeps."""
RESTS: Final = frozenset({"ConsecutiveFailures", "ExponentialBackoff", "RecentlyRemediated"})
"""Blocks that end at a known moment."""


def passing(request: RemediationRequest, family: Family, step: Step, now: datetime) -> bool:
    """Walk one row towards the phase of a step that no row leads to from here; False where one does, and the step may be done.

    The stage objects are ahead of the phase where status writes were lost; every row is written all the same.
    """
    goal = _goal(family, step)
    if goal is None:
        return False
    phase, mark = goal
    status = request.status
    following = next_phase(status.overall_phase, phase, mark, blocked_from=status.blocked_from)
    if following in {phase, status.overall_phase}:
        return False
    status.start_time = status.start_time or request.metadata.creation_timestamp or now
    _release(status, now)
    _enter(status, following, now, f"on the way to {phase.value}")
    return True


def report(request: RemediationRequest, family: Family, step: Step, settings: OrchestrationSettings, now: datetime) -> None:
    """Fill in the status after a step was done; what has ended is left alone."""
    if isinstance(step, (Keep, Forget)):
        return
    status = request.status
    status.start_time = status.start_time or Limits(request, settings).started
    status.dry_run = is_rehearsal(request, settings)
    status.max_recovery_attempts = settings.max_recovery_attempts
    remember(request, family, now)
    digest(request, family)
    _block(status, family, step, now)
    _phase(request, family, step, settings, now)
    status.waited_seconds = int((waited(family, now) + timedelta(seconds=status.held_seconds)).total_seconds())


def settle(before: RemediationRequestStatus, status: RemediationRequestStatus) -> None:
    """Take back what a pass would only restate: the stage objects speak for themselves, and a write less is a conflict less."""
    if _news(before) == _news(status):
        for name in type(status).model_fields:
            setattr(status, name, getattr(before, name))


def _goal(family: Family, step: Step) -> tuple[Phase, str] | None:
    """Return the phase that a step leads to, and the mark of its row; None where it leads to none."""
    match step:
        case Open(stage):
            return phase_of(stage, family.attempt), ""
        case Recover():
            return Phase.RECOVERING, ""
        case Ask():
            return Phase.AWAITING_APPROVAL, ""
        case Wait(phase):
            return phase, ""
        case Hold():
            return Phase.BLOCKED, ""
        case Conclude(end):
            return _goal(family, end)
        case End():
            return step.phase, mark_of(step.phase, step.outcome.value if step.outcome else "", _failure_phase(step))
        case Stop() | Keep() | Forget():
            return None
        case _:
            assert_never(step)


def _phase(request: RemediationRequest, family: Family, step: Step, settings: OrchestrationSettings, now: datetime) -> None:
    status = request.status
    match step:
        case Open(stage):
            _enter(status, phase_of(stage, family.attempt), now, f"{TITLES[stage]} was opened")
        case Recover(number, stage, _, message):
            told = f"{TITLES[stage]} failed: {message}; attempt {number} of {settings.max_recovery_attempts} begins"
            _enter(status, Phase.RECOVERING, now, told)
        case Ask(since):
            _asked(request, family, now)
            _enter(status, Phase.AWAITING_APPROVAL, since, "people are asked for approval")
        case Wait(phase, since, _, message):
            _enter(status, phase, since, message)
        case Hold(block):
            _enter(status, Phase.BLOCKED, now, block.message)
        case Stop():
            _stopping(request, now)
        case Conclude(end):
            status.ending, status.message = _ending(end), cut(end.message)
        case End():
            _end(request, family, step, settings, now)
        case Keep() | Forget():
            return
        case _:
            assert_never(step)


def _ending(end: End) -> Ending:
    return Ending(
        phase=end.phase,
        stage=end.stage.value,
        reason=end.reason,
        message=cut(end.message),
        notice=end.notice.value,
        outcome=end.outcome,
        escalation=end.escalation.value if end.escalation else "",
        failure_phase=end.failure_phase,
        verdict=end.verdict,
        duplicate_of=end.duplicate_of,
        proposal=cut(end.proposal, PROPOSAL_LIMIT),
    )


def _enter(status: RemediationRequestStatus, phase: Phase, since: datetime, message: str) -> None:
    if phase is not status.overall_phase or status.phase_start_time is None:
        status.phase_start_time = since
    status.overall_phase, status.message = phase, cut(message)


def _asked(request: RemediationRequest, family: Family, now: datetime) -> None:
    status = request.status
    status.approval_notification_sent = True
    status.approval_notified_for = family.analysis.status.approval_request_name if family.analysis else ""
    record(request, "NotificationCreated", f"people were asked for approval: {status.approval_notified_for}", now=now)


def _stopping(request: RemediationRequest, now: datetime) -> None:
    """Note once that a person wants it to end; from then on that stands, whatever becomes of the annotation."""
    status = request.status
    if status.cancel_requested_at is None:
        status.cancel_reason = cut(cancelled(request))
        status.cancel_requested_at = now
        record(request, "CancellationRequested", status.cancel_reason, now=now, outcome=AuditOutcome.PENDING)
    status.message = cut(f"stopping: {status.cancel_reason}")


def _end(request: RemediationRequest, family: Family, end: End, settings: OrchestrationSettings, now: datetime) -> None:
    """Say how it ended, once; from then on nothing touches the object but its cleanup."""
    status = request.status
    _enter(status, end.phase, now, end.message)
    status.outcome, status.completion_time, status.ending = end.outcome, now, None
    status.retention_expiry_time = now + retention_of(request, settings)
    status.escalated_to_manual_review = end.notice is Notice.REVIEW or bool(end.verdict)
    status.recovery_reason = end.verdict or status.recovery_reason
    status.duplicate_of = end.duplicate_of
    if end.phase is Phase.CANCELLED and status.cancel_requested_at is None:
        status.cancel_requested_at, status.cancel_reason = now, cut(cancelled(request))
    if end.outcome is Outcome.NO_ACTION_REQUIRED and end.stage is Stage.ANALYSIS and family.processing:
        status.evidence_hash = evidence_hash(family.processing.status.enriched_signal)
    _fault(status, end, now)
    _told(request, end, now)


def _fault(status: RemediationRequestStatus, end: End, now: datetime) -> None:
    if end.reason in {"TimedOut", "VerificationTimedOut", "ApprovalExpired"}:
        status.timeout_phase, status.timeout_time = end.stage.value, now
    if end.phase in BAD:
        status.failure_phase, status.failure_reason = _failure_phase(end), cut(f"{end.reason}: {end.message}")


def _failure_phase(end: End) -> str:
    return end.failure_phase or FAILURE_PHASES[end.stage]


def _told(request: RemediationRequest, end: End, now: datetime) -> None:
    generation = request.metadata.generation
    set_condition(request.status.conditions, ENDED, status=True, reason=end.reason, message=end.message, now=now, generation=generation)
    good = end.notice in {Notice.COMPLETION, Notice.BULK}
    data = {"stage": end.stage.value, "reason": end.reason, "outcome": end.outcome.value if end.outcome else ""}
    outcome = AuditOutcome.SUCCESS if good else AuditOutcome.FAILURE
    record(request, _event(end.phase), end.message, now=now, outcome=outcome, data=data)
    if end.verdict:
        record(request, "EscalatedToManualReview", f"no further attempt: {end.verdict}", now=now, outcome=AuditOutcome.FAILURE)
    metrics.OUTCOMES.labels(end.phase.value, data["outcome"]).inc()


def _event(phase: Phase) -> str:
    names = {
        Phase.COMPLETED: "RemediationRequestCompleted",
        Phase.TIMED_OUT: "RemediationTimeout",
        Phase.SKIPPED: "RemediationRequestSkipped",
        Phase.CANCELLED: "RemediationRequestCancelled",
    }
    return names.get(phase, "RemediationRequestFailed")


def _block(status: RemediationRequestStatus, family: Family, step: Step, now: datetime) -> None:
    """Say why it is held, and until when; or that it is no longer."""
    match step:
        case Hold(block, _, until, deadline):
            _hold(status, block, deadline if block.recheck else until, now)
            status.blocked_since = status.blocked_since or now
        case Wait(Phase.BLOCKED, _, until):
            holds = [found for each in (family.execution, family.workflow) if each is not None and (found := hold_of(each))]
            reason, message = (holds[0].reason or holds[0].type, holds[0].message) if holds else ("", "")
            _hold(status, Block(reason, message, until), until, now)
            status.blocked_since = status.blocked_since or (now if family.execution else None)
        case End(failure_phase="Blocked"):
            status.blocked_until = None
        case Conclude():
            return
        case _:
            _release(status, now)


def _hold(status: RemediationRequestStatus, block: Block, until: datetime, now: datetime) -> None:
    """Say why it is held; the moment named stands until it has passed, lest every look is a write that asks for the next look."""
    if status.overall_phase is not Phase.BLOCKED:
        status.blocked_from = status.overall_phase
    known = (status.block_reason, status.block_message) == (block.reason, cut(block.message))
    if not known or status.blocked_until is None or status.blocked_until <= now:
        status.blocked_until = until
    status.block_reason, status.block_message = block.reason, cut(block.message)
    status.duplicate_of = block.duplicate_of
    status.next_allowed_execution = block.until if block.reason in RESTS else None


def _release(status: RemediationRequestStatus, now: datetime) -> None:
    """Forget why it was held; the time counts for nothing."""
    if status.blocked_since is not None:
        status.held_seconds += max(0, int((now - status.blocked_since).total_seconds()))
    status.block_reason, status.block_message, status.blocked_until = "", "", None
    status.blocked_since = status.blocked_from = status.next_allowed_execution = None
    status.duplicate_of = ""


def _news(status: RemediationRequestStatus) -> tuple[object, ...]:
    """Return what is worth a write of its own."""
    fixes = (*status.workflow_execution_refs, *status.kubernetes_execution_refs)
    return (
        status.overall_phase,
        status.journal.count,
        status.ending,
        [(each.name, each.outcome) for each in fixes],
        (status.block_reason, status.block_message, status.blocked_until, status.blocked_since),
        (status.cancel_requested_at, status.dry_run, status.approval_notified_for, status.escalation_sent_for),
    )


def digest(request: RemediationRequest, family: Family) -> None:
    """Copy what people look for first, so that one object tells the case."""
    status = request.status
    if family.processing and (signal := family.processing.status.enriched_signal):
        status.environment, status.priority = signal.environment, signal.business_priority
    if family.analysis and family.analysis.status.root_cause:
        found = family.analysis.status
        status.confidence, status.root_cause = found.confidence, found.root_cause
        status.selected_workflow = fix_of(family)
        status.remediation_target = target_of(request, family).path()
    status.children = {child.card.kind: state_of(child) for child in members(family)}
    status.retry_count = retries_of(family, status)

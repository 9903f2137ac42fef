"""What a remediation's status says: the phase that follows from the step, and a digest of its stage objects."""

from collections.abc import Iterator
from datetime import datetime
from typing import assert_never

from kubernaut.api.base import AuditOutcome, NamedReference
from kubernaut.api.remediation import Phase, RemediationRequest, RemediationRequestStatus
from kubernaut.kube.journal import record
from kubernaut.kube.status import cut, set_condition
from kubernaut.orchestration import metrics
from kubernaut.orchestration.children import target_of
from kubernaut.orchestration.decide import FAILURE_PHASES, PHASES, TITLES, Ask, End, Forget, Keep, Notice, Open, Step, Wait
from kubernaut.orchestration.family import Family
from kubernaut.orchestration.limits import Limits
from kubernaut.orchestration.messages import fix_of
from kubernaut.orchestration.observe import hold_of, waited
from kubernaut.orchestration.records import StageObject, members, state_of
from kubernaut.orchestration.settings import OrchestrationSettings

ENDED = "Ended"
WAITS = frozenset({Phase.AWAITING_APPROVAL, Phase.BLOCKED})
BAD = frozenset({Phase.FAILED, Phase.TIMED_OUT})


def report(request: RemediationRequest, family: Family, step: Step, settings: OrchestrationSettings, now: datetime) -> None:
    """Fill in the status after a step was done; what has ended is left alone."""
    if isinstance(step, (Keep, Forget)):
        return
    status = request.status
    status.start_time = status.start_time or Limits(request, settings).started
    _children(request, family, now)
    _digest(request, family)
    _phase(request, step, settings, now)
    _block(status, family, step)
    if status.overall_phase not in WAITS:
        status.waited_seconds = int(waited(family, now).total_seconds())


def _phase(request: RemediationRequest, step: Open | Ask | Wait | End, settings: OrchestrationSettings, now: datetime) -> None:
    status = request.status
    match step:
        case Open(stage):
            _enter(status, PHASES[stage], now, f"{TITLES[stage]} was opened")
        case Ask(since):
            _asked(request, now)
            _enter(status, Phase.AWAITING_APPROVAL, since, "people are asked for approval")
        case Wait(phase, since, _, message):
            _enter(status, phase, since, message)
        case End():
            _end(request, step, settings, now)
        case _:
            assert_never(step)


def _enter(status: RemediationRequestStatus, phase: Phase, since: datetime, message: str) -> None:
    if phase is not status.overall_phase or status.phase_start_time is None:
        status.phase_start_time = since
    status.overall_phase, status.message = phase, cut(message)


def _asked(request: RemediationRequest, now: datetime) -> None:
    request.status.approval_notification_sent = True
    record(request, "NotificationCreated", "people were asked for approval", now=now)


def _end(request: RemediationRequest, end: End, settings: OrchestrationSettings, now: datetime) -> None:
    """Say how it ended, once; from then on nothing touches the object but its cleanup."""
    status = request.status
    _enter(status, end.phase, now, end.message)
    status.outcome, status.completion_time = end.outcome, now
    status.retention_expiry_time = now + settings.retention
    status.escalated_to_manual_review = end.notice is Notice.REVIEW
    if end.reason in {"TimedOut", "VerificationTimedOut", "ApprovalExpired"}:
        status.timeout_phase, status.timeout_time = end.stage.value, now
    if end.phase in BAD:
        status.failure_phase, status.failure_reason = FAILURE_PHASES[end.stage], cut(f"{end.reason}: {end.message}")
    set_condition(
        status.conditions, ENDED, status=True, reason=end.reason, message=end.message, now=now, generation=request.metadata.generation
    )
    outcome = AuditOutcome.FAILURE if end.notice is not Notice.COMPLETION else AuditOutcome.SUCCESS
    data = {"stage": end.stage.value, "reason": end.reason, "outcome": end.outcome.value if end.outcome else ""}
    record(request, _event(end.phase), end.message, now=now, outcome=outcome, data=data)
    metrics.OUTCOMES.labels(end.phase.value, data["outcome"]).inc()


def _event(phase: Phase) -> str:
    names = {Phase.COMPLETED: "RemediationRequestCompleted", Phase.TIMED_OUT: "RemediationTimeout"}
    return names.get(phase, "RemediationRequestFailed")


def _block(status: RemediationRequestStatus, family: Family, step: Step) -> None:
    hold = hold_of(family.workflow) if family.workflow else None
    if hold is None or not isinstance(step, Wait) or step.phase is not Phase.BLOCKED:
        status.block_reason, status.block_message, status.blocked_until = "", "", None
        return
    status.block_reason, status.block_message, status.blocked_until = hold.reason or hold.type, hold.message, step.until


def _children(request: RemediationRequest, family: Family, now: datetime) -> None:
    """Keep the references, and how each stage object stands; a new one is a fact to record."""
    status = request.status
    for field, child in _references(family):
        if getattr(status, field) is None:
            record(request, f"{child.card.kind}Created", f"{child.metadata.name} was created", now=now, data={"name": child.metadata.name})
            metrics.CREATIONS.labels(child.card.kind).inc()
        setattr(status, field, NamedReference(name=child.metadata.name, namespace=child.metadata.namespace))
    status.children = {child.card.kind: state_of(child) for child in members(family)}


def _references(family: Family) -> Iterator[tuple[str, StageObject]]:
    pairs = {
        "remediation_processing_ref": family.processing,
        "ai_analysis_ref": family.analysis,
        "workflow_execution_ref": family.workflow,
        "kubernetes_execution_ref": family.execution,
        "effectiveness_assessment_ref": family.assessment,
    }
    for field, child in pairs.items():
        if child is not None:
            yield field, child


def _digest(request: RemediationRequest, family: Family) -> None:
    """Copy what people look for first, so that one object tells the case."""
    status = request.status
    if family.processing and (signal := family.processing.status.enriched_signal):
        status.environment, status.priority = signal.environment, signal.business_priority
    if family.analysis and family.analysis.status.root_cause:
        found = family.analysis.status
        status.confidence, status.root_cause = found.confidence, found.root_cause
        status.selected_workflow = fix_of(family)
        status.remediation_target = target_of(request, family).path()
    if family.execution:
        status.retry_count = sum(result.retries_attempted for result in family.execution.status.operation_results)

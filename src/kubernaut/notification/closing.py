"""What becomes of a message after it was delivered: somebody answered, or it is over. Pure."""

from dataclasses import dataclass
from typing import Final

from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.notification import DeliveryEvent, NotificationRequest, NotificationType
from kubernaut.api.remediation import Outcome, RemediationRequest
from kubernaut.api.signal import SignalState
from kubernaut.notification.surroundings import Surroundings

GOOD: Final = frozenset({Outcome.REMEDIATED, Outcome.SELF_RESOLVED})
CRIES: Final = frozenset({NotificationType.ESCALATION, NotificationType.MANUAL_REVIEW})
"""What stays open after the case's end, until the problem is gone."""


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What readers of a message are to be told, in the reader's words."""

    event: DeliveryEvent
    note: str


def follow_up(request: NotificationRequest, around: Surroundings) -> FollowUp | None:
    """Return what readers of a delivered message are to be told now, or None while it stands as it is."""
    if around.case is None:
        return None
    if request.spec.type is NotificationType.APPROVAL:
        return _of_question(around.case, around.question)
    if request.spec.type in CRIES:
        return _of_cry(around)
    return None


def _of_question(case: RemediationRequest, question: AIApprovalRequest | None) -> FollowUp | None:
    if case.status.overall_phase.terminal:
        return FollowUp(DeliveryEvent.CLOSED, f"{_answer(question)}The case has ended: {_end_of(case)}. Nothing is left to decide.")
    if question is not None and question.status.voided_at is not None:
        return FollowUp(DeliveryEvent.CLOSED, f"This question no longer counts: {question.status.void_reason or 'things have changed'}.")
    if question is not None and question.status.decision is not None:
        return FollowUp(DeliveryEvent.ACKNOWLEDGED, f"{_answer(question)}No further answer is needed; the end will be told here.")
    return None


def _of_cry(around: Surroundings) -> FollowUp | None:
    case = around.case
    if case is not None and case.status.overall_phase.terminal and case.status.signal_state is SignalState.RESOLVED:
        return FollowUp(DeliveryEvent.CLOSED, "The alert has resolved. Nothing is left to do in this case.")
    for later in around.later:
        if later.status.outcome in GOOD:
            return FollowUp(DeliveryEvent.CLOSED, f"The problem is gone: a later case, {later.metadata.name}, ended {_end_of(later)}.")
    return None


def _answer(question: AIApprovalRequest | None) -> str:
    """Say who answered what."""
    if question is None or question.status.decision is None:
        return ""
    status = question.status
    said = f": {status.decision_message.rstrip('.')}" if status.decision_message else ""
    return f"{status.decision.value} by {status.decided_by or 'somebody'}{said}. " if status.decision else ""


def _end_of(case: RemediationRequest) -> str:
    status = case.status
    outcome = f", {status.outcome.value}" if status.outcome else ""
    message = f" ({status.message.rstrip('.')})" if status.message else ""
    return f"{status.overall_phase.value}{outcome}{message}"

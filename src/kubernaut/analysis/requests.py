"""Looks after each AIApprovalRequest: counts what people say, mirrors the decision in phase and conditions, says no for lack of time."""

from datetime import datetime
from typing import Final

from kubernaut.analysis import metrics
from kubernaut.analysis.approval_count import Verdict, count, in_favour, needed, verdict
from kubernaut.api.approval import AIApprovalRequest, Approval, Decision, Phase
from kubernaut.api.base import AuditOutcome, FreeForm
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.journal import record
from kubernaut.kube.outcome import DONE, Outcome, again
from kubernaut.kube.status import cut, set_condition

SYSTEM: Final = "system"
COUNTED: Final = "counted"
_PHASES = {Decision.APPROVED: Phase.APPROVED, Decision.REJECTED: Phase.REJECTED, Decision.EXPIRED: Phase.EXPIRED}


class Requests:
    """Walks each AIApprovalRequest to its answer."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, request: AIApprovalRequest) -> Outcome:
        """Wait for the answer until the time is up, then take it down once; a question that became void is answered by nobody."""
        now = self._cluster.clock.now()
        if request.status.decision is None and request.status.voided_at is None:
            _count(request, now)
        if request.status.decision is not None and not _settled(request):
            _settle(request, now)
        if request.status.voided_at is not None:
            _void(request, now)
            return DONE
        if request.status.decision is not None:
            return DONE
        _pending(request, now)
        return again(request.spec.required_by)


def _count(request: AIApprovalRequest, now: datetime) -> None:
    """Decide by what people said, else by the clock."""
    found, status = count(request), request.status
    if found.decision is not None:
        _decide(request, found, now)
    elif now >= request.spec.required_by:
        status.decision, status.decided_by, status.decided_via, status.decided_at = Decision.EXPIRED, SYSTEM, SYSTEM, now
        lacking = f"{found.missing} more of {needed(request)} people had to approve." if in_favour(request) else ""
        status.decision_message = lacking or "Nobody answered in time."


def _decide(request: AIApprovalRequest, found: Verdict, now: datetime) -> None:
    """Write the decision that follows from the entries, in the name of the person who made it one."""
    status = request.status
    last = next(each for each in reversed(status.approvals) if each.decision is found.decision)
    status.decision, status.decided_by, status.decided_via = found.decision, last.approver, last.via or COUNTED
    status.decided_at, status.decision_message = now, found.message


def _pending(request: AIApprovalRequest, now: datetime) -> None:
    status, yes, wanted = request.status, in_favour(request), needed(request)
    so_far = f" ({len(yes)} of {wanted} approvals: {', '.join(each.approver for each in yes) or 'nobody yet'})" if wanted > 1 else ""
    status.phase, status.message = Phase.PENDING, cut(f"Waiting for a decision: {request.spec.reason}{so_far}")
    set_condition(status.conditions, "ApprovalPending", status=True, reason="Waiting", message=request.spec.why_approval_required, now=now)


def _void(request: AIApprovalRequest, now: datetime) -> None:
    status = request.status
    if status.phase is not Phase.VOID:
        metrics.APPROVALS.labels(Phase.VOID.value, request.spec.policy_evaluation.policy_name).inc()
    status.phase, status.message = Phase.VOID, status.void_reason or "No more what would be done."
    for type_, holds in (("ApprovalPending", False), ("ApprovalVoid", True)):
        set_condition(status.conditions, type_, status=holds, reason="Void", message=status.message, now=now)


def _settled(request: AIApprovalRequest) -> bool:
    return any(condition.type == "ApprovalDecided" for condition in request.status.conditions)


def _settle(request: AIApprovalRequest, now: datetime) -> None:
    """Mirror the decision, and write it down with those who made it."""
    status, decision = request.status, request.status.decision or Decision.EXPIRED
    expired = decision is Decision.EXPIRED
    if status.decided_at is None or status.decided_at > now:
        status.decided_at = now
    _note_maker(request, decision)
    said, by = status.decision_message or "no reason given", verdict(request).by or status.decided_by
    status.phase, status.message = _PHASES[decision], cut(f"{decision.value} by {by}: {said}")
    for type_, holds in (("ApprovalPending", False), ("ApprovalDecided", True), ("ApprovalExpired", expired)):
        set_condition(status.conditions, type_, status=holds, reason=decision.value, message=status.message, now=now)
    outcome = AuditOutcome.SUCCESS if decision is Decision.APPROVED else AuditOutcome.FAILURE
    actor = {} if expired else {"actor": status.decided_by}
    people = [f"{each.approver} {each.decision.value.lower()}" for each in status.approvals]
    data: FreeForm = {"decision": decision.value, "via": status.decided_via, "approvals": [*people], **actor}
    record(request, "ApprovalDecided", status.message, now=now, outcome=outcome, data=data)
    _measure(request, decision.value, now)


def _measure(request: AIApprovalRequest, what: str, now: datetime) -> None:
    metrics.APPROVALS.labels(what, request.spec.policy_evaluation.policy_name).inc()
    asked = request.metadata.creation_timestamp or now
    metrics.APPROVAL_SECONDS.labels(what).observe(max(0.0, ((request.status.decided_at or now) - asked).total_seconds()))


def _note_maker(request: AIApprovalRequest, decision: Decision) -> None:
    """Enter a decision that a person wrote directly into the list of what people said."""
    status = request.status
    if decision is Decision.EXPIRED or any(each.approver == status.decided_by for each in status.approvals):
        return
    status.approvals.append(
        Approval(
            approver=status.decided_by,
            decision=decision,
            at=status.decided_at,
            via=status.decided_via,
            message=status.decision_message,
        )
    )

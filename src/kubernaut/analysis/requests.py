"""Looks after each AIApprovalRequest: mirrors a person's decision into phase and conditions, and says no when nobody answers in time."""

from datetime import datetime
from typing import Final

from kubernaut.api.approval import AIApprovalRequest, Decision, Phase
from kubernaut.api.base import AuditOutcome
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.journal import record
from kubernaut.kube.outcome import DONE, Outcome, again
from kubernaut.kube.status import set_condition

SYSTEM: Final = "system"
_PHASES = {Decision.APPROVED: Phase.APPROVED, Decision.REJECTED: Phase.REJECTED, Decision.EXPIRED: Phase.EXPIRED}


class Requests:
    """Walks each AIApprovalRequest to its answer."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, request: AIApprovalRequest) -> Outcome:
        """Wait for the answer until the time is up, then take it down once."""
        now = self._cluster.clock.now()
        if request.status.decision is None and now < request.spec.required_by:
            _pending(request, now)
            return again(request.spec.required_by)
        if request.status.decision is None:
            _expire(request, now)
        if not _settled(request):
            _settle(request, now)
        return DONE


def _pending(request: AIApprovalRequest, now: datetime) -> None:
    status = request.status
    status.phase, status.message = Phase.PENDING, f"Waiting for a decision: {request.spec.reason}"[:1024]
    set_condition(status.conditions, "ApprovalPending", status=True, reason="Waiting", message=request.spec.why_approval_required, now=now)


def _expire(request: AIApprovalRequest, now: datetime) -> None:
    status = request.status
    status.decision, status.decided_by, status.decided_via, status.decided_at = Decision.EXPIRED, SYSTEM, SYSTEM, now
    status.decision_message = "Nobody answered in time."


def _settled(request: AIApprovalRequest) -> bool:
    return any(condition.type == "ApprovalDecided" for condition in request.status.conditions)


def _settle(request: AIApprovalRequest, now: datetime) -> None:
    """Mirror the decision, and write it down with the one who made it."""
    status, decision = request.status, request.status.decision or Decision.EXPIRED
    expired = decision is Decision.EXPIRED
    said = status.decision_message or "no reason given"
    status.decided_at = status.decided_at or now
    status.phase, status.message = _PHASES[decision], f"{decision.value} by {status.decided_by}: {said}"[:1024]
    for type_, holds in (("ApprovalPending", False), ("ApprovalDecided", True), ("ApprovalExpired", expired)):
        set_condition(status.conditions, type_, status=holds, reason=decision.value, message=status.message, now=now)
    outcome = AuditOutcome.SUCCESS if decision is Decision.APPROVED else AuditOutcome.FAILURE
    by = {} if expired else {"actor": status.decided_by}
    data = {"decision": decision.value, "via": status.decided_via, **by}
    record(request, "ApprovalDecided", status.message, now=now, outcome=outcome, data=data)

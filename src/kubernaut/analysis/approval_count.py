"""Counts what people said to an approval request. Pure: the request in, the decision that follows out."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from kubernaut.api.approval import AIApprovalRequest, Approval, Decision

LATE: Final = timedelta(seconds=5)
"""How much later than asked for a yes may be dated: clocks differ."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision as far as it follows; None: more people are needed."""

    decision: Decision | None
    by: str = ""
    message: str = ""
    via: str = ""
    missing: int = 0
    """How many more people must say yes."""


def needed(request: AIApprovalRequest) -> int:
    """Return how many different people must say yes."""
    return request.spec.policy_evaluation.min_approvers


def in_favour(request: AIApprovalRequest) -> list[Approval]:
    """Return what the people said who approve, each counted once."""
    found = {each.approver: each for each in request.status.approvals if each.decision is Decision.APPROVED}
    return list(found.values())


def count(request: AIApprovalRequest) -> Verdict:
    """Return what follows from the entries that people made: one no is a no, enough different people's yes is a yes."""
    against = next((each for each in request.status.approvals if each.decision is Decision.REJECTED), None)
    if against is not None:
        return Verdict(Decision.REJECTED, against.approver, against.message, against.via)
    yes, wanted = in_favour(request), needed(request)
    if len(yes) < wanted:
        return Verdict(None, missing=wanted - len(yes))
    said = "; ".join(f"{each.approver}: {each.message}" if len(yes) > 1 else each.message for each in yes if each.message)
    return Verdict(Decision.APPROVED, ", ".join(each.approver for each in yes), said[:1024], yes[-1].via)


def verdict(request: AIApprovalRequest) -> Verdict:
    """Return the answer that counts. A yes that came too late, or from too few, is none, whoever let it pass."""
    status = request.status
    if status.decision is None:
        return Verdict(None, missing=count(request).missing)
    if status.decision is not Decision.APPROVED:
        return Verdict(status.decision, status.decided_by, status.decision_message, status.decided_via)
    if status.decided_at is not None and status.decided_at > request.spec.required_by + LATE:
        return Verdict(Decision.EXPIRED, status.decided_by, f"approved by {status.decided_by}, but after the time was up")
    return _approved(request)


def _approved(request: AIApprovalRequest) -> Verdict:
    status, wanted = request.status, needed(request)
    people = dict.fromkeys([*(each.approver for each in in_favour(request)), *([status.decided_by] if wanted == 1 else [])])
    if len(people) < wanted:
        return Verdict(Decision.REJECTED, status.decided_by, f"approved by {len(people)} of the {wanted} people that the policy asks for")
    return Verdict(Decision.APPROVED, ", ".join(people), status.decision_message, status.decided_via)

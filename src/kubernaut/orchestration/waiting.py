"""How long a remediation waited for people and for its target: time that its limits leave out. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from kubernaut.api import analysis as ai
from kubernaut.api import execution as ke
from kubernaut.api import workflow as we
from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.base import Condition, ConditionStatus
from kubernaut.orchestration.family import Family

HOLDS = frozenset({"ResourceLocked", "Cooldown", "Paused"})
"""Conditions of a fix's object that say why it waits."""
Fix = we.WorkflowExecution | ke.KubernetesExecution


def waited(family: Family, now: datetime) -> timedelta:
    """Return the time spent waiting for people and for the target, in all attempts, which the overall limit leaves out."""
    before = sum((waited(each, now) for each in family.past), start=timedelta())
    return before + asked(family, now) + queued(family.workflow, now)


def asked(family: Family, now: datetime) -> timedelta:
    """Return how long people were or have been asked, by all questions of an attempt."""
    if family.questions:
        return sum((_open(each, now) for each in family.questions), start=timedelta())
    if family.analysis is None or family.analysis.status.approval_requested_at is None:
        return timedelta()
    status = family.analysis.status
    until = now if status.phase is ai.Phase.APPROVING else status.approval_time or status.completed_at or now
    return max(timedelta(), until - family.analysis.status.approval_requested_at)


def hold_of(child: Fix) -> Condition | None:
    """Return why a fix waits, or None when it does not: a workflow before it begins, an execution between its steps."""
    if child.status.completion_time is not None:
        return None
    if isinstance(child, we.WorkflowExecution) and (child.status.phase is not we.Phase.PENDING or child.status.start_time is not None):
        return None
    return next((each for each in _holds(child.status.conditions) if each.status is ConditionStatus.TRUE), None)


def queued(child: we.WorkflowExecution | None, now: datetime) -> timedelta:
    """Return how long a workflow was or has been waiting before it began, as its conditions tell."""
    if child is None or not _holds(child.status.conditions):
        return timedelta()
    created = child.metadata.creation_timestamp or now
    released = [each.last_transition_time for each in _holds(child.status.conditions) if each.last_transition_time]
    until = now if hold_of(child) else child.status.start_time or max(released, default=created)
    return max(timedelta(), until - created)


def _holds(conditions: Sequence[Condition]) -> list[Condition]:
    return [condition for condition in conditions if condition.type in HOLDS]


def _open(question: AIApprovalRequest, now: datetime) -> timedelta:
    status, began = question.status, question.metadata.creation_timestamp or now
    ends = [each for each in (status.decided_at, status.voided_at) if each is not None]
    return max(timedelta(), min(ends, default=now) - began)

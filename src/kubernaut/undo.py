"""How an undo is asked for and answered, on record, whichever stage does it: a request in the spec, its answer in the status."""

from datetime import datetime
from hashlib import sha256
from typing import Final

from pydantic import JsonValue

from kubernaut.api.base import AuditOutcome
from kubernaut.api.execution import KubernetesExecution, UndoOutcome, UndoRequest, UndoStatus
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.journal import record
from kubernaut.kube.outcome import DONE, Outcome
from kubernaut.kube.status import cut, set_condition

NAME_LIMIT: Final = 63
"""A run's name stands in a label."""
ROLLED_BACK: Final = "RolledBack"
"""Condition: what was changed has been taken back."""
Undoable = KubernetesExecution | WorkflowExecution


RESTORE: Final = "restore_object"
"""The action that puts back what a run from the catalogue changed."""


def name_of_work(execution: WorkflowExecution, asked: UndoRequest) -> str:
    """Return the name of what takes a run back: one work for one request, however often it is begun; no longer than a run's may be."""
    meta = execution.metadata
    suffix = f"-undo-{sha256(f'{meta.uid}/{asked.requested_at.timestamp()}'.encode()).hexdigest()[:8]}"
    return f"{meta.name[: NAME_LIMIT - len(suffix)]}{suffix}"


async def answers_person(cluster: Cluster, work: Undoable) -> bool:
    """Tell whether an execution takes a run back by a person's word, which no pause holds: the run that owns it has that very request.

    The run is read from the API server, which sees to it that a request bears its author's name. Raise ApiError.
    """
    owner = next((each for each in work.metadata.owner_references if each.controller), None)
    if owner is None or owner.kind != WorkflowExecution.card.kind:
        return False
    if isinstance(work, KubernetesExecution) and any(each.action != RESTORE for each in work.spec.operations):
        return False
    run = await cluster.fetch(WorkflowExecution, work.metadata.namespace, owner.name)
    asked = run.spec.undo if run is not None and run.metadata.uid == owner.uid else None
    if run is None or asked is None or asked.automatic:
        return False
    return work.metadata.name == name_of_work(run, asked)


def wanted(execution: Undoable) -> UndoRequest | None:
    """Return the request for an undo that has not been answered; only what has ended can be undone."""
    asked, answered = execution.spec.undo, execution.status.undo
    if asked is None or execution.status.completion_time is None:
        return None
    done = answered is not None and answered.requested_at == asked.requested_at and answered.completion_time is not None
    return None if done else asked


def begun(execution: Undoable, asked: UndoRequest, now: datetime) -> UndoStatus:
    """Put on record that an undo was asked for, once; return its status."""
    status = execution.status.undo
    if status is None or status.requested_at != asked.requested_at:
        given = {"requested_by": asked.requested_by, "requested_at": asked.requested_at, "reason": asked.reason}
        status = execution.status.undo = UndoStatus(**given, automatic=asked.automatic, start_time=now)
        record(execution, "UndoRequested", f"{_who(status)}: {asked.reason or 'no reason given'}", now=now, outcome=AuditOutcome.PENDING)
    return status


def ended(execution: Undoable, outcome: UndoOutcome, message: str, now: datetime) -> Outcome:
    """Put on record what became of the undo."""
    status = execution.status.undo
    if status is None:
        raise ValueError("an undo ends only after it has begun")
    status.outcome, status.message, status.completion_time = outcome, cut(message), now
    undone = outcome is UndoOutcome.UNDONE
    set_condition(execution.status.conditions, ROLLED_BACK, undone, outcome.value, status.message, now=now)
    steps: list[JsonValue] = [{"step": each.step_number, "object": each.resource, "outcome": each.outcome.value} for each in status.results]
    facts: dict[str, JsonValue] = {
        "requestedBy": status.requested_by,
        "automatic": status.automatic,
        "outcome": outcome.value,
        "steps": steps,
    }
    told_as = AuditOutcome.SUCCESS if undone else AuditOutcome.FAILURE
    record(execution, "Undone" if undone else "NotUndone", f"{_who(status)}: {status.message}", now=now, outcome=told_as, data=facts)
    return DONE


def _who(asked: UndoStatus) -> str:
    return f"asked for by {asked.requested_by}{' automatically' if asked.automatic else ''}"

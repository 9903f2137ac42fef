"""Rest for a target: the same fix does not run again right after it has completed (section 4 of the WorkflowExecution document); pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from kubernaut.api.workflow import Phase, WorkflowExecution

COOLDOWN_INDEX = "target-workflow"
"""WorkflowExecutions that have ended, by `namespace|target|workflow`."""


class Rest(NamedTuple):
    """How long a target rests, and after which execution."""

    until: datetime | None = None
    after: str = ""


def rest(execution: WorkflowExecution, ended: Iterable[WorkflowExecution], cooldown: timedelta, *, after_failure: bool = False) -> Rest:
    """Return the rest that ended executions of the same workflow on the same target impose; only completed ones unless told otherwise."""
    phases = (Phase.COMPLETED, Phase.FAILED) if after_failure else (Phase.COMPLETED,)
    rests = [
        Rest(other.status.completion_time + cooldown, other.metadata.name)
        for other in ended
        if other.metadata.uid != execution.metadata.uid and other.status.phase in phases and other.status.completion_time
    ]
    return max(rests, key=lambda each: (each.until, each.after), default=Rest())


def cooldown_key(execution: WorkflowExecution) -> str:
    """Return an execution's value in the index of ended executions; steps have no workflow of their own and never rest."""
    ref = execution.spec.workflow_ref
    return f"{execution.metadata.namespace}|{execution.spec.target_resource}|{ref.workflow_id}" if ref else ""

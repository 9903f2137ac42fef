"""The protocol of an engine: it starts a plan once, tells how far it is, stops it, and cleans up after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from kubernaut.api.base import Kind, ObjectReference
from kubernaut.api.plan import Operation
from kubernaut.api.workflow import ExecutionProgress, FailureDetails, WorkflowExecution
from kubernaut.workflow.decide import RunState


@dataclass(frozen=True, slots=True)
class Run:
    """What an engine says of an execution."""

    state: RunState
    reference: ObjectReference | None = None
    """The engine's object, where it has one."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    progress: ExecutionProgress | None = None
    steps_ran: bool = False
    """A step was at work: the cluster may have been changed."""
    note: str = ""
    """Why it does not move, or what it is doing, where its reason does not say."""
    settles_at: datetime | None = None
    """It has failed, and until then its parts may still say why."""
    failure: FailureDetails | None = None
    """What went wrong, without summary; only of a failed run."""
    operations: tuple[Operation, ...] = ()
    """Step mode: the plan."""


ABSENT = Run(RunState.ABSENT)


class Engine(Protocol):
    """Runs executions of one form; every call may come again after a crash and must then do no harm."""

    @property
    def watches(self) -> Sequence[Kind]:
        """The kinds in the execution namespace whose labelled objects tell how a run goes."""
        ...

    def at_work(self, name: str, uid: str) -> bool:
        """Tell from caches whether the run of an execution, by name and uid, may still change its target; the execution may be gone."""
        ...

    async def observe(self, execution: WorkflowExecution) -> Run:
        """Tell how far it is, from caches where they serve."""
        ...

    async def start(self, execution: WorkflowExecution) -> Run:
        """Start it; one that is there already and ours counts as started."""
        ...

    async def cancel(self, execution: WorkflowExecution) -> None:
        """Ask it to stop; the end is seen by `observe`."""
        ...

    async def cleanup(self, execution: WorkflowExecution) -> bool:
        """Remove what the engine holds of it; return whether nothing is left."""
        ...

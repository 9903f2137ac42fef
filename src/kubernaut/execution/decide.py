"""What a KubernetesExecution does next: its operations in order, each validated, executed, awaited. Reads nothing, writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from kubernaut.api.execution import OperationResult, Phase
from kubernaut.api.plan import Operation

DONE = (Phase.COMPLETED,)
FAILED = (Phase.FAILED, Phase.ROLLBACK_READY)


@dataclass(frozen=True, slots=True)
class Validate:
    """Run the safety checks of an operation."""

    index: int


@dataclass(frozen=True, slots=True)
class Execute:
    """Carry out an operation that was validated."""

    index: int


@dataclass(frozen=True, slots=True)
class Await:
    """Look whether operations have had their effect."""

    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Undo an operation that had no effect in time and is to leave nothing behind."""

    index: int


@dataclass(frozen=True, slots=True)
class Skip:
    """An operation whose condition failed is not carried out."""

    index: int
    because: int


@dataclass(frozen=True, slots=True)
class Complete:
    """All is done."""

    failures: int
    """Operations that failed and did not matter."""


@dataclass(frozen=True, slots=True)
class Abort:
    """No more is done."""

    reason: str
    message: str


Step = Validate | Execute | Await | TakeBack | Skip | Complete | Abort


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a decision may look at."""

    operations: Sequence[Operation]
    results: Sequence[OperationResult]
    """One for each operation, in the same order."""
    deadline: datetime
    dry_run: bool = False
    reason: str = ""
    """Why an operation failed, in one word of domain language."""
    cancelled: str | None = None
    """What the person said who wants it to stop; None while nobody does."""
    limit: int = 1
    """How many operations may wait for their effect side by side."""
    take_back: frozenset[int] = frozenset()
    """Operations without effect that are to be undone."""


def decide(seen: Seen, now: datetime) -> Step:
    """Choose the next step: what failed is settled first, then what has begun is carried on, then the next begins that may."""
    if seen.take_back:
        return TakeBack(min(seen.take_back))
    fatal = _fatal(seen)
    waiting = _in(seen, Phase.EXECUTING)
    ahead = [index for index, result in enumerate(seen.results) if not _behind(result, dry_run=seen.dry_run)]
    if not ahead and fatal is None:
        return Complete(sum(result.phase in FAILED for result in seen.results))
    if stopped := _stopped(seen, (waiting or ahead or [0])[0], now, fatal):
        return stopped
    if fatal is not None:
        return Await(tuple(waiting)) if waiting else fatal
    return _onward(seen, ahead, waiting)


def _in(seen: Seen, phase: Phase) -> list[int]:
    return [index for index, result in enumerate(seen.results) if result.phase is phase]


def _behind(result: OperationResult, *, dry_run: bool) -> bool:
    return result.phase in DONE or result.phase in FAILED or (dry_run and result.phase is Phase.VALIDATED)


def _fatal(seen: Seen) -> Abort | None:
    """Return the end that a failed operation which matters brings."""
    for operation, result in zip(seen.operations, seen.results, strict=True):
        if result.phase in FAILED and operation.critical_step:
            return Abort(seen.reason or "action_failed", f"{_title(operation)}: {result.error_message}")
    return None


def _stopped(seen: Seen, at: int, now: datetime, fatal: Abort | None) -> Abort | None:
    """Return the end that a person's word or the clock brings."""
    step = _title(seen.operations[at])
    if seen.cancelled is not None:
        return fatal or Abort("cancelled", f"a person cancelled it at {step}: {seen.cancelled}")
    if now >= seen.deadline:
        return fatal or Abort("timeout", f"out of time at {step}")
    return None


def _onward(seen: Seen, ahead: list[int], waiting: list[int]) -> Step:
    for index in ahead:
        if (because := _failed_before(seen, index)) is not None and seen.results[index].phase is not Phase.EXECUTING:
            return Skip(index, because)
    free = [index for index in ahead if seen.results[index].phase is not Phase.EXECUTING and _ready(seen, index)]
    if free and len(waiting) < seen.limit:
        return Execute(free[0]) if seen.results[free[0]].phase is Phase.VALIDATED else Validate(free[0])
    if waiting:
        return Await(tuple(waiting))
    step = seen.operations[ahead[0]]
    return Abort("validation_error", f"{_title(step)} waits for steps that never come: {', '.join(map(str, step.depends_on))}")


def _failed_before(seen: Seen, index: int) -> int | None:
    failed = {result.step_number for result in seen.results if result.phase in FAILED}
    return next((number for number in seen.operations[index].depends_on if number in failed), None)


def _ready(seen: Seen, index: int) -> bool:
    """Tell whether an operation may begin: all that it depends on is behind us."""
    behind = {result.step_number for result in seen.results if _behind(result, dry_run=seen.dry_run)}
    return behind.issuperset(seen.operations[index].depends_on)


def _title(operation: Operation) -> str:
    return f"step {operation.step_number} {operation.action}"

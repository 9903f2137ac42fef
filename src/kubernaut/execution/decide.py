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
    """Look whether an operation has had its effect."""

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


Step = Validate | Execute | Await | Skip | Complete | Abort


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


def decide(seen: Seen, now: datetime) -> Step:
    """Choose the next step: the first operation, in order, that is not behind us."""
    for index, (operation, result) in enumerate(zip(seen.operations, seen.results, strict=True)):
        if result.phase in FAILED and operation.critical_step:
            return Abort(seen.reason or "action_failed", f"step {operation.step_number} {operation.action}: {result.error_message}")
        if not _behind(result, dry_run=seen.dry_run):
            return _next(seen, index, now)
    return Complete(sum(result.phase in FAILED for result in seen.results))


def _behind(result: OperationResult, *, dry_run: bool) -> bool:
    return result.phase in DONE or result.phase in FAILED or (dry_run and result.phase is Phase.VALIDATED)


def _next(seen: Seen, index: int, now: datetime) -> Step:
    if now >= seen.deadline:
        return Abort("timeout", f"out of time at step {seen.operations[index].step_number} {seen.operations[index].action}")
    failed = {result.step_number for result in seen.results if result.phase in FAILED}
    because = next((number for number in seen.operations[index].depends_on if number in failed), None)
    if because is not None:
        return Skip(index, because)
    match seen.results[index].phase:
        case Phase.VALIDATED:
            return Execute(index)
        case Phase.EXECUTING:
            return Await(index)
        case _:
            return Validate(index)

"""What the past of a target forbids: rest after runs that failed before anything ran, a stop after one that failed under way; pure.

Only runs of workflows count, not plans: what came of a plan is the KubernetesExecution's to tell. Executions that were refused,
withdrawn or never started have tried nothing and say nothing.
"""

from collections.abc import Iterable, Sequence
from itertools import takewhile

from kubernaut.api.workflow import Phase, WorkflowExecution
from kubernaut.workflow.decide import Bar, Cause
from kubernaut.workflow.settings import WorkflowSettings

BACKOFF = "Backoff"
INVALID = "InvalidSpec"
NOTHING_TRIED = frozenset(
    {INVALID, *(each.value for each in (Cause.STOPPED, Cause.EXHAUSTED, Cause.NEVER_STARTED, Cause.NAME_TAKEN, Cause.CANCELLED))}
)
"""Reasons of executions that ended before anything was tried on the target."""


def bar(execution: WorkflowExecution, ended: Iterable[WorkflowExecution], settings: WorkflowSettings) -> Bar:
    """Return what ended executions on the same target forbid; the last run decides.

    A further attempt of the remediation whose own run failed is not held, unless settings say so: the orchestrator bounds those,
    and each is analysed anew.
    """
    runs = in_turn(other for other in ended if other.metadata.uid != execution.metadata.uid)
    half_done = left_half_done(runs)
    if half_done is not None and not (settings.recovery_may_follow and _same_remediation(execution, half_done)):
        return Bar(Cause.STOPPED.value, _stopped(half_done))
    if not runs or (settings.recovery_may_follow and _same_remediation(execution, runs[0])):
        return Bar()
    failures = sum(1 for _ in takewhile(_failed_before_anything_ran, runs))
    if not failures:
        return Bar()
    name, ended_at = runs[0].metadata.name, runs[0].status.completion_time
    if failures > settings.failures_tolerated or ended_at is None:
        return Bar(Cause.EXHAUSTED.value, _exhausted(runs[0], failures))
    rest = min(settings.failure_rest * 2 ** min(failures - 1, 20), settings.failure_rest_limit)
    times = "once" if failures == 1 else f"{failures} times in a row"
    target = execution.spec.target_resource
    message = f"What was to run on {target} failed {times} before it began, last as {name}; waiting before another try"
    return Bar(BACKOFF, message, ended_at + rest)


def in_turn(ended: Iterable[WorkflowExecution]) -> list[WorkflowExecution]:
    """Return the executions of which something was run or tried on the target, latest first; of one second, a failure counts as later."""
    tried = [each for each in ended if _tried(each)]
    return sorted(tried, key=lambda each: (each.status.completion_time, ran(each), each.metadata.name), reverse=True)


def left_half_done(runs: Sequence[WorkflowExecution]) -> WorkflowExecution | None:
    """Return the run, of those on one target in turn, that failed under way and was the last to change anything; None if it was cleared."""
    last = next((each for each in runs if each.status.phase is Phase.COMPLETED or ran(each)), None)
    return last if last is not None and needs_clearance(last) else None


def needs_clearance(execution: WorkflowExecution) -> bool:
    """Tell whether an execution failed after steps had run, and nobody has cleared its target since."""
    status = execution.status
    return status.phase is Phase.FAILED and ran(execution) and status.block_clearance is None


def keeps_target(execution: WorkflowExecution, ended: Sequence[WorkflowExecution]) -> bool:
    """Tell whether it is this execution whose failure stops all others on its target: it must be cleared, and nothing ran after it."""
    half_done = left_half_done(in_turn(ended))
    return half_done is not None and half_done.metadata.uid == execution.metadata.uid


def ran(execution: WorkflowExecution) -> bool:
    """Tell whether steps of a failed workflow had run, so that the target may be half changed."""
    details = execution.status.failure_details
    return execution.spec.workflow_ref is not None and details is not None and details.was_execution_failure


def _tried(execution: WorkflowExecution) -> bool:
    status = execution.status
    if execution.spec.workflow_ref is None or status.completion_time is None:
        return False
    if status.phase is Phase.COMPLETED or ran(execution):
        return True
    return status.failure_details is not None and status.failure_details.reason not in NOTHING_TRIED


def _failed_before_anything_ran(execution: WorkflowExecution) -> bool:
    status = execution.status
    return status.phase is Phase.FAILED and not ran(execution) and status.block_clearance is None


def _same_remediation(one: WorkflowExecution, other: WorkflowExecution) -> bool:
    ours, theirs = one.spec.remediation_request_ref, other.spec.remediation_request_ref
    return (ours.name, ours.uid) == (theirs.name, theirs.uid)


def _stopped(last: WorkflowExecution) -> str:
    return (
        f"{last.metadata.name} failed on {last.spec.target_resource} after its steps had begun: the target may be half changed. "
        f"Look at it, then: kubernaut clear {last.metadata.name} --reason '…'"
    )


def _exhausted(last: WorkflowExecution, failures: int) -> str:
    return (
        f"What was to run on {last.spec.target_resource} failed {failures} times in a row before it began, last as {last.metadata.name}. "
        f"Look why, then: kubernaut clear {last.metadata.name} --reason '…'"
    )

"""What a WorkflowExecution's status says at every step; the only place that writes it."""

from datetime import datetime

from kubernaut.api.base import CANCEL_ANNOTATION
from kubernaut.api.durations import go_duration
from kubernaut.api.workflow import (
    FailureCategory,
    FailureDetails,
    Outcome,
    Phase,
    StepResult,
    WorkflowExecution,
)
from kubernaut.kube.journal import record
from kubernaut.kube.status import set_condition
from kubernaut.workflow import failure
from kubernaut.workflow.decide import Bar, Cause
from kubernaut.workflow.engines.base import Run
from kubernaut.workflow.engines.marks import STEPS_STARTED
from kubernaut.workflow.lock import COOLDOWN, RESOURCE_LOCKED
from kubernaut.workflow.past import ran

RETRIED = "ResolutionRetried"
CANCELLING = "Cancelling"
COMPLETE = "Complete"
UNMET = "PostconditionsNotMet"
CLEARANCE_NEEDED = "ClearanceNeeded"
CLEARED = "BlockCleared"

_CAUSES: dict[Cause, tuple[FailureCategory, str]] = {
    Cause.NAME_TAKEN: (FailureCategory.CONFIGURATION_ERROR, "an object of the run's name exists and was not made for this execution"),
    Cause.VANISHED: (FailureCategory.UNKNOWN, "the run was deleted by somebody before it ended"),
    Cause.UNSTOPPABLE: (
        FailureCategory.DEADLINE_EXCEEDED,
        "the run is out of time, was cancelled, and has not confirmed its end; the target stays locked while it may be at work",
    ),
    Cause.CANCELLED: (FailureCategory.UNKNOWN, "a person cancelled it before it began"),
    Cause.STOPPED: (
        FailureCategory.UNKNOWN,
        "the last run on this target failed after its steps had begun, and nobody has cleared the target since",
    ),
    Cause.EXHAUSTED: (
        FailureCategory.UNKNOWN,
        "what was to run on this target failed too often in a row before it began, and nobody has cleared the target since",
    ),
    Cause.NEVER_STARTED: (FailureCategory.DEADLINE_EXCEEDED, "the run could not be started in time"),
}


def is_retried(execution: WorkflowExecution) -> bool:
    """Tell whether it is on record that a spoiled run is replaced."""
    return _holds(execution, RETRIED)


def cooling_down(execution: WorkflowExecution, after: str, now: datetime) -> None:
    """Say that the same fix was applied a moment ago."""
    message = f"The same workflow completed on this target a moment ago ({after}); waiting until the cooldown is over"
    execution.status.phase, execution.status.message = Phase.PENDING, message
    _clear(execution, RESOURCE_LOCKED, "Over", now)
    _set(execution, COOLDOWN, "RecentlyRemediated", message, now, holds=True)


def barred(execution: WorkflowExecution, bar: Bar, now: datetime) -> None:
    """Say what ran on the target before and failed, and what is waited for."""
    status = execution.status
    status.phase, status.message = Phase.PENDING, failure.cut(bar.message)
    waits, other = (RESOURCE_LOCKED, COOLDOWN) if bar.until is None else (COOLDOWN, RESOURCE_LOCKED)
    _clear(execution, other, "Over", now)
    _set(execution, waits, bar.reason, status.message, now, holds=True)


def is_to_be_cleared(execution: WorkflowExecution) -> bool:
    """Tell whether it is on record that a person must look at the target, and not yet that one has."""
    return _holds(execution, CLEARANCE_NEEDED)


def cleared(execution: WorkflowExecution, now: datetime) -> None:
    """Put on record who has cleared the target."""
    clearance = execution.status.block_clearance
    if clearance is None:
        return
    who, why = clearance.cleared_by or "somebody", f": {clearance.clear_reason}" if clearance.clear_reason else ""
    message = failure.cut(f"{who} cleared {execution.spec.target_resource} after {execution.metadata.name}{why}")
    _set(execution, CLEARANCE_NEEDED, "Cleared", message, now, holds=False)
    data = {"actor": who, "target": execution.spec.target_resource, "reason": clearance.clear_reason}
    record(execution, CLEARED, message, now=now, data=data)


def halted(execution: WorkflowExecution, why: str) -> None:
    """Say that people have paused."""
    execution.status.phase, execution.status.message = Phase.PENDING, f"{why}; waiting until it is resumed"[:1024]


def unready(execution: WorkflowExecution, waits: str, now: datetime) -> None:
    """Say which preconditions of users are waited for."""
    execution.status.phase, execution.status.message = Phase.PENDING, failure.cut(f"Waiting for preconditions: {waits}")
    _clear(execution, COOLDOWN, "Over", now)
    _clear(execution, RESOURCE_LOCKED, "Acquired", now)


def proving(execution: WorkflowExecution, run: Run, waits: str, now: datetime) -> None:
    """Say that the run has succeeded, and which postconditions of users are waited for."""
    _started(execution, run, now)
    execution.status.phase = Phase.RUNNING
    execution.status.message = failure.cut(f"Running: the run has succeeded; waiting for postconditions: {waits}")


def unmet(execution: WorkflowExecution, message: str, run: Run, now: datetime) -> None:
    """Say that the run has succeeded, and which postconditions of users are not met."""
    told = failure.cut(f"the run has succeeded, but what must be so after it is not: {message}")
    details = FailureDetails(reason=UNMET, message=told, failed_at=now, was_execution_failure=True)
    _failed(execution, run, failure.explained(details, _subject(execution, steps_ran=True)), now)


def queued(execution: WorkflowExecution, holder: str, now: datetime) -> None:
    """Say who has the target."""
    message = f"{holder or 'Another WorkflowExecution'} works on {execution.spec.target_resource}; waiting for it to end"
    execution.status.phase, execution.status.message = Phase.PENDING, message
    _clear(execution, COOLDOWN, "Over", now)
    _set(execution, RESOURCE_LOCKED, "TargetBusy", message, now, holds=True)


def running(execution: WorkflowExecution, run: Run, now: datetime) -> None:
    """Say how far the run is."""
    status = execution.status
    _started(execution, run, now)
    reason = run.progress.reason if run.progress else ""
    status.phase = Phase.RUNNING
    said = f"{reason}; {run.note}" if run.note else reason
    status.message = failure.cut(f"Running: {said}") if reason else "Running: the run is created and its engine has not said anything yet"


def stopping(execution: WorkflowExecution, run: Run, now: datetime) -> None:
    """Say that the run is out of time, or that a person wants it to stop."""
    _started(execution, run, now)
    execution.status.phase = Phase.RUNNING
    why = execution.metadata.annotations.get(CANCEL_ANNOTATION)
    execution.status.message = f"Running: {f'cancelled ({why})'[:900] if why is not None else 'out of time'}, the run is being cancelled"
    reason, message = ("Cancelled", failure.cut(why)) if why is not None else ("OutOfTime", "the run is out of time")
    _set(execution, CANCELLING, reason, message, now, holds=True)


def stopping_since(execution: WorkflowExecution) -> datetime | None:
    """Return since when the run is told to stop; None while it was not."""
    return next((each.last_transition_time for each in execution.status.conditions if each.type == CANCELLING), None)


def to_be_retried(execution: WorkflowExecution, now: datetime) -> None:
    """Put on record that a spoiled run is replaced; from here on the new one counts."""
    message = "Tekton's resolvers were restarting and spoiled the request; a new PipelineRun takes its place"
    _set(execution, RETRIED, "ResolverRestarted", message, now, holds=True)
    execution.status.pipeline_run_ref = None
    execution.status.message = message


def succeeded(execution: WorkflowExecution, run: Run, now: datetime) -> None:
    """Say that it worked."""
    status = execution.status
    _ended(execution, run, now)
    status.phase, status.outcome = Phase.COMPLETED, Outcome.SUCCESS
    status.operations = list(run.operations)
    status.step_statuses = [StepResult(step_number=step.step_number, action=step.action, status="planned") for step in run.operations]
    status.message = _planned(run) if run.operations else "Workflow completed successfully"
    _set(execution, COMPLETE, "Succeeded", status.message, now, holds=True)


def failed(execution: WorkflowExecution, run: Run, now: datetime) -> None:
    """Say what went wrong with the run."""
    details = run.failure or FailureDetails(reason=Cause.RUN.value)
    _failed(execution, run, details.model_copy(update={"failed_at": details.failed_at or now}), now)


def failed_without_run(execution: WorkflowExecution, cause: Cause, run: Run, now: datetime) -> None:
    """Say why it fails although no run of ours said so."""
    category, message = _CAUSES[cause]
    ran = run.steps_ran or _holds(execution, STEPS_STARTED)
    details = FailureDetails(reason=cause.value, category=category, message=message, failed_at=now, was_execution_failure=ran)
    _failed(execution, run, failure.explained(details, _subject(execution, steps_ran=ran)), now)


def refused(execution: WorkflowExecution, message: str, now: datetime) -> None:
    """Say what is wrong with the spec."""
    details = FailureDetails(
        reason="InvalidSpec", category=FailureCategory.CONFIGURATION_ERROR, message=failure.cut(message), failed_at=now
    )
    status = execution.status
    status.failure_details = failure.explained(details, _subject(execution, steps_ran=False))
    _fail_status(execution, now)


def _planned(run: Run) -> str:
    number = len(run.operations)
    return f"Planned {number} operation{'s' if number > 1 else ''}: {', '.join(step.action for step in run.operations)}"[:1024]


def _started(execution: WorkflowExecution, run: Run, now: datetime) -> None:
    status = execution.status
    status.start_time = run.started_at or status.start_time
    status.pipeline_run_ref = run.reference or status.pipeline_run_ref
    status.progress = run.progress or status.progress
    _clear(execution, COOLDOWN, "Over", now)
    _clear(execution, RESOURCE_LOCKED, "Acquired", now)
    if run.steps_ran:
        _set(execution, STEPS_STARTED, "StepRan", "A step of the workflow was at work", now, holds=True)


def _ended(execution: WorkflowExecution, run: Run, now: datetime) -> None:
    status = execution.status
    _started(execution, run, now)
    status.completion_time = run.ended_at or now
    if status.start_time:
        status.duration = go_duration(status.completion_time - status.start_time)


def _failed(execution: WorkflowExecution, run: Run, details: FailureDetails, now: datetime) -> None:
    _ended(execution, run, now)
    execution.status.failure_details = details
    _fail_status(execution, now)


def _fail_status(execution: WorkflowExecution, now: datetime) -> None:
    status = execution.status
    details = status.failure_details or FailureDetails()
    status.phase, status.outcome = Phase.FAILED, Outcome.FAILED
    status.completion_time = status.completion_time or now
    status.message = details.natural_language_summary or details.message
    _set(execution, COMPLETE, details.reason or "Failed", status.message, now, holds=False)
    if ran(execution):
        message = f"Look at {execution.spec.target_resource}, then: kubernaut clear {execution.metadata.name} --reason '…'"
        _set(execution, CLEARANCE_NEEDED, "StepsHadRun", message, now, holds=True)


def _subject(execution: WorkflowExecution, *, steps_ran: bool) -> failure.Subject:
    ref = execution.spec.workflow_ref
    return failure.Subject(ref.workflow_id if ref else "steps", execution.spec.target_resource, steps_ran, execution.status.start_time)


def _holds(execution: WorkflowExecution, type_: str) -> bool:
    return any(condition.type == type_ and condition.status == "True" for condition in execution.status.conditions)


def _clear(execution: WorkflowExecution, type_: str, reason: str, now: datetime) -> None:
    if _holds(execution, type_):
        _set(execution, type_, reason, "", now, holds=False)


def _set(execution: WorkflowExecution, type_: str, reason: str, message: str, now: datetime, *, holds: bool) -> None:
    set_condition(execution.status.conditions, type_, holds, reason, message, now=now, generation=execution.metadata.generation)

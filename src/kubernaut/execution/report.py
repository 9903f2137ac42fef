"""What a KubernetesExecution's status says at every step; the only place that writes it."""

from datetime import datetime

from pydantic import JsonValue

from kubernaut.api.base import AuditOutcome, Obj
from kubernaut.api.execution import ChangedResource, KubernetesExecution, OperationResult, Phase, Undo, UndoKind, Validated
from kubernaut.execution.actions.base import AnyAction, Effect, Plan
from kubernaut.execution.safety import Verdict, cut
from kubernaut.execution.undo import inverse, marked, merged, touched
from kubernaut.kube.journal import record
from kubernaut.kube.status import set_condition

COMPLETE = "Complete"
_REASONS = {"dry-run": "dry_run_failed"}
"""Failure reasons by check; all others are validation errors."""


def begun(execution: KubernetesExecution, now: datetime) -> None:
    """Start the clock, and lay out one result for each operation."""
    status = execution.status
    status.start_time = status.start_time or now
    if len(status.operation_results) != len(execution.spec.operations):
        status.operation_results = [
            OperationResult(step_number=operation.step_number, action=operation.action) for operation in execution.spec.operations
        ]


def validated(execution: KubernetesExecution, index: int, verdict: Verdict, now: datetime) -> None:
    """Put the checks on record; with them, what is going to be done and how it would be taken back."""
    result = execution.status.operation_results[index]
    result.checks, result.diff = verdict.checks, verdict.diff
    if verdict.failed is not None:
        reason = _REASONS.get(verdict.failed.name, "validation_error")
        failed(execution, index, reason, f"{verdict.failed.name}: {verdict.failed.message}", now)
        return
    result.phase = Phase.VALIDATED
    if verdict.plan is not None and verdict.resolved is not None:
        _intend(execution, index, verdict.plan, verdict.resolved.action)
    _at(execution, index, Phase.VALIDATED, "checked")


def _intend(execution: KubernetesExecution, index: int, plan: Plan, action: AnyAction) -> None:
    result, current = execution.status.operation_results[index], plan.current
    if current is None:
        result.validated = Validated()
        return
    meta = current["metadata"]
    result.validated = Validated(uid=meta["uid"], resource_version=meta["resourceVersion"], generation=int(meta.get("generation") or 0))
    patch = marked(plan.patch or {}, f"{execution.metadata.uid}/{result.step_number}") if plan.effect is Effect.PATCH else {}
    result.resources_affected = [
        ChangedResource(
            kind=current["kind"],
            namespace=meta.get("namespace", ""),
            name=meta["name"],
            action=action.name,
            before=touched(current, patch),
            after=touched(merged(current, patch), patch),
        )
    ]
    result.undo = Undo(kind=action.undo, patch=inverse(current, patch) if action.undo is UndoKind.EXACT else {})


def executed(execution: KubernetesExecution, index: int, made: Obj | None, now: datetime) -> None:
    """Put on record that the change was made, and the object as it is since."""
    result, operation = execution.status.operation_results[index], execution.spec.operations[index]
    result.phase, result.started_at, result.error_message = Phase.EXECUTING, now, ""
    if made is not None and result.resources_affected:
        affected = result.resources_affected[0]
        affected.after = touched(made, affected.after)
    if made is not None and result.undo is not None:
        result.undo.resource_version_after = made["metadata"]["resourceVersion"]
        result.undo.generation_after = int(made["metadata"].get("generation") or 0)
    _journal(execution, index, "OperationExecuted", str(operation.parameters.get("message") or "done"), now)
    _at(execution, index, Phase.EXECUTING, "done, waiting for its effect")


def changed_since(execution: KubernetesExecution, index: int, now: datetime) -> None:
    """Check again what was changed by somebody after it was checked; not more often than retries are allowed."""
    result, operation = execution.status.operation_results[index], execution.spec.operations[index]
    if result.retries_attempted >= operation.max_retries:
        failed(execution, index, "action_failed", "the object is changed by somebody else again and again", now)
        return
    result.phase = Phase.PENDING
    result.retries_attempted += 1
    _at(execution, index, Phase.VALIDATING, "the object changed after it was checked; checking again")


def awaiting(execution: KubernetesExecution, index: int, lacking: str) -> None:
    """Say what the effect still lacks."""
    _at(execution, index, Phase.EXECUTING, lacking)


def effective(execution: KubernetesExecution, index: int, now: datetime) -> None:
    """Say that the effect is there."""
    result = execution.status.operation_results[index]
    result.phase, result.completed_at = Phase.COMPLETED, now
    _at(execution, index, Phase.EXECUTING, "effective")


def ineffective(execution: KubernetesExecution, index: int, lacking: str, now: datetime) -> None:
    """Say that the effect did not come in time; what was recorded suffices to take the change back."""
    failed(execution, index, "action_failed", f"done, but without effect in time: {lacking}", now)
    result = execution.status.operation_results[index]
    if result.undo is not None and result.undo.kind is not UndoKind.NONE:
        result.phase = Phase.ROLLBACK_READY


def failed(execution: KubernetesExecution, index: int, reason: str, message: str, now: datetime) -> None:
    """Say why an operation failed; only a critical one gives the whole execution its reason."""
    result = execution.status.operation_results[index]
    result.phase, result.error_message, result.completed_at = Phase.FAILED, cut(message), now
    _journal(execution, index, "OperationFailed", message, now, AuditOutcome.FAILURE)
    if execution.spec.operations[index].critical_step:
        execution.status.failure_reason = reason


def skipped(execution: KubernetesExecution, index: int, because: int, now: datetime) -> None:
    """Say that an operation was left out."""
    failed(execution, index, "action_failed", f"left out: step {because} failed", now)


def completed(execution: KubernetesExecution, failures: int, now: datetime) -> None:
    """Say that all is done."""
    status = execution.status
    count = len(status.operation_results)
    done = "validated, nothing was changed (dry run)" if execution.spec.execution_config.dry_run else "carried out"
    status.phase, status.completion_time, status.failure_reason = Phase.COMPLETED, now, ""
    status.message = f"{count - failures} of {count} operations {done}"
    set_condition(status.conditions, COMPLETE, True, "Completed", status.message, now=now)


def aborted(execution: KubernetesExecution, reason: str, message: str, now: datetime) -> None:
    """Say that no more is done, and why."""
    status = execution.status
    status.phase, status.completion_time, status.failure_reason, status.message = Phase.FAILED, now, reason, cut(message)
    set_condition(status.conditions, COMPLETE, False, _camel(reason), status.message, now=now)


def _journal(
    execution: KubernetesExecution, index: int, reason: str, message: str, now: datetime, outcome: AuditOutcome = AuditOutcome.SUCCESS
) -> None:
    """Tell the audit trail what was done to what, and how well it can be taken back; never the fields, which may hold secrets."""
    result = execution.status.operation_results[index]
    objects = ["/".join(filter(None, (each.namespace, each.kind.lower(), each.name))) for each in result.resources_affected]
    data: dict[str, JsonValue] = {"step": result.step_number, "action": result.action, "objects": [*objects]}
    if result.undo is not None:
        data["undo"] = result.undo.kind.value
    record(execution, reason, f"step {result.step_number} {result.action}: {message}", now=now, outcome=outcome, data=data)


def _camel(reason: str) -> str:
    return "".join(word.capitalize() for word in reason.split("_"))


def _at(execution: KubernetesExecution, index: int, phase: Phase, what: str) -> None:
    status, operation = execution.status, execution.spec.operations[index]
    started = any(result.started_at for result in status.operation_results)
    status.phase = Phase.EXECUTING if started else phase
    status.message = cut(f"step {operation.step_number} {operation.action}: {what}")

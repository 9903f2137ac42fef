"""What a KubernetesExecution's status says at every step; the only place that writes it, but for its undo."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import orjson
from pydantic import JsonValue

from kubernaut.api.base import AuditOutcome, Obj
from kubernaut.api.execution import (
    ChangedResource,
    Check,
    KubernetesExecution,
    OperationResult,
    Phase,
    Undo,
    UndoKind,
    UndoOutcome,
    UndoResult,
    Validated,
)
from kubernaut.api.redact import redact_value
from kubernaut.execution.actions.base import Effect, Plan, Target, Work
from kubernaut.execution.difference import DIFF_LIMIT
from kubernaut.execution.safety import PRECONDITIONS, WARNINGS_TOLD, Resolved, Verdict
from kubernaut.execution.undo import content_of, digest_of, marked
from kubernaut.kube.journal import record
from kubernaut.kube.reversal import Reversal, as_left, change_of, creation_of
from kubernaut.kube.status import cut, set_condition
from kubernaut.undo import ROLLED_BACK

COMPLETE: Final = "Complete"
RECORD_LIMIT: Final = 400_000
"""Characters of what all operations change and how it is taken back; an API object over 1.5 MB cannot be stored."""
ALL_DIFFS: Final = 262_144
OUTPUT_LIMIT: Final = 16_384
AFFECTED_LIMIT: Final = 50
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


def halted(execution: KubernetesExecution, index: int, why: str) -> None:
    """Say that people have paused before a step."""
    operation = execution.spec.operations[index]
    execution.status.message = f"step {operation.step_number} {operation.action} waits until it is resumed: {why}"[:1024]


def validated(execution: KubernetesExecution, index: int, verdict: Verdict, now: datetime) -> None:
    """Put the checks on record; with them, what is going to be done and how it would be taken back."""
    result = execution.status.operation_results[index]
    room = min(DIFF_LIMIT, ALL_DIFFS // len(execution.spec.operations))
    result.checks, result.diff = verdict.checks, verdict.diff[:room]
    result.impact, result.warnings = verdict.impact, verdict.warnings
    result.pre_condition_results, result.checking_since = verdict.pre_conditions, None
    if verdict.failed is None and verdict.plan is not None and verdict.resolved is not None:
        _intend(execution, index, verdict, verdict.plan, verdict.resolved)
        _keep_recordable(execution, verdict)
    if verdict.failed is not None:
        result.resources_affected, result.undo, result.validated = [], None, None
        reason = _REASONS.get(verdict.failed.name, "validation_error")
        failed(execution, index, reason, f"{verdict.failed.name}: {verdict.failed.message}", now)
        return
    result.phase = Phase.VALIDATED
    _at(execution, index, Phase.VALIDATED, "checked")


def unready(execution: KubernetesExecution, index: int, verdict: Verdict, now: datetime) -> None:
    """Say which preconditions of users are waited for."""
    result = execution.status.operation_results[index]
    result.checks, result.pre_condition_results = verdict.checks[:-1], verdict.pre_conditions
    result.phase, result.checking_since = Phase.VALIDATING, result.checking_since or now
    _at(execution, index, Phase.VALIDATING, f"waits for {verdict.settled.waits}")


def _keep_recordable(execution: KubernetesExecution, verdict: Verdict) -> None:
    """Refuse what cannot be put on record, for then it could not be taken back."""
    size = sum(len(each.model_dump_json(include={"resources_affected", "undo"})) for each in execution.status.operation_results)
    if size > RECORD_LIMIT:
        verdict.refused(
            PRECONDITIONS, f"what it changes is too large to be recorded ({size} of {RECORD_LIMIT} characters): split the steps"
        )


def _intend(execution: KubernetesExecution, index: int, verdict: Verdict, plan: Plan, resolved: Resolved) -> None:
    """Write down the change before it is made: the object as it is, as the dry run says it becomes, and the way back."""
    result, current = execution.status.operation_results[index], plan.current
    action, target = resolved.action, resolved.target
    if current is None or target is None:
        result.validated = Validated()
        if plan.effect is Effect.CREATE and target is not None:
            found = creation_of(verdict.trial or {}, _unnamed(plan.patch or {}))
            result.resources_affected = [_changed(target, action.name, "", found)]
            result.undo = _undo(action.undo, found, created=True)
        return
    meta = current["metadata"]
    result.validated = Validated(uid=meta["uid"], resource_version=meta["resourceVersion"], digest=digest_of(current))
    patch = marked(plan.patch or {}, f"{execution.metadata.uid}/{result.step_number}") if plan.effect is Effect.PATCH else {}
    found = Reversal({}, {}, {}) if action.hidden else change_of(current, patch, verdict.trial)
    result.resources_affected = [_changed(target, action.name, meta["uid"], found), *plan.beside[: AFFECTED_LIMIT - 1]]
    result.undo = Undo(kind=action.undo) if action.undo is UndoKind.NONE else _undo(action.undo, found)
    if result.undo.note:
        result.warnings = [*result.warnings, result.undo.note][:WARNINGS_TOLD]


def _undo(kind: UndoKind, found: Reversal, *, created: bool = False) -> Undo:
    """Return the way back; where a secret would have to be kept for it, that there is none."""
    return Undo(note=cut(found.withheld)) if found.withheld else Undo(kind=kind, patch=found.patch, created=created)


def _changed(target: Target, action: str, uid: str, found: Reversal) -> ChangedResource:
    return ChangedResource(
        api_version=target.kind.api_version,
        kind=target.kind.kind,
        namespace=target.namespace,
        name=target.name,
        uid=uid,
        action=action,
        before=found.before,
        after=found.after,
    )


def _unnamed(body: Obj) -> Obj:
    """Return what a new object says beside its name: what may be changed by others later."""
    metadata = {key: value for key, value in body["metadata"].items() if key in {"labels", "annotations"} and value}
    return content_of(body) | ({"metadata": metadata} if metadata else {})


def executed(execution: KubernetesExecution, index: int, made: Obj | None, now: datetime, *, by_us: bool = True) -> None:
    """Put on record that the change was made, and (seen as it was made by us just now) the object as it is since."""
    result, operation = execution.status.operation_results[index], execution.spec.operations[index]
    result.phase, result.started_at, result.error_message = Phase.EXECUTING, now, ""
    if made is not None and result.resources_affected:
        affected = result.resources_affected[0]
        affected.uid = made["metadata"]["uid"]
        affected.after = as_left(made, affected.after, result.undo.patch if result.undo else {}) if by_us else affected.after
    _journal(execution, index, "OperationExecuted", str(operation.parameters.get("message") or "done"), now, undo=True)
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


def worked(execution: KubernetesExecution, index: int, work: Work) -> None:
    """Put on record what followed the first change; what was planned becomes what was done."""
    result = execution.status.operation_results[index]
    known = {each.uid: each for each in result.resources_affected} | {each.uid: each for each in work.affected}
    result.resources_affected = list(known.values())[:AFFECTED_LIMIT]
    result.output = work.output[:OUTPUT_LIMIT] or result.output


def awaiting(execution: KubernetesExecution, index: int, lacking: str, effective_since: datetime | None = None) -> None:
    """Say what the effect still lacks, or, since it is there, which postconditions of users."""
    execution.status.operation_results[index].effective_since = effective_since
    _at(execution, index, Phase.EXECUTING, lacking)


def effective(execution: KubernetesExecution, index: int, now: datetime, warnings: Sequence[str] = ()) -> None:
    """Say that the effect is there."""
    result = execution.status.operation_results[index]
    result.warnings = [*result.warnings, *map(cut, warnings)][:WARNINGS_TOLD]
    result.phase, result.completed_at = Phase.COMPLETED, now
    result.checks = [*result.checks, Check(name="postconditions", passed=True)]
    _at(execution, index, Phase.EXECUTING, "effective")


def ineffective(execution: KubernetesExecution, index: int, lacking: str, now: datetime) -> None:
    """Say that the effect did not come in time; what was recorded suffices to take the change back."""
    failed(execution, index, "action_failed", f"done, but without effect in time: {lacking}", now)
    result = execution.status.operation_results[index]
    result.checks = [*result.checks, Check(name="postconditions", passed=False, message=cut(lacking))]
    if result.undo is not None and result.undo.kind is not UndoKind.NONE:
        result.phase = Phase.ROLLBACK_READY


def taken_back(execution: KubernetesExecution, index: int, what: UndoResult, now: datetime) -> None:
    """Say what became of taking back an operation that had no effect."""
    result = execution.status.operation_results[index]
    result.phase = Phase.FAILED
    result.error_message = cut(f"{result.error_message}; {what.message}")
    undone = what.outcome is UndoOutcome.UNDONE
    outcome = AuditOutcome.SUCCESS if undone else AuditOutcome.FAILURE
    _journal(execution, index, "OperationUndone" if undone else "OperationNotUndone", what.message, now, outcome)
    if undone and not any(each.started_at for place, each in enumerate(execution.status.operation_results) if place != index):
        set_condition(execution.status.conditions, ROLLED_BACK, True, "NoEffectInTime", result.error_message, now=now)


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
    execution: KubernetesExecution,
    index: int,
    reason: str,
    message: str,
    now: datetime,
    outcome: AuditOutcome = AuditOutcome.SUCCESS,
    *,
    undo: bool = False,
) -> None:
    """Tell the audit trail what was done to what, and how well it can be taken back; the way back goes along, without secrets."""
    result = execution.status.operation_results[index]
    objects = ["/".join(filter(None, (each.namespace, each.kind.lower(), each.name))) for each in result.resources_affected]
    data: dict[str, JsonValue] = {"step": result.step_number, "action": result.action, "objects": [*objects[:5]]}
    if result.undo is not None:
        data["undo"] = result.undo.kind.value
        if undo and result.undo.patch:
            data["undoPatchSha256"] = hashlib.sha256(orjson.dumps(result.undo.patch, option=orjson.OPT_SORT_KEYS)).hexdigest()
            data["undoPatch"] = redact_value(result.undo.patch)
    record(execution, reason, f"step {result.step_number} {result.action}: {message}", now=now, outcome=outcome, data=data)


def _camel(reason: str) -> str:
    return "".join(word.capitalize() for word in reason.split("_"))


def _at(execution: KubernetesExecution, index: int, phase: Phase, what: str) -> None:
    status, operation = execution.status, execution.spec.operations[index]
    started = any(result.started_at for result in status.operation_results)
    status.phase = Phase.EXECUTING if started else phase
    status.message = cut(f"step {operation.step_number} {operation.action}: {what}")

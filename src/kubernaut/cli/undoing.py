"""Taking a fix back: what would be put back is shown first, then asked for under one's own name; the execution stage does it.

Nothing is changed from here but the request, which stands on record in what carried the fix out.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import typer

from kubernaut.api.base import Obj, Unusable
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.core import kind_named
from kubernaut.api.execution import KubernetesExecution, OperationResult, UndoOutcome, UndoRequest, UndoResult, UndoStatus
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.cli.approving import whoami
from kubernaut.cli.watching import viewing
from kubernaut.execution.actions.restoring import NOT_OURS
from kubernaut.execution.undo import ObjectKey, key_of, ways_back
from kubernaut.execution.undoing import mark_of_step, told
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError
from kubernaut.undo import Undoable
from kubernaut.workflow.validity import entry

PATIENCE: Final = 60.0
"""How many seconds an answer is waited for; the request stands after that, too."""


class CannotUndo(Unusable):
    """There is nothing to be undone; the message says why."""


async def find(client: Client, namespace: str, name: str) -> Undoable:
    """Return the fix of a name, or the latest of a remediation: actions, or a run from the catalogue. Raise CannotUndo."""
    executions = [KubernetesExecution.model_validate(obj) for obj in (await client.list(KubernetesExecution.card, namespace)).items]
    runs = [WorkflowExecution.model_validate(obj) for obj in (await client.list(WorkflowExecution.card, namespace)).items]
    fixes: list[Undoable] = [each for each in executions if not each.spec.execution_config.dry_run]
    fixes += [each for each in runs if each.spec.workflow_ref is not None]
    meant = [each for each in fixes if name == each.metadata.name or (name == each.spec.remediation_request_ref.name and not _undoes(each))]
    if not meant:
        raise CannotUndo(f"no fix of {name!r} has been carried out in {namespace}; kubernaut get lists the cases and how far they are")
    latest = max(meant, key=lambda each: (each.metadata.name == name, each.status.start_time is not None, str(each.status.start_time)))
    if latest.status.completion_time is None:
        raise CannotUndo(f"{latest.metadata.name} is still at work: wait for its end, or cancel its remediation first")
    return latest


def _undoes(fix: Undoable) -> bool:
    """Tell whether it is itself the undo of a run, which owns it."""
    return any(owner.controller and owner.kind == WorkflowExecution.card.kind for owner in fix.metadata.owner_references)


async def preview(client: Client, fix: Undoable) -> list[UndoResult]:
    """Return what an undo would do as things stand now, read with our own rights; nothing is written. Raise ApiError."""
    if isinstance(fix, WorkflowExecution) and (instead := await _named_for_it(client, fix)):
        message = f"the workflow {instead} is run, which takes it back"
        return [UndoResult(step_number=1, resource=fix.spec.target_resource, outcome=UndoOutcome.UNDONE, message=message)]
    if isinstance(fix, WorkflowExecution) and fix.status.reversal is None:
        why = fix.status.reversal_note or "the run never began"
        return [UndoResult(step_number=1, resource=fix.spec.target_resource, outcome=UndoOutcome.NOT_UNDOABLE, message=why)]
    results = [_of_run(fix)] if isinstance(fix, WorkflowExecution) else fix.status.operation_results
    objects = {key_of(each.resources_affected[0]): each for each in results if each.resources_affected}
    current = {key: await _read(client, key, result) for key, result in objects.items()}
    return [told(result, back) for result, back in ways_back(results, current, lambda step: _mark(fix, step))]


async def _named_for_it(client: Client, run: WorkflowExecution) -> str:
    """Return the workflow that the catalogue names to take a run back, if it names one."""
    found = [RemediationWorkflow.model_validate(obj) for obj in (await client.list(RemediationWorkflow.card, run.metadata.namespace)).items]
    ran = entry(run, found)
    return (ran.spec.rollback_workflow if ran else None) or ""


def _of_run(run: WorkflowExecution) -> OperationResult:
    """Return what a run from the catalogue changed, in the form of an operation of ours."""
    status = run.status
    return OperationResult(
        step_number=1,
        action=run.spec.workflow_ref.workflow_id if run.spec.workflow_ref else "",
        resources_affected=[status.changed] if status.changed else [],
        undo=status.reversal,
        started_at=status.start_time or status.completion_time,
    )


def _mark(fix: Undoable, step: int) -> str:
    return mark_of_step(fix, step) if isinstance(fix, KubernetesExecution) else NOT_OURS


async def _read(client: Client, key: ObjectKey, result: OperationResult) -> Obj | None:
    kind = kind_named(key.kind)
    if kind is None:
        raise CannotUndo(
            f"{result.action} acted on a {key.kind}, which this command does not know: ask for the undo without a preview, --yes"
        )
    try:
        return await client.get(kind, key.name, key.namespace)
    except ApiError as fault:
        if fault.not_found:
            return None
        raise


async def ask(client: Client, execution: Undoable, reason: str, now: datetime) -> UndoRequest:
    """Ask for the undo under our own name; return the request. Raise ApiError."""
    asked = UndoRequest(requested_by=await whoami(client), requested_at=now, reason=reason)
    meta = execution.metadata
    body = {"metadata": {"uid": meta.uid}, "spec": {"undo": {**asked.wire(), "reason": reason or None, "automatic": None}}}
    await client.patch(execution.card, meta.name, meta.namespace, body)
    return asked


async def answer(client: Client, execution: Undoable, asked: UndoRequest, *, seconds: float = PATIENCE) -> UndoStatus | None:
    """Wait for the answer to a request; None when there is none yet after a while."""

    def answered(each: Undoable) -> bool:
        undo = each.status.undo
        mine = undo is not None and undo.requested_at == asked.requested_at and undo.completion_time is not None
        return mine and each.metadata.uid == execution.metadata.uid

    model: type[Undoable] = type(execution)
    async with viewing(client, (model,), execution.metadata.namespace, lambda _kind, _old, _new: None) as view:
        try:
            return (await view.until(model, answered, seconds=seconds)).status.undo
        except TimeoutError:
            return None


def lines(results: Sequence[UndoResult], *, planned: bool = False) -> Iterator[str]:
    """Say of each operation what becomes of it, or would, the last one first; a conflict in three columns."""
    for each in results:
        outcome = "would be undone" if planned and each.outcome is UndoOutcome.UNDONE else each.outcome.value
        yield f"step {each.step_number}  {each.resource or '-'}  {outcome}: {each.message}"
        for field in each.conflicts:
            yield f"    {field.path}"
            yield f"      before the fix: {field.before or '(absent)'}"
            yield f"      after the fix:  {field.ours or '(absent)'}"
            yield f"      now:            {field.now or '(absent)'}"


def verdict(results: Sequence[UndoResult]) -> str:
    """Say in a sentence whether an undo can be asked for; empty when it can."""
    if any(each.outcome is UndoOutcome.CONFLICT for each in results):
        return "somebody else has changed the same fields since: nothing would be taken back. Decide by hand which values are right"
    if not any(each.outcome is UndoOutcome.UNDONE for each in results):
        return "there is nothing that could be taken back"
    return ""


def tell(undo: UndoStatus | None, execution: Undoable) -> int:
    """Say what became of a request; return the exit code."""
    name = execution.metadata.name
    if undo is None or undo.outcome is None:
        typer.echo(f"no answer yet; the request stands: kubectl get {execution.card.plural} {name} -o yaml shows status.undo")
        return 1
    typer.echo("\n".join(lines(undo.results)))
    typer.echo(f"{name}: {undo.outcome.value}: {undo.message}")
    return 0 if undo.outcome in {UndoOutcome.UNDONE, UndoOutcome.PARTIAL, UndoOutcome.NOTHING} else 1

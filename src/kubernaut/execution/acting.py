"""Sends the one change of an operation: exactly what was checked, against exactly the state that was checked, once."""

from datetime import datetime

from kubernaut.api.base import Obj
from kubernaut.api.execution import KubernetesExecution, OperationResult
from kubernaut.execution import report
from kubernaut.execution.actions.base import Effect, Plan
from kubernaut.execution.safety import Resolved
from kubernaut.execution.undo import digest_of, mark_of, marked
from kubernaut.execution.undoing import mark_of_step
from kubernaut.kube.errors import ApiError
from kubernaut.kube.reversal import change_of


async def carry_out(execution: KubernetesExecution, index: int, resolved: Resolved, plan: Plan, now: datetime) -> None:
    """Make the change and put it on record; what was made before we were killed is found by its mark. Raise ApiError."""
    result = execution.status.operation_results[index]
    mark = mark_of_step(execution, result.step_number)
    match plan.effect:
        case Effect.NOTHING:
            report.executed(execution, index, None, now)
        case Effect.DELETE:
            await _delete(resolved, plan, result)
            report.executed(execution, index, None, now)
        case _ if plan.current is not None and mark_of(plan.current) == mark:
            report.executed(execution, index, plan.current, now, by_us=False)
        case Effect.CREATE if result.undo is not None and result.undo.created:
            await _create(execution, index, resolved, plan, now)
        case Effect.PATCH if _as_validated(resolved, plan, result, mark) and not plan.faults:
            report.executed(execution, index, await _patch(resolved, plan, mark), now)
        case _:
            report.changed_since(execution, index, now)


def _as_validated(resolved: Resolved, plan: Plan, result: OperationResult, mark: str) -> bool:
    """Tell whether the object is as it was when it was checked: the same one, with the same content, and all that is to be put back."""
    if plan.current is None or result.validated is None or not result.resources_affected:
        return False
    meta, seen = plan.current["metadata"], result.validated
    if resolved.action.hidden:
        return (meta["uid"], meta["resourceVersion"]) == (seen.uid, seen.resource_version)
    same = (meta["uid"], digest_of(plan.current)) == (seen.uid, seen.digest)
    return same and change_of(plan.current, marked(plan.patch or {}, mark)).before == result.resources_affected[0].before


async def _patch(resolved: Resolved, plan: Plan, mark: str) -> Obj:
    """Change exactly the state that was read; a conflict says that it changed meanwhile."""
    target, current = resolved.target, plan.current
    if target is None or current is None:
        raise ValueError("a patch needs an object")
    body = marked(plan.patch or {}, mark)
    body["metadata"] = {**body["metadata"], "resourceVersion": current["metadata"]["resourceVersion"]}
    return await resolved.client.patch(target.kind, target.name, target.namespace, body)


async def _create(execution: KubernetesExecution, index: int, resolved: Resolved, plan: Plan, now: datetime) -> None:
    """Make the object; one that is there meanwhile is another's, and looked at anew."""
    if resolved.target is None:
        raise ValueError("nothing is made without a target")
    mark = mark_of_step(execution, execution.status.operation_results[index].step_number)
    try:
        made = await resolved.client.create(resolved.target.kind, marked(plan.patch or {}, mark))
    except ApiError as fault:
        if not fault.already_exists:
            raise
        report.changed_since(execution, index, now)
        return
    report.executed(execution, index, made, now)


async def _delete(resolved: Resolved, plan: Plan, result: OperationResult) -> None:
    """Delete the very object that was validated; one that is going or was replaced is deleted already."""
    target, current = resolved.target, plan.current
    if target is None or current is None or result.validated is None:
        return
    meta = current["metadata"]
    if meta["uid"] == result.validated.uid and "deletionTimestamp" not in meta:
        await resolved.client.delete(target.kind, target.name, target.namespace, uid=meta["uid"], grace_seconds=plan.grace_seconds)

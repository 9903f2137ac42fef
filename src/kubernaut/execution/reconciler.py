"""Carries out each KubernetesExecution, operation by operation: checked, put on record, done once, awaited.

An intent is in the status before anything is sent; a change carries the operation's mark; a deletion names a uid. So a process
that is killed between any two calls finds, when it is back, either that nothing was done or that it was, and never does it twice.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import assert_never

from kubernaut.api.base import Obj
from kubernaut.api.core import DAEMON_SET, DEPLOYMENT, STATEFUL_SET
from kubernaut.api.durations import parse_duration
from kubernaut.api.execution import KubernetesExecution, OperationResult
from kubernaut.api.plan import Operation
from kubernaut.execution import report
from kubernaut.execution.actions.base import AnyAction, Effect, Plan
from kubernaut.execution.actions.registry import Registry, built
from kubernaut.execution.decide import Abort, Await, Complete, Execute, Seen, Skip, Validate, decide
from kubernaut.execution.safety import Resolved, Safety
from kubernaut.execution.settings import ExecutionSettings
from kubernaut.execution.undo import mark_of, marked
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError
from kubernaut.kube.informer import Key
from kubernaut.kube.manager import Manager
from kubernaut.kube.outcome import DONE, Outcome, again

UID_INDEX = "uid"


class ExecutionReconciler:
    """Walks KubernetesExecutions through their operations."""

    def __init__(self, cluster: Cluster, settings: ExecutionSettings, registry: Registry) -> None:
        self._cluster = cluster
        self._settings = settings
        self._safety = Safety(cluster.client, registry, settings)

    async def reconcile(self, execution: KubernetesExecution) -> Outcome:
        """Observe, decide, act, report: one step a pass, each step on record before the next."""
        now = self._cluster.clock.now()
        if execution.status.completion_time is not None:
            return DONE
        report.begun(execution, now)
        status, config = execution.status, execution.spec.execution_config
        seen = Seen(execution.spec.operations, status.operation_results, _deadline(execution, now), config.dry_run, status.failure_reason)
        match decide(seen, now):
            case Validate(index):
                return await self._validate(execution, index, now)
            case Execute(index):
                return await self._execute(execution, index, now)
            case Await(index):
                return await self._await(execution, index, now)
            case Skip(index, because):
                report.skipped(execution, index, because, now)
                return again(now)
            case Complete(failures):
                report.completed(execution, failures, now)
                return DONE
            case Abort(reason, message):
                report.aborted(execution, reason, message, now)
                return DONE
            case unknown:
                assert_never(unknown)

    async def _validate(self, execution: KubernetesExecution, index: int, now: datetime) -> Outcome:
        operation = execution.spec.operations[index]
        everything = execution.spec.execution_config.safety_validation
        verdict = await self._safety.check(operation, mark_for(execution, operation), everything=everything)
        report.validated(execution, index, verdict, now)
        return again(now)

    async def _execute(self, execution: KubernetesExecution, index: int, now: datetime) -> Outcome:
        operation = execution.spec.operations[index]
        resolved = self._safety.resolve(operation)
        try:
            plan = await resolved.action.plan(resolved.client, resolved.given, mark_for(execution, operation))
            await _carry_out(execution, index, resolved, plan, now)
        except ApiError as fault:
            if fault.retryable:
                raise
            if not fault.conflict:  # a conflict is looked at again
                report.failed(execution, index, "action_failed", fault.message, now)
        return again(now)

    async def _await(self, execution: KubernetesExecution, index: int, now: datetime) -> Outcome:
        operation, result = execution.spec.operations[index], execution.status.operation_results[index]
        resolved = self._safety.resolve(operation)
        current = await self._current(resolved)
        lacking = resolved.action.awaits(resolved.given, current, result.validated.uid if result.validated else "")
        if not lacking:
            report.effective(execution, index, now)
            return again(now)
        deadline = (result.started_at or now) + parse_duration(operation.timeout)
        if now >= deadline:
            report.ineffective(execution, index, lacking, now)
            return again(now)
        report.awaiting(execution, index, lacking)
        return again(min(now + self._settings.poll, deadline))

    async def _current(self, resolved: Resolved) -> Obj | None:
        target = resolved.target
        if target is None:
            return None
        try:
            return await resolved.client.get(target.kind, target.name, target.namespace)
        except ApiError as fault:
            if fault.not_found:
                return None
            raise


def mark_for(execution: KubernetesExecution, operation: Operation) -> str:
    """Return the mark that an operation leaves on what it changes."""
    return f"{execution.metadata.uid}/{operation.step_number}"


async def _carry_out(execution: KubernetesExecution, index: int, resolved: Resolved, plan: Plan, now: datetime) -> None:
    result, mark = execution.status.operation_results[index], mark_for(execution, execution.spec.operations[index])
    match plan.effect:
        case Effect.NOTHING:
            report.executed(execution, index, None, now)
        case Effect.DELETE:
            await _delete(resolved, plan, result)
            report.executed(execution, index, None, now)
        case Effect.PATCH if plan.current is not None and mark_of(plan.current) == mark:
            report.executed(execution, index, plan.current, now)  # took effect before we were killed
        case Effect.PATCH if not _as_validated(plan, result) or plan.faults:
            report.changed_since(execution, index, now)
        case Effect.PATCH:
            report.executed(execution, index, await _patch(resolved, plan, mark), now)


def _deadline(execution: KubernetesExecution, now: datetime) -> datetime:
    ends = (execution.status.start_time or now) + parse_duration(execution.spec.execution_config.timeout)
    return min(ends, execution.spec.times_out_at or ends)


def _as_validated(plan: Plan, result: OperationResult) -> bool:
    """Tell whether the object is as it was when it was checked: same object, same spec. Status changes do not count."""
    if plan.current is None or result.validated is None:
        return False
    meta = plan.current["metadata"]
    return meta["uid"] == result.validated.uid and int(meta.get("generation") or 0) == result.validated.generation


async def _patch(resolved: Resolved, plan: Plan, mark: str) -> Obj:
    """Change exactly the state that was read; a conflict says that it changed meanwhile."""
    target, current = resolved.target, plan.current
    if target is None or current is None:
        raise ValueError("a patch needs an object")
    body = marked(plan.patch or {}, mark)
    body["metadata"] = {**body["metadata"], "resourceVersion": current["metadata"]["resourceVersion"]}
    return await resolved.client.patch(target.kind, target.name, target.namespace, body)


async def _delete(resolved: Resolved, plan: Plan, result: OperationResult) -> None:
    """Delete the very object that was validated; one that is going or was replaced is deleted already."""
    target, current = resolved.target, plan.current
    if target is None or current is None or result.validated is None:
        return
    meta = current["metadata"]
    if meta["uid"] == result.validated.uid and "deletionTimestamp" not in meta:
        await resolved.client.delete(target.kind, target.name, target.namespace, uid=meta["uid"], grace_seconds=plan.grace_seconds)


def setup(manager: Manager, settings: ExecutionSettings, actions: Sequence[AnyAction] = ()) -> None:
    """Run the stage in a manager's process, with the built-in actions and those given, which win over built-ins of their name."""
    cluster = manager.cluster
    reconciler = ExecutionReconciler(cluster, settings, Registry((*built(), *actions)))
    manager.informer(KubernetesExecution, indexes={UID_INDEX: _uid})
    controller = manager.controller(KubernetesExecution, reconciler.reconcile, timeout=timedelta(minutes=2))
    marks = Marks(cluster)
    for kind in (DEPLOYMENT, STATEFUL_SET, DAEMON_SET):
        controller.watches(kind, marks.execution_of)


class Marks:
    """Leads from a changed object back to the execution whose mark it carries."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def execution_of(self, obj: Obj) -> Iterable[Key]:
        """Return the execution that changed an object last."""
        uid = mark_of(obj).partition("/")[0]
        found = self._cluster.select(KubernetesExecution.card, UID_INDEX, uid) if uid else []
        return [Key(each["metadata"]["namespace"], each["metadata"]["name"]) for each in found]


def _uid(obj: Obj) -> Iterable[str]:
    return () if (obj.get("status") or {}).get("completionTime") else (obj["metadata"]["uid"],)

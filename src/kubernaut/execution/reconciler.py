"""Carries out each KubernetesExecution, operation by operation: checked, put on record, done once, awaited.

An intent is in the status before anything is sent; a change carries the operation's mark; a deletion names a uid. So a process
that is killed between any two calls finds, when it is back, either that nothing was done or that it was, and never does it twice.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import assert_never

from kubernaut.api.base import CANCEL_ANNOTATION, Obj
from kubernaut.api.brake import RemediationBrake
from kubernaut.api.core import DAEMON_SET, DEPLOYMENT, STATEFUL_SET
from kubernaut.api.durations import parse_duration
from kubernaut.api.execution import KubernetesExecution, Phase
from kubernaut.conditions.judging import NAME, Conditions
from kubernaut.conditions.text import SHIPPED, reading
from kubernaut.execution import report
from kubernaut.execution.acting import carry_out
from kubernaut.execution.actions.base import AnyAction, read_or_none
from kubernaut.execution.actions.registry import Registry, built, with_installed
from kubernaut.execution.conditions import Guards
from kubernaut.execution.decide import Abort, Await, Complete, Execute, Seen, Skip, TakeBack, Validate, decide
from kubernaut.execution.safety import Resolved, Safety, Verdict
from kubernaut.execution.settings import ExecutionSettings
from kubernaut.execution.undo import mark_of
from kubernaut.execution.undoing import OPEN_INDEX, Undoing, mark_of_step
from kubernaut.halt import LOOK_AGAIN, halt, hold, is_held, resumed_at
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError
from kubernaut.kube.informer import Key
from kubernaut.kube.manager import Manager
from kubernaut.kube.outcome import DONE, Outcome, again
from kubernaut.policy.live import Current, follow_source
from kubernaut.undo import answers_person, wanted

UID_INDEX = "uid"


class ExecutionReconciler:
    """Walks KubernetesExecutions through their operations, and back where that is asked for."""

    def __init__(self, cluster: Cluster, settings: ExecutionSettings, registry: Registry, conditions: Current[Conditions]) -> None:
        self._cluster = cluster
        self._settings = settings
        self._safety = Safety(cluster.client, registry, settings)
        self._guards = Guards(cluster.client, conditions)
        self._undoing = Undoing(cluster, settings, self._safety)

    async def reconcile(self, execution: KubernetesExecution) -> Outcome:
        """Observe, decide, act, report: one step a pass, each step on record before the next."""
        now = self._cluster.clock.now()
        if execution.status.completion_time is not None:
            asked = wanted(execution)
            return await self._undoing.answer(execution, asked, now) if asked else DONE
        report.begun(execution, now)
        match decide(self._seen(execution, now), now):
            case Validate(index):
                return await self._validate(execution, index, now)
            case Execute(index):
                return await self._execute_unless_paused(execution, index, now)
            case Await(indexes):
                return await self._await_all(execution, indexes, now)
            case TakeBack(index):
                report.taken_back(execution, index, await self._undoing.take_back(execution, index), now)
                return again(now)
            case Skip(index, because):
                report.skipped(execution, index, because, now)
                return again(now)
            case Complete(failures):
                report.completed(execution, failures, now)
            case Abort(reason, message):
                await self._look_back(execution, now)
                report.aborted(execution, reason, message, now)
            case unknown:
                assert_never(unknown)
        return again(now) if wanted(execution) else DONE

    def _seen(self, execution: KubernetesExecution, now: datetime) -> Seen:
        status, config = execution.status, execution.spec.execution_config
        return Seen(
            execution.spec.operations,
            status.operation_results,
            _deadline(execution, now),
            config.dry_run,
            status.failure_reason,
            cancelled=execution.metadata.annotations.get(CANCEL_ANNOTATION),
            limit=config.concurrency_limit,
            take_back=frozenset(index for index in range(len(status.operation_results)) if self._leaves_nothing(execution, index)),
        )

    def _leaves_nothing(self, execution: KubernetesExecution, index: int) -> bool:
        """Tell whether an operation had no effect in time and asked to be taken back then."""
        if execution.status.operation_results[index].phase is not Phase.ROLLBACK_READY:
            return False
        given = self._safety.resolve(execution.spec.operations[index]).given
        return bool(getattr(given, "rollback_on_failure", False))

    async def _validate(self, execution: KubernetesExecution, index: int, now: datetime) -> Outcome:
        operation = execution.spec.operations[index]
        everything = execution.spec.execution_config.safety_validation
        verdict = await self._safety.check(operation, mark_of_step(execution, operation.step_number), everything=everything)
        if everything:
            await self._guards.before(execution, index, verdict, now)
        if verdict.settled.until:
            return await self._hold_back(execution, index, verdict, verdict.settled.until, now)
        report.validated(execution, index, verdict, now)
        return again(now)

    async def _hold_back(self, execution: KubernetesExecution, index: int, verdict: Verdict, until: datetime, now: datetime) -> Outcome:
        """Wait for preconditions, and see meanwhile to the operations that run beside."""
        beside = [place for place, each in enumerate(execution.status.operation_results) if each.phase is Phase.EXECUTING]
        outcomes = [await self._await(execution, place, now) for place in beside]
        report.unready(execution, index, verdict, now)
        times = [each.at for each in outcomes if each.at]
        return again(min(now + self._settings.poll, until, *times))

    async def _execute_unless_paused(self, execution: KubernetesExecution, index: int, now: datetime) -> Outcome:
        """Begin no step while people have paused, unless a person asks for it; what the API server does not say counts as paused."""
        namespace = _namespace(self._safety.resolve(execution.spec.operations[index]))
        why = await halt(self._cluster, execution.metadata.namespace, namespace)
        if why and await answers_person(self._cluster, execution):
            why = ""
        hold(execution.status.conditions, why, now)
        if not why:
            return await self._execute(execution, index, now)
        report.halted(execution, index, why)
        return again(now + LOOK_AGAIN)

    async def _execute(self, execution: KubernetesExecution, index: int, now: datetime) -> Outcome:
        operation = execution.spec.operations[index]
        resolved, mark = self._safety.resolve(operation), mark_of_step(execution, operation.step_number)
        try:
            plan = await resolved.action.plan(resolved.client, resolved.given, mark)
            await carry_out(execution, index, resolved, plan, now)
        except ApiError as fault:
            if fault.retryable:
                raise
            if not fault.conflict:  # a conflict is looked at again
                report.failed(execution, index, "action_failed", fault.message, now)
        return again(now)

    async def _await_all(self, execution: KubernetesExecution, indexes: Sequence[int], now: datetime) -> Outcome:
        """Look at each that waits for its effect; return when to look again at the first of them."""
        outcomes = [await self._await(execution, index, now) for index in indexes]
        return min(outcomes, key=lambda outcome: outcome.at or now)

    async def _await(self, execution: KubernetesExecution, index: int, now: datetime) -> Outcome:
        operation, result = execution.spec.operations[index], execution.status.operation_results[index]
        if result.effective_since:
            return await self._follow_up(execution, index, now)
        lacking = await self._lacking(execution, index, now)
        if not lacking:
            return await self._follow_up(execution, index, now)
        deadline = (result.started_at or now) + parse_duration(operation.timeout)
        if now >= deadline:
            report.ineffective(execution, index, lacking, now)
            return again(now)
        report.awaiting(execution, index, lacking)
        return again(min(now + self._settings.poll, deadline))

    async def _follow_up(self, execution: KubernetesExecution, index: int, now: datetime) -> Outcome:
        """Look whether what users demand of an operation is so, its own effect being there."""
        result = execution.status.operation_results[index]
        settled = await self._guards.after(execution, index, self._safety.resolve(execution.spec.operations[index]), now)
        if settled.until:
            report.awaiting(execution, index, settled.waits, result.effective_since or now)
            return again(min(now + self._settings.poll, settled.until))
        if settled.failed:
            report.ineffective(execution, index, settled.failed, now)
        else:
            report.effective(execution, index, now, settled.warnings)
        return again(now)

    async def _lacking(self, execution: KubernetesExecution, index: int, now: datetime) -> str:
        """Do what follows the first change, as far as it goes; return what is not there yet."""
        resolved, result = self._safety.resolve(execution.spec.operations[index]), execution.status.operation_results[index]
        try:
            work = await resolved.action.work(resolved.client, resolved.given, now)
        except ApiError as fault:
            if fault.retryable:
                raise
            return fault.message
        report.worked(execution, index, work)
        uid = result.validated.uid if result.validated else ""
        return work.lacking or resolved.action.awaits(resolved.given, await _current(resolved), uid)

    async def _look_back(self, execution: KubernetesExecution, now: datetime) -> None:
        """Put on record what was carried out though nobody could write it down: the process was killed right after."""
        for index, result in enumerate(execution.status.operation_results):
            if result.phase is Phase.VALIDATED:
                current = await _current(self._safety.resolve(execution.spec.operations[index]))
                if current is not None and mark_of(current) == mark_of_step(execution, result.step_number):
                    report.executed(execution, index, current, now, by_us=False)


async def _current(resolved: Resolved) -> Obj | None:
    return await read_or_none(resolved.client, resolved.target) if resolved.target else None


def _deadline(execution: KubernetesExecution, now: datetime) -> datetime:
    """Return when its time is up; a pause stops the clock, and it begins anew when people resume."""
    limit, conditions = parse_duration(execution.spec.execution_config.timeout), execution.status.conditions
    if is_held(conditions):
        return now + limit
    ends = (execution.status.start_time or now) + limit
    resumed = resumed_at(conditions)
    return resumed + limit if resumed else min(ends, execution.spec.times_out_at or ends)


def _namespace(resolved: Resolved) -> str:
    return resolved.target.namespace if resolved.target else ""


def setup(manager: Manager, settings: ExecutionSettings, actions: Sequence[AnyAction] = ()) -> None:
    """Run the stage in a manager's process, with built-in and installed actions and those given; a later one of a name wins.

    Raise Unusable for a file of conditions that cannot be used.
    """
    cluster, registry = manager.cluster, Registry((*with_installed(built()), *actions))
    conditions = Current(NAME, reading(registry.names()), SHIPPED)
    follow_source(manager, conditions, settings.conditions)
    reconciler = ExecutionReconciler(cluster, settings, registry, conditions)
    manager.informer(KubernetesExecution, indexes={UID_INDEX: _uid, OPEN_INDEX: _open})
    controller = manager.controller(KubernetesExecution, reconciler.reconcile, timeout=timedelta(minutes=2))
    marks = Marks(cluster)
    for kind in (DEPLOYMENT, STATEFUL_SET, DAEMON_SET):
        controller.watches(kind, marks.execution_of)
    controller.watches(RemediationBrake, marks.open_ones)


class Marks:
    """Leads from a changed object back to the execution whose mark it carries."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def execution_of(self, obj: Obj) -> Iterable[Key]:
        """Return the execution that changed an object last."""
        uid = mark_of(obj).partition("/")[0]
        found = self._cluster.select(KubernetesExecution.card, UID_INDEX, uid) if uid else []
        return [_key(each) for each in found]

    def open_ones(self, _brake: Obj) -> Iterable[Key]:
        """Return all that have not ended: people have paused, or resumed."""
        return [_key(each) for each in self._cluster.select(KubernetesExecution.card, OPEN_INDEX, "True")]


def _key(obj: Obj) -> Key:
    return Key(obj["metadata"]["namespace"], obj["metadata"]["name"])


def _uid(obj: Obj) -> Iterable[str]:
    return () if (obj.get("status") or {}).get("completionTime") else (obj["metadata"]["uid"],)


def _open(obj: Obj) -> Iterable[str]:
    return () if (obj.get("status") or {}).get("completionTime") else ("True",)

"""Takes each WorkflowExecution from its spec to its end: the target's lock, one run by an engine, and what came of it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

import structlog

from kubernaut.api.base import Obj
from kubernaut.api.catalog import Engine as EngineName
from kubernaut.api.core import LEASE, PIPELINE_RUN, TASK_RUN
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.remediation import BY_REMEDIATION, remediation_of
from kubernaut.api.workflow import (
    CLEANUP_FINALIZER,
    SOURCE_NAMESPACE_LABEL,
    TARGET_RESOURCE_ANNOTATION,
    WORKFLOW_EXECUTION_LABEL,
    WorkflowExecution,
)
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.informer import Key
from kubernaut.kube.manager import Manager
from kubernaut.kube.outcome import DONE, Outcome, again
from kubernaut.outbound import WORKFLOW_RECORDS, Service, Undeliverable
from kubernaut.workflow import report
from kubernaut.workflow.cooldown import COOLDOWN_INDEX, Rest, cooldown_key, rest
from kubernaut.workflow.decide import (
    Cause,
    CoolDown,
    Fail,
    Finish,
    Follow,
    LockState,
    Queue,
    Refuse,
    Replace,
    RunState,
    Seen,
    Start,
    Step,
    Stop,
    Succeed,
    TakeLock,
    decide,
    faults,
)
from kubernaut.workflow.engines.base import Engine, Run
from kubernaut.workflow.engines.steps import StepsEngine
from kubernaut.workflow.engines.tekton import TektonEngine, allowed_time
from kubernaut.workflow.holders import ACTIVE_INDEX, Locks, Standing
from kubernaut.workflow.settings import WorkflowSettings

DELETION_POLL = timedelta(seconds=2)
log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class WorkflowReconciler:
    """Walks WorkflowExecutions to their ends."""

    def __init__(self, cluster: Cluster, settings: WorkflowSettings, records: Service | None, engines: Mapping[EngineName, Engine]) -> None:
        self._cluster = cluster
        self._settings = settings
        self._records = records
        self._engines = engines
        self._locks = Locks(cluster, settings)

    async def reconcile(self, execution: WorkflowExecution) -> Outcome:
        """Observe, decide, act, report."""
        now = self._cluster.clock.now()
        phase = execution.status.phase
        outcome = await self._advance(execution, now)
        if execution.status.phase is not phase:
            await self._audit(execution, now)
        return outcome

    async def finalize(self, execution: WorkflowExecution) -> Outcome:
        """Remove the run, wherever it is, then let go of the target."""
        now = self._cluster.clock.now()
        if not await self._engine(execution).cleanup(execution):
            return again(now + DELETION_POLL)
        if not await self._locks.release(execution) and execution.spec.workflow_definition is None:
            return again(now + DELETION_POLL)  # the cache still shows the run
        return DONE

    async def _advance(self, execution: WorkflowExecution, now: datetime) -> Outcome:
        engine = self._engine(execution)
        run = await engine.observe(execution)
        seen = await self._see(execution, run)
        step = decide(seen, now)
        if isinstance(step, TakeLock):
            taken = await self._locks.take(execution)
            seen = replace(seen, lock=taken.state, holder=taken.holder)
            step = decide(seen, now) if taken.state is not LockState.FREE else Queue(taken.holder)
        if isinstance(step, Start):
            run = await engine.start(execution)
            step = decide(replace(seen, run=run.state), now)
        return await self._act(execution, step, run, now)

    async def _see(self, execution: WorkflowExecution, run: Run) -> Seen:
        status = execution.status
        ended = status.completion_time is not None
        waiting = run.state is RunState.ABSENT and not ended and status.pipeline_run_ref is None
        standing = await self._locks.standing(execution) if waiting else Standing(LockState.FREE)
        resting = self._rest(execution) if waiting else Rest()
        runs_until = run.started_at + allowed_time(execution, self._settings) if run.started_at else None
        return Seen(
            run=run.state,
            lock=standing.state,
            holder=standing.holder,
            waits_until=self._waits_until(execution),
            runs_until=runs_until,
            stopped_until=runs_until + self._settings.cancel_grace if runs_until else None,
            faults=faults(execution),
            ended=ended,
            recorded=status.pipeline_run_ref is not None,
            retried=report.is_retried(execution),
            cooldown_until=resting.until,
            cooldown_after=resting.after,
        )

    def _rest(self, execution: WorkflowExecution) -> Rest:
        ended = self._cluster.where(WorkflowExecution, COOLDOWN_INDEX, cooldown_key(execution))
        return rest(execution, ended, self._settings.cooldown, after_failure=self._settings.cooldown_after_failure)

    def _waits_until(self, execution: WorkflowExecution) -> datetime:
        """Waiting for the target has a deadline of its own: the time limit of the work does not count while nothing runs."""
        created = execution.metadata.creation_timestamp or self._cluster.clock.now()
        return max(created + self._settings.wait_limit, execution.spec.times_out_at or created)

    async def _act(self, execution: WorkflowExecution, step: Step, run: Run, now: datetime) -> Outcome:
        match step:
            case Finish():
                return await self._finish(execution, now)
            case CoolDown(until, after):
                report.cooling_down(execution, after, now)
                return again(min(until, self._waits_until(execution)))
            case Queue(holder):
                report.queued(execution, holder, now)
                return again(min(now + self._settings.lock_retry, self._waits_until(execution)))
            case Follow(until):
                report.running(execution, run, now)
                return again(until) if until else DONE
            case Stop(until):
                return await self._stop(execution, run, until, now)
            case Replace(announced):
                return await self._replace(execution, now, announced=announced)
            case Succeed() | Fail() | Refuse():
                return await self._end(execution, step, run, now)
            case TakeLock() | Start():
                return again(now + DELETION_POLL)  # overtaken between two looks
            case _:
                assert_never(step)

    async def _finish(self, execution: WorkflowExecution, now: datetime) -> Outcome:
        if await self._locks.release(execution):
            return DONE
        return again(max(self._locks.plan_expires(execution), now + self._settings.lock_retry))

    async def _stop(self, execution: WorkflowExecution, run: Run, until: datetime | None, now: datetime) -> Outcome:
        await self._engine(execution).cancel(execution)
        report.stopping(execution, run, now)
        return again(until or now + self._settings.cancel_grace)

    async def _replace(self, execution: WorkflowExecution, now: datetime, *, announced: bool) -> Outcome:
        if announced:
            await self._engine(execution).cleanup(execution)
            return again(now + DELETION_POLL)
        report.to_be_retried(execution, now)
        return again(now + self._settings.resolver_pause)

    async def _end(self, execution: WorkflowExecution, step: Succeed | Fail | Refuse, run: Run, now: datetime) -> Outcome:
        """Put the end on record; the target is let go in the pass after, when the record is written."""
        match step:
            case Succeed():
                report.succeeded(execution, run, now)
            case Fail(Cause.RUN):
                report.failed(execution, run, now)
            case Fail(cause):
                report.failed_without_run(execution, cause, run, now)
            case Refuse(message):
                report.refused(execution, message, now)
        return again(now)

    def _engine(self, execution: WorkflowExecution) -> Engine:
        return self._engines[EngineName.STEPS if execution.spec.workflow_definition else EngineName.TEKTON]

    async def _audit(self, execution: WorkflowExecution, now: datetime) -> None:
        if self._records is None:
            return
        try:
            await self._records.post(WORKFLOW_RECORDS, report.audit_record(execution, now))
        except Undeliverable as fault:
            log.warning("workflow record not sent", fault=str(fault)[:500])


def built(cluster: Cluster, settings: WorkflowSettings) -> dict[EngineName, Engine]:
    """Return the built-in engines."""
    return {EngineName.TEKTON: TektonEngine(cluster, settings), EngineName.STEPS: StepsEngine(cluster.clock)}


def setup(manager: Manager, settings: WorkflowSettings, records: Service | None) -> None:
    """Run the stage in a manager's process; without `records`, no workflow records are sent."""
    cluster = manager.cluster
    reconciler = WorkflowReconciler(cluster, settings, records, built(cluster, settings))
    manager.informer(
        WorkflowExecution, indexes={ACTIVE_INDEX: _active_target, COOLDOWN_INDEX: _ended_workflow, BY_REMEDIATION: remediation_of}
    )
    manager.informer(KubernetesExecution, indexes={BY_REMEDIATION: remediation_of})
    controller = manager.controller(WorkflowExecution, reconciler.reconcile, finalizer=CLEANUP_FINALIZER, finalize=reconciler.finalize)
    waits = Waits(cluster)
    controller.watches(PIPELINE_RUN, _execution_of_run, namespace=settings.execution_namespace)
    controller.watches(TASK_RUN, _execution_of_run, namespace=settings.execution_namespace)
    controller.watches(LEASE, waits.behind_lease, namespace=settings.namespace)
    controller.watches(WorkflowExecution, waits.behind_execution)
    controller.watches(KubernetesExecution, waits.planner_of)


class Waits:
    """Who is to look again when something of a target changes."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def behind_lease(self, lease: Obj) -> Iterable[Key]:
        """All that wait for a target whose Lease changed or went."""
        target = (lease["metadata"].get("annotations") or {}).get(TARGET_RESOURCE_ANNOTATION)
        return self._waiting(f"{lease['metadata']['namespace']}|{target}") if target else ()

    def behind_execution(self, obj: Obj) -> Iterable[Key]:
        """All that wait behind an execution that ended or is being deleted."""
        return self._waiting(next(iter(_target(obj)))) if _is_ended(obj) or "deletionTimestamp" in obj["metadata"] else ()

    def planner_of(self, obj: Obj) -> Iterable[Key]:
        """The WorkflowExecution whose plan a KubernetesExecution carries out."""
        return [
            _key(found) for value in remediation_of(obj) for found in self._cluster.select(WorkflowExecution.card, BY_REMEDIATION, value)
        ]

    def _waiting(self, value: str) -> list[Key]:
        return [_key(found) for found in self._cluster.select(WorkflowExecution.card, ACTIVE_INDEX, value)]


def _key(obj: Obj) -> Key:
    return Key(obj["metadata"]["namespace"], obj["metadata"]["name"])


def _execution_of_run(obj: Obj) -> Iterable[Key]:
    """Tekton copies the labels of a PipelineRun down to its TaskRuns."""
    labels = obj["metadata"].get("labels") or {}
    if WORKFLOW_EXECUTION_LABEL in labels and SOURCE_NAMESPACE_LABEL in labels:
        yield Key(labels[SOURCE_NAMESPACE_LABEL], labels[WORKFLOW_EXECUTION_LABEL])


def _is_ended(obj: Obj) -> bool:
    return bool((obj.get("status") or {}).get("completionTime"))


def _target(obj: Obj) -> Iterable[str]:
    yield f"{obj['metadata']['namespace']}|{obj['spec']['targetResource']}"


def _active_target(obj: Obj) -> Iterable[str]:
    return () if _is_ended(obj) else _target(obj)


def _ended_workflow(obj: Obj) -> Iterable[str]:
    workflow = (obj["spec"].get("workflowRef") or {}).get("workflowId")
    return [f"{value}|{workflow}" for value in _target(obj)] if workflow and _is_ended(obj) else ()


def _remediation(obj: Obj) -> Iterable[str]:
    yield f"{obj['metadata']['namespace']}|{obj['spec']['remediationRequestRef']['name']}"

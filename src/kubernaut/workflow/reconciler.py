"""Takes each WorkflowExecution from its spec to its end: the target's lock, one run by an engine, and what came of it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from kubernaut.api.base import CANCEL_ANNOTATION, Obj
from kubernaut.api.brake import RemediationBrake, namespace_of
from kubernaut.api.catalog import Engine as EngineName
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.core import LEASE
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.remediation import BY_REMEDIATION, RemediationRequest, remediation_of
from kubernaut.api.workflow import CLEANUP_FINALIZER, WorkflowExecution
from kubernaut.conditions.judging import NAME_OF_RUNS, SOURCE, Conditions
from kubernaut.conditions.text import SHIPPED, reading
from kubernaut.halt import LOOK_AGAIN, halt, hold, known_halt, resumed_at
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.manager import Manager
from kubernaut.kube.outcome import DONE, Outcome, again
from kubernaut.policy.live import Current, follow_source
from kubernaut.policy.settings import PolicySource
from kubernaut.undo import answers_person, wanted
from kubernaut.workflow import report
from kubernaut.workflow.conditions import Guards
from kubernaut.workflow.cooldown import COOLDOWN_INDEX, Rest, cooldown_key, rest
from kubernaut.workflow.decide import (
    Bar,
    Barred,
    Cause,
    CoolDown,
    Ending,
    Fail,
    Finish,
    Follow,
    Halted,
    LockState,
    Prove,
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
    Unmet,
    Unready,
    Waiting,
    decide,
)
from kubernaut.workflow.engines.base import Engine, Run
from kubernaut.workflow.engines.marks import allowed_time
from kubernaut.workflow.engines.registry import NO_ENGINE, with_installed
from kubernaut.workflow.holders import Locks, Standing, target_key
from kubernaut.workflow.journalling import compare, is_journalled, keep
from kubernaut.workflow.past import bar, keeps_target, needs_clearance
from kubernaut.workflow.preflight import lacking
from kubernaut.workflow.settings import WorkflowSettings
from kubernaut.workflow.undoing import Undoing
from kubernaut.workflow.validity import entry, faults
from kubernaut.workflow.waits import ENDED_INDEX, Waits, execution_of_run, indexes

DELETION_POLL = timedelta(seconds=2)
CLEANED = 1024
"""How many executions are remembered that only wait for a person; another is looked at as if for the first time."""
CATALOGUE_INDEX = "workflow.id"
"""RemediationWorkflows, by the id of the workflow."""


class WorkflowReconciler:
    """Walks WorkflowExecutions to their ends."""

    def __init__(
        self, cluster: Cluster, settings: WorkflowSettings, engines: Mapping[str, Engine], conditions: Current[Conditions]
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._engines = engines
        self._locks = Locks(cluster, settings, engines.values())
        self._guards = Guards(cluster.client, conditions)
        self._undoing = Undoing(cluster, self._locks, self._offers)
        self._cleaned: dict[str, None] = {}
        """Executions, by uid, whose runs are gone while their targets wait for a person."""

    async def reconcile(self, execution: WorkflowExecution) -> Outcome:
        """Observe, decide, act, report."""
        return await self._advance(execution, self._cluster.clock.now())

    async def finalize(self, execution: WorkflowExecution) -> Outcome:
        """Remove the run, wherever it is, then let go of the target; who keeps others from it stays until a person has cleared it."""
        now = self._cluster.clock.now()
        if self._only_waits(execution):
            return again(now + self._settings.lock_retry)
        if not await self._engine(execution).cleanup(execution):
            return again(now + DELETION_POLL)
        if not await self._locks.release(execution):
            return again(now + DELETION_POLL)  # the cache still shows the run, or the plan is being carried out
        self._take_clearance(execution, now)
        if self._keeps_target(execution):
            self._cleaned[execution.metadata.uid] = None
            if len(self._cleaned) > CLEANED:
                self._cleaned.pop(next(iter(self._cleaned)))
            return again(now + self._settings.lock_retry)
        self._cleaned.pop(execution.metadata.uid, None)
        return DONE

    def _only_waits(self, execution: WorkflowExecution) -> bool:
        """Tell whether nothing is left to do but for a person to clear the target: the run was removed, and none came since."""
        known = execution.metadata.uid in self._cleaned and not self._locks.at_work(execution)
        return known and execution.status.block_clearance is None and self._keeps_target(execution)

    def _keeps_target(self, execution: WorkflowExecution) -> bool:
        """Tell whether the target waits for a person because of this execution: what is known of that must not go with it."""
        return needs_clearance(execution) and keeps_target(execution, self._ended(execution))

    def _ended(self, execution: WorkflowExecution) -> list[WorkflowExecution]:
        return self._cluster.where(WorkflowExecution, ENDED_INDEX, target_key(execution))

    async def _advance(self, execution: WorkflowExecution, now: datetime) -> Outcome:
        engine = self._engine(execution)
        run = await engine.observe(execution)
        seen = await self._see(execution, run)
        step = decide(seen, now)
        if isinstance(step, TakeLock):
            taken = await self._locks.take(execution)
            seen = replace(seen, lock=taken.state, holder=taken.holder)
            step = decide(seen, now) if taken.state is not LockState.FREE else Queue(taken.holder)
        if isinstance(step, Start) and (why := await self._held(execution, await halt(self._cluster, *_places(execution)))):
            step = Halted(why)
        if isinstance(step, Start):
            step = await self._permitted(execution, now)
        if isinstance(step, Start) and not is_journalled(execution):
            await keep(self._cluster.client, execution)
            return again(now)  # what is needed to take the run back is on record before anything is begun
        if isinstance(step, Start):
            run = await engine.start(execution)
            step = decide(replace(seen, run=run.state), now)
        if isinstance(step, Succeed):
            step = await self._proved(execution, run, now)
        return await self._act(execution, step, run, now)

    async def _permitted(self, execution: WorkflowExecution, now: datetime) -> Step:
        """Tell whether a run may begin on its target: all is there that it needs, and what users demand before it is so."""
        if missing := await self._lacking(execution):
            return Refuse("; ".join(missing))
        settled = await self._guards.before(execution, now)
        if settled.failed:
            return Refuse(f"preconditions: {settled.failed}")
        return Unready(settled.waits, settled.until) if settled.until else Start()

    async def _proved(self, execution: WorkflowExecution, run: Run, now: datetime) -> Step:
        """Tell whether what users demand after a run is so; when a person cancels, there is no more time for it."""
        await compare(self._cluster.client, execution, now)  # what the run changed is told from what comes after it
        ended_at = None if CANCEL_ANNOTATION in execution.metadata.annotations else run.ended_at or now
        settled = await self._guards.after(execution, ended_at, now)
        if settled.failed:
            return Unmet(settled.failed)
        return Prove(settled.waits, settled.until) if settled.until else Succeed()

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
            stopped_until=self._stopped_until(execution),
            cancelled=CANCEL_ANNOTATION in execution.metadata.annotations,
            faults=self._faults(execution) if waiting else (),
            ended=ended,
            recorded=status.pipeline_run_ref is not None,
            retried=report.is_retried(execution),
            cooldown_until=resting.until,
            cooldown_after=resting.after,
            bar=bar(execution, self._ended(execution), self._settings) if waiting else Bar(),
            paused=await self._held(execution, known_halt(self._cluster, *_places(execution))) if waiting else "",
        )

    async def _held(self, execution: WorkflowExecution, why: str) -> str:
        """Return why a pause holds an execution; empty for a person's undo, which none does."""
        return "" if why and await answers_person(self._cluster, execution) else why

    def _stopped_until(self, execution: WorkflowExecution) -> datetime | None:
        """Return when a run that was told to stop is given up; None while it was not told: we may have been away when its time was up."""
        told = report.stopping_since(execution)
        return told + self._settings.cancel_grace if told else None

    def _faults(self, execution: WorkflowExecution) -> tuple[str, ...]:
        return faults(
            execution,
            protected=self._settings.protected_namespaces,
            engines=self._engines.keys() - {EngineName.STEPS.value},
            catalogue=self._catalogue(execution),
        )

    def _catalogue(self, execution: WorkflowExecution) -> list[RemediationWorkflow]:
        ref = execution.spec.workflow_ref
        return self._offers(ref.workflow_id) if ref else []

    def _offers(self, workflow_id: str) -> list[RemediationWorkflow]:
        """Return what the catalogue has under the id of a workflow."""
        return self._cluster.where(RemediationWorkflow, CATALOGUE_INDEX, workflow_id)

    async def _lacking(self, execution: WorkflowExecution) -> list[str]:
        """Look at the API server itself for what the run needs, just before it begins."""
        if execution.spec.workflow_ref is None:
            return []
        workflow = entry(execution, self._catalogue(execution))
        return await lacking(self._cluster.client, execution, workflow, self._settings.execution_namespace)

    def _rest(self, execution: WorkflowExecution) -> Rest:
        ended = self._cluster.where(WorkflowExecution, COOLDOWN_INDEX, cooldown_key(execution))
        return rest(execution, ended, self._settings.cooldown, after_failure=self._settings.cooldown_after_failure)

    def _waits_until(self, execution: WorkflowExecution) -> datetime:
        """Waiting for the target has a deadline of its own: the time limit of the work does not count while nothing runs."""
        created = execution.metadata.creation_timestamp or self._cluster.clock.now()
        resumed = resumed_at(execution.status.conditions) or created
        return max(created + self._settings.wait_limit, execution.spec.times_out_at or created, resumed + self._settings.wait_limit)

    async def _act(self, execution: WorkflowExecution, step: Step, run: Run, now: datetime) -> Outcome:
        hold(execution.status.conditions, step.why if isinstance(step, Halted) else "", now)
        match step:
            case Finish():
                return await self._finish(execution, now)
            case Halted() | CoolDown() | Barred() | Queue() | Unready():
                return self._wait(execution, step, now)
            case Prove(waits, until):
                report.proving(execution, run, waits, now)
                return again(min(now + self._settings.poll, until))
            case Follow(until):
                report.running(execution, run, now)
                looks = [moment for moment in (until, run.settles_at) if moment]
                return again(min(looks)) if looks else DONE
            case Stop(until):
                return await self._stop(execution, run, until, now)
            case Replace(announced):
                return await self._replace(execution, now, announced=announced)
            case Succeed() | Fail() | Refuse() | Unmet():
                return await self._end(execution, step, run, now)
            case TakeLock() | Start():
                return again(now + DELETION_POLL)  # overtaken between two looks
            case _:
                assert_never(step)

    def _wait(self, execution: WorkflowExecution, step: Waiting, now: datetime) -> Outcome:
        match step:
            case Halted(why):
                report.halted(execution, why)
                return again(now + LOOK_AGAIN)
            case CoolDown(until, after):
                report.cooling_down(execution, after, now)
                return again(min(until, self._waits_until(execution)))
            case Barred(barrier):
                report.barred(execution, barrier, now)
                return again(min(barrier.until or now + self._settings.lock_retry, self._waits_until(execution)))
            case Queue(holder):
                report.queued(execution, holder, now)
                return again(min(now + self._settings.lock_retry, self._waits_until(execution)))
            case Unready(waits, until):
                report.unready(execution, waits, now)
                return again(min(now + self._settings.poll, until, self._waits_until(execution)))
            case _:
                assert_never(step)

    async def _finish(self, execution: WorkflowExecution, now: datetime) -> Outcome:
        self._take_clearance(execution, now)
        if await self._locks.release(execution):
            asked = wanted(execution)
            return await self._undoing.answer(execution, asked, now) if asked else DONE
        return again(max(self._locks.plan_expires(execution), now + self._settings.lock_retry))

    def _take_clearance(self, execution: WorkflowExecution, now: datetime) -> None:
        """Put on record that a person has cleared the target: those that wait for it hear of the change."""
        if execution.status.block_clearance is not None and report.is_to_be_cleared(execution):
            report.cleared(execution, now)

    async def _stop(self, execution: WorkflowExecution, run: Run, until: datetime | None, now: datetime) -> Outcome:
        await self._engine(execution).cancel(execution)
        report.stopping(execution, run, now)
        return again(run.settles_at or until or now + self._settings.cancel_grace)

    async def _replace(self, execution: WorkflowExecution, now: datetime, *, announced: bool) -> Outcome:
        if announced:
            await self._engine(execution).cleanup(execution)
            return again(now + DELETION_POLL)
        report.to_be_retried(execution, now)
        return again(now + self._settings.resolver_pause)

    async def _end(self, execution: WorkflowExecution, step: Ending, run: Run, now: datetime) -> Outcome:
        """Put the end on record, with what was changed; the target is let go in the pass after, when the record is written."""
        await compare(self._cluster.client, execution, now)
        match step:
            case Succeed():
                report.succeeded(execution, run, now)
            case Fail(Cause.RUN):
                report.failed(execution, run, now)
            case Fail(cause):
                report.failed_without_run(execution, cause, run, now)
            case Refuse(message):
                report.refused(execution, message, now)
            case Unmet(message):
                report.unmet(execution, message, run, now)
        return again(now)

    def _engine(self, execution: WorkflowExecution) -> Engine:
        if execution.spec.workflow_definition:
            return self._engines[EngineName.STEPS.value]
        return self._engines.get(execution.spec.execution_config.engine, NO_ENGINE)


def setup(manager: Manager, settings: WorkflowSettings, source: PolicySource = SOURCE) -> None:
    """Run the stage in a manager's process, users' conditions read from a source.

    Raise Unusable for an installed engine that is none, or a file of conditions that cannot be used.
    """
    cluster = manager.cluster
    engines = with_installed(cluster, settings)
    conditions = Current(NAME_OF_RUNS, reading(), SHIPPED)
    follow_source(manager, conditions, source, tells=False)  # the execution stage tells, which knows the names of actions
    reconciler = WorkflowReconciler(cluster, settings, engines, conditions)
    manager.informer(WorkflowExecution, indexes=indexes())
    manager.informer(RemediationWorkflow, indexes={CATALOGUE_INDEX: _workflow_id}, required=False)
    manager.informer(KubernetesExecution, indexes={BY_REMEDIATION: remediation_of})
    manager.informer(RemediationRequest)
    controller = manager.controller(WorkflowExecution, reconciler.reconcile, finalizer=CLEANUP_FINALIZER, finalize=reconciler.finalize)
    waits = Waits(cluster)
    for kind in dict.fromkeys(kind for engine in engines.values() for kind in engine.watches):
        controller.watches(kind, execution_of_run, namespace=settings.execution_namespace)
    controller.watches(LEASE, waits.behind_lease, namespace=settings.namespace)
    controller.watches(WorkflowExecution, waits.behind_execution)
    controller.watches(WorkflowExecution, waits.undone_by)
    controller.watches(KubernetesExecution, waits.planner_of)
    controller.watches(RemediationRequest, waits.planners_of_ended)
    controller.watches(RemediationBrake, waits.unbegun)


def _places(execution: WorkflowExecution) -> tuple[str, str]:
    """Return where the brake is, and the namespace that is acted on."""
    return execution.metadata.namespace, namespace_of(execution.spec.target_resource)


def _workflow_id(obj: Obj) -> Iterable[str]:
    yield obj["spec"]["workflowId"]

"""Walks each RemediationRequest through its stages, one child object at a time, and tells people how it ended."""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, assert_never

import structlog
from pydantic import ValidationError

from kubernaut.api import core
from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.base import Resource
from kubernaut.api.brake import RemediationBrake
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.remediation import BY_REMEDIATION, RETENTION_FINALIZER, Phase, RemediationRequest, remediation_of
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError
from kubernaut.kube.journal import record
from kubernaut.kube.manager import Manager
from kubernaut.kube.outcome import DONE, Outcome, again
from kubernaut.kube.status import set_condition
from kubernaut.orchestration import metrics
from kubernaut.orchestration.cancelling import close_question, fixes, stop, withdraw
from kubernaut.orchestration.children import Incomplete, build, target_of
from kubernaut.orchestration.claim import release
from kubernaut.orchestration.decide import broken, decide
from kubernaut.orchestration.escalation import Escalation
from kubernaut.orchestration.facts import Stage
from kubernaut.orchestration.family import READ, WATCHED, Family, all_of, complete, family_of, remediation_keys
from kubernaut.orchestration.gate.keeper import add_brake
from kubernaut.orchestration.gate.load import Turns
from kubernaut.orchestration.gate.load import watch as watch_load
from kubernaut.orchestration.lookout import Lookout, Wakes, request_indexes, workflow_indexes
from kubernaut.orchestration.messages import approval
from kubernaut.orchestration.observe import cancelled, see
from kubernaut.orchestration.records import DELETED
from kubernaut.orchestration.remembering import forget_fix, remember
from kubernaut.orchestration.report import digest, passing, report, settle
from kubernaut.orchestration.routing import admitted
from kubernaut.orchestration.settings import OrchestrationSettings
from kubernaut.orchestration.steps import Ask, Conclude, End, Forget, Hold, Keep, Open, Recover, Step, Stop, Wait, concluded
from kubernaut.orchestration.takeback import TakeBack
from kubernaut.orchestration.telling import Teller
from kubernaut.outbound import Service

DELETING: Final = "Deleting"
log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class Orchestrator:
    """Walks each RemediationRequest through its stages."""

    def __init__(self, cluster: Cluster, settings: OrchestrationSettings, escalations: Service | None) -> None:
        self._cluster = cluster
        self._settings = settings
        self._gate = asyncio.Lock()
        self._lookout = Lookout(cluster, settings)
        self._teller = Teller(cluster, self._lookout, escalations)
        self._take_back = TakeBack(cluster)

    async def reconcile(self, request: RemediationRequest) -> Outcome:
        """Observe, decide, act, report. The kernel read the object and will write its status, once."""
        now, before = self._cluster.clock.now(), request.status.model_copy(deep=True)
        if request.status.completion_time is not None:
            return await self._rest(request, now)
        family = await complete(self._cluster, request, family_of(self._cluster, request))
        remember(request, family, now)
        digest(request, family)
        step = self._next(request, family, now)
        outcome = again(now)
        async with self._turn(step):
            if isinstance(step, (Open, Ask)):
                stage = step.stage if isinstance(step, Open) else Stage.APPROVAL
                step = admitted(step, await self._lookout.look(request, family, stage, now))
            if isinstance(step, End) and request.status.ending is None:
                step = Conclude(step, now)
            if not passing(request, family, step, now):
                step, family, outcome = await self._act(request, family, step, now)
                report(request, family, step, self._settings, now)
        settle(before, request.status)
        if request.status.overall_phase is not before.overall_phase:
            metrics.PHASES.labels(before.overall_phase.value, request.status.overall_phase.value).inc()
        return outcome

    def _next(self, request: RemediationRequest, family: Family, now: datetime) -> Step:
        """Decide what is to be done; an end that was written down stands."""
        if request.status.ending is not None:
            return concluded(request.status.ending)
        return decide(see(request, family, self._settings, now, tally=self._tally(family, now)), now)

    def _turn(self, step: Step) -> AbstractAsyncContextManager[object]:
        """Let one remediation at a time begin its fix: each counts those before it."""
        return self._gate if isinstance(step, Open) and step.stage is Stage.WORKFLOW else nullcontext()

    async def finalize(self, request: RemediationRequest) -> Outcome:
        """Delete what belongs to a deleted remediation; the kernel keeps each object until its facts are on record."""
        now, status = self._cluster.clock.now(), request.status
        if all(condition.type != DELETING for condition in status.conditions):
            family = family_of(self._cluster, request)
            set_condition(status.conditions, DELETING, status=True, reason="Deleted", message="it is being deleted", now=now)
            record(request, DELETED, f"deleted in phase {status.overall_phase}", now=now)
            await self._discard(list(fixes(family)))
            return again(now)
        await self._discard(all_of(self._cluster, request))
        await release(self._cluster, request)
        return DONE

    def _tally(self, family: Family, now: datetime) -> tuple[int, int]:
        """Count the fixes of the last hour, where one has failed and it matters."""
        failed = any(each.status.phase.value == "Failed" for each in fixes(family))
        return self._lookout.tally(now) if failed else (0, 0)

    async def _rest(self, request: RemediationRequest, now: datetime) -> Outcome:
        """Leave alone what has ended, until it is forgotten."""
        match decide(see(request, Family(), self._settings, now), now):
            case Forget():
                await self._cluster.delete(request)
                return DONE
            case Keep(until):
                return again(until)
            case step:
                raise AssertionError(f"a remediation that has ended is to {step}")

    async def _discard(self, children: list[Resource]) -> None:
        """Delete objects of a remediation that goes, as far as that can be done: the garbage collector takes what is left."""
        for child in children:
            if child.metadata.deletion_timestamp is not None:
                continue
            try:
                await self._cluster.delete(child)
            except ApiError as fault:
                where = {"kind": child.card.kind, "namespace": child.metadata.namespace, "name": child.metadata.name}
                log.warning("left to the garbage collector", **where, fault=str(fault)[:500])

    async def _act(self, request: RemediationRequest, family: Family, step: Step, now: datetime) -> tuple[Step, Family, Outcome]:
        """Do one step; return the step done, the stage objects after it, and when to look again."""
        match step:
            case Open(stage):
                return await self._open(request, family, step, stage, now)
            case Recover():
                remember(request, family, now)
                return await self._open(request, family.after_failure(), step, Stage.PROCESSING, now)
            case Ask(_, until):
                family = await self._withdrawn(request, family)
                return step, await self._ask(request, family), again(until)
            case Stop(until):
                await stop(self._cluster, family, cancelled(request))
                return step, family, again(max(until, now + timedelta(seconds=1)))
            case Wait(until=until):
                return step, await self._wait(request, family, step), again(until)
            case Hold(_, _, until) | Keep(until) | Conclude(_, until):
                return step, family, again(until)
            case End():
                return step, family, await self._end(request, family, step, now)
            case Forget():
                await self._cluster.delete(request)
                return step, family, DONE
            case _:
                assert_never(step)

    async def _wait(self, request: RemediationRequest, family: Family, step: Wait) -> Family:
        """Do what is due while waiting: ask for the fix to be taken back, or withdraw one that may not begin any more."""
        if step.take_back is not None and (fix := family.execution or family.workflow) is not None:
            await self._take_back.ask(fix, step.take_back, step.message)
        if step.phase in {Phase.ANALYZING, Phase.AWAITING_APPROVAL}:
            return await self._withdrawn(request, family)
        return family

    async def _open(
        self, request: RemediationRequest, family: Family, step: Open | Recover, stage: Stage, now: datetime
    ) -> tuple[Step, Family, Outcome]:
        """Create a stage's object; one that can never be created ends the remediation."""
        try:
            child, until = build(stage, request, family, self._settings, now)
            if stage is Stage.WORKFLOW:
                self._lookout.doubts.begin(request, target_of(request, family).namespace, now)
            made = await self._cluster.create_owned(child, request)
            self._lookout.doubts.end(request)
        except (Incomplete, ValidationError) as fault:
            return Conclude(broken(stage, str(fault)), now), family, again(now)
        except ApiError as fault:
            if not fault.invalid:
                raise
            return Conclude(broken(stage, fault.message), now), family, again(now)
        return step, family.with_child(made), again(until)

    async def _ask(self, request: RemediationRequest, family: Family) -> Family:
        """Make the approval notification, once; the question is read from the API server where the cache has not seen it yet."""
        name = family.analysis.status.approval_request_name if family.analysis else ""
        if family.approval is None and name:
            question = await self._cluster.fetch(AIApprovalRequest, request.metadata.namespace, name)
            family = replace(family, approval=question)
        await self._cluster.create_owned(approval(request, family, self._settings.approval_channel), request)
        return family

    async def _withdrawn(self, request: RemediationRequest, family: Family) -> Family:
        """Take back a fix that has not begun, since what it was approved for is being asked anew."""
        await withdraw(self._cluster, family, plan=True)
        forget_fix(request.status, family.attempt)
        return replace(family, workflow=None, execution=None)

    async def _end(self, request: RemediationRequest, family: Family, end: End, now: datetime) -> Outcome:
        """Stop what must not go on, and tell people, before the end is recorded."""
        if end.phase in {Phase.TIMED_OUT, Phase.CANCELLED}:
            await withdraw(self._cluster, family)
        if end.phase is Phase.TIMED_OUT:
            metrics.TIMEOUTS.labels(end.stage.value).inc()
        await close_question(self._cluster, family, end.message)
        await self._teller.tell(Escalation(request, family, end, now, self._settings))
        return again(now + self._settings.retention)


def setup(
    manager: Manager,
    settings: OrchestrationSettings | None = None,
    *,
    escalations: Service | None = None,
) -> None:
    """Add the orchestrator to a manager; without `escalations` people are called by NotificationRequests alone."""
    settings = settings or OrchestrationSettings()
    orchestrator = Orchestrator(manager.cluster, settings, escalations)
    for model in READ:
        manager.informer(model, indexes={BY_REMEDIATION: remediation_of})
    manager.informer(WorkflowExecution, indexes=workflow_indexes())
    manager.informer(RemediationRequest, indexes=request_indexes())
    manager.informer(core.NAMESPACE)
    watch_load(manager)
    controller = manager.controller(
        RemediationRequest, orchestrator.reconcile, finalizer=RETENTION_FINALIZER, finalize=orchestrator.finalize
    )
    wakes = Wakes(manager.cluster)
    for model in WATCHED:
        controller.watches(model, wakes.behind_workflow if model is WorkflowExecution else remediation_keys)
    controller.watches(RemediationRequest, wakes.behind_request)
    turns = Turns(manager.cluster)
    for model in (WorkflowExecution, KubernetesExecution):
        controller.watches(model, turns.after_fix)
    controller.watches(RemediationRequest, turns.after_request)
    controller.watches(RemediationBrake, turns.after_brake)
    add_brake(manager, settings.brake)

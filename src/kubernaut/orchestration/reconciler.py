"""Walks each RemediationRequest through its stages, one child object at a time, and tells people how it ended."""

from dataclasses import replace
from datetime import datetime
from typing import Final, assert_never

from pydantic import ValidationError

from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.notification import NotificationRequest
from kubernaut.api.remediation import BY_REMEDIATION, RETENTION_FINALIZER, Phase, RemediationRequest, remediation_of
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError
from kubernaut.kube.journal import record
from kubernaut.kube.manager import Manager
from kubernaut.kube.outcome import DONE, Outcome, again
from kubernaut.kube.status import set_condition, status_of
from kubernaut.orchestration import metrics
from kubernaut.orchestration.children import Incomplete, build
from kubernaut.orchestration.claim import release
from kubernaut.orchestration.decide import Ask, End, Forget, Keep, Notice, Open, Stage, Step, Wait, broken, decide
from kubernaut.orchestration.escalation import Escalation, deliver
from kubernaut.orchestration.family import (
    READ,
    WATCHED,
    Family,
    all_of,
    family_of,
    remediation_keys,
)
from kubernaut.orchestration.messages import approval, completion, escalation_fallback, manual_review
from kubernaut.orchestration.observe import see
from kubernaut.orchestration.records import keep
from kubernaut.orchestration.report import report
from kubernaut.orchestration.settings import OrchestrationSettings
from kubernaut.outbound import Service

DELETING: Final = "Deleting"
UNBEGUN: Final = "Pending"
"""The phase of a fix that nobody has taken up, or that waits for its target."""


class Orchestrator:
    """Walks each RemediationRequest through its stages."""

    def __init__(self, cluster: Cluster, settings: OrchestrationSettings, escalations: Service | None, records: Service | None) -> None:
        self._cluster = cluster
        self._settings = settings
        self._escalations = escalations
        self._records = records

    async def reconcile(self, request: RemediationRequest) -> Outcome:
        """Observe, decide, act, report. The kernel read the object and will write its status, once."""
        now, before = self._cluster.clock.now(), request.status.overall_phase
        family = family_of(self._cluster, request)
        step = decide(see(request, family, self._settings, now), now)
        step, family, outcome = await self._act(request, family, step, now)
        report(request, family, step, self._settings, now)
        if request.status.overall_phase is not before:
            metrics.PHASES.labels(before.value, request.status.overall_phase.value).inc()
            await keep(self._records, request, family)
        return outcome

    async def finalize(self, request: RemediationRequest) -> Outcome:
        """Let a deleted remediation go once all facts of its children are stored (the kernel sees to its own); not later than a day."""
        now, status = self._cluster.clock.now(), request.status
        if all(condition.type != DELETING for condition in status.conditions):
            set_condition(status.conditions, DELETING, status=True, reason="Deleted", message="it is being deleted", now=now)
            record(request, "RemediationRequestDeleted", f"deleted in phase {status.overall_phase}", now=now)
            await keep(self._records, request, family_of(self._cluster, request))
            return again(now)
        deadline = (request.metadata.deletion_timestamp or now) + self._settings.release_limit
        held = self._records is not None and any(status_of(each).journal.pending for each in all_of(self._cluster, request))
        if held and now < deadline:
            return again(min(now + self._settings.release_poll, deadline))
        await release(self._cluster, request)
        return DONE

    async def _act(self, request: RemediationRequest, family: Family, step: Step, now: datetime) -> tuple[Step, Family, Outcome]:
        """Do one step; return the step done, the stage objects after it, and when to look again."""
        match step:
            case Open(stage):
                return await self._open(request, family, stage, now)
            case Ask(_, until):
                family = await self._ask(request, family)
                return step, family, again(until)
            case Wait(_, _, until) | Keep(until):
                return step, family, again(until)
            case End():
                return step, family, await self._end(request, family, step, now)
            case Forget():
                await self._cluster.delete(request)
                return step, family, DONE
            case _:
                assert_never(step)

    async def _open(self, request: RemediationRequest, family: Family, stage: Stage, now: datetime) -> tuple[Step, Family, Outcome]:
        """Create a stage's object; one that can never be created ends the remediation."""
        try:
            child, until = build(stage, request, family, self._settings, now)
            made = await self._cluster.create_owned(child, request)
        except (Incomplete, ValidationError) as fault:
            return await self._broken(request, family, stage, str(fault), now)
        except ApiError as fault:
            if not fault.invalid:
                raise
            return await self._broken(request, family, stage, fault.message, now)
        return Open(stage), family.with_child(made), again(until)

    async def _broken(
        self, request: RemediationRequest, family: Family, stage: Stage, message: str, now: datetime
    ) -> tuple[Step, Family, Outcome]:
        end = broken(stage, message)
        return end, family, await self._end(request, family, end, now)

    async def _ask(self, request: RemediationRequest, family: Family) -> Family:
        """Make the approval notification, once; the question is read from the API server where the cache has not seen it yet."""
        name = family.analysis.status.approval_request_name if family.analysis else ""
        if family.approval is None and name:
            question = await self._cluster.fetch(AIApprovalRequest, request.metadata.namespace, name)
            family = replace(family, approval=question)
        await self._cluster.create_owned(approval(request, family, self._settings.approval_channel), request)
        return family

    async def _end(self, request: RemediationRequest, family: Family, end: End, now: datetime) -> Outcome:
        """Tell people before the end is recorded: a crash in between tells them again under the same name, which is no second message."""
        if end.phase is Phase.TIMED_OUT:
            await self._withdraw(family)
            metrics.TIMEOUTS.labels(end.stage.value).inc()
        match end.notice:
            case Notice.COMPLETION:
                await self._cluster.create_owned(completion(request, family, end, now), request)
            case Notice.REVIEW:
                await self._cluster.create_owned(manual_review(request, family, end, now), request)
            case Notice.ESCALATION:
                await self._escalate(Escalation(request, family, end, now, self._settings))
            case _:
                assert_never(end.notice)
        return again(now + self._settings.retention)

    async def _withdraw(self, family: Family) -> None:
        """Delete a fix that has not begun, so that nothing is carried out after the end; one that began has its own limit and lock."""
        for child in (family.workflow, family.execution):
            if child is None or child.status.phase.value != UNBEGUN or child.metadata.deletion_timestamp is not None:
                continue
            meta = child.metadata
            try:
                await self._cluster.client.delete(
                    child.card, meta.name, meta.namespace, uid=meta.uid, resource_version=meta.resource_version, propagation="Background"
                )
            except ApiError as fault:
                if not fault.not_found:
                    raise

    async def _escalate(self, escalation: Escalation) -> None:
        status = escalation.request.status
        if escalation.mark in status.escalation_sent_for:
            return
        way = await self._call(escalation)
        status.escalation_sent_for = [*status.escalation_sent_for, escalation.mark]
        metrics.ESCALATIONS.labels(escalation.reason.value, escalation.request.spec.priority.value, way).inc()
        data = {"phase": escalation.end.stage.value, "reason": escalation.reason.value, "way": way}
        record(escalation.request, "EscalationSent", f"people were called: {escalation.end.message}", now=escalation.now, data=data)

    async def _call(self, escalation: Escalation) -> str:
        """Hand the escalation over, or make its message; a message that is there was handed over before a crash or a conflict."""
        message = escalation_fallback(escalation)
        if self._cluster.read(NotificationRequest.card, message.metadata.namespace, message.metadata.name):
            return "before"
        if await deliver(self._escalations, escalation):
            return "post"
        await self._create_unless_there(message)
        return "fallback"

    async def _create_unless_there(self, message: NotificationRequest) -> None:
        """Create a message; one of that name, made by the escalation endpoint after all, is as good."""
        try:
            await self._cluster.create(message)
        except ApiError as fault:
            if not fault.already_exists:
                raise


def setup(
    manager: Manager,
    settings: OrchestrationSettings | None = None,
    *,
    escalations: Service | None = None,
    records: Service | None = None,
) -> None:
    """Add the orchestrator to a manager; without `escalations` people are called by NotificationRequests alone."""
    orchestrator = Orchestrator(manager.cluster, settings or OrchestrationSettings(), escalations, records)
    for model in READ:
        manager.informer(model, indexes={BY_REMEDIATION: remediation_of})
    controller = manager.controller(
        RemediationRequest, orchestrator.reconcile, finalizer=RETENTION_FINALIZER, finalize=orchestrator.finalize
    )
    for model in WATCHED:
        controller.watches(model, remediation_keys)

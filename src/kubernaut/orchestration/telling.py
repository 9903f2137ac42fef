"""Tells people: the message of an end, in the way that fits it. Told before the end is recorded, under a name that makes repeats one."""

from typing import assert_never

from kubernaut.api.notification import NotificationRequest
from kubernaut.api.remediation import RemediationRequest
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError
from kubernaut.kube.journal import record
from kubernaut.orchestration import metrics
from kubernaut.orchestration.children import metadata
from kubernaut.orchestration.escalation import Escalation, deliver, priority_of
from kubernaut.orchestration.lookout import Lookout
from kubernaut.orchestration.messages import bulk, completion, escalation_fallback, manual_review
from kubernaut.orchestration.steps import Notice
from kubernaut.outbound import Service


class Teller:
    """Makes the messages of ends."""

    def __init__(self, cluster: Cluster, lookout: Lookout, escalations: Service | None) -> None:
        self._cluster = cluster
        self._lookout = lookout
        self._escalations = escalations

    async def tell(self, ending: Escalation) -> None:
        """Tell of an end; a crash afterwards tells it again under the same name, which is no second message."""
        request, family, end, now = ending.request, ending.family, ending.end, ending.now
        match end.notice:
            case Notice.COMPLETION:
                await self._cluster.create_owned(completion(request, family, end, now), request)
            case Notice.REVIEW:
                await self._cluster.create_owned(manual_review(request, family, end, now), request)
            case Notice.ESCALATION:
                await self._escalate(ending)
            case Notice.BULK:
                await self._duplicates(ending)
            case _:
                assert_never(end.notice)

    async def _duplicates(self, ending: Escalation) -> None:
        """Make one message about all duplicates of a remediation; who comes later finds it made."""
        request = ending.request
        parent = self._cluster.find(RemediationRequest, request.metadata.namespace, ending.end.duplicate_of)
        if parent is None:
            await self._cluster.create_owned(completion(request, ending.family, ending.end, ending.now), request)
            return
        known = {each.metadata.name: each for each in self._lookout.duplicates("/".join(parent.key))} | {request.metadata.name: request}
        message = bulk(parent, [known[name] for name in sorted(known)])
        if self._cluster.read(NotificationRequest.card, message.metadata.namespace, message.metadata.name) is None:
            await self._cluster.create_owned(message, parent)

    async def _escalate(self, escalation: Escalation) -> None:
        status = escalation.request.status
        if escalation.mark in status.escalation_sent_for:
            return
        way = await self._call(escalation)
        status.escalation_sent_for = [*status.escalation_sent_for, escalation.mark][-20:]
        metrics.ESCALATIONS.labels(escalation.reason.value, priority_of(escalation.request).value, way).inc()
        data = {"phase": escalation.end.stage.value, "reason": escalation.reason.value, "way": way}
        record(escalation.request, "EscalationSent", f"people were called: {escalation.end.message}", now=escalation.now, data=data)

    async def _call(self, escalation: Escalation) -> str:
        """Hand the escalation over, or make its message; a message that is there was handed over before a crash or a conflict."""
        made = metadata(escalation.request, escalation.name)
        if self._cluster.read(NotificationRequest.card, made.namespace, made.name):
            return "before"
        if await deliver(self._escalations, escalation):
            return "post"
        await self._create_unless_there(escalation_fallback(escalation))
        return "fallback"

    async def _create_unless_there(self, message: NotificationRequest) -> None:
        """Create a message; one of that name, made by the escalation endpoint after all, is as good."""
        try:
            await self._cluster.create(message)
        except ApiError as fault:
            if not fault.already_exists:
                raise

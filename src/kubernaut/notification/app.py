"""The notification service's HTTP face: an escalation comes in and becomes a NotificationRequest."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from fastapi import FastAPI

from kubernaut.api.base import Obj
from kubernaut.api.notification import (
    ChannelName,
    DeliveryAttempt,
    DeliveryEvent,
    EscalationRequest,
    EscalationResponse,
    NotificationRequest,
    Phase,
    SimpleRequest,
)
from kubernaut.api.remediation import RemediationRequest
from kubernaut.kube.client import Client
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError
from kubernaut.kube.reviews import Permission, Reviewer
from kubernaut.notification.decide import of_event
from kubernaut.notification.render import escalation, simple
from kubernaut.notification.settings import NotificationSettings
from kubernaut.service import OVERLOAD_RETRY_SECONDS, Access, Check, Guard, Problem, Rates, create_app

SERVICE: Final = "notification"
STATES = {Phase.SENT: "sent", Phase.PARTIALLY_SENT: "sent", Phase.FAILED: "failed"}


def guards(client: Client, settings: NotificationSettings) -> tuple[Guard, ...]:
    """Return who is asked before a message is heard: who may send, and how often."""
    rates = Rates(SERVICE, settings.rate)
    if not settings.access.enabled:
        return (rates,)
    permission = Permission("create", "services", "notification-service", settings.namespace)
    judge = Reviewer(client, audiences=settings.access.audiences, permission=permission if settings.access.authorize else None)
    return Access(judge, settings.access, needs=str(permission)), rates


def notification_app(cluster: Cluster, settings: NotificationSettings, checks: dict[str, Check], guarding: Sequence[Guard] = ()) -> FastAPI:
    """Make the app."""
    app = create_app(
        SERVICE,
        title="kubernaut notification",
        checks=checks,
        body_limit=settings.body_limit,
        max_concurrent=settings.max_concurrent_requests,
        guards=guarding,
    )

    @app.post("/api/v1/notify/escalation", status_code=202)
    async def escalate(request: EscalationRequest) -> Obj:
        """Record an escalation; the same one again is answered with where it stands."""
        try:
            return answer(await _stored(cluster, request)).wire()
        except ApiError as error:
            raise _problem(error) from error

    @app.post("/api/v1/notify/simple", status_code=202)
    async def tell(request: SimpleRequest) -> Obj:
        """Record a message that is about no case; the same one again is answered with where it stands."""
        try:
            return answer(await _made(cluster, simple(request, settings.namespace))).wire()
        except ApiError as error:
            raise _problem(error) from error

    return app


async def _stored(cluster: Cluster, request: EscalationRequest) -> NotificationRequest:
    """Create the NotificationRequest, owned by its remediation while that exists, or return the one there is."""
    wanted = escalation(request)
    owner = await cluster.fetch(RemediationRequest, request.remediation_request_namespace, request.remediation_request_name)
    if owner is not None:
        return await cluster.create_owned(wanted, owner)
    return await _made(cluster, wanted)


async def _made(cluster: Cluster, wanted: NotificationRequest) -> NotificationRequest:
    """Create a message, or return the one there is."""
    try:
        return await cluster.create(wanted)
    except ApiError as error:
        if not error.already_exists:
            raise
    found = await cluster.fetch(NotificationRequest, wanted.metadata.namespace, wanted.metadata.name)
    return found or wanted


def answer(stored: NotificationRequest) -> EscalationResponse:
    """Say where a message stands."""
    attempts = of_event(stored.status.delivery_attempts, DeliveryEvent.TOLD)
    reached = [attempt.channel for attempt in attempts if attempt.status == "success"]
    return EscalationResponse(
        notification_id=stored.metadata.uid or stored.metadata.name,
        status=STATES.get(stored.status.phase, "queued"),
        channels_notified=list(dict.fromkeys(reached)),
        channels_failed=[
            _failed(channel, attempts) for channel in dict.fromkeys(each.channel for each in attempts) if channel not in reached
        ],
        processed_at=datetime.now(UTC),
    )


def _failed(channel: ChannelName, attempts: list[DeliveryAttempt]) -> Obj:
    last = [attempt for attempt in attempts if attempt.channel is channel][-1]
    return {"channel": channel.value, "error": last.error}


def _problem(error: ApiError) -> Problem:
    if error.status in {400, 404, 422}:
        return Problem(400, "VALIDATION_ERROR", f"the escalation cannot be stored: {error.message}")
    return Problem(503, "SERVICE_UNAVAILABLE", f"the escalation was not stored: {error.message}", retry_after=OVERLOAD_RETRY_SECONDS)

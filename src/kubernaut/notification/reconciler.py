"""Delivers each NotificationRequest on each of its channels, and keeps who was told."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import assert_never

from prometheus_client import Counter as Metric
from pydantic import JsonValue

from kubernaut.api.base import AuditOutcome
from kubernaut.api.notification import ChannelName, DeliveryAttempt, NotificationRequest, Phase
from kubernaut.kube.clock import Clock
from kubernaut.kube.journal import record
from kubernaut.kube.manager import Manager
from kubernaut.kube.outcome import DONE, Outcome, again
from kubernaut.notification.channels.base import Channel, NotDelivered
from kubernaut.notification.decide import INVALID, SUCCESS, End, Seen, Send, Wait, decide, phase_of
from kubernaut.notification.render import message
from kubernaut.notification.settings import NotificationSettings

REMEMBERED = 4096
ERROR_LIMIT = 1024

delivery_attempts = Metric("kubernaut_notification_delivery_attempts_total", "Tries on a channel", ["channel", "status"])

Tried = tuple[str, ChannelName, int]
"""A notification's uid, a channel, and which attempt it was."""


def setup(manager: Manager, settings: NotificationSettings, channels: Sequence[Channel]) -> None:
    """Add the controller of NotificationRequest to a manager."""
    notifier = Notifier(manager.cluster.clock, settings, channels)
    manager.controller(NotificationRequest, notifier.reconcile)


class Notifier:
    """Delivers messages."""

    def __init__(self, clock: Clock, settings: NotificationSettings, channels: Sequence[Channel]) -> None:
        self._clock = clock
        self._settings = settings
        self._channels: Mapping[ChannelName, Channel] = {channel.name: channel for channel in channels}
        self._tried: OrderedDict[Tried, DeliveryAttempt] = OrderedDict()
        """Tries whose record may not have been stored yet: a status write that met a conflict must not send twice."""

    async def reconcile(self, request: NotificationRequest) -> Outcome:
        """Observe, decide, act, report."""
        now = self._clock.now()
        status = request.status
        if status.completion_time is not None:
            return DONE
        seen = Seen(self._resolved(request), status.delivery_attempts, request.spec.retry_policy)
        step = decide(seen, now)
        if isinstance(step, Send):
            status.queued_at = status.queued_at or now
            status.processing_started_at = status.processing_started_at or now
            made = await asyncio.gather(*(self._try(request, channel) for channel in step.channels))
            status.delivery_attempts = [*status.delivery_attempts, *made]
            seen = Seen(seen.channels, status.delivery_attempts, seen.policy)
            step = decide(seen, self._clock.now())
        return self._report(request, seen, step)

    def _resolved(self, request: NotificationRequest) -> tuple[ChannelName, ...]:
        """Return where the message goes: a channel that is not configured is replaced, so that somebody is told."""
        stand_in = self._settings.stand_in
        wanted = (name if name in self._channels else stand_in for name in request.spec.channels)
        return tuple(dict.fromkeys(name for name in wanted if name is not None and name in self._channels))

    async def _try(self, request: NotificationRequest, channel: ChannelName) -> DeliveryAttempt:
        number = sum(attempt.channel is channel for attempt in request.status.delivery_attempts) + 1
        key = (request.metadata.uid, channel, number)
        if key not in self._tried:
            self._tried[key] = await self._send(request, channel, number)
            while len(self._tried) > REMEMBERED:
                self._tried.popitem(last=False)
        return self._tried[key]

    async def _send(self, request: NotificationRequest, channel: ChannelName, number: int) -> DeliveryAttempt:
        clock = asyncio.get_running_loop().time
        began, outcome, error = clock(), SUCCESS, ""
        try:
            async with asyncio.timeout(self._settings.send_timeout_seconds):
                await self._channels[channel].send(message(request, channel))
        except TimeoutError:
            outcome, error = "timeout", f"no answer within {self._settings.send_timeout_seconds:g} s"
        except NotDelivered as fault:
            outcome, error = (INVALID if fault.permanent else "failed"), str(fault)
        delivery_attempts.labels(channel.value, outcome).inc()
        return DeliveryAttempt(
            channel=channel,
            attempt=number,
            timestamp=self._clock.now(),
            status=outcome,
            error=error[:ERROR_LIMIT],
            duration_seconds=round(clock() - began, 3),
        )

    def _report(self, request: NotificationRequest, seen: Seen, step: Send | Wait | End) -> Outcome:
        status = request.status
        status.total_attempts = len(status.delivery_attempts)
        status.successful_deliveries = sum(attempt.status == SUCCESS for attempt in status.delivery_attempts)
        status.failed_deliveries = status.total_attempts - status.successful_deliveries
        match step:
            case End(phase, reason, text):
                self._end(request, step, self._clock.now())
                status.phase, status.reason, status.message = phase, reason, text
                return DONE
            case Wait(until):
                status.phase, status.reason = Phase.RETRYING, "PartialFailureRetrying"
                status.message = f"last error: {status.delivery_attempts[-1].error}"[:ERROR_LIMIT]
                return again(until)
            case Send():
                status.phase = phase_of(seen)
                return again(self._clock.now())
            case _:
                assert_never(step)

    def _end(self, request: NotificationRequest, end: End, now: datetime) -> None:
        request.status.completion_time = now
        told = end.phase is not Phase.FAILED
        outcome = AuditOutcome.SUCCESS if told else AuditOutcome.FAILURE
        reached = sorted({attempt.channel.value for attempt in request.status.delivery_attempts if attempt.status == SUCCESS})
        data: dict[str, JsonValue] = {"type": request.spec.type.value, "subject": request.spec.subject[:200], "channels": list(reached)}
        record(
            request,
            "MessageSent" if told else "MessageFailed",
            f"{request.spec.subject[:200]}: {end.message}",
            now=now,
            outcome=outcome,
            data=data,
        )

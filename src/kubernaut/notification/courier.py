"""Carries messages to places: one bounded try each, its outcome remembered until it is on record, breakers told of it."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import structlog
from prometheus_client import Counter, Histogram

from kubernaut.api.notification import ChannelName, DeliveryAttempt, DeliveryEvent, NotificationRequest
from kubernaut.kube.clock import Clock
from kubernaut.kube.status import cut
from kubernaut.notification.breaker import Breakers
from kubernaut.notification.channels.base import ERROR_LIMIT, Channel, Message, NotDelivered
from kubernaut.notification.decide import INVALID, SUCCESS, Target, last_of, of_event
from kubernaut.notification.settings import NotificationSettings

REMEMBERED = 4096
ATTEMPTS: Final = Counter("kubernaut_notification_delivery_attempts_total", "Tries on a channel", ["channel", "status"])
RETRIES: Final = Counter("kubernaut_notification_delivery_retries_total", "Tries after the first", ["channel"])
SECONDS: Final = Histogram("kubernaut_notification_delivery_duration_seconds", "Time of one try", ["channel"])

Tried = tuple[str, Target, DeliveryEvent, datetime | None]
"""A notification's uid, a place, an event, and when the last try on record was: what comes after that is the same try."""
Write = Callable[[Target], Message]
"""Writes the message for a place."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class Courier:
    """Carries messages."""

    def __init__(self, clock: Clock, settings: NotificationSettings, channels: Sequence[Channel]) -> None:
        self._clock = clock
        self._settings = settings
        self._channels: Mapping[ChannelName, Channel] = {channel.name: channel for channel in channels}
        self._breakers = Breakers(settings.breaker)
        self._tried: OrderedDict[Tried, DeliveryAttempt] = OrderedDict()
        """Tries whose record may not have been stored yet: a status write that met a conflict must not send twice."""

    def places(self, targets: Iterable[Target]) -> tuple[Target, ...]:
        """Return the places as channels know them, each once: a channel that is not configured is replaced, so that somebody is told."""
        stand_in = self._settings.stand_in
        found: dict[Target, None] = {}
        for target in targets:
            channel = self._channels.get(target.channel)
            if channel is not None:
                found[Target(target.channel, channel.place(target.address))] = None
            elif stand_in in self._channels and stand_in is not None:
                found[Target(stand_in)] = None
        return tuple(found)

    def following(self, targets: Iterable[Target], event: DeliveryEvent) -> tuple[Target, ...]:
        """Return the places that can be told of an event."""
        return tuple(target for target in targets if target.channel in self._channels and event in self._channels[target.channel].follows)

    def gates(self, targets: Iterable[Target], attempts: Sequence[DeliveryAttempt], now: datetime) -> Mapping[Target, datetime]:
        """Return the places that must not be tried yet, and until when."""
        found: dict[Target, datetime] = {}
        for target in targets:
            self._breakers.learn(target, last_of(target, attempts))
            if gate := self._breakers.gate(target, now):
                found[target] = gate
        return found

    async def deliver(
        self, request: NotificationRequest, targets: Sequence[Target], event: DeliveryEvent, write: Write
    ) -> list[DeliveryAttempt]:
        """Try places side by side, as far as they may be tried now; return what came of it."""
        now = self._clock.now()
        allowed = [target for target in targets if self._key(request, target, event) in self._tried or self._breakers.take(target, now)]
        tries = (self._try(request, target, event, write) for target in allowed)
        found = await asyncio.gather(*tries, return_exceptions=True)
        return [self._outcome(request, target, event, each) for target, each in zip(allowed, found, strict=True)]

    def _outcome(
        self, request: NotificationRequest, target: Target, event: DeliveryEvent, found: DeliveryAttempt | BaseException
    ) -> DeliveryAttempt:
        """Return an attempt; a fault of ours at one place is a failed one, lest it keeps what others took off the record."""
        if isinstance(found, DeliveryAttempt):
            return found
        if not isinstance(found, Exception):
            raise found
        log.error("message not written", channel=target.channel.value, exc_info=found)
        made = self._new(request, target, event)
        made.status, made.error = "failed", f"kubernaut could not write this message: {type(found).__name__}"
        self._remember(self._key(request, target, event), made)
        return made

    def _remember(self, key: Tried, made: DeliveryAttempt) -> None:
        self._tried[key] = made
        while len(self._tried) > REMEMBERED:
            self._tried.popitem(last=False)

    def _new(self, request: NotificationRequest, target: Target, event: DeliveryEvent) -> DeliveryAttempt:
        last = last_of(target, of_event(request.status.delivery_attempts, event))
        number = 1 if last is None else last.attempt + (0 if last.channel_down else 1)
        now = self._clock.now()
        return DeliveryAttempt(channel=target.channel, address=target.address, event=event, attempt=number, timestamp=now, status=SUCCESS)

    def _key(self, request: NotificationRequest, target: Target, event: DeliveryEvent) -> Tried:
        last = last_of(target, of_event(request.status.delivery_attempts, event))
        return request.metadata.uid, target, event, last.timestamp if last else None

    async def _try(self, request: NotificationRequest, target: Target, event: DeliveryEvent, write: Write) -> DeliveryAttempt:
        key = self._key(request, target, event)
        if key not in self._tried:
            made = await self._send(target, self._new(request, target, event), write(target))
            self._remember(key, made)
            return made
        return self._tried[key]

    async def _send(self, target: Target, made: DeliveryAttempt, message: Message) -> DeliveryAttempt:
        clock = asyncio.get_running_loop().time
        began = clock()
        fault: NotDelivered | None = None
        try:
            async with asyncio.timeout(self._settings.send_timeout_seconds):
                made.receipt = cut(await self._channels[target.channel].send(message))
        except TimeoutError:
            made.status, fault = "timeout", NotDelivered(f"no answer within {self._settings.send_timeout_seconds:g} s", permanent=False)
        except NotDelivered as refused:
            made.status, fault = (INVALID if refused.permanent else "failed"), refused
        made.timestamp, made.duration_seconds = self._clock.now(), round(clock() - began, 3)
        self._note(target, made, fault)
        return made

    def _note(self, target: Target, made: DeliveryAttempt, fault: NotDelivered | None) -> None:
        """Tell breakers and metrics."""
        channel = target.channel.value
        ATTEMPTS.labels(channel, made.status).inc()
        SECONDS.labels(channel).observe(made.duration_seconds)
        if made.attempt > 1 or made.channel_down:
            RETRIES.labels(channel).inc()
        if fault is None or fault.permanent:
            self._breakers.answered(target)
        else:
            made.channel_down = self._breakers.failed(target, made.timestamp, fault.patience)
        if fault is not None:
            made.error = str(fault)[:ERROR_LIMIT]
            tell = log.info if made.channel_down else log.warning
            where = {"channel": channel, "address": target.address, "status": made.status, "down": made.channel_down}
            tell("message not delivered", **where, fault=made.error)

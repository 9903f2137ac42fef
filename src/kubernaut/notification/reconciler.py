"""Delivers each NotificationRequest at each of its places, tells its readers when it is over, and lets it go in the end."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, assert_never

from pydantic import JsonValue

from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.base import AuditOutcome
from kubernaut.api.notification import ChannelName, DeliveryAttempt, DeliveryEvent, NotificationRequest, Phase, Recipient
from kubernaut.api.remediation import RemediationRequest
from kubernaut.kube.clock import Clock
from kubernaut.kube.journal import record
from kubernaut.kube.manager import Manager
from kubernaut.kube.outcome import DONE, Outcome, again
from kubernaut.kube.status import cut, set_condition
from kubernaut.notification.answering.offers import Offered, nothing
from kubernaut.notification.channels.base import ERROR_LIMIT, Channel, Message
from kubernaut.notification.closing import FollowUp, follow_up
from kubernaut.notification.courier import Courier
from kubernaut.notification.decide import SUCCESS, End, Seen, Send, Step, Target, Wait, added, decide, delivered, of_event, phase_of
from kubernaut.notification.order import held_by_others, receipt_of, thread_of
from kubernaut.notification.render import Context, message
from kubernaut.notification.routing import NAME, Routing, asked_of, labels_of, shipped
from kubernaut.notification.routing_text import read
from kubernaut.notification.settings import NotificationSettings
from kubernaut.notification.surroundings import Lookout, Surroundings, stand_of_case, stand_of_message, stand_of_question
from kubernaut.policy.live import Current, follow_source

WORKERS: Final = 16
"""Passes at once: a channel that hangs holds up some of them."""
LOOK: Final = timedelta(minutes=1)
"""How often what waits for another message looks again, should the news of it be missed."""
CONDITIONS: Final = {
    ChannelName.PAGERDUTY: "PagerDutySent",
    ChannelName.MSTEAMS: "TeamsSent",
}
FOLLOWED: Final = {DeliveryEvent.ACKNOWLEDGED: "MessageAcknowledged", DeliveryEvent.CLOSED: "MessageClosed"}

Around = Callable[[NotificationRequest], Surroundings]
Offering = Callable[[NotificationRequest], Awaitable[Offered]]
"""Says what a message can be answered with, at each of its places."""


async def no_offers(_: NotificationRequest) -> Offered:
    """Offer nothing."""
    return nothing


def setup(manager: Manager, settings: NotificationSettings, channels: Sequence[Channel], offering: Offering = no_offers) -> None:
    """Add the controller of NotificationRequest to a manager; raise Unusable for a routing file that cannot be used."""
    lookout = Lookout(manager)
    routing = Current(NAME, read, shipped())
    follow_source(manager, routing, settings.routing)
    courier = Courier(manager.cluster.clock, settings, channels)
    cluster = manager.cluster
    notifier = Notifier(cluster.clock, settings, courier, routing=routing, around=lookout.around, remove=cluster.delete, offering=offering)
    controller = manager.controller(NotificationRequest, notifier.reconcile, workers=WORKERS)
    controller.watches(NotificationRequest, lookout.of_message, about=stand_of_message)
    controller.watches(RemediationRequest, lookout.of_case, about=stand_of_case)
    controller.watches(AIApprovalRequest, lookout.of_question, about=stand_of_question)


class Notifier:
    """Delivers messages."""

    def __init__(
        self,
        clock: Clock,
        settings: NotificationSettings,
        courier: Courier,
        *,
        routing: Current[Routing],
        around: Around,
        remove: Callable[[NotificationRequest], Awaitable[None]],
        offering: Offering = no_offers,
    ) -> None:
        self._offering = offering
        self._clock = clock
        self._remove = remove
        self._settings = settings
        self._courier = courier
        self._routing = routing
        self._around = around

    async def reconcile(self, request: NotificationRequest) -> Outcome:
        """Observe, decide, act, report."""
        around = self._around(request)
        if request.status.completion_time is None:
            return await self._deliver(request, around)
        return await self._after(request, around)

    async def _deliver(self, request: NotificationRequest, around: Surroundings) -> Outcome:
        now, status = self._clock.now(), request.status
        self._begin(request, now)
        step = decide(self._seen(request, around, now), now)
        if isinstance(step, Send):
            status.processing_started_at = status.processing_started_at or now
            await self._act(request, around, step, FollowUp(DeliveryEvent.TOLD, ""))
            now = self._clock.now()
            step = decide(self._seen(request, around, now), now)
        return self._report(request, around, self._seen(request, around, now), step)

    def _begin(self, request: NotificationRequest, now: datetime) -> None:
        """Decide once where the message goes, and how long it may take."""
        status = request.status
        if status.expires_at is not None:
            return
        status.queued_at, status.expires_at = status.queued_at or now, now + self._settings.expires_after
        found = self._routing.policy.resolve(labels_of(request), asked_of(request))
        targets = self._courier.places(found.targets)
        status.receivers = list(found.receivers)[:20]
        status.targets = [Recipient(channel=target.channel, address=target.address) for target in targets]
        told = f"{', '.join(found.receivers)}: {', '.join(map(str, targets)) or 'nobody'}; by {self._routing.policy.file}"
        told += f". {self._routing.trouble}" if self._routing.trouble else ""
        reason = "Resolved" if targets else "NoChannelsResolved"
        generation = request.metadata.generation
        set_condition(status.conditions, "RoutingResolved", bool(targets), reason, told, now=now, generation=generation)

    def _places(self, request: NotificationRequest) -> tuple[Target, ...]:
        """Return where a message goes, or would go if it was looked at now."""
        status = request.status
        if status.expires_at is not None:
            return tuple(Target(each.channel, each.address) for each in status.targets)
        return self._courier.places(self._routing.policy.resolve(labels_of(request), asked_of(request)).targets)

    def _seen(self, request: NotificationRequest, around: Surroundings, now: datetime) -> Seen:
        targets = self._places(request)
        attempts = of_event(request.status.delivery_attempts, DeliveryEvent.TOLD)
        gates = self._courier.gates(targets, attempts, now)
        expires = request.status.expires_at or now + self._settings.expires_after
        held = held_by_others(request, around.siblings, self._places)
        return Seen(targets, attempts, request.spec.retry_policy, expires, gates, held)

    async def _act(self, request: NotificationRequest, around: Surroundings, step: Send, what: FollowUp) -> list[DeliveryAttempt]:
        """Try places, and put down what came of it."""
        now = self._clock.now()
        offered = await self._offering(request) if what.event is DeliveryEvent.TOLD else nothing

        def write(target: Target) -> Message:
            thread, offer = thread_of(request, around.siblings, target), offered(target)
            url = self._settings.console_url
            known = Context(now, what.event, what.note, receipt_of(request, target), thread, url, offer.answers, offer.ticket)
            return message(request, target, known)

        was_down = any(attempt.channel_down for attempt in request.status.delivery_attempts)
        made = await self._courier.deliver(request, step.targets, what.event, write)
        request.status.delivery_attempts = added(request.status.delivery_attempts, made)
        if not was_down and (down := [attempt for attempt in made if attempt.channel_down]):
            told = f"{', '.join(sorted({attempt.channel.value for attempt in down}))} is down: tried again until it is back"
            record(request, "DeliveryDelayed", told, now=self._clock.now(), outcome=AuditOutcome.PENDING)
        return made

    def _report(self, request: NotificationRequest, around: Surroundings, seen: Seen, step: Step) -> Outcome:
        status = request.status
        status.total_attempts = len(seen.attempts)
        status.successful_deliveries = len(delivered(seen.attempts))
        status.failed_deliveries = status.total_attempts - status.successful_deliveries
        match step:
            case End(phase, reason, text):
                self._end(request, seen, step, self._clock.now())
                status.phase, status.reason, status.message = phase, reason, cut(text)
                return self._until_retention(request) if follow_up(request, around) is None else again(self._clock.now())
            case Wait(until):
                status.phase, status.reason, status.message = _waiting(seen)
                return again(min(until, self._clock.now() + LOOK) if seen.held else until)
            case Send():
                status.phase = phase_of(seen)
                return again(self._clock.now())
            case _:
                assert_never(step)

    def _end(self, request: NotificationRequest, seen: Seen, end: End, now: datetime) -> None:
        request.status.completion_time = now
        told = end.phase is not Phase.FAILED
        outcome = AuditOutcome.SUCCESS if told else AuditOutcome.FAILURE
        took = set(delivered(seen.attempts))
        for channel in dict.fromkeys(target.channel for target in seen.targets):
            missed = [str(target) for target in seen.targets if target.channel is channel and target not in took]
            text = f"not delivered to {', '.join(missed)}" if missed else "delivered"
            name = CONDITIONS.get(channel, f"{channel.value.capitalize()}Sent")
            reason = "NotDelivered" if missed else "Delivered"
            set_condition(request.status.conditions, name, not missed, reason, text, now=now, generation=request.metadata.generation)
        reached = sorted({target.channel.value for target in took})
        data: dict[str, JsonValue] = {"type": request.spec.type.value, "subject": request.spec.subject[:200], "channels": list(reached)}
        text = f"{request.spec.subject[:200]}: {end.message}"
        record(request, "MessageSent" if told else "MessageFailed", text, now=now, outcome=outcome, data=data)

    async def _after(self, request: NotificationRequest, around: Surroundings) -> Outcome:
        """Tell readers that somebody answered or that it is over; let the object go when its time has come."""
        now, status = self._clock.now(), request.status
        if now >= self._retained_until(request):
            await self._remove(request)
            return DONE
        what = follow_up(request, around) if status.closed_at is None else None
        told = delivered(of_event(status.delivery_attempts, DeliveryEvent.TOLD))
        targets = self._courier.following(dict.fromkeys(told), what.event) if what else ()
        if what is None or not targets:
            return self._until_retention(request)
        step, made = self._following(request, targets, what.event, now), list[DeliveryAttempt]()
        if isinstance(step, Send):
            made = await self._act(request, around, step, what)
            step = self._following(request, targets, what.event, self._clock.now())
        if isinstance(step, End):
            self._followed(request, what, made, step)
            return self._until_retention(request)
        return again(step.until if isinstance(step, Wait) else self._clock.now())

    def _following(self, request: NotificationRequest, targets: tuple[Target, ...], event: DeliveryEvent, now: datetime) -> Step:
        attempts = of_event(request.status.delivery_attempts, event)
        gates = self._courier.gates(targets, attempts, now)
        return decide(Seen(targets, attempts, request.spec.retry_policy, self._retained_until(request), gates), now)

    def _followed(self, request: NotificationRequest, what: FollowUp, made: Sequence[DeliveryAttempt], end: End) -> None:
        """Put down that readers were told what became of it, or could not be."""
        now = self._clock.now()
        if what.event is DeliveryEvent.CLOSED:
            request.status.closed_at = now
        if made:
            good = all(attempt.status == SUCCESS for attempt in made)
            outcome = AuditOutcome.SUCCESS if good else AuditOutcome.FAILURE
            record(request, FOLLOWED[what.event], f"{what.note} {end.message}", now=now, outcome=outcome)

    def _retained_until(self, request: NotificationRequest) -> datetime:
        ended = request.status.completion_time or self._clock.now()
        return ended + timedelta(days=request.spec.retention_days)

    def _until_retention(self, request: NotificationRequest) -> Outcome:
        return again(self._retained_until(request))


def _waiting(seen: Seen) -> tuple[Phase, str, str]:
    """Say what a message waits for."""
    failed = [attempt for attempt in seen.attempts if attempt.status != SUCCESS]
    if failed:
        last = failed[-1]
        reason = "ChannelDown" if last.channel_down else "PartialFailureRetrying"
        return Phase.RETRYING, reason, f"last error: {last.channel.value}: {last.error}"[:ERROR_LIMIT]
    phase = phase_of(seen) if seen.attempts else Phase.PENDING
    if seen.gates:
        return phase, "ChannelDown", f"waits for {', '.join(sorted(map(str, seen.gates)))}, which cannot be reached"[:ERROR_LIMIT]
    return phase, "Queued", "waits for an earlier message of the same case"

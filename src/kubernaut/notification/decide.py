"""What a NotificationRequest needs next. Reads nothing, writes nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from kubernaut.api.notification import ChannelName, DeliveryAttempt, DeliveryEvent, Phase, RetryPolicy

SUCCESS: Final = "success"
INVALID: Final = "invalid"
AT_ONCE: Final = datetime.min.replace(tzinfo=UTC)
KEPT: Final = 200
"""How many attempts are remembered, besides the last of each place."""


class Target(NamedTuple):
    """A place on a channel: what a message is delivered to, or not."""

    channel: ChannelName
    address: str = ""

    def __str__(self) -> str:
        return f"{self.channel.value} {self.address}".strip()


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a decision may look at."""

    targets: tuple[Target, ...]
    """Where the message is to go, after routing; each is configured."""
    attempts: Sequence[DeliveryAttempt]
    """Those of one event, oldest first."""
    policy: RetryPolicy
    expires: datetime
    """What could not be delivered by then is given up."""
    gates: Mapping[Target, datetime] = field(default_factory=dict)
    """Places that are down or ask for patience, and when they may be tried next."""
    held: frozenset[Target] = frozenset()
    """Places where an earlier message of the same case goes first."""


@dataclass(frozen=True, slots=True)
class Send:
    """Try these places now."""

    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing may be tried now; look again then."""

    until: datetime


@dataclass(frozen=True, slots=True)
class End:
    """Nothing more will be sent."""

    phase: Phase
    reason: str
    message: str


Step = Send | Wait | End


def decide(seen: Seen, now: datetime) -> Step:
    """Choose the next step: what is due goes out, what succeeded never again, what cannot be delivered ends."""
    if not seen.targets:
        return End(Phase.FAILED, "NoChannelsResolved", "no channel is configured for this message: nobody was told")
    moments = {target: due(target, seen) for target in seen.targets}
    ready = tuple(target for target, moment in moments.items() if moment is not None and moment <= now and not _expired(target, seen, now))
    if ready:
        return Send(ready)
    waiting = [moment for moment in moments.values() if moment is not None]
    if waiting and now < seen.expires:
        return Wait(max(min(*waiting, seen.expires), now))
    return _ended(seen, expired=bool(waiting))


def due(target: Target, seen: Seen) -> datetime | None:
    """Return when a place is to be tried next (the past: at once), or None when it is done with."""
    last = last_of(target, seen.attempts)
    if not is_open(target, seen.attempts, seen.policy):
        return None
    if target in seen.held:
        return seen.expires
    moment = AT_ONCE if last is None or last.channel_down else last.timestamp + backoff(seen.policy, last.attempt)
    return max(moment, seen.gates.get(target, AT_ONCE))


def is_open(target: Target, attempts: Sequence[DeliveryAttempt], policy: RetryPolicy) -> bool:
    """Tell whether a place is still to be told: it took nothing yet, refused nothing for good, and has tries left."""
    last = last_of(target, attempts)
    if last is None:
        return True
    return last.status not in {SUCCESS, INVALID} and (last.channel_down or last.attempt < policy.max_attempts)


def last_of(target: Target, attempts: Sequence[DeliveryAttempt]) -> DeliveryAttempt | None:
    """Return the last attempt at a place; a success is always that."""
    tries = [attempt for attempt in attempts if target_of(attempt) == target]
    return next((attempt for attempt in tries if attempt.status == SUCCESS), tries[-1] if tries else None)


def target_of(attempt: DeliveryAttempt) -> Target:
    """Return the place that was tried."""
    return Target(attempt.channel, attempt.address)


def backoff(policy: RetryPolicy, failures: int) -> timedelta:
    """Return the pause after so many failures: 30, 60, 120, 240, 480 seconds by default."""
    seconds = policy.initial_backoff_seconds * policy.backoff_multiplier ** (failures - 1)
    return timedelta(seconds=min(seconds, policy.max_backoff_seconds))


def phase_of(seen: Seen) -> Phase:
    """Return the phase while it is under way."""
    return Phase.RETRYING if any(attempt.status != SUCCESS for attempt in seen.attempts) else Phase.SENDING


def of_event(attempts: Iterable[DeliveryAttempt], event: DeliveryEvent) -> list[DeliveryAttempt]:
    """Return the attempts at telling one event."""
    return [attempt for attempt in attempts if attempt.event is event]


def delivered(attempts: Sequence[DeliveryAttempt]) -> list[Target]:
    """Return the places that took a message."""
    return [target_of(attempt) for attempt in attempts if attempt.status == SUCCESS]


def added(attempts: Sequence[DeliveryAttempt], made: Sequence[DeliveryAttempt]) -> list[DeliveryAttempt]:
    """Return attempts with new ones: a try while nobody got through replaces the one before, and the list stays bounded."""
    down = {_key(attempt) for attempt in made}
    kept = [each for each in attempts if not (each.channel_down and _key(each) in down)]
    together = [*kept, *made]
    last = {_key(attempt): index for index, attempt in enumerate(together)}
    surplus = len(together) - KEPT
    return [each for index, each in enumerate(together) if index >= surplus or last[_key(each)] == index]


def _key(attempt: DeliveryAttempt) -> tuple[Target, DeliveryEvent]:
    return target_of(attempt), attempt.event


def _expired(target: Target, seen: Seen, now: datetime) -> bool:
    """Tell whether it is too late for another try; the first is never too late."""
    return now >= seen.expires and (target in seen.held or last_of(target, seen.attempts) is not None)


def _ended(seen: Seen, *, expired: bool) -> End:
    took = set(delivered(seen.attempts))
    reached = ", ".join(str(target) for target in seen.targets if target in took)
    missed = ", ".join(str(target) for target in seen.targets if target not in took)
    if not missed:
        return End(Phase.SENT, "AllDeliveriesSucceeded", f"delivered to {reached}")
    why = " in time" if expired else ""
    if reached:
        return End(
            Phase.PARTIALLY_SENT, "Expired" if expired else "PartialDeliverySuccess", f"delivered to {reached}; not{why} to {missed}"
        )
    return End(Phase.FAILED, "Expired" if expired else "AllDeliveriesFailed", f"not delivered{why} to {missed}: nobody was told")

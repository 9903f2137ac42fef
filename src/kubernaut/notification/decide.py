"""What a NotificationRequest needs next. Reads nothing, writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kubernaut.api.notification import ChannelName, DeliveryAttempt, Phase, RetryPolicy

SUCCESS = "success"
INVALID = "invalid"
AT_ONCE = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a decision may look at."""

    channels: tuple[ChannelName, ...]
    """Where the message is to go, after routing; each is configured."""
    attempts: Sequence[DeliveryAttempt]
    policy: RetryPolicy


@dataclass(frozen=True, slots=True)
class Send:
    """Try these channels now."""

    channels: tuple[ChannelName, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """A channel failed; try again then."""

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
    if not seen.channels:
        return End(Phase.FAILED, "NoChannelsResolved", "no channel is configured for this message: nobody was told")
    moments = {channel: due(channel, seen) for channel in seen.channels}
    ready = tuple(channel for channel, moment in moments.items() if moment is not None and moment <= now)
    if ready:
        return Send(ready)
    waiting = [moment for moment in moments.values() if moment is not None]
    return Wait(min(waiting)) if waiting else _ended(seen)


def due(channel: ChannelName, seen: Seen) -> datetime | None:
    """Return when a channel is to be tried next (the past: at once), or None when it is done with."""
    tries = [attempt for attempt in seen.attempts if attempt.channel is channel]
    if not tries:
        return AT_ONCE
    if _delivered(channel, seen.attempts) or tries[-1].status == INVALID or len(tries) >= seen.policy.max_attempts:
        return None
    return tries[-1].timestamp + backoff(seen.policy, len(tries))


def backoff(policy: RetryPolicy, failures: int) -> timedelta:
    """Return the pause after so many failures: 30, 60, 120, 240, 480 seconds by default."""
    seconds = policy.initial_backoff_seconds * policy.backoff_multiplier ** (failures - 1)
    return timedelta(seconds=min(seconds, policy.max_backoff_seconds))


def phase_of(seen: Seen) -> Phase:
    """Return the phase while it is under way."""
    return Phase.RETRYING if any(attempt.status != SUCCESS for attempt in seen.attempts) else Phase.SENDING


def _delivered(channel: ChannelName, attempts: Sequence[DeliveryAttempt]) -> bool:
    return any(attempt.channel is channel and attempt.status == SUCCESS for attempt in attempts)


def _ended(seen: Seen) -> End:
    reached = [channel.value for channel in seen.channels if _delivered(channel, seen.attempts)]
    missed = [channel.value for channel in seen.channels if channel.value not in reached]
    if not missed:
        return End(Phase.SENT, "AllDeliveriesSucceeded", f"delivered to {', '.join(reached)}")
    if reached:
        return End(Phase.PARTIALLY_SENT, "PartialDeliverySuccess", f"delivered to {', '.join(reached)}; not to {', '.join(missed)}")
    return End(Phase.FAILED, "AllDeliveriesFailed", f"not delivered to {', '.join(missed)}: nobody was told")

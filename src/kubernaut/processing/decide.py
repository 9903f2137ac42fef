"""What a RemediationProcessing needs next. Reads nothing, writes nothing."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a decision may look at."""

    ended: bool
    """A result was written: it stands."""
    began: datetime
    passing: bool
    """Something cannot be read, and may be in a moment."""
    limit: timedelta
    """How long to wait for that."""
    times_out_at: datetime | None


@dataclass(frozen=True, slots=True)
class Complete:
    """Write the result, with what is known."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again: the caches are not full yet."""

    until: datetime


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Out of time: nobody waits for the result any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing to do."""


Step = Complete | Wait | GiveUp | Rest
PAUSE = timedelta(seconds=0.5)


def decide(seen: Seen, now: datetime) -> Step:
    """Choose the next step; what stays unread is no reason to stop: the signal is processed without it, and marked so."""
    if seen.ended:
        return Rest()
    if seen.times_out_at is not None and now >= seen.times_out_at:
        return GiveUp("the signal was not processed in time")
    if seen.passing and now < seen.began + seen.limit:
        return Wait(min(now + PAUSE, seen.began + seen.limit))
    return Complete()

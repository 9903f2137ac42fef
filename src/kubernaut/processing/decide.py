"""What a RemediationProcessing needs next. Reads nothing, writes nothing."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a decision may look at."""

    ended: bool
    """A result was written: it stands."""
    target_found: bool
    times_out_at: datetime | None


@dataclass(frozen=True, slots=True)
class Complete:
    """Write the result; degraded when only the alert's own words could be used."""

    degraded: bool


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Out of time: nobody waits for the result any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing to do."""


Step = Complete | GiveUp | Rest


def decide(seen: Seen, now: datetime) -> Step:
    """Choose the next step; a signal about an object the cluster does not have is still processed, and marked so."""
    if seen.ended:
        return Rest()
    if seen.times_out_at is not None and now >= seen.times_out_at:
        return GiveUp("the signal was not processed in time")
    return Complete(degraded=not seen.target_found)

"""Did the fix help? Told from readings of the target and the alert, and the time. Reads nothing, writes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from kubernaut.api.verification import Phase, Verdict


class Component(StrEnum):
    """What is looked at."""

    HEALTH = "health"
    ALERT = "alert"
    METRICS = "metrics"


class Reason(StrEnum):
    """Why the verdict is what it is, in one word."""

    FULL = "Full"
    PARTIAL = "Partial"
    WORSE = "WorseThanBefore"
    UNHEALTHY = "Unhealthy"
    ALERT_DECAY = "AlertDecayTimeout"
    EXPIRED = "Expired"
    UNASSESSABLE = "Unassessable"


@dataclass(frozen=True, slots=True)
class Reading:
    """One thing that was looked at."""

    component: Component
    score: float | None
    """0 to 1; None: it cannot be told."""
    good: bool
    """Whether it is as it should be."""
    message: str
    since: datetime | None = None
    """Since when it is good."""
    worse: bool = False
    """Whether it is worse than before the fix."""


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a decision may look at."""

    health: Reading
    alert: Reading
    fixed_at: datetime
    window: timedelta
    """How long the target must stay healthy."""
    ends_at: datetime
    """When it must be settled."""
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Too early to tell."""

    phase: Phase
    until: datetime
    message: str


@dataclass(frozen=True, slots=True)
class Conclude:
    """The verdict."""

    verdict: Verdict
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Rest:
    """A verdict was given; it is final."""


Step = Wait | Conclude | Rest
WEIGHTS: Final = {Component.HEALTH: 0.40, Component.ALERT: 0.35, Component.METRICS: 0.25}


def decide(seen: Seen, now: datetime) -> Step:
    """Choose the next step: a verdict as soon as one is sure, the best there is when time is up, else patience."""
    if seen.ended:
        return Rest()
    if found := _sure(seen, now):
        return found
    if now >= seen.ends_at:
        return _at_the_end(seen, now)
    return _patience(seen, now)


def score(readings: Sequence[Reading], weights: Mapping[Component, float] = WEIGHTS) -> float | None:
    """Return the weighted mean over what could be assessed, or None when nothing could."""
    known = [(weights[each.component], each.score) for each in readings if each.score is not None and weights[each.component]]
    total = sum(weight for weight, _ in known)
    return round(sum(weight * value for weight, value in known) / total, 4) if total else None


def _settled_at(seen: Seen) -> datetime | None:
    """Return when the target will have stayed healthy for the whole window; None while it is not healthy."""
    if seen.health.score is None:
        return seen.fixed_at + seen.window
    return max(seen.health.since or seen.fixed_at, seen.fixed_at) + seen.window if seen.health.good else None


def _sure(seen: Seen, now: datetime) -> Conclude | None:
    settled = _settled_at(seen)
    if seen.health.worse and now >= seen.fixed_at + seen.window:
        return Conclude(Verdict.WORSE, Reason.WORSE, f"worse than before the fix: {seen.health.message}")
    if settled is None or now < settled or _nothing_known(seen):
        return None
    if seen.alert.good:
        reason = Reason.PARTIAL if seen.health.score is None else Reason.FULL
        return Conclude(Verdict.EFFECTIVE, reason, f"{seen.health.message}; {seen.alert.message}")
    if seen.alert.score is None:
        return Conclude(Verdict.EFFECTIVE, Reason.PARTIAL, f"{seen.health.message}; {seen.alert.message}")
    return None


def _at_the_end(seen: Seen, now: datetime) -> Conclude:
    """Say what can be said when time is up."""
    settled = _settled_at(seen)
    if _nothing_known(seen):
        return Conclude(Verdict.UNKNOWN, Reason.UNASSESSABLE, f"{seen.health.message}; {seen.alert.message}")
    if settled is not None and now >= settled:
        return Conclude(Verdict.INEFFECTIVE, Reason.ALERT_DECAY, f"{seen.health.message}, yet {seen.alert.message}")
    if settled is not None or seen.ends_at < seen.fixed_at + seen.window:
        return Conclude(Verdict.UNKNOWN, Reason.EXPIRED, f"time was up before the target could prove itself: {seen.health.message}")
    return Conclude(Verdict.INEFFECTIVE, Reason.UNHEALTHY, seen.health.message)


def _patience(seen: Seen, now: datetime) -> Wait:
    settled = _settled_at(seen)
    if settled is None or now < settled:
        until = min(settled or seen.ends_at, seen.ends_at)
        return Wait(Phase.STABILIZING, until, seen.health.message)
    return Wait(Phase.ASSESSING, seen.ends_at, f"{seen.health.message}; {seen.alert.message}")


def _nothing_known(seen: Seen) -> bool:
    return seen.health.score is None and seen.alert.score is None

"""Did the fix help? Told from readings of the target, the alert and its metrics, and the time. Reads nothing, writes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from kubernaut.api.verification import Baseline, Phase, Verdict


class Component(StrEnum):
    """What is looked at."""

    HEALTH = "health"
    ALERT = "alert"
    METRICS = "metrics"
    SPEC = "spec"
    """Whether the target is still what the fix made of it; weighs nothing, but takes all weight from the rest."""


class Reason(StrEnum):
    """Why the verdict is what it is, in one word."""

    FULL = "Full"
    PARTIAL = "Partial"
    NO_EXECUTION = "NoExecution"
    METRICS_TIMED_OUT = "MetricsTimedOut"
    SPEC_DRIFT = "SpecDrift"
    WORSE = "WorseThanBefore"
    UNRECOVERABLE = "Unrecoverable"
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
    gone: bool = False
    """Whether there is nothing left to look at."""
    silent: bool = False
    """Whether who should know does not answer; it may later."""
    observed: Baseline | None = None
    """The target's pods in figures, to be held against those before the fix."""


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a decision may look at."""

    health: Reading
    alert: Reading
    fixed_at: datetime
    """When the fix has arrived at the target: carried out, and what keeps the target has had time to follow."""
    window: timedelta
    """How long the target must stay healthy, and how long a worsening must last."""
    ends_at: datetime
    """When it must be settled."""
    metrics: Reading | None = None
    """None: nobody was told where to ask."""
    drift: Reading | None = None
    """None: the target has no spec that could drift."""
    worse_since: datetime | None = None
    """Since when the target has been seen worse than before, without a break."""
    alert_from: datetime | None = None
    """Before that a resolved alert proves nothing: it forecasts, and what it forecasts from has just been interrupted."""
    metrics_patience: timedelta = timedelta()
    """How much longer metrics are waited for when all else is well."""
    executed: bool = True
    """Whether the fix changed anything."""
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
WEIGHTS: Final = {Component.HEALTH: 0.40, Component.ALERT: 0.35, Component.METRICS: 0.25, Component.SPEC: 0.0}


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
    """Return the weighted mean over what could be assessed, or None when nothing could; 0 where the target has drifted."""
    if any(each.component is Component.SPEC and each.score == 0 for each in readings):
        return 0.0
    known = [(weight, each.score) for each in readings if each.score is not None and (weight := weights.get(each.component, 0.0))]
    total = sum(weight for weight, _ in known)
    return round(min(1.0, sum(weight * value for weight, value in known) / total), 4) if total else None


def _settled_at(seen: Seen) -> datetime | None:
    """Return when the target will have stayed healthy for the whole window; None while it is not healthy."""
    if seen.health.score is None:
        return seen.fixed_at + seen.window
    return max(seen.health.since or seen.fixed_at, seen.fixed_at) + seen.window if seen.health.good else None


def _sure(seen: Seen, now: datetime) -> Conclude | None:
    if seen.drift is not None and seen.drift.score == 0:
        return Conclude(Verdict.UNKNOWN, Reason.SPEC_DRIFT, f"whether the fix helped cannot be told: {seen.drift.message}")
    if _stays_worse(seen, now):
        reason = Reason.UNRECOVERABLE if seen.health.gone else Reason.WORSE
        return Conclude(Verdict.WORSE, reason, f"worse than before the fix: {seen.health.message}")
    settled = _settled_at(seen)
    if settled is None or now < settled or _nothing_known(seen):
        return None
    return _well(seen, now, settled)


def _stays_worse(seen: Seen, now: datetime) -> bool:
    """A dip passes; what has been worse through a whole window is worse."""
    since = seen.worse_since
    return seen.health.worse and since is not None and now >= max(since, seen.fixed_at) + seen.window


def _well(seen: Seen, now: datetime, settled: datetime) -> Conclude | None:
    """Judge a target that has proved itself: the alert's word counts, or where it has none, that of the metrics."""
    symptom = _symptom(seen)
    if symptom is not None and not symptom.good:
        return None
    if seen.alert.good and seen.alert_from is not None and now < min(seen.alert_from, seen.ends_at):
        return None
    late = seen.metrics is not None and seen.metrics.silent
    if late and now < min(settled + seen.metrics_patience, seen.ends_at):
        return None
    if not seen.executed:
        message = f"{_told(seen)}; but the fix changed nothing: whatever helped, it was not the fix"
        return Conclude(Verdict.UNKNOWN, Reason.NO_EXECUTION, message)
    if late:
        return Conclude(Verdict.EFFECTIVE, Reason.METRICS_TIMED_OUT, _told(seen))
    known = seen.health.score is not None and seen.alert.score is not None
    return Conclude(Verdict.EFFECTIVE, Reason.FULL if known else Reason.PARTIAL, _told(seen))


def _symptom(seen: Seen) -> Reading | None:
    """Return what says whether the problem is still there; None where nobody can say."""
    readings = (seen.alert, seen.metrics)
    return next((each for each in readings if each is not None and each.score is not None), None)


def _at_the_end(seen: Seen, now: datetime) -> Conclude:
    """Say what can be said when time is up."""
    settled = _settled_at(seen)
    if _nothing_known(seen):
        return Conclude(Verdict.UNKNOWN, Reason.UNASSESSABLE, _told(seen))
    if settled is not None and now >= settled:
        symptom = _symptom(seen) or seen.alert
        return Conclude(Verdict.INEFFECTIVE, Reason.ALERT_DECAY, f"{seen.health.message}, yet {symptom.message}")
    if settled is not None or seen.ends_at < seen.fixed_at + seen.window:
        return Conclude(Verdict.UNKNOWN, Reason.EXPIRED, f"time was up before the target could prove itself: {seen.health.message}")
    return Conclude(Verdict.INEFFECTIVE, Reason.UNHEALTHY, seen.health.message)


def _patience(seen: Seen, now: datetime) -> Wait:
    if now < seen.fixed_at:
        message = f"the fix is given time to arrive at the target; {seen.health.message}"
        return Wait(Phase.WAITING_FOR_PROPAGATION, min(seen.fixed_at, seen.ends_at), message)
    settled = _settled_at(seen)
    if settled is None or now < settled:
        until = min(settled or seen.ends_at, seen.ends_at)
        return Wait(Phase.STABILIZING, until, seen.health.message)
    return Wait(Phase.ASSESSING, min(_next_turn(seen, now, settled), seen.ends_at), _told(seen))


def _next_turn(seen: Seen, now: datetime, settled: datetime) -> datetime:
    """Return when time alone changes what can be said."""
    turns = (seen.alert_from, settled + seen.metrics_patience)
    return min((turn for turn in turns if turn is not None and turn > now), default=seen.ends_at)


def _told(seen: Seen) -> str:
    return "; ".join(each.message for each in (seen.health, seen.alert, seen.metrics) if each is not None)


def _nothing_known(seen: Seen) -> bool:
    return all(each is None or each.score is None for each in (seen.health, seen.alert, seen.metrics))

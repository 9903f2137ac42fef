"""How many fixes may be carried out at once and an hour, and when too many cases come at once. Pure: counts in, reasons out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from kubernaut.api.brake import BrakeLimits, Storm
from kubernaut.api.durations import Length

HOUR: Final = timedelta(hours=1)
LIMITED: Final = "RemediationLimit"
STORMY: Final = "StormMode"
PAUSED: Final = "Paused"
HELD_BY_BRAKE: Final = frozenset({LIMITED, STORMY, PAUSED})
"""Block reasons of the brake: what it holds is looked at again whenever it moves."""


class BrakeSettings(BaseModel):
    """How much may be done by machine before people are to look; None sets no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    concurrent: int | None = Field(default=5, ge=1)
    """Remediations in execution at one time, in the whole cluster."""
    concurrent_per_namespace: int | None = Field(default=2, ge=1)
    """The same, for the namespace of what is acted on."""
    hourly: int | None = Field(default=20, ge=1)
    """Fixes started within an hour, in the whole cluster."""
    hourly_per_namespace: int | None = Field(default=10, ge=1)
    """The same, for the namespace of what is acted on."""
    storm_cases: int | None = Field(default=50, ge=1)
    """More new cases than that within the window are a storm: nothing new is started."""
    storm_window: Length = Field(default=timedelta(minutes=5), gt=timedelta())
    storm_cooldown: Length = Field(default=timedelta(minutes=10), gt=timedelta())
    """How long after the last moment of too many cases a storm is over."""
    look_again: Length = Field(default=timedelta(seconds=30), gt=timedelta())
    """How often what waits for its turn is looked at, watches aside."""
    patience: Length = Field(default=timedelta(hours=6), gt=timedelta())
    """How long a remediation may wait for its turn before people are called."""

    def limits(self) -> BrakeLimits:
        """Return the limits in the form that the brake's status shows."""
        return BrakeLimits(
            concurrent=self.concurrent,
            concurrent_per_namespace=self.concurrent_per_namespace,
            hourly=self.hourly,
            hourly_per_namespace=self.hourly_per_namespace,
        )


@dataclass(frozen=True, slots=True)
class Load:
    """The fixes of a scope, as the objects in the cluster tell."""

    running: int = 0
    """In execution now, without the one that asks."""
    started: tuple[datetime, ...] = ()
    """When those of the last hour were started, in any order."""
    before: int = 0
    """Others that wait for the same and come first."""


@dataclass(frozen=True, slots=True)
class Held:
    """A fix has to wait."""

    reason: str
    message: str
    until: datetime
    """When to look again at the latest."""


def held_by_limits(everywhere: Load, here: Load, namespace: str, settings: BrakeSettings, now: datetime) -> Held | None:
    """Return why a fix in a namespace ("" for what has none) may not start now, or None; the namespace's own limits come first."""
    scopes = [(everywhere, "in the cluster", settings.concurrent, settings.hourly)]
    if namespace:
        scopes.insert(0, (here, f"in namespace {namespace}", settings.concurrent_per_namespace, settings.hourly_per_namespace))
    for load, where, at_once, hourly in scopes:
        if held := _too_many(load, where, at_once, settings, now) or _too_often(load, where, hourly, now):
            return held
    return None


def _too_many(load: Load, where: str, limit: int | None, settings: BrakeSettings, now: datetime) -> Held | None:
    if limit is None or load.running + load.before < limit:
        return None
    waiting = f" and {load.before} wait before this one" if load.before else ""
    return Held(LIMITED, f"{load.running} of {limit} remediations are running {where}{waiting}", now + settings.look_again)


def _too_often(load: Load, where: str, limit: int | None, now: datetime) -> Held | None:
    recent = sorted(moment for moment in load.started if moment > now - HOUR)
    if limit is None or len(recent) < limit:
        return None
    until = recent[len(recent) - limit] + HOUR
    return Held(LIMITED, f"{len(recent)} of {limit} remediations an hour were started {where}; next look at {_clock(until)}", until)


def held_by_storm(storm: Storm | None, now: datetime) -> Held | None:
    """Return why nothing new may start while a storm lasts, or None."""
    if storm is None or now >= storm.until:
        return None
    message = f"storm mode: {storm.cases} new cases came within minutes; nothing new is started before {_clock(storm.until)}"
    return Held(STORMY, message, storm.until)


def storm_at(created: Sequence[datetime], settings: BrakeSettings, now: datetime) -> Storm | None:
    """Return the storm that lasts at a moment, from the times at which cases came, or None. The same from the same, whoever counts."""
    if settings.storm_cases is None:
        return None
    storm: Storm | None = None
    times = sorted(moment for moment in created if moment <= now)
    for count, moment in _crowds(times, settings.storm_window):
        if count <= settings.storm_cases:
            continue
        lasting = storm if storm is not None and moment < storm.until else Storm(since=moment, until=moment)
        storm = Storm(since=lasting.since, until=moment + settings.storm_cooldown, cases=max(count, lasting.cases))
    return storm if storm is not None and now < storm.until else None


def _crowds(times: Sequence[datetime], window: timedelta) -> list[tuple[int, datetime]]:
    """Return for each moment, in order, how many came within the window that ends there."""
    first, crowds = 0, []
    for last, moment in enumerate(times):
        while times[first] <= moment - window:
            first += 1
        crowds.append((last - first + 1, moment))
    return crowds


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S} UTC"

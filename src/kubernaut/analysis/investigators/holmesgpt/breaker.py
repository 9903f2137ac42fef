"""The circuit breaker: after failures HolmesGPT is left alone, then tried with a few questions, then trusted again. Pure."""

from collections import deque
from datetime import datetime, timedelta
from typing import Final

from kubernaut.analysis.investigators.holmesgpt.settings import BreakerSettings

WINDOW: Final = timedelta(minutes=5)
ENOUGH: Final = 10
"""Fewer calls than this have no failure rate."""
KEPT: Final = 1000


class Breaker:
    """Tells whether a call makes sense."""

    def __init__(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self._recent: deque[tuple[datetime, bool]] = deque(maxlen=KEPT)
        self._failures = 0
        self._until: datetime | None = None
        """When its rest ends; None while it is closed."""
        self._probes = 0
        self._successes = 0

    def refusal(self, now: datetime) -> str:
        """Return why nothing is asked now; empty when a call may be made. While it is half open only a few may."""
        if self._until is None:
            return ""
        if now < self._until:
            return f"it failed {self._failures} times in a row, and is left alone until {self._until:%H:%M:%S} UTC"
        return "" if self._probes < self._settings.probes else "it failed lately, and is being tried with other questions first"

    def began(self) -> None:
        """Note that a call begins."""
        if self._until is not None:
            self._probes += 1

    def ended(self, now: datetime, *, well: bool) -> None:
        """Note how a call ended."""
        self._recent.append((now, well))
        self._probes = max(0, self._probes - 1)
        if well:
            self._succeeded()
        else:
            self._failed(now)

    def _succeeded(self) -> None:
        self._failures = 0
        if self._until is None:
            return
        self._successes += 1
        if self._successes >= self._settings.probes:
            self._until = None
            self._recent.clear()

    def _failed(self, now: datetime) -> None:
        self._failures += 1
        open_ = self._until is not None
        if open_ or self._failures >= self._settings.failures or self._too_many(now):
            rest = self._settings.long_rest if self._failures >= self._settings.many_failures else self._settings.rest
            self._until, self._probes, self._successes = now + rest, 0, 0

    def _too_many(self, now: datetime) -> bool:
        rows = [well for at, well in self._recent if now - at <= WINDOW]
        return len(rows) >= ENOUGH and rows.count(False) > len(rows) * self._settings.failed_share

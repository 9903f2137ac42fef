"""Circuit breakers: after failures in a row a place counts as down, and one message at a time finds out whether it is back."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import Gauge

from kubernaut.api.notification import ChannelName, DeliveryAttempt
from kubernaut.notification.decide import INVALID, SUCCESS, Target
from kubernaut.notification.settings import BreakerSettings

LIMIT: Final = 1024
"""How many places are remembered; the one that was used longest ago is forgotten first."""
PATIENCE: Final = timedelta(hours=1)
"""The longest pause that a channel may ask for."""

OPEN: Final = Gauge("kubernaut_notification_channel_circuit_breaker_state", "Places of a channel that count as down.", ["channel"])


@dataclass(slots=True)
class State:
    """What is known of a place."""

    failures: int = 0
    until: datetime | None = None
    """Nothing is tried before."""
    down: bool = False


class Breakers:
    """The breakers of all places."""

    def __init__(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self._states: OrderedDict[Target, State] = OrderedDict()

    def gate(self, target: Target, now: datetime) -> datetime | None:
        """Return when a place may be tried, or None for at once."""
        state = self._states.get(target)
        return state.until if state and state.until and state.until > now else None

    def take(self, target: Target, now: datetime) -> bool:
        """Ask to try a place; while it is down one at a time may."""
        if self.gate(target, now):
            return False
        state = self._state(target)
        if state.down:
            state.until = now + self._pause()
        return True

    def answered(self, target: Target) -> None:
        """Hear that a place took something, or refused it for good: it is there."""
        state = self._state(target)
        state.failures, state.until, state.down = 0, None, False
        self._count(target.channel)

    def failed(self, target: Target, now: datetime, patience: timedelta | None = None) -> bool:
        """Hear that a place could not take something, and how long it wants to be left alone; tell whether it counts as down."""
        state = self._state(target)
        state.failures += 1
        state.down = state.failures >= self._settings.failures
        pause = max(min(patience or timedelta(), PATIENCE), self._pause() if state.down else timedelta())
        state.until = now + pause if pause else None
        self._count(target.channel)
        return state.down

    def learn(self, target: Target, last: DeliveryAttempt | None) -> None:
        """Take over from a process before us how often a place failed in a row, and that it was down; an answer since then counts more."""
        state = self._states.get(target)
        if last is None or last.status in {SUCCESS, INVALID} or (state is not None and not state.failures):
            return
        state = self._state(target)
        state.failures = max(state.failures, self._settings.failures if last.channel_down else last.attempt)
        if last.channel_down and not state.down:
            state.down, state.until = True, last.timestamp + self._pause()
            self._count(target.channel)

    def _pause(self) -> timedelta:
        return timedelta(seconds=self._settings.open_seconds)

    def _state(self, target: Target) -> State:
        state = self._states.setdefault(target, State())
        self._states.move_to_end(target)
        while len(self._states) > LIMIT:
            self._states.popitem(last=False)
        return state

    def _count(self, channel: ChannelName) -> None:
        OPEN.labels(channel.value).set(sum(state.down for target, state in self._states.items() if target.channel is channel))

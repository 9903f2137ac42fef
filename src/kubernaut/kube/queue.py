"""The keys a controller has to look at: each once, never two workers on one key, failures ever later. After client-go's work queue."""

import asyncio
import random
from collections import deque
from typing import Final

from kubernaut.kube.backoff import delay
from kubernaut.kube.informer import Key

BASE_SECONDS: Final = 0.005
CAP_SECONDS: Final = 300.0


class WorkQueue:
    """A queue of distinct keys. Timers are the event loop's. What is kept of a key ends with `forget` or `close`."""

    def __init__(self, rng: random.Random | None = None) -> None:
        self._rng = rng or random.SystemRandom()
        self._ready: deque[Key] = deque()
        self._dirty: set[Key] = set()
        self._running: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._wake = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: Key) -> None:
        """Ask for a pass over a key; a key being worked on is handed out again after that."""
        if self._closed or key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._running:
            self._push(key)

    def add_after(self, key: Key, seconds: float) -> None:
        """Ask for a pass some time from now; the earliest wish counts, and the next pass over the key ends it."""
        if seconds <= 0:
            self.add(key)
            return
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        pending = self._timers.get(key)
        if pending is not None and pending.when() <= loop.time() + seconds:
            return
        self._cancel(key)
        self._timers[key] = loop.call_later(seconds, self._due, key)

    def retry(self, key: Key) -> float:
        """Count a failure and ask for a pass after a delay that doubles from 5 ms to 5 minutes; return it in seconds."""
        self._failures[key] = self._failures.get(key, 0) + 1
        seconds = delay(BASE_SECONDS, CAP_SECONDS, self._failures[key], self._rng)
        self.add_after(key, seconds)
        return seconds

    def forget(self, key: Key) -> None:
        """Forget a key's failures."""
        self._failures.pop(key, None)

    async def get(self) -> Key | None:
        """Take the next key, waiting for one; None once the queue is closed. Give it back with `done`."""
        while not self._ready and not self._closed:
            self._wake.clear()
            await self._wake.wait()
        if self._closed:
            return None
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._running.add(key)
        self._cancel(key)
        return key

    def done(self, key: Key) -> None:
        """Give a key back; if it was asked for meanwhile, it is next in line."""
        self._running.discard(key)
        if key in self._dirty and not self._closed:
            self._push(key)

    def close(self) -> None:
        """Hand out nothing more and stop all timers."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._ready.clear()
        self._wake.set()

    def _push(self, key: Key) -> None:
        self._ready.append(key)
        self._wake.set()

    def _due(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def _cancel(self, key: Key) -> None:
        if timer := self._timers.pop(key, None):
            timer.cancel()

"""Workers over a queue of keys: run a pass, time it, count it, and put the key back when it must be looked at again."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Final, TypeVar

import structlog

from kubernaut.api.base import Foreseen
from kubernaut.kube import metrics
from kubernaut.kube.clock import Clock
from kubernaut.kube.errors import ApiError
from kubernaut.kube.informer import Key
from kubernaut.kube.outcome import Outcome
from kubernaut.kube.queue import WorkQueue

GRACE_SECONDS: Final = 20.0
"""How long running passes may take to finish when we stop; Kubernetes kills a pod after 30."""

FORESEEN: Final = (Foreseen, OSError)
"""What happens now and then to whoever speaks to others, running out of time among it; only of other faults the traceback is told."""

T = TypeVar("T")
log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


async def attempt(work: Awaitable[T]) -> T | Exception:
    """Await work of others; whatever it raises comes back as a value. The one broad except: every caller reports what it gets."""
    try:
        return await work
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return InterruptedError("something the work waited for was cancelled")
    except Exception as fault:  # noqa: BLE001  (the boundary between the kernel and the code it runs)
        return fault


class Workers:
    """The workers of one controller; they live while we lead."""

    def __init__(
        self,
        name: str,
        process: Callable[[Key], Awaitable[Outcome]],
        keys: Callable[[], Iterable[Key]],
        *,
        clock: Clock,
        count: int = 4,
        timeout: timedelta = timedelta(minutes=2),
        on_fault: Callable[[Key, Exception], None] = lambda _key, _fault: None,
        rng: random.Random | None = None,
    ) -> None:
        self.name = name
        self._process = process
        self._keys = keys
        self._clock = clock
        self._count = count
        self._timeout = timeout.total_seconds()
        self._on_fault = on_fault
        self._rng = rng
        self._queue: WorkQueue | None = None
        self._depth = metrics.QUEUE_DEPTH.labels(name)
        self._seconds = metrics.RECONCILE_SECONDS.labels(name)
        self._tasks: list[asyncio.Task[None]] = []
        self._failing: set[Key] = set()
        """Keys whose last pass failed, and that was told; a conflict is no failure."""

    def add(self, key: Key) -> None:
        """Ask for a pass over a key. While nobody works this is dropped: a start begins with all keys."""
        self.add_after(key, 0)

    def add_after(self, key: Key, seconds: float) -> None:
        """Ask for a pass over a key some time from now; an earlier wish stays."""
        if self._queue is not None:
            self._queue.add_after(key, seconds)
            self._depth.set(len(self._queue))

    async def run(self) -> None:
        """Work until cancelled; running passes are then given some time to finish."""
        queue = self._queue = WorkQueue(self._rng)
        for key in self._keys():
            self.add(key)
        self._tasks = [asyncio.create_task(self._work(queue), name=f"{self.name}-{number}") for number in range(self._count)]
        try:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            self._queue = None
            queue.close()
            await self._finish()

    def abort(self) -> None:
        """Stop all passes at once: another process may lead by now."""
        for task in self._tasks:
            task.cancel()

    async def _finish(self) -> None:
        try:
            await asyncio.wait(self._tasks, timeout=GRACE_SECONDS)
        finally:
            self.abort()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self, queue: WorkQueue) -> None:
        while (key := await queue.get()) is not None:
            self._depth.set(len(queue))
            try:
                await self._handle(queue, key)
            finally:
                queue.done(key)

    async def _handle(self, queue: WorkQueue, key: Key) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        result = await attempt(self._limited(key))
        self._seconds.observe(loop.time() - started)
        metrics.RECONCILES.labels(self.name, _word(result)).inc()
        if isinstance(result, Exception):
            self._retry(queue, key, result)
        else:
            self._settle(queue, key, result)

    async def _limited(self, key: Key) -> Outcome:
        async with asyncio.timeout(self._timeout):
            return await self._process(key)

    def _settle(self, queue: WorkQueue, key: Key, outcome: Outcome) -> None:
        self._failing.discard(key)
        seconds = (outcome.at - self._clock.now()).total_seconds() if outcome.at else 0.0
        if outcome.at and seconds <= 0:
            queue.retry(key)  # a moment already past: look again, but never in a tight loop
            return
        queue.forget(key)
        if outcome.at:
            queue.add_after(key, seconds)

    def _retry(self, queue: WorkQueue, key: Key, fault: Exception) -> None:
        seconds = queue.retry(key)
        where = {"controller": self.name, "namespace": key.namespace, "name": key.name, "retry_seconds": round(seconds, 3)}
        if _quiet(fault):
            log.debug("pass met a conflict", **where)
            return
        first = key not in self._failing
        self._failing.add(key)
        way = fault if first and not isinstance(fault, FORESEEN) else None
        log.warning("pass failed, it is tried again", **where, fault=f"{type(fault).__name__}: {fault}"[:2000], exc_info=way)
        if first:
            self._on_fault(key, fault)


def _quiet(fault: Exception) -> bool:
    """A conflict is no fault: someone was faster, and the watch brings what they wrote."""
    return isinstance(fault, ApiError) and fault.conflict


def _word(result: Outcome | Exception) -> str:
    if isinstance(result, Outcome):
        return "again" if result.at else "done"
    return "conflict" if _quiet(result) else "timeout" if isinstance(result, TimeoutError) else "error"

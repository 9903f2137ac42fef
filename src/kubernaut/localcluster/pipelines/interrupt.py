"""What ends a TaskRun from outside: a request to cancel, its deletion or that of its Pod, or its time being over."""

import asyncio
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import TypeVar

T = TypeVar("T")


class Interrupted(Exception):  # noqa: N818 - an outcome
    """The interrupt was raised, or the time is over."""

    def __init__(self, *, timed_out: bool = False) -> None:
        """Tell which of the two."""
        super().__init__()
        self.timed_out = timed_out


class Interrupt:
    """The one interrupt of a TaskRun's coroutine."""

    def __init__(self) -> None:
        """Start without one."""
        self.message = ""
        self.deleted = False
        self.evicted = False
        self._raised = asyncio.Event()

    def cancel(self, message: str) -> None:
        """Ask for the end as TaskRunCancelled."""
        self.message = message
        self._raised.set()

    def evict(self) -> None:
        """Tell that the Pod is being deleted."""
        self.evicted = True
        self._raised.set()

    def delete(self) -> None:
        """Tell that the TaskRun is gone or going."""
        self.deleted = True
        self._raised.set()

    @property
    def raised(self) -> bool:
        """Whether there is one."""
        return self._raised.is_set()

    def check(self, now: datetime, due: datetime | None) -> None:
        """Raise Interrupted where there is one or the time is over."""
        if self.raised:
            raise Interrupted
        if due is not None and now >= due:
            raise Interrupted(timed_out=True)

    async def race(self, work: Awaitable[T], seconds: float | None) -> T:
        """Return what the work returns; raise Interrupted when the interrupt or the time comes first, with the work given up."""
        task, stop = asyncio.ensure_future(work), asyncio.ensure_future(self._raised.wait())
        try:
            await asyncio.wait((task, stop), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise Interrupted(timed_out=not self.raised)
        finally:
            for future in (task, stop):
                future.cancel()
            await asyncio.gather(task, stop, return_exceptions=True)

    async def sleep(self, span: timedelta) -> None:
        """Wait a while; raise Interrupted."""
        await self.race(asyncio.sleep(span.total_seconds()), None)

"""Group commit: what is to be written while a transaction runs is written together by the next one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from sqlalchemy.exc import DataError, IntegrityError

from kubernaut.datastorage import metrics
from kubernaut.datastorage.database import FAULTS, said

Work = TypeVar("Work")
Done = TypeVar("Done")

GROUP: Final = 2000
"""How much one transaction takes; a single work may be larger."""
WAITING: Final = 20_000
"""How much may wait; beyond that a caller is told to come again."""
WRITE_SECONDS: Final = 15.0
"""How long a caller waits for a work to be safe; it may still become so later."""
CLOSE_SECONDS: Final = 5.0
OWN_FAULTS: Final = (DataError, IntegrityError)
"""What one work is to blame for, not the database."""


class Unavailable(Exception):  # noqa: N818  (says what is so)
    """The database does not take writes now, or too much waits for it; the same write may succeed later."""


@dataclass(eq=False)
class _Entry(Generic[Work, Done]):
    work: Work
    size: int
    done: "asyncio.Future[Done]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Writer(Generic[Work, Done]):
    """Hands works to `commit` in groups, in the order they came, one group at a time. `commit` writes all of a group or nothing."""

    def __init__(self, commit: Callable[[Sequence[Work]], Awaitable[Sequence[Done]]], *, wait: float = WRITE_SECONDS) -> None:
        self._commit = commit
        self._wait = wait
        self._entries: deque[_Entry[Work, Done]] = deque()
        self._waiting = 0
        self._task: asyncio.Task[None] | None = None

    async def write(self, work: Work, size: int = 1) -> Done:
        """Return what became of a work once it is safe; raise Unavailable, or what the work itself is to blame for."""
        if self._waiting >= WAITING:
            raise Unavailable("too many records wait to be written: send it again later")
        entry: _Entry[Work, Done] = _Entry(work, max(1, size))
        self._entries.append(entry)
        self._count(entry.size)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="audit writer")
        try:
            async with asyncio.timeout(self._wait):
                return await entry.done
        except TimeoutError as late:
            raise Unavailable(f"the database did not answer for {self._wait:g} s: send it again later") from late

    async def close(self) -> None:
        """Write what waits, as far as the database takes it soon."""
        if self._task is None or self._task.done():
            return
        await asyncio.wait({self._task}, timeout=CLOSE_SECONDS)
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=CLOSE_SECONDS)

    async def _run(self) -> None:
        while self._entries:
            group = self._group()
            try:
                await self._settle(group)
            finally:
                _fail(group, Unavailable("the server stops: send it again"))  # those that have their answer keep it

    def _group(self) -> list[_Entry[Work, Done]]:
        """Take what goes into the next transaction; nobody waits any more for what was given up."""
        group: list[_Entry[Work, Done]] = []
        size = 0
        while self._entries and (not group or size + self._entries[0].size <= GROUP):
            entry = self._entries.popleft()
            self._count(-entry.size)
            if not entry.done.done():
                group.append(entry)
                size += entry.size
        return group

    async def _settle(self, group: list[_Entry[Work, Done]]) -> None:
        try:
            results = await self._commit([entry.work for entry in group]) if group else []
        except OWN_FAULTS as fault:
            await self._apart(group, fault)
        except FAULTS as fault:
            metrics.FAULTS.inc()
            _fail(group, Unavailable(f"the database does not take writes now ({said(fault)}): send it again later"))
        else:
            for entry, result in zip(group, results, strict=True):
                if not entry.done.done():
                    entry.done.set_result(result)

    async def _apart(self, group: list[_Entry[Work, Done]], fault: Exception) -> None:
        """Write each alone, so that one that cannot be stored sinks no other."""
        if len(group) == 1:
            _fail(group, fault)
            return
        for entry in group:
            await self._settle([entry])

    def _count(self, change: int) -> None:
        self._waiting += change
        metrics.WAITING.set(self._waiting)


def _fail(group: Sequence[_Entry[Work, Done]], fault: Exception) -> None:
    for entry in group:
        if not entry.done.done():
            entry.done.set_exception(fault)

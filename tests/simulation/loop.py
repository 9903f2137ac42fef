"""An event loop without sockets, threads or wall time: it jumps to the next timer, and a seed chooses among what is ready.

Whatever runs belongs to a life (a process of the product, or nobody). A life that was killed never runs again: its tasks stay where
they stood, no `finally` block runs, as after SIGKILL.
"""

import asyncio
import random
import sys
from asyncio.events import TimerHandle
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from heapq import heappop, heappush
from typing import Any, Final, TypeVar

IDLE_LIMIT: Final = 200_000
"""How many callbacks may run at one moment of time: more is a loop that never waits."""

T = TypeVar("T")


class StuckError(AssertionError):
    """Nothing is ready and no timer runs, or something spins without time passing."""


class Life:
    """One run of a process, from its start to its kill."""

    __slots__ = ("alive", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True


OWNER: ContextVar[Life | None] = ContextVar("owner", default=None)
"""Which life a callback belongs to; tasks inherit it from who makes them."""


class _Task(asyncio.Task[Any]):
    """A task whose hash is its number, so that sets of tasks have the same order in every run."""

    number = 0

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return self is other


class SimulatedLoop(asyncio.BaseEventLoop):
    """Runs what is ready in an order chosen by a seed, then jumps to the next timer."""

    _ready: list[Any]
    _scheduled: list[Any]

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._rng = random.Random(seed)
        self._ready = []
        self._now = 0.0
        self._at_once = 0
        self._made = 0
        self._timers = 0
        self.faults: list[str] = []
        """What nobody caught."""
        self._parked: list[Any] = []
        self.set_task_factory(self._task)
        self.set_exception_handler(self._note)

    def time(self) -> float:
        """Return the simulated seconds since the start."""
        return self._now

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None) -> TimerHandle:  # type: ignore[override]  # as asyncio itself has it
        """File a timer by its time and its number: what compares fast, for there are many."""
        timer: Any = TimerHandle(when, callback, args, self, context)
        timer._scheduled = True
        self._timers += 1
        heappush(self._scheduled, (when, self._timers, timer))
        made: TimerHandle = timer
        return made

    def _task(self, _loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, T] | Generator[Any, None, T], **options: Any) -> _Task:
        self._made += 1
        task = _Task.__new__(_Task)
        task.number = self._made
        task.__init__(coro, loop=self, **options)  # type: ignore[misc]  # the number must be there before asyncio files the task by its hash
        return task

    def _note(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.faults.append(f"{context.get('message')}: {context.get('exception')!r}"[:1000])

    def _run_once(self) -> None:
        """Run what is ready now, one callback after the other, each chosen by chance."""
        ready = self._ready
        self._ripen()
        if not ready:
            raise StuckError("nothing is ready and no timer runs")
        for _ in range(len(ready)):
            chosen = int(self._rng.random() * len(ready))
            handle = ready[chosen]
            ready[chosen] = ready[-1]
            ready.pop()
            self._give_turn(handle)
        self._at_once += 1
        if self._at_once > IDLE_LIMIT:
            raise StuckError("something spins without time passing")

    def _give_turn(self, handle: Any) -> None:
        """Run a callback; one of the dead is put aside."""
        if handle._cancelled:
            return
        if _is_alive(handle._context):
            handle._run()
        else:
            self._parked.append(handle)

    def resurrect(self) -> None:
        """Let the dead go on from where they stood, so that they can be ended in good order."""
        self._ready += self._parked
        self._parked.clear()

    def _ripen(self) -> None:
        """Make ready what is due; where nothing is ready, let time pass until something is."""
        scheduled, ready = self._scheduled, self._ready
        while scheduled and (not ready or scheduled[0][0] <= self._now):
            handle = heappop(scheduled)[2]
            handle._scheduled = False
            if handle._cancelled or not _is_alive(handle._context):
                self._parked.append(handle)
                continue
            if handle._when > self._now:
                self._now, self._at_once = handle._when, 0
            ready.append(handle)

    def _timer_handle_cancelled(self, handle: TimerHandle) -> None:
        """Leave a cancelled timer in the heap until its time comes."""

    def _write_to_self(self) -> None:
        """There is no selector to wake."""

    def _process_events(self, event_list: object) -> None:
        """There are no sockets."""


def spawn(coro: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Start a task that belongs to nobody, whoever asks for it: what the rest of the world does outlives a process of ours."""
    context = copy_context()
    context.run(OWNER.set, None)
    return asyncio.get_running_loop().create_task(coro, context=context)


def _is_alive(context: Context) -> bool:
    life = context.get(OWNER)
    return life is None or life.alive


def run(loop: SimulatedLoop, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end on a loop of its own, outside of any other; close the loop."""
    before = sys.get_asyncgen_hooks()
    try:
        return loop.run_until_complete(main())
    finally:
        sys.set_asyncgen_hooks(*before)
        loop.close()

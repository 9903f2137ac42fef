"""How a command that runs the whole system loads it, at once and for good, and how long it runs: until it is told to stop."""

import asyncio
import gc
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def for_good() -> Iterator[None]:
    """Load modules without looking for garbage, neither meanwhile nor later among what they made: a quarter of the time to start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


async def until_told(work: Coroutine[Any, Any, None]) -> None:
    """Run something until SIGINT or SIGTERM, whatever it is at: filling its caches, waiting to lead, or leading."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    running, told = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait({running, told}, return_when=asyncio.FIRST_COMPLETED)
    for task in (running, told):
        task.cancel()
    with suppress(asyncio.CancelledError):
        await running


def settled() -> None:
    """Take all that stands by now for no garbage: modules, and what the caches hold.

    Else it is looked through again and again, and a case costs the more the longer the cluster's past is.
    """
    gc.freeze()

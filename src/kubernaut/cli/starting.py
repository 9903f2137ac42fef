"""How a command that runs the whole system loads it: at once, and for good."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def for_good() -> Iterator[None]:
    """Load modules without looking for garbage, neither meanwhile nor later among what they made: a quarter of the time to start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()

"""Plays simulated worlds for as long as it is told, going on from the seed where it stopped, and sums up over all runs.

    python tools/soak.py --duration 10m --state soak.json

Ends with status 1 when a law was broken; the seeds that did are kept in the state, and are told with what led to it.
"""

import argparse
import json
import logging
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from kubernaut.api.durations import parse_duration  # noqa: E402  (the tests' modules are found from the project's root)
from tests.simulation.play import Played, play  # noqa: E402
from tests.simulation.telling import Sum, failure, total  # noqa: E402

FIRST: Final = 1_000_000
"""Where soaking begins: below are the seeds of the tests."""
KEPT: Final = 100
TOLD_SECONDS: Final = 30.0


@dataclass
class State:
    """What all runs came to."""

    seed: int = FIRST
    """The next one to be played."""
    seconds: float = 0.0
    whole: Sum = field(default_factory=Sum)
    broken: dict[str, list[str]] = field(default_factory=dict)
    """The laws broken, by seed."""

    @classmethod
    def load(cls, path: Path) -> "State":
        """Read the state of earlier runs, if there is any."""
        if not path.exists():
            return cls()
        found = json.loads(path.read_text())
        return cls(found["seed"], found["seconds"], Sum.read(found["sum"]), found["broken"])

    def save(self, path: Path) -> None:
        """Write the state, whole or not at all."""
        text = json.dumps({"seed": self.seed, "seconds": round(self.seconds, 1), "sum": self.whole.wire(), "broken": self.broken}, indent=2)
        new = path.with_suffix(".new")
        new.write_text(text + "\n")
        new.replace(path)

    def add(self, played: Played) -> None:
        """Add a world."""
        one = Sum()
        one.add(played)
        self.whole = total([self.whole, one])
        if played.broken and len(self.broken) < KEPT:
            self.broken[str(played.seed)] = played.broken


def main() -> int:
    """Soak; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--duration", default="10m", help="how long, such as 90s, 10m, 8h")
    parser.add_argument("--state", type=Path, default=ROOT / "soak.json", help="where it goes on from")
    parser.add_argument("--jobs", type=int, default=1, help="worlds at a time")
    given = parser.parse_args()
    state = State.load(given.state)
    before = len(state.broken)
    soak(state, given.state, parse_duration(given.duration).total_seconds(), given.jobs)
    print(*state.whole.lines(), sep="\n")
    print(f"in {state.seconds / 3600:.2f} hours over all runs; seeds that broke a law: {', '.join(state.broken) or 'none'}")
    return int(len(state.broken) > before)


def soak(state: State, path: Path, seconds: float, jobs: int) -> None:
    """Play worlds until the time is up, keeping the state after each."""
    began = told = time.monotonic()
    earlier = state.seconds
    with ProcessPoolExecutor(jobs, initializer=_quiet) as pool:
        for played in _played(pool, state, began + seconds, jobs):
            state.add(played)
            state.seconds = earlier + time.monotonic() - began
            state.save(path)
            if played.broken:
                print(failure(played), flush=True)
            if time.monotonic() - told > TOLD_SECONDS:
                told = time.monotonic()
                print(f"{state.whole.cases} cases, next seed {state.seed}", flush=True)


def _played(pool: ProcessPoolExecutor, state: State, until: float, jobs: int) -> Iterator[Played]:
    """Yield worlds as they end; each seed is played once, and counts as played only when its world was told."""
    running: set[Future[Played]] = set()
    while running or time.monotonic() < until:
        while len(running) < jobs and time.monotonic() < until:
            running.add(pool.submit(play, state.seed))
            state.seed += 1
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for each in done:
            yield each.result()


def _quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


if __name__ == "__main__":
    sys.exit(main())

"""What goes wrong, chosen by a seed: faults of API calls and watches, kills, outages. Every choice is kept, so that a run can be told."""

import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Fault(StrEnum):
    """A kind of fault."""

    CONFLICT = "conflict"
    """A write with a precondition is refused, as if somebody had been faster."""
    LOST_BEFORE = "timeout before the write"
    LOST_AFTER = "timeout after the write"
    LATE = "write takes effect after its timeout"
    RESET = "connection reset after the write"
    TOO_MANY = "429"
    INTERNAL = "500"
    WATCH_CUT = "watch cut"
    WATCH_GONE = "watch expired (410)"
    WATCH_LATE = "watch events late"
    WATCH_TWICE = "watch event twice"
    KILL_BEFORE = "kill before a call"
    KILL_AFTER = "kill after a call, before its answer"
    KILL_ANY = "kill at any moment"
    PARTITION = "no way to the API server"
    LEASE_LOST = "lease taken away"
    OUTAGE = "service down"
    ANSWER_LOST = "service's answer lost"
    SKEW = "clocks differ"
    COMPACTED = "history compacted"


WRITES: Final = {"POST", "PUT", "PATCH", "DELETE"}
CALL_FAULTS: Final = (
    (Fault.LOST_BEFORE, 3),
    (Fault.LOST_AFTER, 3),
    (Fault.LATE, 1),
    (Fault.RESET, 3),
    (Fault.TOO_MANY, 2),
    (Fault.INTERNAL, 2),
    (Fault.KILL_BEFORE, 1),
    (Fault.KILL_AFTER, 2),
)
READ_FAULTS: Final = ((Fault.LOST_BEFORE, 3), (Fault.TOO_MANY, 2), (Fault.INTERNAL, 2))
WATCH_FAULTS: Final = ((Fault.WATCH_LATE, 6), (Fault.WATCH_TWICE, 3), (Fault.WATCH_CUT, 2), (Fault.WATCH_GONE, 1))
TOLD: Final = 60
CALLS: Final = 0.015
"""The chance of a fault at a write in a usual world; a read has a quarter of it."""
WATCHES: Final = 0.01
"""The chance of a fault at a watch event."""
STRENGTHS: Final = (0.2, 0.5, 1.0, 1.0, 2.0)


@dataclass
class Chaos:
    """The faults of one world: how often, which, and what was done so far."""

    seed: int
    now: Callable[[], float]
    strength: float = 0.0
    """How hard this world is, 1 being usual; 0 lets the seed choose."""
    rng: random.Random = field(init=False)
    hits: Counter[Fault] = field(default_factory=Counter)
    told: deque[str] = field(default_factory=lambda: deque(maxlen=TOLD))
    quiet: bool = False
    """From some moment on nothing fails any more, so that everything can come to rest."""

    def __post_init__(self) -> None:
        """Take up the seed."""
        self.rng = random.Random(f"chaos {self.seed}")
        self.strength = self.rng.choice(STRENGTHS) if not self.strength else self.strength

    def hit(self, fault: Fault, where: str) -> Fault:
        """Keep that a fault happened."""
        self.hits[fault] += 1
        self.told.append(f"{self.now():10.3f} {fault.value}: {where}")
        return fault

    def call(self, method: str, where: str, *, guarded: bool) -> Fault | None:
        """Choose the fault of a call, mostly none."""
        write = method in WRITES
        if self.quiet or self.rng.random() >= self.strength * (CALLS if write else CALLS / 4):
            return None
        if guarded and self.rng.random() < 0.3:
            return self.hit(Fault.CONFLICT, where)
        return self.hit(self._one(CALL_FAULTS if write else READ_FAULTS), where)

    def event(self, where: str) -> Fault | None:
        """Choose the fault of a watch event, mostly none."""
        if self.quiet or self.rng.random() >= self.strength * WATCHES:
            return None
        return self.hit(self._one(WATCH_FAULTS), where)

    def chance(self, probability: float) -> bool:
        """Tell whether something happens that has this probability; never once all is quiet."""
        return not self.quiet and self.rng.random() < probability

    def _one(self, table: tuple[tuple[Fault, int], ...]) -> Fault:
        return self.rng.choices([fault for fault, _ in table], [weight for _, weight in table])[0]

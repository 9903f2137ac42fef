"""Delays that grow with each failure, with jitter, so that many clients do not come back at once."""

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """An exponential delay in seconds: `base`, twice that, ... up to `cap`, each varied by a tenth."""

    base: float
    cap: float
    rng: random.Random = field(default_factory=random.SystemRandom)
    failures: int = 0

    def next(self) -> float:
        """Count a failure and return how long to wait."""
        self.failures += 1
        return delay(self.base, self.cap, self.failures, self.rng)

    def reset(self) -> None:
        """Forget the failures."""
        self.failures = 0


def delay(base: float, cap: float, failures: int, rng: random.Random) -> float:
    """Return the delay in seconds after so many failures in a row; never above `cap`."""
    doubled: float = base * 2 ** min(max(failures, 1) - 1, 40)
    return min(cap, doubled * rng.uniform(0.9, 1.1))

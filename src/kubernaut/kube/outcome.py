"""The four ways a reconcile may end; the kernel reads them, every stage writes them.

Return `DONE`: nothing to do until something watched changes.
Return `again(at)`: nothing to do until a moment in time.
Raise `Stalled`: nothing to do until a person changes the spec.
Raise anything else: try again soon, a little later each time.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """When to look at the object again, watches aside."""

    at: datetime | None = None


DONE = Outcome()


def again(at: datetime) -> Outcome:
    """Look again at that moment, if nothing changes before."""
    return Outcome(at)


class Stalled(Exception):  # noqa: N818  (a state of the object, not a fault of ours)
    """No retry can help; the reason and message go to the object's `Stalled` condition."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

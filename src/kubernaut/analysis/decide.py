"""What an analysis needs next, told from what stands in it and from the approval requests that exist. Reads nothing, writes nothing."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Answer(StrEnum):
    """What came of asking a person."""

    NONE = "none"
    YES = "yes"
    NO = "no"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Asked:
    """The latest approval request."""

    round: int
    answer: Answer
    until: datetime


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a decision may look at."""

    ended: bool
    started: bool
    investigated: bool
    """Whether the plan that was asked about still stands in the status."""
    deadline: datetime
    """From then on an analysis that has asked nobody is given up."""
    asked: Asked | None
    rounds: int
    """How often a person may be asked."""


@dataclass(frozen=True, slots=True)
class Rest:
    """All is said."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Note the start, so that it can be seen."""


@dataclass(frozen=True, slots=True)
class Investigate:
    """Find cause and fix, and ask a person in this round where policy wants one."""

    round: int


@dataclass(frozen=True, slots=True)
class Await:
    """A person is asked; look again when their time is up."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Confirm:
    """A person said yes: hold what they said yes to against the live target; when it changed, ask again or (no round left) give up."""

    round: int
    last: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """A person said no, or nobody answered."""

    round: int


@dataclass(frozen=True, slots=True)
class TimeOut:
    """The analysis took too long."""


Step = Rest | Begin | Investigate | Await | Confirm | Refused | TimeOut


def decide(seen: Seen, now: datetime) -> Step:
    """Choose the next step."""
    if seen.ended:
        return Rest()
    if seen.asked is None and now >= seen.deadline:
        return TimeOut()
    if not seen.started:
        return Begin()
    if seen.asked is None or not seen.investigated:
        return Investigate(seen.asked.round if seen.asked else 1)
    return _answered(seen.asked, seen.rounds)


def _answered(asked: Asked, rounds: int) -> Step:
    match asked.answer:
        case Answer.NONE:
            return Await(asked.until)
        case Answer.YES:
            return Confirm(asked.round, last=asked.round >= rounds)
        case Answer.NO | Answer.EXPIRED:
            return Refused(asked.round)

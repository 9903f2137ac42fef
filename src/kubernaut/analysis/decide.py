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
    VOID = "void"
    """What was asked about is no more what would be done."""


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
    void: int = 0
    """How many rounds are known to be void."""
    cancelled: bool = False
    """Whether nobody waits for it any more."""


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
class Ask:
    """The plan stands: find out what it will change, and ask in this round."""

    round: int


@dataclass(frozen=True, slots=True)
class Await:
    """A person is asked: look whether the question still stands, and again when their time is up."""

    round: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Renew:
    """What was asked became void, even if it was answered: begin anew, or (no round left) give up."""

    round: int
    last: bool


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Nobody waits for it any more: take back the question of a round (0: none is open), and end."""

    round: int


@dataclass(frozen=True, slots=True)
class Confirm:
    """A person said yes: hold what they said yes to against the live target."""

    round: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A person said no, or nobody answered."""

    round: int


@dataclass(frozen=True, slots=True)
class TimeOut:
    """The analysis took too long."""


Step = Rest | Begin | Investigate | Ask | Await | Renew | Withdraw | Confirm | Refused | TimeOut


def decide(seen: Seen, now: datetime) -> Step:
    """Choose the next step."""
    asked = seen.asked
    if seen.cancelled:
        return Rest() if seen.ended else Withdraw(asked.round if asked and asked.answer is Answer.NONE else 0)
    if asked is not None and asked.answer is Answer.VOID and asked.round > seen.void:
        return Renew(asked.round, last=asked.round >= seen.rounds)
    if seen.ended:
        return Rest()
    if asked is None and now >= seen.deadline:
        return TimeOut()
    if not seen.started:
        return Begin()
    round_ = asked.round if asked and asked.answer is not Answer.VOID else seen.void + 1
    if not seen.investigated:
        return Investigate(round_)
    return _answered(asked) if asked else Ask(round_)


def _answered(asked: Asked) -> Step:
    match asked.answer:
        case Answer.NONE:
            return Await(asked.round, asked.until)
        case Answer.YES:
            return Confirm(asked.round)
        case Answer.NO | Answer.EXPIRED:
            return Refused(asked.round)
        case Answer.VOID:
            return Ask(asked.round + 1)

"""What can be done next: one closed union. Judgement chooses a step, the orchestrator does it, the report tells it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from kubernaut.api.notification import EscalationReason
from kubernaut.api.remediation import Ending, Outcome, Phase
from kubernaut.orchestration.facts import Stage


class Notice(StrEnum):
    """How people hear of an end; every end has one."""

    COMPLETION = "completion"
    REVIEW = "manual-review"
    ESCALATION = "escalation"
    BULK = "duplicates"
    """One message tells of all duplicates of a remediation."""


@dataclass(frozen=True, slots=True)
class Block:
    """Why nothing may be done now, and when to look again."""

    reason: str
    """One CamelCase word, such as ResourceBusy."""
    message: str
    """The same for a person, with the figures. Stable between looks: no clock times that move."""
    until: datetime
    """When to look again at the latest; a change of anything watched makes a look due before."""
    limit: timedelta | None = None
    """How long it may hold in all before people are called; None follows the settings."""
    duplicate_of: str = ""
    """The remediation whose end will be this one's."""
    recheck: bool = False
    """Whether `until` is only the next look: some event ends it, nobody knows when."""


@dataclass(frozen=True, slots=True)
class Open:
    """Create the object of a stage."""

    stage: Stage


@dataclass(frozen=True, slots=True)
class Recover:
    """The fix failed: look anew, for another one."""

    number: int
    """Which attempt begins; the first fix was attempt 0."""
    stage: Stage
    """Where the fix failed."""
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Tell people that an approval is waited for."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Wait:
    """A stage is at work; look again when its time is up."""

    phase: Phase
    since: datetime
    until: datetime
    message: str
    take_back: datetime | None = None
    """The fix is to be taken back while waiting: the time of that request, the same however often it is made."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Something forbids to go on; look again then."""

    block: Block
    stage: Stage
    """What would be opened."""
    until: datetime
    deadline: datetime
    """When people are called if it still holds."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A person wants it to end: stop what is at work, and wait until it has stopped."""

    until: datetime


@dataclass(frozen=True, slots=True)
class End:
    """Tell people, then nothing more is done."""

    phase: Phase
    stage: Stage
    """Where it ended."""
    reason: str
    message: str
    notice: Notice
    outcome: Outcome | None = None
    escalation: EscalationReason | None = None
    failure_phase: str = ""
    """Where that is no stage: `Blocked`, or `recovery_evaluation`."""
    verdict: str = ""
    """Why no further attempt is made, in one word."""
    duplicate_of: str = ""
    proposal: str = ""
    """The change that people are to make themselves, as Markdown."""


@dataclass(frozen=True, slots=True)
class Keep:
    """It has ended; keep it until then."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Forget:
    """It has ended long ago: delete it."""


@dataclass(frozen=True, slots=True)
class Conclude:
    """Write down how it is about to end; what is written stands, whatever happens before people were told."""

    end: End
    until: datetime
    """When to carry it out: at once."""


Step = Open | Recover | Ask | Wait | Hold | Stop | Conclude | End | Keep | Forget


def concluded(ending: Ending) -> End:
    """Return the end that was written down."""
    return End(
        ending.phase,
        Stage(ending.stage),
        ending.reason,
        ending.message,
        Notice(ending.notice),
        outcome=ending.outcome,
        escalation=EscalationReason(ending.escalation) if ending.escalation else None,
        failure_phase=ending.failure_phase,
        verdict=ending.verdict,
        duplicate_of=ending.duplicate_of,
        proposal=ending.proposal,
    )


def escalated(phase: Phase, stage: Stage, reason: str, message: str, why: EscalationReason = EscalationReason.FAILED) -> End:
    """Return an end about which people are called."""
    return End(phase, stage, reason, message, Notice.ESCALATION, escalation=why)

"""What a decision may look at: how far each part of a remediation has come. Filled in by observation, read by judgement."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from kubernaut.api.execution import UndoOutcome
from kubernaut.api.remediation import Phase
from kubernaut.api.verification import Verdict


class Stage(StrEnum):
    """The parts of a remediation, in the order they run, by the names that escalations use; `overall` is all of them."""

    PROCESSING = "remediation-processing"
    ANALYSIS = "ai-analysis"
    APPROVAL = "approval"
    WORKFLOW = "workflow-execution"
    EXECUTION = "kubernetes-execution"
    VERIFICATION = "verification"
    OVERALL = "overall"


class Progress(StrEnum):
    """How far a stage's object has come."""

    PENDING = "pending"
    """Nobody has taken it up: nothing was done yet, and it can be withdrawn."""
    WAITING = "waiting"
    """For its turn on the target; the clocks of its phase and of the whole stand still."""
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNDONE = "undone"
    """It failed, and took back what it had changed."""
    DELETED = "deleted"
    """Somebody deleted it before its end was seen: what it did is unknown, and it is not done again."""


class Answer(StrEnum):
    """How far the analysis has come, and what it says."""

    WORKING = "working"
    ASKING = "asking"
    """A person is asked."""
    WORKFLOW = "workflow"
    """Run a catalogue workflow."""
    STEPS = "steps"
    """Carry out typed steps."""
    HEALTHY = "healthy"
    """Nothing is wrong, or nothing is to be done."""
    REVIEW = "review"
    """A person must look: no fix is known, or none is sure enough."""
    REJECTED = "rejected"
    EXPIRED = "expired"
    FAILED = "failed"


PHASES: Final = {
    Stage.PROCESSING: Phase.PROCESSING,
    Stage.ANALYSIS: Phase.ANALYZING,
    Stage.APPROVAL: Phase.AWAITING_APPROVAL,
    Stage.WORKFLOW: Phase.EXECUTING,
    Stage.EXECUTION: Phase.EXECUTING,
    Stage.VERIFICATION: Phase.VERIFYING,
}
FAILURE_PHASES: Final = {
    Stage.PROCESSING: "Processing",
    Stage.ANALYSIS: "Analyzing",
    Stage.APPROVAL: "Approval",
    Stage.WORKFLOW: "Executing",
    Stage.EXECUTION: "Executing",
    Stage.VERIFICATION: "Verifying",
    Stage.OVERALL: "Overall",
}
TITLES: Final = {
    Stage.PROCESSING: "processing",
    Stage.ANALYSIS: "the analysis",
    Stage.APPROVAL: "the approval",
    Stage.WORKFLOW: "the workflow",
    Stage.EXECUTION: "the execution",
    Stage.VERIFICATION: "the verification",
    Stage.OVERALL: "the remediation as a whole",
}


def phase_of(stage: Stage, attempt: int) -> Phase:
    """Return the phase in which a stage works: from the second attempt on, looking anew is recovering."""
    return Phase.RECOVERING if stage is Stage.PROCESSING and attempt else PHASES[stage]


@dataclass(frozen=True, slots=True)
class Child:
    """A stage's object as far as it matters here."""

    progress: Progress
    since: datetime
    """When it was created, was started, or began to wait."""
    deadline: datetime
    """When the time of what it does now is up."""
    ended_at: datetime | None = None
    reason: str = ""
    message: str = ""
    step: str = ""
    """The step at which it failed."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """The analysis as far as it matters here."""

    answer: Answer
    since: datetime
    deadline: datetime
    """Of the analysis, or of the approval while a person is asked."""
    ended_at: datetime | None = None
    reason: str = ""
    message: str = ""
    asked: bool = False
    """Whether the approval notification was made."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """The verification as far as it matters here."""

    since: datetime
    deadline: datetime
    done: bool = False
    expired: bool = False
    """It ended for lack of time."""
    idle: bool = False
    """All is well, and the fix had changed nothing."""
    verdict: Verdict | None = None
    message: str = ""
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TakingBack:
    """How far taking the fix back has come, where it could be."""

    deadline: datetime
    """When it must have ended, once it was asked for."""
    asked: bool = False
    outcome: UndoOutcome | None = None
    """None: it has not ended."""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Prospects:
    """What another attempt after a failed fix depends on."""

    attempt: int = 0
    """Which attempt this is: 0 is the first."""
    limit: int = 0
    """How many more than the first there may be; 0: none, a failed fix is an end."""
    last: str = ""
    """Why the attempt before this one failed."""
    failures: tuple[tuple[str, str], ...] = ()
    """Step and kind of error of the attempts before this one."""
    terminated: int = 0
    """Fixes that failed in the last hour, in the whole cluster."""
    ended: int = 0
    """Fixes that ended in the last hour."""
    sample: int = 10
    """With fewer than that, a share says nothing."""
    rate: float = 0.1
    """The share of failed fixes from which on nothing is tried again."""


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a decision may look at."""

    overall: datetime
    """When the fix must have been carried out; waiting is added."""
    fault: str = ""
    """Why what was reported cannot be worked on; empty when it can."""
    resolved: bool = False
    """Whether the alert's source says that it is over."""
    verify: bool = True
    dry_run: bool = False
    """Stop where a fix would be carried out."""
    cancelled: str = ""
    """What the person said who wants it to end; empty when nobody does."""
    stopped_by: datetime | None = None
    """When work that is told to stop must have stopped."""
    expires_at: datetime | None = None
    """Set once it has ended: when it is forgotten."""
    processing: Child | None = None
    analysis: Analysis | None = None
    workflow: Child | None = None
    execution: Child | None = None
    assessment: Assessment | None = None
    undo: TakingBack | None = None
    """None: nothing is known that could be taken back."""
    stepwise: bool = False
    """Whether the fix that was begun is a list of steps."""
    prospects: Prospects = field(default_factory=Prospects)

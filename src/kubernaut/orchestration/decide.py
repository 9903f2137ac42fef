"""What a remediation needs next, told from the objects that exist and what they report. Reads nothing, writes nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, assert_never

from kubernaut.api.notification import EscalationReason
from kubernaut.api.remediation import Outcome, Phase
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

    WAITING = "waiting"
    """For its turn on the target; the clocks of its phase and of the whole stand still."""
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNDONE = "undone"
    """It failed, and took back what it had changed."""


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


class Notice(StrEnum):
    """How people hear of an end; every end has one."""

    COMPLETION = "completion"
    REVIEW = "manual-review"
    ESCALATION = "escalation"


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
    verdict: Verdict | None = None
    message: str = ""


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
    expires_at: datetime | None = None
    """Set once it has ended: when it is forgotten."""
    processing: Child | None = None
    analysis: Analysis | None = None
    workflow: Child | None = None
    execution: Child | None = None
    assessment: Assessment | None = None


@dataclass(frozen=True, slots=True)
class Open:
    """Create the object of a stage."""

    stage: Stage


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


@dataclass(frozen=True, slots=True)
class Keep:
    """It has ended; keep it until then."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Forget:
    """It has ended long ago: delete it."""


Step = Open | Ask | Wait | End | Keep | Forget


def decide(seen: Seen, now: datetime) -> Step:
    """Choose the next step: that of the first stage, in order, which is not behind us."""
    if seen.expires_at is not None:
        return Keep(seen.expires_at) if now < seen.expires_at else Forget()
    for judge in JUDGES:
        if step := judge(seen, now):
            return step
    return End(Phase.COMPLETED, Stage.VERIFICATION, "Remediated", _happy(seen), Notice.COMPLETION, Outcome.REMEDIATED)


def broken(stage: Stage, message: str) -> End:
    """Return the end of a remediation whose next object can never be made."""
    return _escalated(Phase.FAILED, stage, "InvalidObject", message, EscalationReason.VALIDATION_ERROR)


def _accept(seen: Seen, _now: datetime) -> Step | None:
    if not seen.fault or seen.processing is not None:
        return None
    return _escalated(Phase.FAILED, Stage.PROCESSING, "InvalidSignal", seen.fault, EscalationReason.VALIDATION_ERROR)


def _process(seen: Seen, now: datetime) -> Step | None:
    return _work(Stage.PROCESSING, seen.processing, seen, now)


def _analyse(seen: Seen, now: datetime) -> Step | None:
    found = seen.analysis
    if found is None:
        return _open(Stage.ANALYSIS, seen, now)
    match found.answer:
        case Answer.WORKFLOW | Answer.STEPS:
            return None
        case Answer.WORKING:
            return _running(Stage.ANALYSIS, found, seen, now)
        case Answer.ASKING | Answer.REJECTED | Answer.EXPIRED:
            return _approval(found, now)
        case Answer.HEALTHY:
            return _healthy(found, resolved=seen.resolved)
        case Answer.REVIEW:
            return End(Phase.FAILED, Stage.ANALYSIS, found.reason, found.message, Notice.REVIEW, Outcome.MANUAL_REVIEW_REQUIRED)
        case Answer.FAILED:
            return _failed(Stage.ANALYSIS, found, seen)
        case _:
            assert_never(found.answer)


def _approval(found: Analysis, now: datetime) -> Step:
    if found.answer is Answer.REJECTED:
        return _escalated(Phase.FAILED, Stage.APPROVAL, "ApprovalRejected", found.message, EscalationReason.REJECTED)
    if found.answer is Answer.EXPIRED or now >= found.deadline:
        message = "nobody answered the approval request in time"
        return _escalated(Phase.FAILED, Stage.APPROVAL, "ApprovalExpired", message, EscalationReason.TIMEOUT)
    if not found.asked:
        return Ask(found.since, found.deadline)
    return Wait(Phase.AWAITING_APPROVAL, found.since, found.deadline, found.message)


def _healthy(found: Analysis, *, resolved: bool) -> Step:
    outcome = Outcome.SELF_RESOLVED if resolved else Outcome.NO_ACTION_REQUIRED
    return End(Phase.COMPLETED, Stage.ANALYSIS, outcome.value, found.message, Notice.COMPLETION, outcome)


def _run(seen: Seen, now: datetime) -> Step | None:
    return _work(Stage.WORKFLOW, seen.workflow, seen, now)


def _execute(seen: Seen, now: datetime) -> Step | None:
    if seen.analysis is None or seen.analysis.answer is not Answer.STEPS:
        return None
    return _work(Stage.EXECUTION, seen.execution, seen, now)


def _verify(seen: Seen, now: datetime) -> Step | None:
    found = seen.assessment
    if not seen.verify:
        return None
    if found is None:
        return Open(Stage.VERIFICATION)  # the fix is in: from here on only the verification's own limit counts
    if found.done and not found.expired:
        return None if found.verdict is Verdict.EFFECTIVE else _inconclusive(found)
    if found.done or now >= found.deadline:
        message = found.message if found.done else "the verification did not end in time"
        return _unproven(Outcome.VERIFICATION_TIMED_OUT, message, EscalationReason.TIMEOUT)
    return Wait(Phase.VERIFYING, found.since, found.deadline, found.message)


def _inconclusive(found: Assessment) -> Step:
    return _unproven(Outcome.INCONCLUSIVE, found.message, EscalationReason.FAILED)


def _unproven(outcome: Outcome, message: str, why: EscalationReason) -> End:
    return End(Phase.COMPLETED, Stage.VERIFICATION, outcome.value, message, Notice.ESCALATION, outcome, why)


JUDGES: Final[tuple[Callable[[Seen, datetime], Step | None], ...]] = (_accept, _process, _analyse, _run, _execute, _verify)
"""One a stage, in order; each says None when its stage is behind us."""


def _work(stage: Stage, child: Child | None, seen: Seen, now: datetime) -> Step | None:
    """Judge a stage whose object works alone."""
    if child is None:
        return _open(stage, seen, now)
    match child.progress:
        case Progress.SUCCEEDED:
            return None
        case Progress.FAILED:
            return _failed(stage, child, seen)
        case Progress.UNDONE:
            outcome = Outcome.ROLLED_BACK
            return End(Phase.COMPLETED, stage, outcome.value, child.message, Notice.ESCALATION, outcome, EscalationReason.FAILED)
        case Progress.WAITING:
            return _waiting(stage, child, now)
        case Progress.RUNNING:
            return _running(stage, child, seen, now)
        case _:
            assert_never(child.progress)


def _open(stage: Stage, seen: Seen, now: datetime) -> Step:
    return Open(stage) if now < seen.overall else _out_of_time(Stage.OVERALL)


def _waiting(stage: Stage, child: Child, now: datetime) -> Step:
    return Wait(Phase.BLOCKED, child.since, child.deadline, child.message) if now < child.deadline else _out_of_time(stage)


def _running(stage: Stage, child: Child | Analysis, seen: Seen, now: datetime) -> Step:
    until = min(child.deadline, seen.overall)
    if now >= until:
        return _out_of_time(_first_due(stage, child, seen))
    return Wait(PHASES[stage], child.since, until, child.message or f"{TITLES[stage]} is at work")


def _failed(stage: Stage, child: Child | Analysis, seen: Seen) -> Step:
    """A child that gave up because its time was up has timed out, whoever noticed first."""
    if child.ended_at is not None and child.ended_at >= min(child.deadline, seen.overall):
        return _out_of_time(_first_due(stage, child, seen))
    return _escalated(Phase.FAILED, stage, child.reason or "StageFailed", child.message or f"{TITLES[stage]} failed")


def _first_due(stage: Stage, child: Child | Analysis, seen: Seen) -> Stage:
    return stage if child.deadline < seen.overall else Stage.OVERALL


def _out_of_time(stage: Stage) -> End:
    return _escalated(Phase.TIMED_OUT, stage, "TimedOut", f"out of time: {TITLES[stage]} outlived its limit", EscalationReason.TIMEOUT)


def _escalated(phase: Phase, stage: Stage, reason: str, message: str, why: EscalationReason = EscalationReason.FAILED) -> End:
    return End(phase, stage, reason, message, Notice.ESCALATION, escalation=why)


def _happy(seen: Seen) -> str:
    if seen.assessment is None:
        return "the fix was carried out; whether it helped was not looked at"
    return seen.assessment.message or "the fix helped"

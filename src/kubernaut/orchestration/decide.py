"""What a remediation needs next, told from the objects that exist and what they report. Reads nothing, writes nothing."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, assert_never

from kubernaut.api.execution import UndoOutcome
from kubernaut.api.notification import EscalationReason
from kubernaut.api.remediation import Outcome, Phase
from kubernaut.api.verification import Verdict
from kubernaut.orchestration.facts import TITLES, Analysis, Answer, Assessment, Child, Progress, Seen, Stage, TakingBack, phase_of
from kubernaut.orchestration.recovery import refusal
from kubernaut.orchestration.steps import Ask, End, Forget, Keep, Notice, Open, Recover, Step, Stop, Wait, escalated

RECOVERY_EVALUATION: Final = "recovery_evaluation"
CANCELLED: Final = "Cancelled"
"""Why a fix ended that was told to stop."""
UNBEGUN: Final = frozenset({Progress.PENDING, Progress.WAITING, Progress.DELETED})


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
    return escalated(Phase.FAILED, stage, "InvalidObject", message, EscalationReason.VALIDATION_ERROR)


def reached(seen: Seen) -> Stage:
    """Return the stage that a remediation has come to."""
    found = {
        Stage.VERIFICATION: seen.assessment,
        Stage.EXECUTION: seen.execution,
        Stage.WORKFLOW: seen.workflow,
        Stage.ANALYSIS: seen.analysis,
    }
    return next((stage for stage, there in found.items() if there is not None), Stage.PROCESSING)


def at_work(seen: Seen) -> bool:
    """Tell whether something is being carried out on the cluster."""
    return any(child is not None and child.progress is Progress.RUNNING for child in (seen.workflow, seen.execution))


def _cancel(seen: Seen, now: datetime) -> Step | None:
    """A person's word ends it, once what is at work has stopped; what does not stop is told to people."""
    if not seen.cancelled:
        return None
    if not at_work(seen):
        return End(Phase.CANCELLED, reached(seen), "Cancelled", f"cancelled: {seen.cancelled}", Notice.COMPLETION)
    if seen.stopped_by is None or now < seen.stopped_by:
        return Stop(seen.stopped_by or now)
    message = f"cancelled: {seen.cancelled}; what was at work did not confirm that it stopped: look at the target"
    return escalated(Phase.CANCELLED, reached(seen), "CancelNotConfirmed", message)


def _accept(seen: Seen, _now: datetime) -> Step | None:
    if not seen.fault or seen.processing is not None:
        return None
    return escalated(Phase.FAILED, Stage.PROCESSING, "InvalidSignal", seen.fault, EscalationReason.VALIDATION_ERROR)


def _process(seen: Seen, now: datetime) -> Step | None:
    return _work(Stage.PROCESSING, seen.processing, seen, now)


def _analyse(seen: Seen, now: datetime) -> Step | None:
    found = seen.analysis
    if found is None:
        return _open(Stage.ANALYSIS, seen, now)
    fix = seen.execution if seen.stepwise else seen.workflow
    if fix is not None and fix.progress not in UNBEGUN:
        return None  # a fix that has begun is seen to its end, whatever the analysis thinks by now; a plan alone has not begun
    match found.answer:
        case Answer.WORKFLOW | Answer.STEPS:
            return _rehearsed(found) if seen.dry_run and seen.workflow is None else None
        case Answer.WORKING:
            return _running(Stage.ANALYSIS, found, seen, now)
        case Answer.ASKING if seen.dry_run:
            return _rehearsed(found)
        case Answer.ASKING | Answer.REJECTED | Answer.EXPIRED:
            return _approval(found, now, resolved=seen.resolved)
        case Answer.HEALTHY:
            return _healthy(found, resolved=seen.resolved)
        case Answer.REVIEW:
            return _review(found, seen.prospects.last)
        case Answer.FAILED:
            return _failed(Stage.ANALYSIS, found, seen)
        case _:
            assert_never(found.answer)


def _review(found: Analysis, before: str) -> Step:
    message = f"{found.message}; the fix before failed: {before}" if before else found.message
    return End(Phase.FAILED, Stage.ANALYSIS, found.reason, message, Notice.REVIEW, Outcome.MANUAL_REVIEW_REQUIRED)


def _approval(found: Analysis, now: datetime, *, resolved: bool) -> Step:
    if found.answer is Answer.ASKING and resolved:
        message = "the alert was resolved while people were asked: nothing is done"
        return End(Phase.COMPLETED, Stage.APPROVAL, "AlertResolved", message, Notice.COMPLETION, Outcome.SELF_RESOLVED)
    if found.answer is Answer.REJECTED:
        return escalated(Phase.FAILED, Stage.APPROVAL, "ApprovalRejected", found.message, EscalationReason.REJECTED)
    if found.answer is Answer.EXPIRED or now >= found.deadline:
        message = "nobody answered the approval request in time"
        return escalated(Phase.FAILED, Stage.APPROVAL, "ApprovalExpired", message, EscalationReason.TIMEOUT)
    if not found.asked:
        return Ask(found.since, found.deadline)
    return Wait(Phase.AWAITING_APPROVAL, found.since, found.deadline, found.message)


def _rehearsed(found: Analysis) -> Step:
    """In a dry run nothing is carried out: tell what would have been."""
    then = "a person would have been asked first" if found.answer is Answer.ASKING else "it would have been carried out now"
    return End(Phase.COMPLETED, Stage.ANALYSIS, "DryRun", f"dry run: a fix was found, and {then}", Notice.COMPLETION, Outcome.DRY_RUN)


def _healthy(found: Analysis, *, resolved: bool) -> Step:
    outcome = Outcome.SELF_RESOLVED if resolved else Outcome.NO_ACTION_REQUIRED
    return End(Phase.COMPLETED, Stage.ANALYSIS, outcome.value, found.message, Notice.COMPLETION, outcome)


def _run(seen: Seen, now: datetime) -> Step | None:
    return _work(Stage.WORKFLOW, seen.workflow, seen, now)


def _execute(seen: Seen, now: datetime) -> Step | None:
    if not seen.stepwise:
        return None
    return _work(Stage.EXECUTION, seen.execution, seen, now)


def _verify(seen: Seen, now: datetime) -> Step | None:
    found = seen.assessment
    if not seen.verify:
        return None
    if found is None:
        return Open(Stage.VERIFICATION)  # the fix is in: from here on only the verification's own limit counts
    if seen.undo is not None and (step := _taking_back(found, seen.undo, now)):
        return step
    if found.idle:
        outcome = Outcome.SELF_RESOLVED
        return End(Phase.COMPLETED, Stage.VERIFICATION, outcome.value, found.message, Notice.COMPLETION, outcome)
    if found.done and not found.expired:
        return None if found.verdict is Verdict.EFFECTIVE else _not_effective(found, seen.undo)
    if found.done or now >= found.deadline:
        message = found.message if found.done else "the verification did not end in time"
        return _unproven(Outcome.VERIFICATION_TIMED_OUT, message, EscalationReason.TIMEOUT)
    return Wait(Phase.VERIFYING, found.since, found.deadline, found.message)


def _taking_back(found: Assessment, undo: TakingBack, now: datetime) -> Step | None:
    """A fix that made things worse is taken back; once somebody has asked for that, there is nothing else to be judged."""
    if undo.outcome is UndoOutcome.UNDONE:
        why = found.message if found.verdict is Verdict.WORSE else "the fix was no longer wanted"
        return _unproven(Outcome.ROLLED_BACK, f"{why}; it was taken back: {undo.message}", EscalationReason.FAILED)
    if undo.outcome is not None or now >= undo.deadline or not (undo.asked or found.verdict is Verdict.WORSE):
        return None
    told = f"{found.message}; the fix is being taken back"
    return Wait(Phase.VERIFYING, found.since, undo.deadline, told, None if undo.asked else found.ended_at)


def _not_effective(found: Assessment, undo: TakingBack | None) -> Step:
    message = found.message
    if found.verdict is Verdict.WORSE and undo is not None:
        message = f"{message}; it was not taken back: {undo.message or 'the undo that was asked for did not end in time'}"
    return _unproven(Outcome.INCONCLUSIVE, message, EscalationReason.FAILED)


def _unproven(outcome: Outcome, message: str, why: EscalationReason) -> End:
    return End(Phase.COMPLETED, Stage.VERIFICATION, outcome.value, message, Notice.ESCALATION, outcome, why)


JUDGES: Final[tuple[Callable[[Seen, datetime], Step | None], ...]] = (_cancel, _accept, _process, _analyse, _run, _execute, _verify)
"""A person's word, then one a stage, in order; each says None when its stage is behind us."""


def _work(stage: Stage, child: Child | None, seen: Seen, now: datetime) -> Step | None:
    """Judge a stage whose object works alone."""
    if child is None:
        return _open(stage, seen, now)
    match child.progress:
        case Progress.SUCCEEDED:
            return None
        case Progress.FAILED | Progress.UNDONE | Progress.DELETED:
            return _failed(stage, child, seen)
        case Progress.WAITING:
            return _waiting(stage, child, now)
        case Progress.PENDING | Progress.RUNNING:
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
    return Wait(phase_of(stage, seen.prospects.attempt), child.since, until, child.message or f"{TITLES[stage]} is at work")


def _failed(stage: Stage, child: Child | Analysis, seen: Seen) -> Step:
    """A child that gave up because its time was up has timed out, whoever noticed first; a fix that failed may be followed by another."""
    if child.ended_at is not None and child.ended_at >= min(child.deadline, seen.overall):
        return _out_of_time(_first_due(stage, child, seen))
    if isinstance(child, Child) and stage in {Stage.WORKFLOW, Stage.EXECUTION}:
        return _after_failure(stage, child, seen)
    return escalated(Phase.FAILED, stage, child.reason or "StageFailed", child.message or f"{TITLES[stage]} failed")


def _after_failure(stage: Stage, failed: Child, seen: Seen) -> Step:
    """Try another fix where that is viable; what a person deleted or stopped is not done again."""
    reason, message = failed.reason or "StageFailed", failed.message or f"{TITLES[stage]} failed"
    if failed.progress is Progress.DELETED or failed.reason == CANCELLED:
        return escalated(Phase.FAILED, stage, reason, message)
    why = refusal(failed, seen.prospects) if seen.prospects.limit else ("", "")
    if why is None:
        return Recover(seen.prospects.attempt + 1, stage, reason, message)
    if failed.progress is Progress.UNDONE:
        outcome = Outcome.ROLLED_BACK
        return End(Phase.COMPLETED, stage, outcome.value, message, Notice.ESCALATION, outcome, EscalationReason.FAILED)
    if why == ("", ""):
        return escalated(Phase.FAILED, stage, reason, message)
    told, evaluation = f"{message} ({why[1]})", RECOVERY_EVALUATION
    return End(
        Phase.FAILED, stage, reason, told, Notice.ESCALATION, escalation=EscalationReason.FAILED, failure_phase=evaluation, verdict=why[0]
    )


def _first_due(stage: Stage, child: Child | Analysis, seen: Seen) -> Stage:
    return stage if child.deadline < seen.overall else Stage.OVERALL


def _out_of_time(stage: Stage) -> End:
    return escalated(Phase.TIMED_OUT, stage, "TimedOut", f"out of time: {TITLES[stage]} outlived its limit", EscalationReason.TIMEOUT)


def _happy(seen: Seen) -> str:
    if seen.assessment is None:
        return "the fix was carried out; whether it helped was not looked at"
    return seen.assessment.message or "the fix helped"

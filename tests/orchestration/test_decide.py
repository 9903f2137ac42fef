"""What a remediation needs next: the phase table, row by row, and what must never happen."""

from datetime import UTC, datetime, timedelta

import pytest

from kubernaut.api.notification import EscalationReason
from kubernaut.api.remediation import Outcome, Phase
from kubernaut.api.verification import Verdict
from kubernaut.orchestration.decide import decide
from kubernaut.orchestration.facts import Analysis, Answer, Assessment, Child, Progress, Prospects, Seen, Stage
from kubernaut.orchestration.steps import Ask, End, Forget, Keep, Notice, Open, Recover, Stop, Wait

pytestmark = pytest.mark.unit

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def at(minutes):
    return T0 + timedelta(minutes=minutes)


def child(progress, deadline=20, ended=None, **more):
    return Child(progress, at(1), at(deadline), None if ended is None else at(ended), **more)


def answer(what, deadline=20, **more):
    return Analysis(what, at(2), at(deadline), **more)


RUNNING, WAITING, OK, FAILED, UNDONE = (
    child(each) for each in (Progress.RUNNING, Progress.WAITING, Progress.SUCCEEDED, Progress.FAILED, Progress.UNDONE)
)
PLANNED = {"processing": OK, "analysis": answer(Answer.WORKFLOW)}
STEPPED = {"processing": OK, "analysis": answer(Answer.STEPS), "stepwise": True}
FIXED = {**PLANNED, "workflow": OK}


def effect(**more):
    return {**FIXED, "assessment": Assessment(at(30), at(60), **more)}


def outcome_of(step):
    return step.phase, step.stage, step.outcome, step.notice, step.escalation


PENDING, DELETED = child(Progress.PENDING), child(Progress.DELETED)
MORE = Prospects(limit=3)
AGAIN = Prospects(attempt=1, limit=3)


@pytest.mark.parametrize(
    ("seen", "minutes", "step"),
    [
        pytest.param({}, 0, Open(Stage.PROCESSING), id="Pending: a new request opens processing"),
        pytest.param(
            {"processing": RUNNING},
            3,
            Wait(Phase.PROCESSING, at(1), at(20), "processing is at work"),
            id="Processing: waits with its deadline",
        ),
        pytest.param({"processing": OK}, 3, Open(Stage.ANALYSIS), id="Processing to Analyzing: processing completed"),
        pytest.param(
            {"processing": OK, "analysis": answer(Answer.WORKING)},
            3,
            Wait(Phase.ANALYZING, at(2), at(20), "the analysis is at work"),
            id="Analyzing: waits",
        ),
        pytest.param(
            {"processing": OK, "analysis": answer(Answer.ASKING)},
            3,
            Ask(at(2), at(20)),
            id="Analyzing to AwaitingApproval: people are asked",
        ),
        pytest.param(
            {"processing": OK, "analysis": answer(Answer.ASKING, asked=True, message="?")},
            3,
            Wait(Phase.AWAITING_APPROVAL, at(2), at(20), "?"),
            id="AwaitingApproval: asked once, then waits",
        ),
        pytest.param(PLANNED, 3, Open(Stage.WORKFLOW), id="Analyzing or AwaitingApproval to Executing: a plan opens the workflow"),
        pytest.param(
            {**PLANNED, "workflow": RUNNING}, 3, Wait(Phase.EXECUTING, at(1), at(20), "the workflow is at work"), id="Executing: waits"
        ),
        pytest.param(
            {**PLANNED, "workflow": child(Progress.WAITING, message="busy")},
            3,
            Wait(Phase.BLOCKED, at(1), at(20), "busy"),
            id="Executing to Blocked: the target is busy",
        ),
        pytest.param({**STEPPED, "workflow": OK}, 3, Open(Stage.EXECUTION), id="step mode: the planned workflow opens the execution"),
        pytest.param(
            {**STEPPED, "workflow": OK, "execution": RUNNING},
            3,
            Wait(Phase.EXECUTING, at(1), at(20), "the execution is at work"),
            id="step mode: the execution is waited for",
        ),
        pytest.param(
            {**STEPPED, "analysis": answer(Answer.ASKING), "workflow": OK},
            3,
            Ask(at(2), at(20)),
            id="step mode: a plan that nobody has begun waits for the answer to what is asked anew",
        ),
        pytest.param(
            {**STEPPED, "analysis": answer(Answer.ASKING), "workflow": OK, "execution": RUNNING},
            3,
            Wait(Phase.EXECUTING, at(1), at(20), "the execution is at work"),
            id="step mode: what has begun is seen to its end, whatever is asked",
        ),
        pytest.param({**STEPPED, "workflow": OK, "execution": OK}, 3, Open(Stage.VERIFICATION), id="step mode: Executing to Verifying"),
        pytest.param(FIXED, 3, Open(Stage.VERIFICATION), id="catalogue mode: Executing to Verifying"),
        pytest.param(FIXED, 90, Open(Stage.VERIFICATION), id="a fix that came late is still looked at"),
        pytest.param(effect(message="soon"), 31, Wait(Phase.VERIFYING, at(30), at(60), "soon"), id="Verifying: waits"),
        pytest.param(
            {**PLANNED, "workflow": FAILED, "prospects": MORE},
            3,
            Recover(1, Stage.WORKFLOW, "StageFailed", "the workflow failed"),
            id="Executing to Recovering: the workflow failed",
        ),
        pytest.param(
            {**STEPPED, "workflow": OK, "execution": UNDONE, "prospects": MORE},
            3,
            Recover(1, Stage.EXECUTION, "StageFailed", "the execution failed"),
            id="Executing to Recovering: it failed and was undone",
        ),
        pytest.param(
            {"processing": RUNNING, "prospects": AGAIN},
            3,
            Wait(Phase.RECOVERING, at(1), at(20), "processing is at work"),
            id="Recovering: looks anew",
        ),
        pytest.param({"processing": OK, "prospects": AGAIN}, 3, Open(Stage.ANALYSIS), id="Recovering to Analyzing"),
        pytest.param(
            {**PLANNED, "analysis": answer(Answer.ASKING), "workflow": PENDING},
            3,
            Ask(at(2), at(20)),
            id="Executing to AwaitingApproval: the approval became void before it began",
        ),
        pytest.param(
            {**PLANNED, "analysis": answer(Answer.ASKING), "workflow": RUNNING},
            3,
            Wait(Phase.EXECUTING, at(1), at(20), "the workflow is at work"),
            id="what has begun is seen to its end",
        ),
        pytest.param({**PLANNED, "workflow": RUNNING, "cancelled": "no"}, 3, Stop(at(3)), id="cancelled: what is at work is told to stop"),
        pytest.param(
            {**PLANNED, "workflow": RUNNING, "cancelled": "no", "stopped_by": at(5)}, 3, Stop(at(5)), id="cancelled: and is awaited"
        ),
        pytest.param({"expires_at": at(99)}, 3, Keep(at(99)), id="ended: kept"),
        pytest.param({"expires_at": at(99)}, 99, Forget(), id="ended long ago: forgotten"),
    ],
)
def test_each_row_that_goes_on(seen, minutes, step):
    assert decide(Seen(**{"overall": at(60), **seen}), at(minutes)) == step


ESCALATED = Notice.ESCALATION
FAIL, TIME, NO, BAD = EscalationReason.FAILED, EscalationReason.TIMEOUT, EscalationReason.REJECTED, EscalationReason.VALIDATION_ERROR


@pytest.mark.parametrize(
    ("seen", "minutes", "end"),
    [
        pytest.param(
            {"fault": "no JSON"}, 0, (Phase.FAILED, Stage.PROCESSING, None, ESCALATED, BAD), id="Pending to Failed: the signal is unusable"
        ),
        pytest.param({}, 60, (Phase.TIMED_OUT, Stage.OVERALL, None, ESCALATED, TIME), id="Pending to TimedOut: overall"),
        pytest.param({"processing": FAILED}, 3, (Phase.FAILED, Stage.PROCESSING, None, ESCALATED, FAIL), id="Processing to Failed"),
        pytest.param({"processing": RUNNING}, 20, (Phase.TIMED_OUT, Stage.PROCESSING, None, ESCALATED, TIME), id="Processing to TimedOut"),
        pytest.param(
            {"processing": child(Progress.FAILED, ended=20)},
            21,
            (Phase.TIMED_OUT, Stage.PROCESSING, None, ESCALATED, TIME),
            id="a child that gave up at its limit has timed out",
        ),
        pytest.param(
            {"processing": child(Progress.RUNNING, 70)},
            60,
            (Phase.TIMED_OUT, Stage.OVERALL, None, ESCALATED, TIME),
            id="any to TimedOut: overall comes first",
        ),
        pytest.param(
            {"processing": child(Progress.RUNNING, 50)},
            70,
            (Phase.TIMED_OUT, Stage.PROCESSING, None, ESCALATED, TIME),
            id="the limit that was first is named",
        ),
        pytest.param(
            {"processing": OK, "analysis": answer(Answer.WORKING)},
            20,
            (Phase.TIMED_OUT, Stage.ANALYSIS, None, ESCALATED, TIME),
            id="Analyzing to TimedOut",
        ),
        pytest.param(
            {"processing": OK, "analysis": answer(Answer.FAILED)},
            3,
            (Phase.FAILED, Stage.ANALYSIS, None, ESCALATED, FAIL),
            id="Analyzing to Failed",
        ),
        pytest.param(
            {"processing": OK, "analysis": answer(Answer.HEALTHY)},
            3,
            (Phase.COMPLETED, Stage.ANALYSIS, Outcome.NO_ACTION_REQUIRED, Notice.COMPLETION, None),
            id="Analyzing to Completed: NoActionRequired",
        ),
        pytest.param(
            {"processing": OK, "analysis": answer(Answer.HEALTHY), "resolved": True},
            3,
            (Phase.COMPLETED, Stage.ANALYSIS, Outcome.SELF_RESOLVED, Notice.COMPLETION, None),
            id="Analyzing to Completed: SelfResolved",
        ),
        pytest.param(
            {"processing": OK, "analysis": answer(Answer.REVIEW)},
            3,
            (Phase.FAILED, Stage.ANALYSIS, Outcome.MANUAL_REVIEW_REQUIRED, Notice.REVIEW, None),
            id="Analyzing to Failed: ManualReviewRequired",
        ),
        pytest.param(
            {"processing": OK, "analysis": answer(Answer.REJECTED)},
            3,
            (Phase.FAILED, Stage.APPROVAL, None, ESCALATED, NO),
            id="AwaitingApproval to Failed: rejected",
        ),
        pytest.param(
            {"processing": OK, "analysis": answer(Answer.EXPIRED)},
            3,
            (Phase.FAILED, Stage.APPROVAL, None, ESCALATED, TIME),
            id="AwaitingApproval to Failed: expired",
        ),
        pytest.param(
            {"processing": OK, "analysis": answer(Answer.ASKING, asked=True)},
            20,
            (Phase.FAILED, Stage.APPROVAL, None, ESCALATED, TIME),
            id="AwaitingApproval to Failed: nobody ended the wait",
        ),
        pytest.param(
            PLANNED, 60, (Phase.TIMED_OUT, Stage.OVERALL, None, ESCALATED, TIME), id="no workflow is opened after the overall limit"
        ),
        pytest.param({**PLANNED, "workflow": FAILED}, 3, (Phase.FAILED, Stage.WORKFLOW, None, ESCALATED, FAIL), id="Executing to Failed"),
        pytest.param(
            {**PLANNED, "workflow": RUNNING}, 20, (Phase.TIMED_OUT, Stage.WORKFLOW, None, ESCALATED, TIME), id="Executing to TimedOut"
        ),
        pytest.param(
            {**PLANNED, "workflow": WAITING}, 20, (Phase.TIMED_OUT, Stage.WORKFLOW, None, ESCALATED, TIME), id="Blocked to TimedOut"
        ),
        pytest.param(
            {**STEPPED, "workflow": OK, "execution": FAILED},
            3,
            (Phase.FAILED, Stage.EXECUTION, None, ESCALATED, FAIL),
            id="step mode: Executing to Failed",
        ),
        pytest.param(
            {**STEPPED, "workflow": OK, "execution": UNDONE},
            3,
            (Phase.COMPLETED, Stage.EXECUTION, Outcome.ROLLED_BACK, ESCALATED, FAIL),
            id="step mode: undone, Completed with RolledBack",
        ),
        pytest.param(
            effect(done=True, verdict=Verdict.EFFECTIVE),
            40,
            (Phase.COMPLETED, Stage.VERIFICATION, Outcome.REMEDIATED, Notice.COMPLETION, None),
            id="Verifying to Completed: Remediated",
        ),
        pytest.param(
            effect(done=True, verdict=Verdict.EFFECTIVE),
            90,
            (Phase.COMPLETED, Stage.VERIFICATION, Outcome.REMEDIATED, Notice.COMPLETION, None),
            id="a late success is a success",
        ),
        pytest.param(
            effect(done=True, verdict=Verdict.INEFFECTIVE),
            40,
            (Phase.COMPLETED, Stage.VERIFICATION, Outcome.INCONCLUSIVE, ESCALATED, FAIL),
            id="Verifying to Completed: Inconclusive",
        ),
        pytest.param(
            effect(done=True, verdict=Verdict.UNKNOWN, idle=True),
            40,
            (Phase.COMPLETED, Stage.VERIFICATION, Outcome.SELF_RESOLVED, Notice.COMPLETION, None),
            id="Verifying to Completed: SelfResolved",
        ),
        pytest.param(
            effect(done=True, verdict=Verdict.WORSE),
            40,
            (Phase.COMPLETED, Stage.VERIFICATION, Outcome.INCONCLUSIVE, ESCALATED, FAIL),
            id="worse is not remediated",
        ),
        pytest.param(
            effect(done=True, verdict=Verdict.UNKNOWN, expired=True),
            40,
            (Phase.COMPLETED, Stage.VERIFICATION, Outcome.VERIFICATION_TIMED_OUT, ESCALATED, TIME),
            id="the verification ran out of time",
        ),
        pytest.param(
            effect(),
            60,
            (Phase.COMPLETED, Stage.VERIFICATION, Outcome.VERIFICATION_TIMED_OUT, ESCALATED, TIME),
            id="Verifying to Completed: VerificationTimedOut",
        ),
        pytest.param({"cancelled": "no"}, 0, (Phase.CANCELLED, Stage.PROCESSING, None, Notice.COMPLETION, None), id="Pending to Cancelled"),
        pytest.param(
            {**PLANNED, "workflow": PENDING, "cancelled": "no"},
            3,
            (Phase.CANCELLED, Stage.WORKFLOW, None, Notice.COMPLETION, None),
            id="Executing to Cancelled: it had not begun",
        ),
        pytest.param(
            {**PLANNED, "workflow": RUNNING, "cancelled": "no", "stopped_by": at(5)},
            5,
            (Phase.CANCELLED, Stage.WORKFLOW, None, ESCALATED, FAIL),
            id="Executing to Cancelled: it did not stop, and people are called",
        ),
        pytest.param(
            {**PLANNED, "dry_run": True},
            3,
            (Phase.COMPLETED, Stage.ANALYSIS, Outcome.DRY_RUN, Notice.COMPLETION, None),
            id="Analyzing to Completed: DryRun",
        ),
        pytest.param(
            {"processing": OK, "analysis": answer(Answer.ASKING), "dry_run": True},
            3,
            (Phase.COMPLETED, Stage.ANALYSIS, Outcome.DRY_RUN, Notice.COMPLETION, None),
            id="a dry run asks nobody",
        ),
        pytest.param(
            {**PLANNED, "workflow": DELETED, "prospects": MORE},
            3,
            (Phase.FAILED, Stage.WORKFLOW, None, ESCALATED, FAIL),
            id="what somebody deleted is not done again",
        ),
        pytest.param(
            {**PLANNED, "workflow": child(Progress.FAILED, reason="Cancelled"), "prospects": MORE},
            3,
            (Phase.FAILED, Stage.WORKFLOW, None, ESCALATED, FAIL),
            id="what a person stopped is not followed by another",
        ),
        pytest.param(
            {**PLANNED, "workflow": FAILED, "prospects": Prospects(attempt=3, limit=3)},
            3,
            (Phase.FAILED, Stage.WORKFLOW, None, ESCALATED, FAIL),
            id="Executing to Failed: no attempt is left",
        ),
        pytest.param(
            {**FIXED, "verify": False},
            3,
            (Phase.COMPLETED, Stage.VERIFICATION, Outcome.REMEDIATED, Notice.COMPLETION, None),
            id="Executing to Completed: verification is off",
        ),
    ],
)
def test_each_row_that_ends(seen, minutes, end):
    assert outcome_of(decide(Seen(**{"overall": at(60), **seen}), at(minutes))) == end


def test_an_end_says_why_in_the_words_of_the_stage_that_failed():
    step = decide(Seen(overall=at(60), processing=child(Progress.FAILED, reason="Boom", message="it broke")), at(3))
    assert isinstance(step, End)
    assert (step.reason, step.message) == ("Boom", "it broke")

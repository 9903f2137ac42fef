"""When a fix is taken back by itself, what is waited for, and how the case ends then."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kubernaut.api.execution import UndoOutcome
from kubernaut.api.remediation import Outcome, Phase
from kubernaut.api.verification import Verdict
from kubernaut.orchestration.decide import decide
from kubernaut.orchestration.facts import Analysis, Answer, Assessment, Child, Progress, Seen, TakingBack
from kubernaut.orchestration.observe import see
from kubernaut.orchestration.steps import End, Notice, Wait

pytestmark = pytest.mark.unit

T0 = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(minutes):
    return T0 + timedelta(minutes=minutes)


OK = Child(Progress.SUCCEEDED, T0, at(60))
SINCE, LIMIT, JUDGED = at(10), at(40), at(20)


def after(verdict, undo, now=21):
    """Decide after a verdict; None: the verification is at work."""
    done = verdict is not None
    assessment = Assessment(SINCE, LIMIT, done, verdict=verdict, message="0 of 3 pods are ready", ended_at=JUDGED if done else None)
    fixed = Seen(at(60), processing=OK, analysis=Analysis(Answer.STEPS, T0, at(60)), stepwise=True, workflow=OK, execution=OK)
    return decide(replace(fixed, assessment=assessment, undo=undo), at(now))


def undo(asked=False, outcome=None, message=""):
    return TakingBack(at(30), asked, outcome, message)


BEING = "0 of 3 pods are ready; the fix is being taken back"


@pytest.mark.parametrize(
    ("verdict", "state", "step"),
    [
        pytest.param(Verdict.WORSE, undo(), Wait(Phase.VERIFYING, SINCE, at(30), BEING, JUDGED), id="worse: asks, by the verdict's time"),
        pytest.param(Verdict.WORSE, undo(asked=True), Wait(Phase.VERIFYING, SINCE, at(30), BEING), id="asked: waits"),
        pytest.param(None, undo(asked=True), Wait(Phase.VERIFYING, SINCE, at(30), BEING), id="a person asked: nothing else is waited for"),
    ],
)
def test_what_is_waited_for(verdict, state, step):
    assert after(verdict, state) == step


UNDONE = undo(asked=True, outcome=UndoOutcome.UNDONE, message="put back as it was before")
CLASH = undo(asked=True, outcome=UndoOutcome.CONFLICT, message="somebody else changed the same fields")


@pytest.mark.parametrize(
    ("verdict", "state", "now", "outcome", "says"),
    [
        pytest.param(Verdict.WORSE, UNDONE, 21, Outcome.ROLLED_BACK, "it was taken back: put back as it was before", id="taken back"),
        pytest.param(None, UNDONE, 21, Outcome.ROLLED_BACK, "no longer wanted; it was taken back", id="on a person's word"),
        pytest.param(Verdict.EFFECTIVE, UNDONE, 21, Outcome.ROLLED_BACK, "no longer wanted", id="though it had helped"),
        pytest.param(Verdict.WORSE, CLASH, 21, Outcome.INCONCLUSIVE, "not taken back: somebody else changed", id="somebody is in the way"),
        pytest.param(Verdict.WORSE, undo(asked=True), 30, Outcome.INCONCLUSIVE, "did not end in time", id="it does not end"),
        pytest.param(Verdict.WORSE, undo(), 30, Outcome.INCONCLUSIVE, "did not end in time", id="too late to ask"),
        pytest.param(Verdict.WORSE, None, 21, Outcome.INCONCLUSIVE, "0 of 3 pods are ready", id="nothing that could be taken back"),
        pytest.param(Verdict.INEFFECTIVE, undo(), 21, Outcome.INCONCLUSIVE, "0 of 3", id="what did no harm is left alone"),
        pytest.param(Verdict.UNKNOWN, undo(), 21, Outcome.INCONCLUSIVE, "0 of 3", id="what nobody knows is left alone"),
        pytest.param(Verdict.EFFECTIVE, undo(), 21, Outcome.REMEDIATED, "0 of 3", id="what helped is left alone"),
        pytest.param(Verdict.EFFECTIVE, CLASH, 21, Outcome.REMEDIATED, "0 of 3", id="an undo that came to nothing changes nothing"),
    ],
)
def test_how_it_ends(verdict, state, now, outcome, says):
    step = after(verdict, state, now)
    assert isinstance(step, End)
    assert (step.phase, step.outcome) == (Phase.COMPLETED, outcome)
    assert (step.notice is Notice.ESCALATION) == (outcome is not Outcome.REMEDIATED)
    assert says in step.message


REQUEST = {"requestedBy": "system:serviceaccount:kubernaut-system:kubernaut-orchestration", "requestedAt": at(20), "automatic": True}
ANSWER = {"requestedAt": at(20), "outcome": "Undone", "message": "put back", "completionTime": at(21)}


@pytest.mark.parametrize(
    ("ended", "asked", "answered", "expected"),
    [
        pytest.param(False, None, None, None, id="at work: nothing can be taken back yet"),
        pytest.param(True, None, None, TakingBack(at(32)), id="it could be"),
        pytest.param(True, REQUEST, None, TakingBack(at(30), asked=True), id="asked for"),
        pytest.param(True, REQUEST, {"requestedAt": at(20), "message": "waits"}, TakingBack(at(30), True, None, "waits"), id="at work"),
        pytest.param(True, REQUEST, ANSWER, TakingBack(at(30), True, UndoOutcome.UNDONE, "put back"), id="answered"),
        pytest.param(True, REQUEST, {**ANSWER, "requestedAt": at(3)}, TakingBack(at(30), True, None, "put back"), id="an older answer"),
    ],
)
def test_what_an_execution_tells_of_its_undo(case, ended, asked, answered, expected):
    case.processed().stepped().run(operations=[{"stepNumber": 1, "action": "scale"}])
    case.executed("Completed" if ended else "Executing", **({"completionTime": at(1)} if ended else {}), undo=answered)
    if asked:
        execution = case.family.execution
        spec = type(execution.spec).model_validate({**execution.spec.wire(), "undo": asked})
        execution.spec = spec
    seen = see(case.request, case.family, case.settings, at(22))
    assert seen.undo == expected

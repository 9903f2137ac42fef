"""What an analysis needs next."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.analysis.decide import (
    Answer,
    Ask,
    Asked,
    Await,
    Begin,
    Confirm,
    Investigate,
    Refused,
    Renew,
    Rest,
    Seen,
    TimeOut,
    Withdraw,
    decide,
)

T0 = datetime(2026, 1, 1, tzinfo=UTC)
LATER = T0 + timedelta(hours=1)
NEW = Seen(ended=False, started=False, investigated=False, deadline=LATER, asked=None, rounds=3)
BEGUN = replace(NEW, started=True)
FOUND = replace(BEGUN, investigated=True)


def asked(answer: Answer, round_: int = 1) -> Seen:
    return replace(FOUND, asked=Asked(round_, answer, LATER))


@pytest.mark.parametrize(
    ("seen", "now", "step"),
    [
        pytest.param(NEW, T0, Begin(), id="a new one begins"),
        pytest.param(BEGUN, T0, Investigate(1), id="one that has begun is investigated"),
        pytest.param(FOUND, T0, Ask(1), id="what was found is asked about"),
        pytest.param(BEGUN, LATER, TimeOut(), id="out of time"),
        pytest.param(FOUND, LATER, TimeOut(), id="out of time before anybody was asked"),
        pytest.param(asked(Answer.NONE), T0, Await(1, LATER), id="a person is waited for"),
        pytest.param(asked(Answer.NONE), LATER + timedelta(days=1), Await(1, LATER), id="waiting for a person is not running out of time"),
        pytest.param(asked(Answer.YES), T0, Confirm(1), id="a yes is held against the target"),
        pytest.param(asked(Answer.VOID), T0, Renew(1, last=False), id="a question that became void"),
        pytest.param(asked(Answer.VOID, 3), T0, Renew(3, last=True), id="the last question became void"),
        pytest.param(
            replace(asked(Answer.VOID), ended=True), LATER, Renew(1, last=False), id="void after all was said: it is opened again"
        ),
        pytest.param(replace(asked(Answer.VOID), ended=True, void=1), LATER, Rest(), id="it ended again after that"),
        pytest.param(replace(asked(Answer.VOID), void=1), LATER, Ask(2), id="known to be void: asked in the next round"),
        pytest.param(replace(asked(Answer.VOID), void=1, investigated=False), T0, Investigate(2), id="wiped between two rounds"),
        pytest.param(asked(Answer.NO, 2), T0, Refused(2), id="a no"),
        pytest.param(asked(Answer.EXPIRED), T0, Refused(1), id="no answer"),
        pytest.param(
            replace(asked(Answer.YES, 2), investigated=False), T0, Investigate(2), id="a wiped status is filled again before a yes counts"
        ),
        pytest.param(replace(asked(Answer.NONE), started=False), T0, Begin(), id="a wiped status begins again"),
        pytest.param(replace(asked(Answer.YES), ended=True), LATER, Rest(), id="what has ended rests"),
        pytest.param(replace(BEGUN, cancelled=True), LATER, Withdraw(0), id="nobody waits for it: nobody is asked"),
        pytest.param(replace(asked(Answer.NONE, 2), cancelled=True), T0, Withdraw(2), id="nobody waits for it: the question is taken back"),
        pytest.param(replace(asked(Answer.YES), cancelled=True), T0, Withdraw(0), id="nobody waits for it: an answer leads nowhere"),
        pytest.param(replace(asked(Answer.VOID), cancelled=True, ended=True), T0, Rest(), id="it ended as cancelled, and is not reopened"),
    ],
)
def test_decide(seen, now, step):
    assert decide(seen, now) == step


answers = st.none() | st.builds(Asked, st.integers(1, 3), st.sampled_from(Answer), st.just(LATER))


seens = st.builds(Seen, st.booleans(), st.booleans(), st.booleans(), st.just(LATER), answers, st.just(3), st.integers(0, 3))


@given(seens, st.integers(0, 7200))
def test_only_a_yes_to_a_plan_that_stands_leads_on(seen, seconds):
    step = decide(seen, T0 + timedelta(seconds=seconds))
    if isinstance(step, Confirm):
        assert seen.asked is not None
        assert seen.asked.answer is Answer.YES
        assert seen.investigated
        assert not seen.ended


@given(seens, st.integers(0, 7200))
def test_what_has_ended_begins_anew_only_when_a_question_becomes_void_that_was_not_known_to_be(seen, seconds):
    step = decide(replace(seen, ended=True), T0 + timedelta(seconds=seconds))
    news = seen.asked is not None and seen.asked.answer is Answer.VOID and seen.asked.round > seen.void
    assert isinstance(step, Renew if news else Rest)


@given(seens, st.integers(0, 7200))
def test_nobody_is_asked_more_often_than_allowed(seen, seconds):
    step = decide(seen, T0 + timedelta(seconds=seconds))
    if isinstance(step, Renew):
        assert step.last == (step.round >= seen.rounds)

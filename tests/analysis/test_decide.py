"""What an analysis needs next."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.analysis.decide import Answer, Asked, Await, Begin, Confirm, Investigate, Refused, Rest, Seen, TimeOut, decide

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
        pytest.param(FOUND, T0, Investigate(1), id="a crash between finding and asking: found again, the same"),
        pytest.param(BEGUN, LATER, TimeOut(), id="out of time"),
        pytest.param(asked(Answer.NONE), T0, Await(LATER), id="a person is waited for"),
        pytest.param(asked(Answer.NONE), LATER + timedelta(days=1), Await(LATER), id="waiting for a person is not running out of time"),
        pytest.param(asked(Answer.YES), T0, Confirm(1, last=False), id="a yes is held against the target"),
        pytest.param(asked(Answer.YES, 3), T0, Confirm(3, last=True), id="the last yes"),
        pytest.param(asked(Answer.NO, 2), T0, Refused(2), id="a no"),
        pytest.param(asked(Answer.EXPIRED), T0, Refused(1), id="no answer"),
        pytest.param(
            replace(asked(Answer.YES, 2), investigated=False), T0, Investigate(2), id="a wiped status is filled again before a yes counts"
        ),
        pytest.param(replace(asked(Answer.NONE), started=False), T0, Begin(), id="a wiped status begins again"),
        pytest.param(replace(asked(Answer.YES), ended=True), LATER, Rest(), id="what has ended rests"),
    ],
)
def test_decide(seen, now, step):
    assert decide(seen, now) == step


answers = st.none() | st.builds(Asked, st.integers(1, 3), st.sampled_from(Answer), st.just(LATER))


@given(st.builds(Seen, st.booleans(), st.booleans(), st.booleans(), st.just(LATER), answers, st.just(3)), st.integers(0, 7200))
def test_only_a_yes_to_a_plan_that_stands_leads_on(seen, seconds):
    step = decide(seen, T0 + timedelta(seconds=seconds))
    if isinstance(step, Confirm):
        assert seen.asked is not None
        assert seen.asked.answer is Answer.YES
        assert seen.investigated
        assert not seen.ended

"""What a processing needs next, without a cluster."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.processing.decide import PAUSE, Complete, GiveUp, Rest, Seen, Wait, decide

NOW = datetime(2026, 1, 1, 3, tzinfo=UTC)
LIMIT = timedelta(seconds=5)
FRESH = Seen(ended=False, began=NOW, passing=False, limit=LIMIT, times_out_at=None)
LATE = GiveUp("the signal was not processed in time")


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        pytest.param({}, Complete(), id="all is known"),
        pytest.param({"times_out_at": NOW + timedelta(seconds=1)}, Complete(), id="in time"),
        pytest.param({"times_out_at": NOW}, LATE, id="out of time"),
        pytest.param({"times_out_at": NOW, "passing": True}, LATE, id="out of time while waiting"),
        pytest.param({"passing": True}, Wait(NOW + PAUSE), id="something may be readable in a moment"),
        pytest.param({"passing": True, "began": NOW - LIMIT + PAUSE / 2}, Wait(NOW + PAUSE / 2), id="the last moment of waiting"),
        pytest.param({"passing": True, "began": NOW - LIMIT}, Complete(), id="waited long enough: goes on without"),
        pytest.param({"passing": True, "limit": timedelta()}, Complete(), id="no wait wanted"),
        pytest.param({"ended": True, "times_out_at": NOW - LIMIT, "passing": True}, Rest(), id="ended: its result stands"),
    ],
)
def test_what_a_processing_needs_next(changes, step):
    assert decide(replace(FRESH, **changes), NOW) == step


MOMENTS = st.timedeltas(timedelta(minutes=-5), timedelta(minutes=5)).map(lambda length: NOW + length)


@given(st.builds(Seen, st.booleans(), MOMENTS, st.booleans(), st.timedeltas(timedelta(), timedelta(minutes=5)), st.none() | MOMENTS))
def test_waiting_always_ends_and_only_an_ended_one_rests(seen):
    step = decide(seen, NOW)
    assert isinstance(step, Rest) == seen.ended
    if isinstance(step, Wait):
        assert NOW < step.until <= seen.began + seen.limit
        assert not isinstance(decide(seen, seen.began + seen.limit), Wait)

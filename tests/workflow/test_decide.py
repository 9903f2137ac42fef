"""What a WorkflowExecution needs next."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.workflow.decide import (
    Cause,
    CoolDown,
    Fail,
    Finish,
    Follow,
    LockState,
    Queue,
    Refuse,
    Replace,
    RunState,
    Seen,
    Start,
    Stop,
    Succeed,
    TakeLock,
    decide,
)
from tests.workflow.executions import T0

LATER, PAST = T0 + timedelta(minutes=5), T0 - timedelta(seconds=1)
FRESH = Seen(run=RunState.ABSENT, lock=LockState.FREE, waits_until=LATER)
RUNNING = replace(FRESH, run=RunState.RUNNING, runs_until=LATER, stopped_until=LATER + timedelta(minutes=2), recorded=True)
LATE = replace(RUNNING, runs_until=PAST, stopped_until=LATER)
SPOILED = replace(FRESH, run=RunState.SPOILED, recorded=True)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("seen", "step"),
    [
        pytest.param(FRESH, TakeLock(), id="a free target is taken"),
        pytest.param(replace(FRESH, lock=LockState.OURS), Start(), id="with the target in hand the run starts"),
        pytest.param(replace(FRESH, lock=LockState.HELD, holder="x"), Queue("x"), id="a busy target is waited for"),
        pytest.param(
            replace(FRESH, cooldown_until=LATER, cooldown_after="y"), CoolDown(LATER, "y"), id="the same fix a moment ago is waited out"
        ),
        pytest.param(replace(FRESH, cooldown_until=T0), TakeLock(), id="a cooldown that is over does not hold"),
        pytest.param(replace(FRESH, lock=LockState.OURS, cooldown_until=LATER), Start(), id="who has the target has cooled down before"),
        pytest.param(replace(FRESH, faults=("a", "b")), Refuse("a; b"), id="a bad spec is refused"),
        pytest.param(replace(FRESH, waits_until=T0, lock=LockState.HELD), Fail(Cause.NEVER_STARTED), id="waiting has an end"),
        pytest.param(replace(FRESH, run=RunState.FOREIGN), Fail(Cause.NAME_TAKEN), id="a foreign run of our name is not touched"),
        pytest.param(replace(FRESH, recorded=True), Fail(Cause.VANISHED), id="a run that was deleted is noticed"),
        pytest.param(RUNNING, Follow(LATER), id="a run is followed"),
        pytest.param(replace(RUNNING, faults=("a",)), Follow(LATER), id="a run outweighs a bad spec"),
        pytest.param(LATE, Stop(LATER), id="a run out of time is stopped"),
        pytest.param(replace(LATE, stopped_until=T0), Fail(Cause.UNSTOPPABLE), id="a stopped run that goes on is given up"),
        pytest.param(replace(FRESH, run=RunState.SUCCEEDED), Succeed(), id="a success"),
        pytest.param(replace(LATE, run=RunState.SUCCEEDED), Succeed(), id="a late success is a success"),
        pytest.param(replace(FRESH, run=RunState.FAILED), Fail(Cause.RUN), id="a failure"),
        pytest.param(SPOILED, Replace(announced=False), id="a spoiled run is to be replaced"),
        pytest.param(replace(SPOILED, recorded=False, retried=True), Replace(announced=True), id="then it goes"),
        pytest.param(replace(SPOILED, retried=True), Fail(Cause.RUN), id="a second spoiled run is a failure"),
        pytest.param(replace(FRESH, ended=True, run=RunState.RUNNING), Finish(), id="an end is final"),
    ],
)
def test_decide(seen, step):
    assert decide(seen, T0) == step


SEEN = st.builds(
    Seen,
    run=st.sampled_from(RunState),
    lock=st.sampled_from(LockState),
    waits_until=st.sampled_from([PAST, LATER]),
    runs_until=st.sampled_from([None, PAST, LATER]),
    stopped_until=st.sampled_from([None, PAST, LATER]),
    faults=st.sampled_from([(), ("x",)]),
    ended=st.booleans(),
    recorded=st.booleans(),
    retried=st.booleans(),
    cooldown_until=st.sampled_from([None, PAST, LATER]),
)


@pytest.mark.unit
@given(SEEN)
def test_a_run_starts_only_with_the_lock_in_hand_and_nothing_there(seen):
    if decide(seen, T0) == Start():
        assert seen.lock is LockState.OURS
        assert seen.run is RunState.ABSENT
        assert not seen.recorded
        assert not seen.ended
        assert not seen.faults

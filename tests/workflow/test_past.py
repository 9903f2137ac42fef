"""What ran on a target before, and what that forbids."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.workflow import BlockClearance, FailureDetails, Phase
from kubernaut.workflow.decide import Bar, Cause
from kubernaut.workflow.past import BACKOFF, bar, in_turn, keeps_target, left_half_done, needs_clearance
from kubernaut.workflow.settings import WorkflowSettings
from tests.workflow.executions import T0, execution_of

SETTINGS = WorkflowSettings()
CLEARED = BlockClearance(cleared_by="kim@example.com", clear_reason="looks well", cleared_at=T0)
ME = execution_of("me", remediationRequestRef={"name": "rr-9"})


def ended(name, minutes_ago, *, ran=None, reason="Failed", remediation="rr-1", cleared=None, **spec):
    """An execution that has ended: completed, or failed before (`ran=False`) or after its steps had begun."""
    execution = execution_of(name, remediationRequestRef={"name": remediation}, **spec)
    execution.status.phase = Phase.COMPLETED if ran is None else Phase.FAILED
    execution.status.completion_time = T0 - timedelta(minutes=minutes_ago)
    execution.status.block_clearance = cleared
    if ran is not None:
        execution.status.failure_details = FailureDetails(reason=reason, was_execution_failure=ran)
    return execution


def failures(number):
    return [ended(f"f{each}", each + 0.5, ran=False) for each in range(number)]


@pytest.mark.parametrize(
    ("others", "reason", "rest"),
    [
        pytest.param([], "", 0, id="nothing ran"),
        pytest.param([ended("a", 1)], "", 0, id="a success"),
        pytest.param([ended("a", 1, ran=True)], Cause.STOPPED, 0, id="one failed under way"),
        pytest.param([ended("a", 9999, ran=True)], Cause.STOPPED, 0, id="however long ago"),
        pytest.param([ended("a", 1, ran=True, cleared=CLEARED)], "", 0, id="it was cleared"),
        pytest.param([ended("a", 2, ran=True), ended("b", 1)], "", 0, id="another attempt of its own remediation succeeded after it"),
        pytest.param(
            [ended("b", 1, ran=False), ended("a", 2, ran=True)], Cause.STOPPED, 0, id="what failed before it began after it changes nothing"
        ),
        pytest.param([ended("a", 1, ran=True, remediation="rr-9")], "", 0, id="it was our own remediation's"),
        pytest.param(failures(1), BACKOFF, 1, id="one failed before it began"),
        pytest.param(failures(2), BACKOFF, 2, id="two"),
        pytest.param(failures(3), BACKOFF, 4, id="three"),
        pytest.param(failures(4), BACKOFF, 8, id="four"),
        pytest.param(failures(5), BACKOFF, 10, id="five"),
        pytest.param(failures(6), Cause.EXHAUSTED, 0, id="the sixth is enough"),
        pytest.param([*failures(2), ended("ok", 3), ended("old", 4, ran=False)], BACKOFF, 2, id="a success between ends the row"),
        pytest.param([ended("a", 0.1, ran=False, cleared=CLEARED), *failures(5)], "", 0, id="a cleared one ends the row"),
        pytest.param(
            [ended(each, 1, ran=False, reason=each) for each in ("InvalidSpec", "Cancelled", Cause.STOPPED, Cause.NEVER_STARTED)],
            "",
            0,
            id="what tried nothing says nothing",
        ),
        pytest.param([ended("plan", 1, workflowDefinition={"steps": [{"stepNumber": 1, "action": "x"}]})], "", 0, id="a plan is no run"),
    ],
)
def test_what_the_past_of_a_target_forbids(others, reason, rest):
    found = bar(ME, others, SETTINGS)
    assert found.reason == reason
    if rest:
        last = max(other.status.completion_time for other in others)
        assert found.until == last + timedelta(minutes=rest)
        assert not found.holds(found.until)
    elif reason:
        assert found.until is None
        assert f"kubernaut clear {(left_half_done(in_turn(others)) or in_turn(others)[0]).metadata.name} --reason" in found.message


def test_without_recovery_not_even_the_same_remediation_goes_on():
    strict = WorkflowSettings(recovery_may_follow=False)
    assert bar(ME, [ended("a", 1, ran=True, remediation="rr-9")], strict).reason == Cause.STOPPED


@given(st.lists(st.tuples(st.sampled_from([None, True, False]), st.booleans()), max_size=12))
def test_after_a_failure_under_way_nothing_of_others_runs_until_it_is_cleared(history):
    runs = [
        ended(f"e{number}", number, ran=ran, cleared=CLEARED if cleared and ran is not None else None)
        for number, (ran, cleared) in enumerate(history)
    ]
    found = bar(ME, runs, SETTINGS)
    changing = [each for each in runs if each.status.phase is Phase.COMPLETED or each.status.failure_details.was_execution_failure]
    dirty = bool(changing) and needs_clearance(changing[0])
    assert (found.reason == Cause.STOPPED) is dirty
    assert not dirty or found.holds(T0 + timedelta(days=365))
    assert sum(keeps_target(each, runs) for each in runs) == dirty


def test_no_bar_holds_nobody():
    assert not Bar().holds(T0)

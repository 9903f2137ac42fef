"""What a KubernetesExecution does next."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.execution import OperationResult, Phase
from kubernaut.api.plan import Operation
from kubernaut.execution.decide import Abort, Await, Complete, Execute, Seen, Skip, TakeBack, Validate, decide

pytestmark = pytest.mark.unit
T0 = datetime(2026, 1, 1, tzinfo=UTC)
LATER = T0 + timedelta(minutes=1)
P, V, X, C, F = Phase.PENDING, Phase.VALIDATED, Phase.EXECUTING, Phase.COMPLETED, Phase.FAILED


def seen(*phases, critical=True, depends=(), deadline=LATER, dry_run=False, reason=""):
    operations = [
        Operation(
            step_number=number, action="notify_only", critical_step=critical, depends_on=list(depends) if number == len(phases) else []
        )
        for number in range(1, len(phases) + 1)
    ]
    results = [
        OperationResult(step_number=number, action="notify_only", phase=phase, error_message="why")
        for number, phase in enumerate(phases, 1)
    ]
    return Seen(operations, results, deadline, dry_run, reason)


@pytest.mark.parametrize(
    ("case", "step"),
    [
        pytest.param(seen(P, P), Validate(0), id="the first is checked"),
        pytest.param(seen(Phase.VALIDATING, P), Validate(0), id="a check that was cut short is made again"),
        pytest.param(seen(V, P), Execute(0), id="what was checked is carried out"),
        pytest.param(seen(X, P), Await((0,)), id="its effect is awaited"),
        pytest.param(seen(C, P), Validate(1), id="then comes the next"),
        pytest.param(seen(C, C), Complete(0), id="all done"),
        pytest.param(seen(C, F), Abort("action_failed", "step 2 notify_only: why"), id="a failure stops"),
        pytest.param(seen(F, P, reason="dry_run_failed"), Abort("dry_run_failed", "step 1 notify_only: why"), id="with its reason"),
        pytest.param(seen(Phase.ROLLBACK_READY, P), Abort("action_failed", "step 1 notify_only: why"), id="no effect in time is a failure"),
        pytest.param(seen(F, P, critical=False), Validate(1), id="unless it does not matter"),
        pytest.param(seen(F, C, critical=False), Complete(1), id="which is counted"),
        pytest.param(seen(F, P, critical=False, depends=[1]), Skip(1, 1), id="what depends on it is left out"),
        pytest.param(seen(X, deadline=T0), Abort("timeout", "out of time at step 1 notify_only"), id="time runs out"),
        pytest.param(seen(C, deadline=T0), Complete(0), id="a late success is a success"),
        pytest.param(seen(V, P, dry_run=True), Validate(1), id="a dry run only checks"),
        pytest.param(seen(V, V, dry_run=True), Complete(0), id="and has then done all it does"),
    ],
)
def test_decide(case, step):
    assert decide(case, T0) == step


@pytest.mark.parametrize(
    ("phases", "depends", "step"),
    [
        pytest.param((X, P, P), [], Validate(1), id="the next begins while the first is awaited"),
        pytest.param((X, V, P), [], Execute(1), id="and is carried out"),
        pytest.param((X, X, P), [], Await((0, 1)), id="as many as may are awaited together"),
        pytest.param((X, C, P), [1], Await((0,)), id="what depends on the first waits for it"),
        pytest.param((X, F, P), [], Await((0,)), id="after a failure nothing begins, what runs is awaited"),
        pytest.param((C, F, P), [], Abort("action_failed", "step 2 notify_only: why"), id="and then it ends"),
    ],
)
def test_side_by_side(phases, depends, step):
    assert decide(replace(seen(*phases, depends=depends), limit=2), T0) == step


def test_what_had_no_effect_and_is_to_leave_nothing_behind_is_taken_back_first():
    case = seen(Phase.ROLLBACK_READY, P)
    assert decide(replace(case, take_back=frozenset({0})), LATER) == TakeBack(0)


def test_steps_that_wait_for_one_that_is_not_there_end_it():
    assert decide(seen(P, depends=[9]), T0) == Abort("validation_error", "step 1 notify_only waits for steps that never come: 9")


@given(st.lists(st.sampled_from(Phase), min_size=1, max_size=5), st.booleans(), st.booleans())
def test_nothing_is_carried_out_unchecked_out_of_order_or_in_a_dry_run(phases, critical, dry_run):
    case = seen(*phases, critical=critical, dry_run=dry_run)
    step = decide(case, T0)
    if isinstance(step, Execute):
        assert not dry_run
        assert phases[step.index] is V
        assert all(phase in {C, F, Phase.ROLLBACK_READY} for phase in phases[: step.index])

"""The phase table as data: it is closed, and every phase is reached over its rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.remediation import TERMINAL, Phase
from kubernaut.orchestration.table import TABLE, next_phase

pytestmark = pytest.mark.unit

ENDS = sorted({(row.after, row.mark) for row in TABLE if row.after.terminal})
OPEN = [phase for phase in Phase if not phase.terminal]


def test_every_row_has_its_own_id_and_leaves_a_phase_that_has_not_ended():
    assert len({row.id for row in TABLE}) == len(TABLE)
    assert all(not row.before.terminal and row.before is not row.after and row.event for row in TABLE)


def test_every_phase_is_entered_and_every_open_one_is_left():
    assert {row.after for row in TABLE} | {Phase.PENDING} == set(Phase)
    assert {row.before for row in TABLE} == set(Phase) - TERMINAL


def test_a_person_may_cancel_from_every_open_phase():
    assert {row.before for row in TABLE if row.after is Phase.CANCELLED} == set(OPEN)


def walk(before, after, mark, blocked_from=None):
    """Return the rows from one phase to another."""
    rows: list[tuple[Phase, Phase, str]] = []
    phase = before
    while phase is not after and len(rows) < 10:
        following = next_phase(phase, after, mark, blocked_from=blocked_from)
        rows.append((phase, following, mark if following is after else ""))
        phase = following
    return rows


KNOWN = {(row.before, row.after, row.mark) for row in TABLE}


@given(st.sampled_from(ENDS))
def test_every_end_is_reached_from_the_beginning_over_rows_alone(end):
    rows = walk(Phase.PENDING, *end)
    assert rows
    assert set(rows) <= KNOWN


@given(st.sampled_from([Phase.PROCESSING, Phase.ANALYZING, Phase.AWAITING_APPROVAL, Phase.EXECUTING, Phase.VERIFYING, Phase.RECOVERING]))
def test_a_wiped_phase_comes_back_over_rows_alone(phase):
    assert set(walk(Phase.PENDING, phase, "")) <= KNOWN


@given(st.sampled_from([row for row in TABLE if row.before is not Phase.BLOCKED]))
def test_a_row_is_walked_in_one_step(row):
    assert next_phase(row.before, row.after, row.mark) is row.after


@pytest.mark.parametrize(
    ("after", "mark", "following"),
    [
        pytest.param(Phase.EXECUTING, "", Phase.ANALYZING, id="released: back to where it was held"),
        pytest.param(Phase.BLOCKED, "", Phase.BLOCKED, id="still held"),
        pytest.param(Phase.FAILED, "Blocked", Phase.FAILED, id="held too long"),
        pytest.param(Phase.CANCELLED, "", Phase.CANCELLED, id="cancelled"),
        pytest.param(Phase.COMPLETED, "SelfResolved", Phase.ANALYZING, id="an end of another phase goes through it"),
    ],
)
def test_what_was_held_goes_back_to_where_it_was_held(after, mark, following):
    assert next_phase(Phase.BLOCKED, after, mark, blocked_from=Phase.ANALYZING) is following

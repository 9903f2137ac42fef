"""How the trail of a case looks: in columns, with moments in UTC and the time since the first."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from kubernaut.cli.screen import Screen
from kubernaut.cli.trail import Entry, trail_lines

BEGAN = datetime(2026, 1, 1, 23, 59, 58, tzinfo=UTC)


def entry(after, what, **more):
    told = {"event_outcome": "success", "event_action": what, "resource_type": "RemediationRequest", "message": "well"}
    return Entry.model_validate({**told, "event_timestamp": BEGAN + after, **more})


TRAIL = [
    entry(timedelta(), "PhaseTransition", message="Pending → Processing: it was\nopened"),
    entry(timedelta(seconds=1.44), "RemediationProcessingCreated"),
    entry(timedelta(hours=26, seconds=7), "ApprovalDecided", actor_type="user", actor_id="ann@example.com", message=""),
]


def test_facts_stand_in_columns():
    assert trail_lines(TRAIL) == [
        "2026-01-01 23:59:58     +0.0s  RemediationRequest  Pending → Processing          it was opened",
        "2026-01-01 23:59:59     +1.4s  RemediationRequest  RemediationProcessingCreated  well",
        "2026-01-03 02:00:05  +26h0m7s  ann@example.com     ApprovalDecided",
    ]
    assert trail_lines([]) == []


@pytest.mark.parametrize(
    ("width", "dates"),
    [
        pytest.param(140, ["2026-01-01", "2026-01-03"], id="a table, which tells each day once"),
        pytest.param(80, ["2026-01-01", "2026-01-01", "2026-01-03"], id="no room for one: lines"),
    ],
)
def test_a_terminal_shows_a_table_where_there_is_room(width, dates):
    paper = io.StringIO()
    Screen(Console(file=paper, width=width, force_terminal=True, no_color=True, highlight=False)).trail(TRAIL, "case")
    lines = paper.getvalue().splitlines()
    assert [word for line in lines for word in line.replace("\x1b[0m", "").split() if word.startswith("2026-")] == dates
    assert "it was opened" in paper.getvalue()

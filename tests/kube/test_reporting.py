"""Which facts of a pass people read as Events."""

from datetime import UTC, datetime

import pytest

from kubernaut.api.base import AuditOutcome, JournalEntry
from kubernaut.kube.reporting import worth_telling

pytestmark = pytest.mark.unit

MOVE, CREATED, ENDED = "PhaseTransition", "ChildCreated", "Completed"


def facts(*reasons, outcome=AuditOutcome.SUCCESS):
    return [JournalEntry(ordinal=at, at=datetime(2026, 1, 1, tzinfo=UTC), reason=why, outcome=outcome) for at, why in enumerate(reasons)]


@pytest.mark.parametrize(
    ("recorded", "ended", "owned", "told"),
    [
        pytest.param(facts(CREATED, MOVE), False, False, [MOVE], id="one for a change of phase"),
        pytest.param(facts(CREATED), False, False, [CREATED], id="a fact without a change"),
        pytest.param(facts("Sent", ENDED, MOVE), True, False, [ENDED], id="the end by its name"),
        pytest.param(facts(MOVE), True, False, [MOVE], id="an end without a name"),
        pytest.param(facts("Done", MOVE), False, True, ["Done"], id="of another's object its own fact"),
        pytest.param(facts(MOVE), False, True, [], id="of another's object no change on the way"),
        pytest.param(facts(MOVE), True, True, [MOVE], id="of another's object the end"),
        pytest.param(facts(MOVE, outcome=AuditOutcome.FAILURE), False, True, [MOVE], id="bad news in any case"),
        pytest.param([], False, False, [], id="nothing"),
    ],
)
def test_people_read_one_event_for_each_change_that_matters(recorded, ended, owned, told):
    assert [each.reason for each in worth_telling(recorded, ended=ended, owned=owned)] == told

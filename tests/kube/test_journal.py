"""What is recorded in an object's journal."""

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.base import AuditOutcome, Kind, Resource, Status
from kubernaut.kube.journal import PENDING_LIMIT, JournalFull, crowded, pending_of, record

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DATA = st.dictionaries(st.text(min_size=1, max_size=10), st.text(max_size=3000) | st.integers(), max_size=6)


class Thing(Resource):
    card = Kind(kind="Thing", plural="things", group="test.dev", version="v1")
    status: Status = Status()


class Bare(Resource):
    card = Kind(kind="Bare", plural="bares", group="test.dev", version="v1")


@given(st.lists(st.sampled_from(["record", "ship"]), max_size=60))
def test_ordinals_grow_and_none_is_lost(steps):
    thing, shipped = Thing(), []
    for step in steps:
        if step == "record":
            record(thing, "Fact", "", now=NOW)
        else:
            shipped += [entry.ordinal for entry in thing.status.journal.pending]
            thing.status.journal.pending = []
        thing = Thing.model_validate(thing.wire())  # as it comes back from the API server
    shipped += [entry.ordinal for entry in thing.status.journal.pending]
    assert shipped == list(range(thing.status.journal.count)) == list(range(steps.count("record")))


@given(DATA)
def test_data_is_bounded_and_says_what_is_missing(data):
    thing = Thing()
    record(thing, "Fact", "", now=NOW, data=data)
    kept = thing.status.journal.pending[0].data
    missing = kept.get("fieldsLeftOut") or []
    assert isinstance(missing, list)
    assert len(orjson.dumps({name: value for name, value in kept.items() if name != "fieldsLeftOut"})) <= 4096 + 8
    assert {name for name in kept if name != "fieldsLeftOut"} | set(missing) == set(data)


def test_a_message_is_cut_to_its_bound():
    thing = Thing()
    record(thing, "Fact", "x" * 5000, now=NOW, outcome=AuditOutcome.FAILURE)
    [entry] = thing.status.journal.pending
    assert (len(entry.message), entry.outcome) == (1024, AuditOutcome.FAILURE)
    Thing.model_validate(thing.wire())


def test_a_full_journal_takes_no_more():
    thing = Thing()
    for number in range(PENDING_LIMIT):
        assert crowded(thing.status.journal) is (number > PENDING_LIMIT - 16)
        record(thing, "Fact", "", now=NOW)
    with pytest.raises(JournalFull):
        record(thing, "Fact", "", now=NOW)
    assert pending_of(thing.wire()) == PENDING_LIMIT


def test_two_objects_do_not_share_a_journal():
    one, two = Thing(), Thing()
    record(one, "Fact", "", now=NOW)
    assert two.status.journal.pending == []


def test_a_kind_without_a_status_of_ours_has_no_journal():
    with pytest.raises(TypeError, match="Bare"):
        record(Bare(), "Fact", "", now=NOW)
    assert pending_of({"metadata": {"name": "x"}}) == 0

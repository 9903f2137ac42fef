"""A change and its inverse, as JSON merge patches."""

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.execution import ChangedResource, OperationResult, Undo, UndoKind
from kubernaut.api.redact import HIDDEN
from kubernaut.execution.undo import (
    Clash,
    Impossible,
    Nothing,
    Remove,
    Restore,
    digest_of,
    key_of,
    mark_of,
    marked,
    way_back,
    ways_back,
)
from kubernaut.kube.patches import inverse, merged, touched
from kubernaut.kube.reversal import against, change_of

pytestmark = pytest.mark.unit
T0 = datetime(2026, 1, 1, tzinfo=UTC)
SORTED = orjson.OPT_SORT_KEYS
KEYS = st.sampled_from("abcd")
SCALARS = st.one_of(st.booleans(), st.integers(-3, 3), st.text(max_size=3))
VALUES = st.recursive(SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)), max_leaves=8)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)
PATCH_VALUES = st.recursive(
    st.one_of(SCALARS, st.none(), st.lists(SCALARS, max_size=2)), lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
PATCHES = st.dictionaries(KEYS, PATCH_VALUES, max_size=4)


@given(OBJECTS, PATCHES)
def test_a_change_and_then_its_inverse_is_no_change_at_all(before, patch):
    assert merged(merged(before, patch), inverse(before, patch)) == before


@given(OBJECTS, PATCHES)
def test_applying_a_change_twice_is_applying_it_once(before, patch):
    once = merged(before, patch)
    assert merged(once, patch) == once


@given(OBJECTS, PATCHES)
def test_what_a_change_names_is_what_is_recorded(before, patch):
    assert set(touched(before, patch)) == set(before) & set(patch)


@pytest.mark.parametrize(
    ("before", "patch", "expected"),
    [
        pytest.param({"spec": {"replicas": 3}}, {"spec": {"replicas": 5}}, {"spec": {"replicas": 3}}, id="a value comes back"),
        pytest.param({"spec": {}}, {"spec": {"replicas": 5}}, {"spec": {"replicas": None}}, id="what was not there goes"),
        pytest.param({"a": {"b": 1}}, {"a": None}, {"a": {"b": 1}}, id="what was taken away comes back"),
        pytest.param({}, {"a": None}, {}, id="nothing taken away is nothing to put back"),
        pytest.param({"l": [1, 2]}, {"l": [1]}, {"l": [1, 2]}, id="a list comes back whole"),
        pytest.param({"a": "text"}, {"a": {"b": 1}}, {"a": "text"}, id="an object over a value"),
    ],
)
def test_inverses(before, patch, expected):
    assert inverse(before, patch) == expected


def test_a_mark_rides_in_the_change_and_its_inverse_takes_it_away():
    before = {"metadata": {"labels": {}, "annotations": {"a": "b"}}, "spec": {"replicas": 1}}
    patch = marked({"spec": {"replicas": 2}, "metadata": {"labels": {"x": "y"}}}, "uid/1")
    after = merged(before, patch)
    assert mark_of(after) == "uid/1"
    assert after["metadata"]["labels"] == {"x": "y"}
    assert merged(after, inverse(before, patch)) == before


def journal_of(before, patches):
    """Carry patches out one after the other, as the stage does; return the object and what was recorded of each."""
    current, results = before, []
    for step, plain in enumerate(patches, 1):
        patch = marked({"spec": plain}, f"u/{step}")
        after = merged(current, patch)
        found = change_of(current, patch)
        changed = ChangedResource(kind="Thing", name="x", uid="1", action="patch", before=found.before, after=found.after)
        undo = Undo(kind=UndoKind.EXACT, patch=found.patch, note=found.withheld)
        results.append(OperationResult(step_number=step, action="patch", resources_affected=[changed], undo=undo, started_at=T0))
        current = after
    return current, results


def thing(spec):
    return {"metadata": {"uid": "1", "annotations": {"own": "stays"}}, "spec": spec}


def backwards(current, results):
    ways = ways_back(results, {key_of(results[0].resources_affected[0]): current}, lambda step: f"u/{step}")
    for _, back in ways:
        if isinstance(back, Restore):
            current = merged(current, against(current, back.patch))
    return current, [back for _, back in ways]


@given(OBJECTS, st.lists(PATCHES, min_size=1, max_size=4))
def test_a_journal_applied_after_its_changes_is_the_identity(spec, patches):
    before = thing(spec)
    after, results = journal_of(before, patches)
    found, ways = backwards(after, results)
    assert all(isinstance(back, Restore) for back in ways)
    assert found == before


@given(OBJECTS, st.lists(PATCHES, min_size=1, max_size=3))
def test_a_journal_applied_twice_changes_nothing_more(spec, patches):
    after, results = journal_of(thing(spec), patches)
    once, _ = backwards(after, results)
    twice, ways = backwards(once, results)
    assert twice == once
    assert not any(isinstance(back, Clash) for back in ways)


def test_an_object_that_became_a_value_and_then_nothing_is_back_once():
    patches = [{"b": {"a": False}}, {"a": None, "b": False}, {"b": None}]
    after, results = journal_of(thing({"b": {"a": True, "b": False}}), patches)
    once, _ = backwards(after, results)
    assert all(isinstance(back, Restore) and back.done for back in backwards(once, results)[1])


@given(OBJECTS, st.lists(PATCHES, min_size=1, max_size=3), KEYS, SCALARS)
def test_what_others_changed_beside_the_changes_stays(spec, patches, key, value):
    after, results = journal_of(thing(spec), patches)
    others = merged(after, {"other": {key: value}})
    found, _ = backwards(others, results)
    assert found == thing(spec) | {"other": {key: value}}


@given(OBJECTS, st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
def test_what_somebody_else_set_to_a_third_value_is_a_conflict(spec, was, ours, now):
    before = thing(spec | {"a": was})
    after, results = journal_of(before, [{"a": ours}])
    _, ways = backwards(merged(after, {"spec": {"a": now}}), results)
    if was == ours or now in {was, ours}:
        assert isinstance(ways[0], Restore)
    else:
        assert isinstance(ways[0], Clash)
        assert [(each.path, each.before, each.ours, each.now) for each in ways[0].conflicts] == [("spec.a", str(was), str(ours), str(now))]


def test_a_conflict_shows_no_secret():
    after, results = journal_of(thing({}), [{"options": "--level 3"}])
    _, ways = backwards(merged(after, {"spec": {"options": "--password b3fore"}}), results)
    assert isinstance(ways[0], Clash)
    assert ways[0].conflicts[0].now == f'"--password {HIDDEN}"'


@pytest.mark.parametrize(
    ("change", "current", "kind"),
    [
        pytest.param({"started_at": None}, thing({"a": 1}), Nothing, id="what was never carried out"),
        pytest.param({"undo": Undo(kind=UndoKind.NONE)}, thing({"a": 2}), Impossible, id="what cannot be taken back"),
        pytest.param({}, None, Clash, id="an object that is gone"),
        pytest.param({}, {"metadata": {"uid": "2"}, "spec": {"a": 2}}, Clash, id="another of its name"),
        pytest.param({"undo": Undo(kind=UndoKind.EXACT, created=True)}, thing({"a": 2}), Remove, id="what was made"),
        pytest.param({"undo": Undo(kind=UndoKind.EXACT, created=True)}, None, Restore, id="what was made and is gone"),
    ],
)
def test_ways_back(change, current, kind):
    _, (result,) = journal_of(thing({"a": 1}), [{"a": 2}])
    assert isinstance(way_back(result.model_copy(update=change), current, "u/1"), kind)


def test_what_was_carried_out_though_nobody_could_write_it_down_is_known_by_its_mark():
    after, (result,) = journal_of(thing({"a": 1}), [{"a": 2}])
    killed = result.model_copy(update={"started_at": None})
    assert isinstance(way_back(killed, after, "u/1"), Restore)
    assert isinstance(way_back(killed, after, "u/2"), Nothing)


@given(OBJECTS, OBJECTS)
def test_digests_tell_contents_apart_and_see_neither_status_nor_annotations(one, other):
    noise = {"metadata": {"uid": "1", "annotations": {"z": "z"}}, "status": {"x": 1}}
    assert digest_of(thing(one)) == digest_of(thing(one) | noise)
    assert (digest_of(thing(one)) == digest_of(thing(other))) == (orjson.dumps(one, option=SORTED) == orjson.dumps(other, option=SORTED))

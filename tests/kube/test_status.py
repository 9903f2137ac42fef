"""Merge patches between two states, and conditions."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.base import Condition, ConditionStatus
from kubernaut.kube.status import changes, cut, only_journal_differs, set_condition

T0 = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0]) | st.text("ab", max_size=2)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz", max_size=2), inner, max_size=4), max_leaves=20
)
OBJECTS = st.dictionaries(st.text("xyz", max_size=2), JSON, max_size=4)


def merged(target, patch):
    """RFC 7386, as written there."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def without_nulls(value):
    """To the API server a null field is an absent one."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return value


def typed(value):
    """JSON's own equality: true is not 1."""
    if isinstance(value, dict):
        return {name: typed(item) for name, item in value.items()}
    return [typed(item) for item in value] if isinstance(value, list) else (type(value), value)


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        pytest.param({"a": 1}, {"a": 1}, None, id="equal states need no patch"),
        pytest.param({"a": 1}, {"a": 2}, {"a": 2}, id="a changed field"),
        pytest.param({"a": 1}, {}, {"a": None}, id="a removed field is a null"),
        pytest.param({}, {"a": None}, None, id="a null is an absent field"),
        pytest.param({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"a": {"c": 3}}, id="only what changed inside"),
        pytest.param({"a": {"b": 1}}, {"a": {}}, {"a": {"b": None}}, id="an emptied object"),
        pytest.param({"a": [1, 2]}, {"a": [1]}, {"a": [1]}, id="a list is replaced whole"),
        pytest.param({"a": 1}, {"a": True}, {"a": True}, id="true is not 1"),
        pytest.param({"a": [{"b": 1}]}, {"a": [{"b": True}]}, {"a": [{"b": True}]}, id="nor is it in a list"),
        pytest.param({"a": 1}, {"a": {"b": 1}}, {"a": {"b": 1}}, id="a value becomes an object"),
        pytest.param({}, {"a": {}}, {"a": {}}, id="an empty object appears"),
    ],
)
def test_changes(old, new, patch):
    assert changes(old, new) == patch


@given(OBJECTS.map(without_nulls), OBJECTS)
def test_a_patch_makes_the_old_state_into_the_new_one(old, new):
    patch = changes(old, new)
    assert typed(merged(old, patch or {})) == typed(without_nulls(new))


@given(OBJECTS)
def test_nothing_changed_is_no_patch(state):
    assert changes(state, state) is None


def test_a_condition_moves_its_time_only_with_its_status():
    conditions: list[Condition] = []
    set_condition(conditions, "Ready", False, "Starting", "one", now=T0, generation=1)
    set_condition(conditions, "Ready", False, "Waiting", "two", now=T0 + timedelta(hours=1), generation=2)
    [ready] = conditions
    assert (ready.status, ready.reason, ready.message, ready.observed_generation) == (ConditionStatus.FALSE, "Waiting", "two", 2)
    assert ready.last_transition_time == T0.replace(microsecond=0)
    set_condition(conditions, "Ready", None, "Lost", "three", now=T0 + timedelta(hours=2))
    assert (ready.status, ready.last_transition_time) == (ConditionStatus.UNKNOWN, (T0 + timedelta(hours=2)).replace(microsecond=0))


def test_conditions_of_other_types_stay():
    conditions = [Condition(type="Other", status=ConditionStatus.TRUE)]
    set_condition(conditions, "Ready", True, "Up", "", now=T0)
    assert [condition.type for condition in conditions] == ["Other", "Ready"]


@pytest.mark.parametrize(("message", "limit", "result"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("", 3, "")])
def test_a_message_is_cut_to_its_bound(message, limit, result):
    assert cut(message, limit) == result


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param({"metadata": {"resourceVersion": "2"}}, True, id="a new version alone"),
        pytest.param({"status": {"phase": "A", "journal": {"count": 3}}}, True, id="the journal alone"),
        pytest.param({"status": {"phase": "B", "journal": {"count": 3}}}, False, id="the journal and the phase"),
        pytest.param({"metadata": {"resourceVersion": "2", "labels": {"a": "b"}}}, False, id="a label"),
        pytest.param({"spec": {"size": 2}}, False, id="the spec"),
    ],
)
def test_only_the_journal_differs(change, same):
    old = {"metadata": {"resourceVersion": "1"}, "spec": {"size": 1}, "status": {"phase": "A"}}
    assert only_journal_differs(old, {**old, **change}) is same

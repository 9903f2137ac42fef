"""A change and its inverse, as JSON merge patches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.execution.undo import inverse, mark_of, marked, merged, touched

pytestmark = pytest.mark.unit
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
    before = {"metadata": {"annotations": {"a": "b"}}, "spec": {"replicas": 1}}
    patch = marked({"spec": {"replicas": 2}, "metadata": {"labels": {"x": "y"}}}, "uid/1")
    after = merged(before, patch)
    assert mark_of(after) == "uid/1"
    assert after["metadata"]["labels"] == {"x": "y"}
    assert merged(after, inverse(before, patch)) == before

"""Schemas, whatever the object: pruning and defaulting come to rest, and a judgement changes nothing."""

import copy

from hypothesis import given
from hypothesis import strategies as st

from tests.localcluster.widgets import schema

specs = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 12) | st.sampled_from(["small", "a", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["size", "replicas", "nested", "on", "ports", "name", "free", "settings", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(specs)
def test_pruning_twice_drops_nothing_more(spec):
    obj = {"metadata": {}, "spec": spec, "x": 1}
    rules = schema()
    assert "x" in rules.prune(obj)
    before = copy.deepcopy(obj)
    assert rules.prune(obj) == []
    assert obj == before


@given(specs)
def test_defaulting_twice_adds_nothing_more(spec):
    obj = {"metadata": {}, "spec": spec}
    rules = schema()
    rules.prune(obj)
    rules.default(obj)
    before = copy.deepcopy(obj)
    rules.default(obj)
    assert obj == before


@given(specs)
def test_validation_is_total_and_changes_nothing(spec):
    obj = {"metadata": {}, "spec": spec}
    before = copy.deepcopy(obj)
    found = schema().validate(obj)
    assert obj == before
    assert all(fault.message and fault.type.startswith("FieldValue") for fault in found)

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.localcluster.patch import PatchError, json_patch, merge_patch

WIDGET: dict[str, Any] = {"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"size": "medium", "tags": ["x", "y"], "replicas": 3}}


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        pytest.param({"spec": {"replicas": 4}}, {**WIDGET["spec"], "replicas": 4}, id="sets a field"),
        pytest.param({"spec": {"replicas": None}}, {"size": "medium", "tags": ["x", "y"]}, id="null removes"),
        pytest.param({"spec": {"tags": ["z"]}}, {**WIDGET["spec"], "tags": ["z"]}, id="lists are replaced whole"),
        pytest.param({"spec": {"deep": {"a": None, "b": 1}}}, {**WIDGET["spec"], "deep": {"b": 1}}, id="nulls of new objects vanish"),
        pytest.param({"spec": {"size": {"a": 1}}}, {**WIDGET["spec"], "size": {"a": 1}}, id="an object replaces a text"),
        pytest.param({}, WIDGET["spec"], id="an empty patch changes nothing"),
    ],
)
def test_a_merge_patch(patch, expected):
    assert merge_patch(WIDGET, patch)["spec"] == expected


# the table of RFC 7386, appendix A, as far as both sides are objects
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_rfc_7386(target, patch, result):
    assert merge_patch(target, patch) == result


@pytest.mark.parametrize(
    ("ops", "expected"),
    [
        pytest.param([{"op": "test", "path": "/spec/size", "value": "medium"}, {"op": "add", "path": "/spec/tags/-", "value": "end"}],
                     {**WIDGET["spec"], "tags": ["x", "y", "end"]}, id="test and append"),
        pytest.param([{"op": "copy", "from": "/spec/size", "path": "/spec/copied"}, {"op": "move", "from": "/spec/replicas", "path": "/spec/moved"}],
                     {"size": "medium", "tags": ["x", "y"], "copied": "medium", "moved": 3}, id="copy and move"),
        pytest.param([{"op": "remove", "path": "/spec/tags/0"}], {**WIDGET["spec"], "tags": ["y"]}, id="remove an item"),
        pytest.param([{"op": "replace", "path": "/spec/note", "value": "x"}], {**WIDGET["spec"], "note": "x"}, id="replace of a missing member adds"),
        pytest.param([{"op": "add", "path": "/spec/example.dev~1key~0x", "value": "v"}], {**WIDGET["spec"], "example.dev/key~x": "v"}, id="escapes"),
        pytest.param([], WIDGET["spec"], id="nothing"),
    ],
)  # fmt: skip
def test_a_json_patch(ops, expected):
    assert json_patch(WIDGET, ops)["spec"] == expected


@pytest.mark.parametrize(
    "op",
    [
        {"op": "test", "path": "/spec/size", "value": "large"},
        {"op": "test", "path": "/spec/nosuch", "value": "large"},
        {"op": "remove", "path": "/spec/nosuch"},
        {"op": "add", "path": "/spec/no/such/thing", "value": 1},
        {"op": "replace", "path": "/no/such/thing", "value": 1},
        {"op": "twist", "path": "/spec/size"},
        {"op": "add", "path": "/spec/tags/9", "value": 1},
        {"op": "add", "path": "spec", "value": 1},
        {"op": "add", "value": 1},
        {"path": "/spec"},
        {"op": "replace", "path": "", "value": []},
        {"op": "copy", "path": "/spec/size"},
    ],
    ids=str,
)
def test_a_json_patch_that_cannot_be_applied_is_refused(op):
    with pytest.raises(PatchError):
        json_patch(WIDGET, [op])


def test_a_json_patch_of_too_many_operations_is_refused():
    with pytest.raises(PatchError, match="10000"):
        json_patch({}, [{"op": "add", "path": "/a", "value": 1}] * 10_001)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab~/", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc~/", min_size=1, max_size=2), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text("abc~/", min_size=1, max_size=2), json_values, max_size=4)


@given(objects, objects)
def test_a_merge_patch_changes_neither_argument(target, patch):
    before = copy.deepcopy((target, patch))
    merge_patch(target, patch)
    assert (target, patch) == before


@given(objects, objects)
def test_a_merge_patch_applied_twice_changes_nothing_more(target, patch):
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once


def _without_nulls(value):
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


@given(objects)
def test_a_merge_patch_of_nothing_is_the_patch_without_nulls(patch):
    assert merge_patch({}, patch) == _without_nulls(patch)


@given(objects, st.text("abc~/", min_size=1, max_size=2), json_values)
def test_what_a_json_patch_adds_can_be_tested_and_removed(target, name, value):
    path = "/" + name.replace("~", "~0").replace("/", "~1")
    added = json_patch(target, [{"op": "add", "path": path, "value": value}, {"op": "test", "path": path, "value": value}])
    removed = json_patch(added, [{"op": "remove", "path": path}])
    assert removed == {key: item for key, item in target.items() if key != name}

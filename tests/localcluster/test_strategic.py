import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.localcluster.builtin import builtin_schema
from kubernaut.localcluster.patch import merge_patch
from kubernaut.localcluster.schema import Schema
from kubernaut.localcluster.strategic import StrategicError, StrategicFormatError, strategic_patch

Obj = dict[str, Any]

CONFIG_MAP = Schema(builtin_schema("", "v1", "ConfigMap")).node
POD = Schema(builtin_schema("", "v1", "Pod")).node
DEPLOYMENT = Schema(builtin_schema("apps", "v1", "Deployment")).node


def pod(**spec: Any) -> Obj:
    containers = [{"name": "a", "image": "one:1", "env": [{"name": "K", "value": "v"}]}, {"name": "b", "image": "two:1"}]
    return {"metadata": {"name": "p", "finalizers": ["x/one", "x/two"]}, "spec": {"containers": containers, **spec}}


def patched(obj: Obj, patch: Obj, schema=POD) -> Obj:
    before = copy.deepcopy((obj, patch))
    result = strategic_patch(obj, patch, schema)
    assert (obj, patch) == before
    return result


def names(items: list[Obj]) -> list[str]:
    return [item["name"] for item in items]


def test_maps_merge_and_null_removes():
    assert patched({"data": {"a": "1", "b": "2"}}, {"data": {"a": None, "c": "3"}}, CONFIG_MAP) == {"data": {"b": "2", "c": "3"}}


def test_lists_of_objects_merge_by_their_key():
    result = patched(pod(), {"spec": {"containers": [{"name": "a", "image": "new:2"}]}})
    assert result["spec"]["containers"] == [
        {"name": "a", "image": "new:2", "env": [{"name": "K", "value": "v"}]},
        {"name": "b", "image": "two:1"},
    ]


def test_a_new_item_is_added():
    result = patched(pod(), {"spec": {"containers": [{"name": "c", "image": "three:1"}]}})
    assert sorted(names(result["spec"]["containers"])) == ["a", "b", "c"]


def test_an_item_is_deleted_by_its_key():
    result = patched(pod(), {"spec": {"containers": [{"name": "a", "$patch": "delete"}]}})
    assert names(result["spec"]["containers"]) == ["b"]


def test_a_list_is_replaced_whole_when_asked_for():
    result = patched(pod(), {"spec": {"containers": [{"name": "z", "image": "z"}, {"$patch": "replace"}]}})
    assert result["spec"]["containers"] == [{"name": "z", "image": "z"}]


def test_an_atomic_list_is_replaced():
    result = patched(pod(tolerations=[{"key": "a"}]), {"spec": {"tolerations": [{"key": "b"}]}})
    assert result["spec"]["tolerations"] == [{"key": "b"}]


def test_lists_of_texts_merge_as_sets():
    result = patched(pod(), {"metadata": {"finalizers": ["x/three", "x/one"]}})
    assert sorted(result["metadata"]["finalizers"]) == ["x/one", "x/three", "x/two"]


def test_texts_are_deleted_by_directive():
    result = patched(pod(), {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x/one", "x/none"]}})
    assert result["metadata"]["finalizers"] == ["x/two"]


def test_deleting_texts_of_an_absent_list_adds_nothing():
    assert patched({"metadata": {}}, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x"]}}) == {"metadata": {}}


def test_an_object_is_replaced_or_emptied_by_directive():
    assert patched({"data": {"a": "1"}}, {"data": {"$patch": "replace", "only": "this"}}, CONFIG_MAP) == {"data": {"only": "this"}}
    assert patched({"data": {"a": "1"}}, {"data": {"$patch": "delete"}}, CONFIG_MAP) == {"data": {}}


def test_an_order_is_set_and_items_of_the_server_keep_their_place():
    live = pod(containers=[{"name": name} for name in "abcd"])
    order = [{"name": "c"}, {"name": "a"}]
    result = patched(live, {"spec": {"$setElementOrder/containers": order, "containers": [{"name": "c", "image": "x"}]}})
    assert names(result["spec"]["containers"]) == ["b", "c", "a", "d"]
    assert result["spec"]["containers"][1]["image"] == "x"


def test_an_order_of_texts():
    result = patched(pod(), {"metadata": {"$setElementOrder/finalizers": ["x/two", "x/one"]}})
    assert result["metadata"]["finalizers"] == ["x/two", "x/one"]


def test_retained_keys_are_all_that_stays():
    live = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert patched(live, patch, DEPLOYMENT) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_containers_of_a_template_merge_in_depth():
    live = {"spec": {"template": pod()}}
    result = patched(
        live, {"spec": {"template": {"spec": {"containers": [{"name": "a", "env": [{"name": "L", "value": "w"}]}]}}}}, DEPLOYMENT
    )
    environment = result["spec"]["template"]["spec"]["containers"][0]["env"]
    assert sorted(environment, key=lambda entry: entry["name"]) == [{"name": "K", "value": "v"}, {"name": "L", "value": "w"}]


def test_directives_and_nulls_do_not_reach_the_object():
    patch = {"spec": {"template": {"$retainKeys": ["spec"], "spec": {"a": None, "containers": [{"name": "a", "image": None}]}}}}
    assert patched({}, patch, DEPLOYMENT) == {"spec": {"template": {"spec": {"containers": [{"name": "a"}]}}}}


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ({"metadata": {"$patch": "twist"}}, "unknown patch type: twist in map: map[$patch:twist]"),
        ({"spec": {"containers": [{"image": "x"}]}}, "map: map[image:x] does not contain declared merge key: name"),
        ({"spec": {"containers": [{"$patch": "delete"}]}}, "map: map[$patch:delete] does not contain declared merge key: name"),
        ({"spec": {"containers": [{"$patch": "merge"}]}}, "merging lists cannot yet be specified in the patch"),
    ],
)
def test_a_patch_that_cannot_be_applied_says_why(patch: Obj, words: str):
    with pytest.raises(StrategicError) as raised:
        strategic_patch(pod(), patch, POD)
    assert str(raised.value) == words


@pytest.mark.parametrize(
    "patch",
    [
        {"metadata": {"$deleteFromPrimitiveList": ["x"]}},
        {"metadata": {"$setElementOrder/finalizers": "x"}},
        {"spec": {"securityContext": {"$retainKeys": ["runAsUser"], "fsGroup": 1}}},
    ],
)
def test_a_directive_of_wrong_form_is_told_apart(patch: Obj):
    with pytest.raises(StrategicFormatError):
        strategic_patch(pod(securityContext={"runAsUser": 1}), patch, POD)


def test_an_order_that_contradicts_the_patch_is_refused():
    patch = {"spec": {"$setElementOrder/containers": [{"name": "b"}], "containers": [{"name": "a"}]}}
    with pytest.raises(StrategicError, match="The order in patch list"):
        strategic_patch(pod(), patch, POD)


data = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3)


@given(data, st.dictionaries(st.sampled_from("abc"), st.sampled_from("12") | st.none(), max_size=3))
def test_without_lists_and_directives_it_is_a_merge_patch(live, patch):
    assert patched({"data": live}, {"data": patch}, CONFIG_MAP) == merge_patch({"data": live}, {"data": patch})


containers = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("abcd")}, optional={"image": st.sampled_from("xy")}),
    unique_by=lambda item: item["name"],
    max_size=4,
)


@given(containers, containers)
def test_a_list_patch_applied_twice_changes_nothing_more(live, patch):
    once = patched(pod(containers=live), {"spec": {"containers": patch}})
    assert patched(once, {"spec": {"containers": patch}}) == once
    assert set(names(once["spec"]["containers"])) == set(names(live)) | set(names(patch))

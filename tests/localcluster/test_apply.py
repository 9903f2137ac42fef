import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.localcluster.apply import ApplyConflict, ApplyError, apply, update_managed
from kubernaut.localcluster.builtin import builtin_schema
from kubernaut.localcluster.fields import FieldSet, compare, from_fields_v1
from kubernaut.localcluster.schema import Schema
from tests.localcluster.widgets import schema

Obj = dict[str, Any]

WIDGETS = schema()
CONFIG_MAPS = Schema(builtin_schema("", "v1", "ConfigMap"))
PODS = Schema(builtin_schema("", "v1", "Pod"))
V = "example.dev/v1alpha1"


def config(labels: Obj | None = None, **spec: Any) -> Obj:
    metadata = {"name": "one", **({"labels": labels} if labels else {})}
    return {"apiVersion": V, "kind": "Widget", "metadata": metadata, "spec": spec}


def applied(live: Obj | None, asked: Obj, manager: str = "alpha", now: str = "t1", *, force: bool = False, subresource: str = "") -> Obj:
    result = apply(live, asked, manager=manager, force=force, api_version=V, subresource=subresource, now=now, schema=WIDGETS.node)
    own = copy.deepcopy(result)
    WIDGETS.default(own)
    return own


def updated(old: Obj | None, new: Obj, manager: str = "recorder", now: str = "t5", subresource: str = "") -> Obj:
    managed = update_managed(old, new, manager=manager, api_version=V, subresource=subresource, now=now, schema=WIDGETS.node)
    return {**new, "metadata": {**new["metadata"], "managedFields": managed}}


def owners(obj: Obj) -> dict[str, Obj]:
    return {entry["manager"]: entry["fieldsV1"] for entry in obj["metadata"]["managedFields"]}


FULL = config({"l": "1"}, size="medium", owner="ann", replicas=2, ports=[{"name": "a", "port": 1}], tags=["x"], settings={"k": "v"})
FULL_FIELDS = {
    "f:metadata": {"f:labels": {"f:l": {}}},
    "f:spec": {
        "f:owner": {},
        "f:ports": {'k:{"name":"a"}': {".": {}, "f:name": {}, "f:port": {}}},
        "f:replicas": {},
        "f:settings": {"f:k": {}},
        "f:size": {},
        "f:tags": {'v:"x"': {}},
    },
}
ALPHA = applied(None, FULL)
OTHER = config(ports=[{"name": "b", "port": 2}], tags=["y"], settings={"m": "n"})


def test_an_apply_that_creates_owns_what_it_says_and_no_default():
    assert owners(ALPHA) == {"alpha": FULL_FIELDS}
    assert ALPHA["metadata"]["managedFields"][0] == {
        "manager": "alpha",
        "operation": "Apply",
        "apiVersion": V,
        "time": "t1",
        "fieldsType": "FieldsV1",
        "fieldsV1": FULL_FIELDS,
    }
    assert ALPHA["spec"]["engine"] == "standard"


def test_the_same_again_changes_nothing_at_all():
    assert applied(ALPHA, FULL, now="t2") == ALPHA


def test_another_manager_adds_items_beside_those_that_are_there():
    both = applied(ALPHA, OTHER, "beta", "t2")
    assert [port["name"] for port in both["spec"]["ports"]] == ["a", "b"]
    assert both["spec"]["tags"] == ["x", "y"]
    assert both["spec"]["settings"] == {"k": "v", "m": "n"}
    assert owners(both) == {
        "alpha": FULL_FIELDS,
        "beta": {
            "f:spec": {
                "f:ports": {'k:{"name":"b"}': {".": {}, "f:name": {}, "f:port": {}}},
                "f:settings": {"f:m": {}},
                "f:tags": {'v:"y"': {}},
            }
        },
    }


def test_a_conflict_names_manager_and_fields_in_the_words_of_the_api_server():
    with pytest.raises(ApplyConflict) as raised:
        applied(ALPHA, config(replicas=5, size="large", ports=[{"name": "a", "port": 9}]), "beta")
    fields = [".spec.replicas", ".spec.size", '.spec.ports[name="a"].port']
    assert str(raised.value) == 'Apply failed with 3 conflicts: conflicts with "alpha":\n' + "\n".join(f"- {field}" for field in fields)
    assert [(cause.message, cause.field) for cause in raised.value.conflicts] == [('conflict with "alpha"', field) for field in fields]


def test_one_conflict_is_told_on_one_line():
    with pytest.raises(ApplyConflict) as raised:
        applied(ALPHA, config(replicas=5), "beta")
    assert str(raised.value) == 'Apply failed with 1 conflict: conflict with "alpha": .spec.replicas'


def test_the_same_value_is_shared_and_leaves_no_time_behind():
    shared = applied(ALPHA, config(replicas=2), "gamma", "t2")
    assert [(entry["manager"], entry.get("time")) for entry in shared["metadata"]["managedFields"]] == [("gamma", None), ("alpha", "t1")]


def test_force_takes_the_field_and_what_is_no_longer_applied_goes():
    both = applied(ALPHA, OTHER, "beta", "t2")
    forced = applied(both, config(replicas=5, ports=[{"name": "b", "port": 2}], tags=["y"]), "beta", "t3", force=True)
    assert forced["spec"]["replicas"] == 5
    assert forced["spec"]["settings"] == {"k": "v"}
    assert "f:replicas" not in owners(forced)["alpha"]["f:spec"]
    assert "f:replicas" in owners(forced)["beta"]["f:spec"]


def test_what_nobody_applies_any_more_is_removed_or_returns_to_its_default():
    dropped = applied(ALPHA, config(size="medium", owner="ann"), now="t2")
    assert dropped["spec"] == {"size": "medium", "owner": "ann", "replicas": 1, "engine": "standard", "nested": {"on": True}}
    assert "labels" not in dropped["metadata"]
    assert owners(dropped) == {"alpha": {"f:spec": {"f:owner": {}, "f:size": {}}}}


def test_an_empty_object_is_owned_as_such():
    both = applied(ALPHA, OTHER, "beta", "t2")
    assert owners(applied(both, config(), "beta", "t3"))["beta"] == {"f:spec": {}}


def test_what_another_applier_still_wants_stays():
    shared = applied(ALPHA, config(settings={"k": "v"}), "gamma", "t2")
    kept = applied(shared, config(size="medium", owner="ann"), now="t3")
    assert kept["spec"]["settings"] == {"k": "v"}


def test_a_replace_by_another_manager_takes_what_it_changes():
    new = copy.deepcopy(ALPHA)
    new["spec"]["replicas"] = 6
    result = updated(ALPHA, new)
    assert owners(result)["recorder"] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in owners(result)["alpha"]["f:spec"]
    with pytest.raises(ApplyConflict) as raised:
        applied(result, config(replicas=4))
    assert str(raised.value) == f'Apply failed with 1 conflict: conflict with "recorder" using {V}: .spec.replicas'


def test_removing_a_field_by_update_takes_it_from_its_owner():
    new = copy.deepcopy(ALPHA)
    del new["spec"]["settings"]
    result = updated(ALPHA, new)
    assert list(owners(result)) == ["alpha"]
    assert "f:settings" not in owners(result)["alpha"]["f:spec"]


def test_writes_through_a_subresource_are_kept_apart():
    new = {**ALPHA, "status": {"phase": "Ready"}}
    result = updated(ALPHA, new, "alpha", subresource="status")
    assert [entry.get("subresource") for entry in result["metadata"]["managedFields"]] == [None, "status"]
    with pytest.raises(ApplyConflict) as raised:
        applied(result, {**config(), "status": {"phase": "Failed"}}, "beta", subresource="status")
    assert str(raised.value).endswith(f'conflict with "alpha" with subresource "status" using {V}: .status.phase')


def test_one_empty_entry_clears_all_and_the_next_apply_meets_the_old_owner():
    new = copy.deepcopy(ALPHA)
    new["metadata"]["managedFields"] = [{}]
    cleared = updated(ALPHA, new)
    assert cleared["metadata"]["managedFields"] == []
    with pytest.raises(ApplyConflict, match="before-first-apply"):
        applied(cleared, config(replicas=4))


def test_an_object_without_managed_fields_stays_so_on_update():
    bare = {**ALPHA, "metadata": {"name": "one"}}
    changed = {**bare, "spec": {**bare["spec"], "replicas": 9}}
    assert updated(bare, changed)["metadata"]["managedFields"] == []


def test_nothing_changed_means_the_very_same_entries():
    assert updated(ALPHA, copy.deepcopy(ALPHA))["metadata"]["managedFields"] == ALPHA["metadata"]["managedFields"]


def test_a_new_custom_object_belongs_to_its_creator_with_its_defaults():
    new = {"metadata": {"name": "one", "uid": "u", "labels": {"a": "1"}}, "spec": {"size": "medium", "nested": {"on": True}}}
    assert owners(updated(None, new)) == {
        "recorder": {
            "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
            "f:spec": {".": {}, "f:nested": {".": {}, "f:on": {}}, "f:size": {}},
        }
    }


def test_a_new_pod_is_compared_with_an_empty_go_struct():
    pod: Obj = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "x:1"}]}}
    PODS.default(pod)
    (entry,) = update_managed(None, pod, manager="m", api_version="v1", subresource="", now="t", schema=PODS.node)
    container = entry["fieldsV1"]["f:spec"]["f:containers"]['k:{"name":"a"}']
    assert "." in container
    assert "." not in entry["fieldsV1"]["f:spec"]
    assert "." not in entry["fieldsV1"]["f:spec"]["f:containers"]
    assert "f:resources" in container
    assert "f:status" not in entry["fieldsV1"]


def test_a_config_map_is_applied_key_by_key():
    def at(live: Obj | None, data: Obj, manager: str) -> Obj:
        asked = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}
        return apply(live, asked, manager=manager, force=False, api_version="v1", subresource="", now="t", schema=CONFIG_MAPS.node)

    first = at(None, {"a": "1"}, "alpha")
    with pytest.raises(ApplyConflict, match=r'conflict with "alpha": \.data\.a$'):
        at(first, {"a": "2"}, "beta")
    assert at(first, {"b": "1"}, "alpha")["data"] == {"b": "1"}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"bogus": 1}, ".spec.bogus: field not declared in schema"),
        ({"ports": [{"name": "a"}, {"name": "a"}]}, '.spec.ports: duplicate entries for key [name="a"]'),
        ({"tags": ["a", "a"]}, '.spec.tags: duplicate entries for key [="a"]'),
        ({"bogus": 1, "more": 2}, "errors:\n  .spec.bogus: field not declared in schema\n  .spec.more: field not declared in schema"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(spec: Obj, words: str):
    with pytest.raises(ApplyError) as raised:
        applied(None, config(**spec))
    assert str(raised.value) == f"failed to create typed patch object (/one; {V}, Kind=Widget): {words}"


def test_the_oldest_of_more_than_ten_updaters_become_one():
    obj = updated(None, config(size="medium"), "m0", "t00")
    for number in range(1, 14):
        new = {**obj, "spec": {**obj["spec"], "settings": {**obj["spec"].get("settings", {}), f"k{number}": "v"}}}
        obj = updated(obj, new, f"m{number}", f"t{number:02}")
    managers = [entry["manager"] for entry in obj["metadata"]["managedFields"]]
    assert len(managers) == 10
    assert "ancient-changes" in managers
    assert managers[-1] == "m13"


def test_entries_are_ordered_by_operation_and_time():
    obj = applied(ALPHA, config(tags=["z"]), "zeta", "t0")
    obj = updated(obj, {**obj, "spec": {**obj["spec"], "replicas": 9}}, now="t0")
    assert [entry["manager"] for entry in obj["metadata"]["managedFields"]] == ["zeta", "alpha", "recorder"]


specs = st.fixed_dictionaries(
    {},
    optional={
        "size": st.sampled_from(["small", "large"]),
        "replicas": st.integers(0, 3),
        "tags": st.lists(st.sampled_from("abcd"), unique=True, min_size=1, max_size=3),
        "settings": st.dictionaries(st.sampled_from("xyz"), st.sampled_from("12"), max_size=3),
        "ports": st.lists(
            st.fixed_dictionaries({"name": st.sampled_from("pqr")}, optional={"port": st.integers(1, 3)}),
            unique_by=lambda port: port["name"],
            min_size=1,
            max_size=3,
        ),
        "nested": st.fixed_dictionaries({}, optional={"on": st.booleans()}),
        "free": st.dictionaries(
            st.sampled_from("uv"), st.integers(0, 1) | st.dictionaries(st.sampled_from("w"), st.integers(0, 1)), max_size=2
        ),
    },
)


@given(specs, specs)
def test_applying_is_idempotent(live, asked):
    base = applied(None, config(**live), "alpha")
    once = applied(base, config(**asked), "beta", "t2", force=True)
    assert applied(once, config(**asked), "beta", "t3", force=True) == once


@given(specs, specs)
def test_managers_without_common_fields_do_not_depend_on_order(left, right):
    mine = {key: value for key, value in left.items() if key in {"size", "tags", "nested"}}
    theirs = {key: value for key, value in right.items() if key in {"replicas", "settings", "ports", "free"}}
    one = applied(applied(None, config(**mine), "alpha"), config(**theirs), "beta")
    two = applied(applied(None, config(**theirs), "beta"), config(**mine), "alpha")
    assert one["spec"] == two["spec"]
    assert owners(one) == owners(two)


@given(specs, specs)
def test_applying_nothing_takes_away_exactly_what_was_applied(base, extra):
    live = applied(None, config(**base), "alpha")
    after = applied(applied(live, config(**extra), "beta", force=True), config(), "beta", "t2")
    assert {key for key in after["spec"] if key not in live["spec"]} == set()


@given(specs, specs)
def test_every_field_that_changed_has_the_writer_as_its_only_owner(before, after):
    old = updated(None, config(**before), "first", "t1")
    new = updated(old, {**config(**after), "metadata": old["metadata"]}, "second", "t2")
    difference = compare(old["spec"], new["spec"], WIDGETS.node.properties["spec"])
    changed = difference.added.union(difference.modified)
    owned = {who: from_fields_v1(fields).below("f:spec") for who, fields in owners(new).items()}
    assert all(owned["second"].has(path) for path in changed.paths())
    assert not owned.get("first", FieldSet()).intersection(changed)


@given(specs)
def test_fields_survive_writing_and_reading(spec):
    fields = from_fields_v1(owners(updated(None, config(**spec)))["recorder"])
    assert from_fields_v1(fields.to_fields_v1()) == fields


@given(specs, specs, specs)
def test_the_algebra_of_field_sets(left, middle, right):
    one, two, three = (from_fields_v1(owners(updated(None, config(**spec)))["recorder"]) for spec in (left, middle, right))
    paths = lambda found: set(found.paths())  # noqa: E731
    assert paths(one.union(two)) == paths(one) | paths(two)
    assert paths(one.intersection(two)) == paths(one) & paths(two)
    assert paths(one.difference(two)) == paths(one) - paths(two)
    assert paths(one.difference(two).difference(three)) == paths(one.difference(two.union(three)))

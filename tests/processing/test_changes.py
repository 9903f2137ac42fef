"""Who changed what of an object, and when, as its managed fields tell."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.processing.changes import MAX_CHANGES, MAX_PATHS, PATH_LIMIT, changes
from tests.processing.pieces import deployment

IMAGE: dict[str, Any] = {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"app"}': {".": {}, "f:image": {}}}}}}}


def managed(*entries):
    workload = deployment()
    workload["metadata"]["managedFields"] = list(entries)
    return workload


def entry(manager, at, fields, **more):
    return {"manager": manager, "operation": "Update", "time": at, "fieldsType": "FieldsV1", "fieldsV1": fields, **more}


def test_who_wrote_which_fields_is_told_the_newest_first():
    workload = managed(
        entry("kubectl-create", "2026-01-01T00:00:00Z", {"f:spec": {"f:replicas": {}}}),
        entry("release-robot", "2026-01-03T00:00:00Z", IMAGE),
    )
    assert changes(workload) == [
        {
            "manager": "release-robot",
            "operation": "Update",
            "at": "2026-01-03T00:00:00Z",
            "fields": ["spec.template.spec.containers[app].image"],
        },
        {"manager": "kubectl-create", "operation": "Update", "at": "2026-01-01T00:00:00Z", "fields": ["spec.replicas"]},
    ]


def test_writes_of_status_and_of_metadata_alone_are_no_changes():
    workload = managed(
        entry("controller", "", {"f:status": {"f:replicas": {}}}, subresource="status"),
        entry("controller", "", {"f:metadata": {"f:annotations": {"f:x": {}}}}),
    )
    assert changes(workload) == []


def test_many_fields_and_many_writers_are_cut():
    many: dict[str, Any] = {"f:data": {f"f:key-{number}": {} for number in range(20)}}
    found = changes(managed(*(entry(f"m{number}", f"2026-01-{number + 1:02}T00:00:00Z", many) for number in range(9))))
    assert [each["manager"] for each in found] == ["m8", "m7", "m6", "m5", "m4"]
    assert found[0]["fields"][-2:] == ["data.key-5", "and 14 more"]


def test_items_of_lists_are_named_by_what_tells_them_apart():
    ports: dict[str, Any] = {'k:{"containerPort":8080,"protocol":"TCP"}': {}, 'v:"finalizer"': {}, "i:2": {}, "k:broken": {}}
    assert changes(managed(entry("m", "", {"f:spec": {"f:list": ports}})))[0]["fields"] == [
        "spec.list[8080]", "spec.list[finalizer]", "spec.list[2]", "spec.list[broken]"
    ]  # fmt: skip


FIELDS: st.SearchStrategy[Any] = st.recursive(
    st.just({}) | st.none() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.text(max_size=8) | st.sampled_from(["f:spec", "k:{}", "v:1", "."]), inner, max_size=4),
    max_leaves=30,
)


@given(st.lists(st.tuples(st.text(max_size=300), FIELDS), max_size=8))
def test_whatever_the_managed_fields_are_what_is_told_is_short(entries):
    found = changes(managed(*(entry(manager, "", fields if isinstance(fields, dict) else {}) for manager, fields in entries)))
    assert len(found) <= MAX_CHANGES
    assert all(0 < len(each["fields"]) <= MAX_PATHS + 1 and max(map(len, each["fields"])) <= PATH_LIMIT for each in found)
    assert orjson.dumps(found)

import json

import pytest

from tests.localcluster.http import CONFIGMAPS, WIDGETS, answered, configmap, widget

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
PARTIAL = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"


@pytest.fixture
async def five(http):
    for name in "abcde":
        await http.post(CONFIGMAPS, configmap(name) | {"metadata": {"name": name, "labels": {"name": name, "list": "five"}}})
    return http


def names(answer):
    return [row["metadata"]["name"] for row in answer.body["items"]]


async def five_pages(http, **query):
    return await http.get(CONFIGMAPS, labelSelector="list=five", **query)


async def test_lists_of_core_kinds_leave_the_kind_to_the_list_and_custom_ones_do_not(widgets):
    await widgets.post(WIDGETS, widget())
    await widgets.post(CONFIGMAPS, configmap())
    core, custom = (await widgets.get(CONFIGMAPS)).body, (await widgets.get(WIDGETS)).body
    assert (core["kind"], "kind" in core["items"][0]) == ("ConfigMapList", False)
    assert (custom["kind"], custom["items"][0]["kind"], custom["metadata"]["continue"]) == ("WidgetList", "Widget", "")


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("name=a", ["a"]),
        ("name in (a, c)", ["a", "c"]),
        ("list=five,name notin (a,b,c)", ["d", "e"]),
        ("!nosuch,list", ["a", "b", "c", "d", "e"]),
    ],
)
async def test_label_selectors_choose(five, selector, found):
    assert names(await five.get(CONFIGMAPS, labelSelector=selector)) == found


async def test_field_selectors_choose_and_unknown_fields_are_refused(widgets):
    await widgets.post(WIDGETS, widget(size="large"))
    await widgets.post(WIDGETS, widget("two"))
    assert names(await widgets.get(WIDGETS, fieldSelector="spec.size=large")) == ["one"]
    assert names(await widgets.get(WIDGETS, fieldSelector="metadata.name!=one")) == ["two"]
    assert (await widgets.get(WIDGETS, fieldSelector="spec.owner=ann")).message == "field label not supported: spec.owner"


async def test_pages_show_the_state_of_the_first(five):
    whole = await five.get(CONFIGMAPS)
    first = await five.get(CONFIGMAPS, limit=2)
    meta = first.body["metadata"]
    assert meta["remainingItemCount"] == len(names(whole)) - 2
    await five.post(CONFIGMAPS, configmap("bb"))
    await five.delete(f"{CONFIGMAPS}/d")
    rest = await five.get(CONFIGMAPS, limit=50, **{"continue": meta["continue"]})
    assert names(first) + names(rest) == names(whole)
    assert rest.body["metadata"]["resourceVersion"] == meta["resourceVersion"]


async def test_a_page_of_forgotten_history_says_how_to_go_on(cluster, five):
    first = (await five_pages(five, limit=2)).body["metadata"]
    await five.post(CONFIGMAPS, configmap("bb"))
    cluster.registry.store.expire()
    expired = await five_pages(five, limit=2, **{"continue": first["continue"]})
    assert (expired.status, expired.body["reason"]) == (410, "Expired")
    assert names(await five_pages(five, limit=9, **{"continue": expired.body["metadata"]["continue"]})) == ["c", "d", "e"]


async def test_an_exact_list_is_of_its_version(five):
    then = (await five_pages(five)).body["metadata"]["resourceVersion"]
    await five.delete(f"{CONFIGMAPS}/a")
    assert names(await five_pages(five, resourceVersion=then, resourceVersionMatch="Exact")) == ["a", "b", "c", "d", "e"]
    assert names(await five_pages(five, resourceVersion=then, resourceVersionMatch="NotOlderThan")) == ["b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({"resourceVersion": "abc"}, 400, "invalid resource version"),
        ({"resourceVersionMatch": "Exact"}, 422, "forbidden unless resourceVersion is provided"),
        ({"limit": "x"}, 400, "strconv.ParseInt"),
        ({"continue": "not-a-token"}, 400, "invalid continue token"),
        ({"labelSelector": "a in b"}, 400, "unable to parse requirement"),
        ({"sendInitialEvents": "true"}, 422, "forbidden for list"),
    ],
)
async def test_bad_options_of_a_list_are_refused(http, query, status, words):
    answer = await http.get(CONFIGMAPS, **query)
    assert answer.status == status
    assert words in answer.message


async def test_a_table_has_the_columns_of_the_definition(widgets):
    await widgets.post(WIDGETS, widget())
    table = (await widgets.get(WIDGETS, headers={"Accept": TABLE})).body
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Size", "Age"]
    assert table["rows"][0]["cells"][:2] == ["one", "medium"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    bare = (await widgets.get(WIDGETS, headers={"Accept": TABLE}, includeObject="None")).body
    assert bare["rows"][0]["object"] is None


async def test_metadata_alone_can_be_asked_for(http):
    await http.post(CONFIGMAPS, configmap(secret="x"))
    listed = (await http.get(CONFIGMAPS, headers={"Accept": PARTIAL})).body
    assert listed["kind"] == "PartialObjectMetadataList"
    assert all(set(row) <= {"metadata", "kind", "apiVersion"} for row in listed["items"])


async def test_an_event_has_two_faces(http):
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e"},
        "involvedObject": {"namespace": "example", "name": "x"},
        "message": "m",
    }
    assert (await http.post("/api/v1/namespaces/example/events", event)).status == 201
    seen = (await http.get("/apis/events.k8s.io/v1/namespaces/example/events/e")).body
    assert (seen["note"], seen["regarding"]["name"], seen["apiVersion"]) == ("m", "x", "events.k8s.io/v1")


async def test_discovery_tells_of_custom_kinds_in_both_forms(widgets):
    plain = (await answered(widgets, "/apis/example.dev/v1alpha1")).body
    assert {row["name"] for row in plain["resources"]} == {"widgets", "widgets/status"}
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    aggregated = await answered(
        widgets,
        "/apis",
        lambda found: any(row["metadata"]["name"] == "example.dev" for row in found.body["items"]),
        headers={"Accept": accept},
    )
    groups = {row["metadata"]["name"]: row for row in aggregated.body["items"]}
    assert groups["example.dev"]["versions"][0]["resources"][0]["responseKind"]["kind"] == "Widget"
    again = await widgets.get("/apis", headers={"Accept": accept, "If-None-Match": aggregated.headers["Etag"]})
    assert again.status == 304


async def test_openapi_describes_custom_and_built_in_kinds(widgets):
    index = await answered(widgets, "/openapi/v3", lambda found: "apis/example.dev/v1alpha1" in found.body)
    assert json.loads(index.body)["paths"]["apis/example.dev/v1alpha1"]["serverRelativeURL"].startswith(
        "/openapi/v3/apis/example.dev/v1alpha1"
    )
    custom = (await widgets.get("/openapi/v3/apis/example.dev/v1alpha1")).body
    assert "spec" in custom["components"]["schemas"]["dev.example.v1alpha1.Widget"]["properties"]
    core = (await widgets.get("/openapi/v3/api/v1")).body
    operation = core["paths"]["/api/v1/namespaces/{namespace}/pods"]["get"]
    assert operation["x-kubernetes-group-version-kind"] == {"group": "", "version": "v1", "kind": "Pod"}
    assert (await widgets.get("/openapi/v3/apis/nosuch/v1")).status == 404


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/readyz/ping"])
async def test_health_is_told_in_plain_text(http, path):
    assert (await http.get(path)).body == "ok"

import contextlib

import pytest

from tests.localcluster.http import CONFIGMAPS, WIDGETS, configmap, widget
from tests.world import eventually

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


async def version(http, path=WIDGETS):
    return (await http.get(path)).body["metadata"]["resourceVersion"]


def told(event):
    return event["type"], event["object"]["metadata"].get("name", "")


async def test_without_a_version_what_is_there_comes_first_then_changes(widgets):
    await widgets.post(WIDGETS, widget())
    async with widgets.watch(WIDGETS) as following:
        assert told(await following()) == ("ADDED", "one")
        await widgets.patch(f"{WIDGETS}/one", {"spec": {"replicas": 2}})
        assert told(await following()) == ("MODIFIED", "one")
        await widgets.patch(f"{WIDGETS}/one", {})
        await widgets.delete(f"{WIDGETS}/one")
        gone = await following()
        assert told(gone) == ("DELETED", "one")
        assert gone["object"]["spec"]["replicas"] == 2


async def test_a_watch_ends_with_the_connection_of_its_reader(cluster, http):
    followers = cluster.registry.store.followers("configmaps")
    async with http.watch(CONFIGMAPS, timeoutSeconds=600):
        await eventually(lambda: _holds(len(followers) == 1))
    await eventually(lambda: _holds(not followers))


async def _holds(what):
    return what


async def test_a_deletion_carries_a_version_of_its_own(widgets):
    made = (await widgets.post(WIDGETS, widget())).body
    async with widgets.watch(WIDGETS, resourceVersion=made["metadata"]["resourceVersion"]) as following:
        await widgets.delete(f"{WIDGETS}/one")
        gone = (await following())["object"]
    assert int(gone["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


async def test_from_a_version_on_nothing_is_missed_and_nothing_told_twice(widgets):
    start = await version(widgets)
    for name in ("a", "b", "c"):
        await widgets.post(WIDGETS, widget(name))
    async with widgets.watch(WIDGETS, resourceVersion=start) as following:
        assert [told(await following()) for _ in range(3)] == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]
        await widgets.post(WIDGETS, widget("d"))
        assert told(await following()) == ("ADDED", "d")


async def test_a_label_selector_tells_who_comes_in_and_who_goes_out(widgets):
    await widgets.post(WIDGETS, widget())
    async with widgets.watch(WIDGETS, labelSelector="app=yes", resourceVersion=await version(widgets)) as following:
        await widgets.patch(f"{WIDGETS}/one", {"metadata": {"labels": {"app": "yes"}}})
        assert told(await following()) == ("ADDED", "one")
        await widgets.patch(f"{WIDGETS}/one", {"metadata": {"labels": {"app": "no"}}})
        left = await following()
        assert told(left) == ("DELETED", "one")
        assert left["object"]["metadata"]["labels"] == {"app": "yes"}
        await widgets.patch(f"{WIDGETS}/one", {"metadata": {"labels": {"app": "never"}}})
        await widgets.patch(f"{WIDGETS}/one", {"metadata": {"labels": {"app": "yes"}}})
        assert told(await following()) == ("ADDED", "one")


async def test_a_selectable_field_is_followed_alike(widgets):
    await widgets.post(WIDGETS, widget())
    async with widgets.watch(WIDGETS, fieldSelector="spec.size=large", resourceVersion=await version(widgets)) as following:
        await widgets.patch(f"{WIDGETS}/one", {"spec": {"size": "large"}})
        await widgets.patch(f"{WIDGETS}/one", {"spec": {"size": "medium"}})
        assert [told(await following()) for _ in range(2)] == [("ADDED", "one"), ("DELETED", "one")]


async def test_the_end_of_the_initial_part_is_marked(http):
    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
        "fieldSelector": "metadata.name=c",
    }
    await http.post(CONFIGMAPS, configmap("c"))
    async with http.watch(CONFIGMAPS, **query) as following:
        assert told(await following()) == ("ADDED", "c")
        mark = await following()
        assert mark["type"] == "BOOKMARK"
        assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_a_namespace_sees_its_own_alone(http):
    await http.post("/api/v1/namespaces", {"metadata": {"name": "example-other"}})
    async with http.watch(CONFIGMAPS, resourceVersion=await version(http, CONFIGMAPS)) as following:
        await http.post("/api/v1/namespaces/example-other/configmaps", configmap("theirs"))
        await http.post(CONFIGMAPS, configmap("ours"))
        assert told(await following()) == ("ADDED", "ours")


async def test_a_watch_ends_when_its_time_is_up(http):
    async with http.watch(CONFIGMAPS, resourceVersion=await version(http, CONFIGMAPS), timeoutSeconds=1) as following:
        assert await following() is None


async def test_a_forgotten_version_is_told_as_an_error_event(cluster, http):
    start = await version(http, CONFIGMAPS)
    await http.post(CONFIGMAPS, configmap())
    cluster.registry.store.expire()
    async with http.watch(CONFIGMAPS, resourceVersion=start) as following:
        event = await following()
        assert (event["type"], event["object"]["reason"]) == ("ERROR", "Expired")
        assert await following() is None


async def test_tables_tell_their_columns_once(widgets):
    async with widgets.watch(WIDGETS, headers={"Accept": TABLE}) as following:
        await widgets.post(WIDGETS, widget("a"))
        await widgets.post(WIDGETS, widget("b"))
        first, second = (await following())["object"], (await following())["object"]
    assert [column["name"] for column in first["columnDefinitions"]] == ["Name", "Size", "Age"]
    assert (second["columnDefinitions"], second["rows"][0]["cells"][0]) == (None, "b")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"resourceVersion": "abc"}, 500),
        ({"timeoutSeconds": "soon"}, 400),
        ({"labelSelector": "a in b"}, 400),
        ({"sendInitialEvents": "true"}, 422),
        ({"resourceVersionMatch": "NotOlderThan"}, 422),
    ],
)
async def test_bad_options_are_refused_before_the_stream(http, query, status):
    assert (await http.get(CONFIGMAPS, watch="true", **query)).status == status


async def test_many_watchers_see_the_same(widgets):
    async with contextlib.AsyncExitStack() as stack:
        watchers = [await stack.enter_async_context(widgets.watch(WIDGETS)) for _ in range(20)]
        await widgets.post(WIDGETS, widget())
        assert {told(await following()) for following in watchers} == {("ADDED", "one")}


async def test_a_watch_ends_when_its_kind_is_served_no_more(widgets):
    await widgets.post(WIDGETS, widget())
    async with widgets.watch(WIDGETS, resourceVersion=await version(widgets)) as following:
        await widgets.delete("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.dev")
        assert told(await following()) == ("DELETED", "one")
        assert await following() is None


async def test_the_older_watch_path_is_served(http):
    await http.post(CONFIGMAPS, configmap("c"))
    async with http.watch("/api/v1/watch/namespaces/example/configmaps", fieldSelector="metadata.name=c") as following:
        assert told(await following()) == ("ADDED", "c")

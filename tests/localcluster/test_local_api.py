"""The API as code inside the process calls it, which only the embedded cluster has."""

import asyncio

import pytest

from kubernaut.localcluster import ClusterSettings, LocalCluster
from kubernaut.localcluster.errors import ApiError
from tests.localcluster.http import configmap, pod, widget, widget_definition


@pytest.fixture
async def api(cluster):
    return cluster.api.acting_as("a-controller")


def made(name="one", **data):
    return configmap(name, **data) | {"metadata": {"name": name, "namespace": "default"}}


async def test_objects_are_made_changed_and_removed(api):
    kind = api.kind("", "configmaps")
    first = await api.create(kind, made(k="1"))
    assert first["metadata"]["managedFields"][0]["manager"] == "a-controller"
    patched = await api.patch(kind, "one", "default", {"data": {"k": "2"}})
    assert patched["data"] == {"k": "2"}
    with pytest.raises(ApiError) as stale:
        await api.update(kind, first)
    assert stale.value.code == 409
    unversioned = await api.update(kind, made(k="3"))
    assert unversioned["data"] == {"k": "3"}
    await api.delete(kind, "one", "default")
    with pytest.raises(ApiError) as gone:
        await api.get(kind, "one", "default")
    assert gone.value.reason == "NotFound"


async def test_what_a_caller_holds_is_not_what_is_stored(api):
    kind = api.kind("", "configmaps")
    body = made(k="1")
    await api.create(kind, body)
    body["data"]["k"] = "2"
    assert (await api.get(kind, "one", "default"))["data"] == {"k": "1"}


async def test_lists_are_chosen_from(api):
    pods = api.kind("", "pods")
    for name in ("a", "b"):
        body = pod(name)
        body["metadata"]["namespace"] = "default"
        await api.create(pods, body)
    assert [row["metadata"]["name"] for row in await api.list(pods, "default", labels="app=b")] == ["b"]
    assert await api.list(pods, fields="spec.nodeName=n") == []


async def test_a_watch_gives_what_is_there_then_a_bookmark_then_changes(api):
    kind = api.kind("", "namespaces")
    seen: list[tuple[str, str]] = []
    caught_up = asyncio.Event()

    async def watch():
        async for event in api.watch(kind):
            seen.append((event.type, event.object["metadata"].get("name", "")))
            if event.type == "BOOKMARK" or len(seen) == 6:
                caught_up.set()

    task = asyncio.create_task(watch())
    await caught_up.wait()
    assert [type_ for type_, _ in seen] == ["ADDED"] * 4 + ["BOOKMARK"]
    caught_up.clear()
    await api.create(kind, {"metadata": {"name": "n"}})
    await caught_up.wait()
    assert seen[-1] == ("ADDED", "n")
    task.cancel()


async def test_custom_kinds_are_known_once_defined(api):
    with pytest.raises(ApiError) as unknown:
        api.kind("example.dev", "widgets")
    assert unknown.value.code == 404
    await api.create(api.kind("apiextensions.k8s.io", "customresourcedefinitions"), widget_definition())
    kind = api.kind("example.dev", "widgets")
    body = widget() | {"metadata": {"name": "one", "namespace": "default"}}
    await api.create(kind, body)
    changed = await api.patch(kind, "one", "default", {"status": {"phase": "Ready"}}, "status")
    assert changed["status"] == {"phase": "Ready"}


async def test_a_watch_says_when_its_kind_is_served_no_more(api):
    definitions = api.kind("apiextensions.k8s.io", "customresourcedefinitions")
    await api.create(definitions, widget_definition())
    kind = api.kind("example.dev", "widgets")
    await api.delete(definitions, "widgets.example.dev")
    with pytest.raises(ApiError) as gone:
        await anext(api.watch(kind))
    assert gone.value.code == 404


async def test_a_stand_in_that_fails_is_told_at_the_end():
    async def broken():
        raise RuntimeError("boom")

    cluster = LocalCluster(ClusterSettings())
    await cluster.start()
    cluster.run("broken", broken)
    await asyncio.sleep(0)
    with pytest.raises(ExceptionGroup, match="stand-ins failed"):
        await cluster.stop()

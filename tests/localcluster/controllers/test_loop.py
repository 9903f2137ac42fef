"""The loop under every stand-in: its cache and its queue."""

import asyncio
import random

import pytest

from kubernaut.localcluster.api import WatchEvent
from kubernaut.localcluster.controllers.loop import Key, Loop, Queue, Store, key_of
from kubernaut.localcluster.errors import ApiError
from kubernaut.localcluster.server import ClusterSettings, LocalCluster

A, B = Key("shop", "a"), Key("shop", "b")


@pytest.fixture
async def api():
    cluster = LocalCluster(ClusterSettings())
    await cluster.api.create(cluster.api.kind("", "namespaces"), {"metadata": {"name": "shop"}})
    yield cluster.api
    await cluster.stop()


@pytest.fixture
async def queue():
    queue = Queue(random.Random(1), base_seconds=1, cap_seconds=8)
    yield queue
    queue.close()


def config(name="a", **data):
    return {"metadata": {"name": name, "namespace": "shop"}, "data": data}


def by_colour(obj):
    return [obj["data"]["colour"]] if "colour" in obj.get("data", {}) else []


def store(api):
    return Store(api, api.kind("", "configmaps"), {"colour": by_colour})


async def test_own_writes_show_at_once(api):
    held = store(api)
    made = await held.create(config(colour="red"))
    assert held.by("colour", "red") == [made]
    await held.patch(made, {"data": {"colour": "blue"}})
    assert held.by("colour", "red") == []
    assert [obj["metadata"]["name"] for obj in held.by("colour", "blue")] == ["a"]
    await held.delete(made)
    assert held.get(A) is None


async def test_late_lines_of_the_watch_change_nothing(api):
    held = store(api)
    made = await held.create(config(colour="red"))
    changed = await held.patch(made, {"data": {"colour": "blue"}})
    held.take(WatchEvent("ADDED", made))
    assert held.get(A) == changed
    await held.delete(changed)
    held.take(WatchEvent("MODIFIED", changed))
    assert held.get(A) is None


async def test_a_namesake_made_later_is_another_object(api):
    held = store(api)
    first = await held.create(config(colour="red"))
    await held.delete(first)
    second = await held.create(config(colour="blue"))
    held.take(WatchEvent("DELETED", first))
    assert held.get(A) == second
    with pytest.raises(ApiError) as refused:
        await held.delete(first)
    assert refused.value.code == 409


async def test_a_stale_object_cannot_be_written(api):
    held = store(api)
    made = await held.create(config(colour="red"))
    await held.patch(made, {"data": {"colour": "blue"}})
    with pytest.raises(ApiError) as refused:
        await held.update(made | {"data": {"colour": "green"}})
    assert refused.value.code == 409


async def test_what_a_new_watch_does_not_show_is_gone(api):
    held = store(api)
    made, other = await held.create(config("a")), await held.create(config("b"))
    held.begin_relist()
    held.take(WatchEvent("ADDED", other))
    assert held.take(WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": "9"}})) == [made]
    assert held.all() == [other]


async def test_a_key_waits_once_however_often_it_is_added(queue):
    for key in (A, B, A, A):
        queue.add(key)
    assert [await queue.take(), await queue.take()] == [A, B]
    queue.add(A)
    queue.done(A)
    assert await queue.take() == A


async def test_a_key_at_work_is_not_given_to_another_worker(queue):
    queue.add(A)
    await queue.take()
    queue.add(A)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.take(), 100)


async def test_failures_come_later_and_later_up_to_a_bound(queue):
    waits = []
    for _ in range(8):
        queue.add(A)
        await queue.take()
        waits.append(queue.failed(A))
        assert await queue.take() == A
        queue._busy.discard(A)
    assert all(0.5 * 2**n <= wait <= 2**n for n, wait in enumerate(waits[:4]))
    assert max(waits) <= 8


async def test_the_earliest_of_several_times_counts(queue):
    start = asyncio.get_running_loop().time()
    queue.add_after(A, 50)
    queue.add_after(A, 5)
    queue.add_after(A, 20)
    assert await queue.take() == A
    assert asyncio.get_running_loop().time() - start == pytest.approx(5)


class Recorder:
    def __init__(self, api, faults=0):
        self.seen = []
        self.faults = faults
        self.loop = Loop(api, "test", self.reconcile, random.Random(1))
        self.store = self.loop.store(api.kind("", "configmaps"), lambda obj: [key_of(obj)] if key_of(obj) == A else [])

    async def reconcile(self, key):
        held = self.store.get(key)
        self.seen.append((key.name, held["data"].get("colour") if held else None))
        if self.faults:
            self.faults -= 1
            raise ApiError(409, "Conflict", "later")


async def running(recorder, seconds):
    task = asyncio.create_task(recorder.loop.run())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_loop_sees_what_is_there_and_what_changes(api):
    await api.create(api.kind("", "configmaps"), config(colour="red"))
    recorder = Recorder(api)
    task = asyncio.create_task(running(recorder, 5))
    await asyncio.sleep(1)
    await api.patch(api.kind("", "configmaps"), "a", "shop", {"data": {"colour": "blue"}})
    await asyncio.sleep(1)
    await api.delete(api.kind("", "configmaps"), "a", "shop")
    await task
    assert recorder.seen == [("a", "red"), ("a", "blue"), ("a", None)]


async def test_a_conflict_is_tried_again(api):
    await api.create(api.kind("", "configmaps"), config(colour="red"))
    recorder = Recorder(api, faults=3)
    await running(recorder, 10)
    assert recorder.seen == [("a", "red")] * 4


async def test_a_loop_can_be_started_again(api):
    await api.create(api.kind("", "configmaps"), config(colour="red"))
    recorder = Recorder(api)
    await running(recorder, 1)
    await api.delete(api.kind("", "configmaps"), "a", "shop")
    await running(recorder, 1)
    assert recorder.seen == [("a", "red"), ("a", None)]

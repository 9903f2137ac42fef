"""The event watch: Warning Events of the cluster become remediations, each counted once, through faults and restarts."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from kubernaut.api import core
from kubernaut.gateway.app import setup
from kubernaut.gateway.eventwatch import EventWatch
from kubernaut.kube.clock import SystemClock
from kubernaut.kube.errors import ApiError
from kubernaut.kube.manager import Manager
from tests.gateway.place import faulty, requests, settings_for
from tests.world import eventually, running


@asynccontextmanager
async def watching(world, client, **changes):
    """Run an event watch as the gateway does; give nothing."""
    settings = settings_for(world, watch_events=True, **changes)
    manager = Manager(client, SystemClock(), name="test", namespace=world.system)
    watch = EventWatch(client, setup(manager, settings), settings)
    manager.background("event watch", watch.run)
    async with running(manager):
        yield


async def event(world, namespace, name, pod, *, reason="BackOff", kind="Warning", seen=None, count=1):
    """Write an Event as a kubelet would."""
    seen = (seen or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    obj = {
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": pod, "namespace": namespace},
        "type": kind,
        "reason": reason,
        "message": "it restarts",
        "firstTimestamp": seen,
        "lastTimestamp": seen,
        "count": count,
    }
    await world.client.create(core.EVENT, obj)


async def counted(world, namespace):
    """Return how often signals about a namespace were counted, over all remediations."""
    found = [each for each in await requests(world) if each.spec.target.namespace == namespace]
    return sum(each.status.deduplication.occurrence_count if each.status.deduplication else 1 for each in found), len(found)


async def until_counted(world, namespace, expected):
    async def reached():
        return await counted(world, namespace) == expected

    await eventually(reached)


async def test_warnings_before_and_after_the_start_are_one_case_and_news_of_other_kinds_are_none(world, shop):
    await event(world, shop, "before", "shop-1-0")
    await event(world, shop, "good", "shop-1-0", kind="Normal")
    await event(world, shop, "old", "shop-1-0", seen=datetime.now(UTC) - timedelta(minutes=10))
    await event(world, shop, "probe", "shop-1-0", reason="Unhealthy")
    async with watching(world, world.client):
        await until_counted(world, shop, (1, 1))
        await event(world, shop, "after", "shop-1-1")
        await until_counted(world, shop, (2, 1))
        body = {"count": 2, "lastTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        await world.client.patch(core.EVENT, "after", shop, body)
        await until_counted(world, shop, (3, 1))
        [found] = [each for each in await requests(world) if each.spec.target.namespace == shop]
    assert found.spec.signal_type == "kubernetes-event"
    assert found.spec.target_resource == f"{shop}/deployment/shop"


async def test_an_event_that_could_not_be_stored_is_taken_at_the_next_try_and_the_others_are_not_counted_again(world, shop):
    way, client = faulty(world)
    await event(world, shop, "first", "shop-1-0")
    async with watching(world, client, store_attempts=1):
        await until_counted(world, shop, (1, 1))
        way.refuse("PATCH", "/status", ApiError(500, "InternalError", "not now"))
        await event(world, shop, "second", "shop-1-1")
        await until_counted(world, shop, (2, 1))
    assert way.writes("/status") == 2


async def test_a_list_read_again_counts_nothing_twice(world, shop):
    settings = settings_for(world, watch_events=True)
    manager = Manager(world.client, SystemClock(), name="test", namespace=world.system)
    watch = EventWatch(world.client, setup(manager, settings), settings)
    await event(world, shop, "first", "shop-1-0")
    async with running(manager):
        for name in ("second", "third"):
            work = asyncio.create_task(watch.run())
            await event(world, shop, name, "shop-1-1")
            await until_counted(world, shop, (2 if name == "second" else 3, 1))
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

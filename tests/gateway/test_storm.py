"""The gateway while more comes in than the Kubernetes API takes: a bounded number of writes, none of them for nobody."""

import asyncio
from dataclasses import dataclass, field

from kubernaut.gateway.counting import WRITES
from kubernaut.kube.client import Client
from kubernaut.kube.transport import Request
from tests.gateway.place import Faulty, faulty, gateway, group, post, requests, together

CASES = 3 * WRITES
UNLIMITED = {"per_source": 0, "per_replica": 0}


@dataclass
class Held(Faulty):
    """A way to the API server that holds writes of a status back while it is shut."""

    opened: asyncio.Event = field(default_factory=asyncio.Event)
    held: int = 0
    most: int = 0

    async def send(self, request: Request) -> bytes:
        if request.method == "PATCH" and not self.opened.is_set():
            self.held += 1
            self.most = max(self.most, self.held)
            try:
                await self.opened.wait()
            finally:
                self.held -= 1
        return await super().send(request)


def held(world):
    way = Held(world.client._transport)
    way.opened.set()
    return way, Client.over(way)


async def open_cases(http, shop):
    status, body = await post(http, group(shop, [f"pod-{number}" for number in range(CASES)]))
    assert (status, body["summary"]["created"]) == (201, CASES)


async def test_repeats_of_many_cases_are_written_a_few_at_a_time(world, shop):
    way, client = held(world)
    async with gateway(world, client=client, rate=UNLIMITED) as http:
        await open_cases(http, shop)
        way.opened.clear()
        sending = asyncio.create_task(together(4, lambda _: post(http, group(shop, [f"pod-{number}" for number in range(CASES)]))))
        while way.held < WRITES:
            await asyncio.sleep(0)
        way.opened.set()
        answers = await sending
    assert {status for status, _ in answers} == {202}
    assert way.most == WRITES
    assert {each.status.deduplication.occurrence_count for each in await requests(world)} == {5}


async def test_what_nobody_waits_for_any_more_is_not_written(world, shop):
    way, client = held(world)
    hasty = gateway(world, client=client, rate=UNLIMITED, store_timeout_seconds=0.5)
    async with gateway(world) as http, hasty as in_vain:
        await open_cases(http, shop)
        way.opened.clear()
        again = group(shop, [f"pod-{number}" for number in range(CASES)])
        for _ in range(3):
            status, body = await post(in_vain, again)
            assert (status, body["summary"]["failed"]) == (503, CASES)
        assert way.most == WRITES
        way.opened.set()
        assert (await post(http, again))[0] == 202
        assert way.writes("/status") <= WRITES, "what waited was left, once nobody waited for it"
    counts = [each.status.deduplication.occurrence_count for each in await requests(world)]
    assert min(counts) >= 2
    assert sum(counts) <= 2 * CASES + WRITES, "what was answered 503 was not counted, but for what was being written"


async def test_resolved_said_again_and_again_is_written_once(world, shop):
    way, client = faulty(world)
    async with gateway(world, client=client) as http:
        await post(http, group(shop, ["shop-1-0"]))
        for _ in range(3):
            assert (await post(http, group(shop, ["shop-1-0"], status="resolved")))[0] == 200
        [found] = await requests(world)
    assert (found.status.signal_state, way.writes("/status")) == ("resolved", 1)


async def test_a_problem_that_came_back_on_one_pod_is_over_again_when_that_pod_is_well(world, shop):
    async with gateway(world) as http:
        await post(http, group(shop, ["shop-1-0", "shop-1-1"]))
        for pods, status, state, firing in (
            (["shop-1-0"], "resolved", "firing", 1),
            (["shop-1-1"], "resolved", "resolved", 0),
            (["shop-1-0"], "firing", "firing", 1),
            (["shop-1-0"], "resolved", "resolved", 0),
        ):
            await post(http, group(shop, pods, status=status))
            [found] = await requests(world)
            assert (found.status.signal_state, len(found.status.deduplication.firing)) == (state, firing)

"""The gateway when the Kubernetes API fails it: 2xx only for what is stored, and once; 503 for what is not."""

import asyncio
import random

import pytest

from kubernaut.kube.errors import ApiError
from tests.gateway.place import alert, faulty, gateway, group, post, requests, starting, together

LEASES, REQUESTS, STATUS = "/leases", "/remediationrequests", "/status"
FAULTS = {
    "overload": ApiError(429, "TooManyRequests", "later"),
    "a fault of the server": ApiError(500, "InternalError", "etcd has no leader"),
    "a timeout": ApiError(0, "Timeout", "no answer in time"),
    "a lost connection": ApiError(0, "Unreachable", "connection reset"),
    "a quota counted meanwhile": ApiError(409, "Conflict", "the object has been modified"),
}
TABLE = [(name, after) for name in FAULTS for after in (False, True)]


def wrong(name, after):
    return f"{name} {'after' if after else 'before'} the effect"


@pytest.mark.parametrize("where", [LEASES, REQUESTS], ids=["the claim", "the remediation"])
async def test_a_passing_fault_of_the_api_costs_a_try_and_never_a_second_remediation(world, shop, where):
    way, client = faulty(world)
    async with gateway(world, client=client) as http:
        for number, (name, after) in enumerate(TABLE):
            way.refuse("POST", where, FAULTS[name], after=after)
            status, body = await post(http, group(shop, [f"pod-{number}"]))
            found = {each.metadata.name: each for each in await requests(world)}
            assert (status, body["status"], len(found)) == (201, "created", number + 1), wrong(name, after)
            assert found[body["remediationRequestName"]].status.deduplication is None, "its creation counts it, and nothing else"


async def test_a_passing_fault_of_the_api_never_counts_a_repeat_twice(world, shop):
    way, client = faulty(world)
    async with gateway(world, client=client) as http:
        await post(http, group(shop, ["shop-1-0"]))
        for number, (name, after) in enumerate(TABLE):
            way.refuse("PATCH", STATUS, FAULTS[name], after=after)
            status, body = await post(http, group(shop, ["shop-1-1"]))
            assert (status, body["status"], body["count"]) == (202, "duplicate", number + 2), wrong(name, after)
        [found] = await requests(world)
    assert found.status.deduplication.occurrence_count == len(TABLE) + 1


async def test_a_lasting_fault_is_answered_503_and_nothing_is_lost_once_it_is_over(world, shop):
    way, client = faulty(world)
    async with gateway(world, client=client) as http:
        for number, (name, fault) in enumerate(FAULTS.items()):
            way.refuse("POST", REQUESTS, fault, times=3)
            status, body = await post(http, group(shop, [f"pod-{number}"]))
            assert (status, body["status"], len(await requests(world))) == (503, "failed", number), name
            assert "send it again" in body["message"]
            assert (await post(http, group(shop, [f"pod-{number}"])))[0] == 201
            assert len(await requests(world)) == number + 1


async def test_an_error_in_the_look_up_makes_no_remediation(world, shop):
    """Acceptance point 1: duplicate, no second one; error in look-up, none."""
    way, client = faulty(world)
    async with gateway(world, client=client) as http:
        way.refuse("GET", REQUESTS, ApiError(500, "InternalError", "no look-up today"), times=3)
        status, body = await post(http, group(shop, ["shop-1-0"]))
        assert (status, body["summary"]["failed"], await requests(world)) == (503, 1, [])


async def test_what_the_api_refuses_for_good_is_rejected_and_does_not_hold_back_the_others(world, shop):
    way, client = faulty(world)
    async with gateway(world, client=client) as http:
        way.refuse("POST", REQUESTS, ApiError(422, "Invalid", "spec.target.name: too long"))
        body = group(shop, []) | {"alerts": [alert(shop, "one"), alert(shop, "two")]}
        status, answer = await post(http, body)
    assert status == 201
    assert sorted(result["status"] for result in answer["results"]) == ["created", "rejected"]
    assert "too long" in next(result["message"] for result in answer["results"] if result["status"] == "rejected")


async def test_a_status_that_others_write_meanwhile_loses_no_count(world, shop):
    async with gateway(world) as http:
        await post(http, group(shop, ["shop-1-0"]))
        [found] = await requests(world)

        async def phases():
            for phase in ("Processing", "Analyzing", "AwaitingApproval", "Executing") * 5:
                fields = {"status": {"overallPhase": phase}}
                await world.client.patch(found.card, found.metadata.name, world.system, fields, subresource="status")

        answers, _ = await asyncio.gather(together(40, lambda number: post(http, group(shop, [f"shop-1-{number % 3}"]))), phases())
        [found] = await requests(world)
    assert {status for status, _ in answers} == {202}
    assert found.status.deduplication.occurrence_count == 41
    assert found.status.overall_phase == "Executing"


@pytest.mark.parametrize("seed", range(3))
async def test_two_gateways_over_an_api_that_fails_at_random_keep_one_open_remediation_and_every_alert(world, shop, seed):
    rng = random.Random(seed)

    def chance(request):
        if request.method == "GET" or rng.random() > 0.25:
            return None
        return rng.choice(list(FAULTS.values())), rng.random() < 0.5

    ways = [faulty(world) for _ in range(2)]
    settings = {"count_flush_seconds": 0.001, "store_attempts": 6}
    async with gateway(world, client=ways[0][1], **settings) as one, gateway(world, client=ways[1][1], **settings) as two:
        for way, _ in ways:
            way.chance = chance

        async def until_taken(number):
            for _ in range(40):
                status, _ = await post((one, two)[number % 2], group(shop, [f"shop-1-{number % 3}"]))
                if status != 503:
                    return status
            return 503

        answers = await together(30, until_taken)
        found = await requests(world)
    assert set(answers) <= {201, 202}
    assert answers.count(201) <= 1
    assert len(found) == 1
    assert found[0].status.deduplication.occurrence_count >= 30, "every alert that was answered 2xx is accounted for"


async def test_ten_thousand_repeats_in_one_webhook_cost_one_write(world, shop):
    way, client = faulty(world)
    async with gateway(world, client=client) as http:
        await post(http, group(shop, ["shop-1-0"]))
        written = len([method for method, _ in way.sent if method != "GET"])
        status, body = await post(http, group(shop, [f"shop-1-{number % 3}" for number in range(10_000)]))
        [found] = await requests(world)
        cost = len([method for method, _ in way.sent if method != "GET"]) - written
    assert (status, body["summary"]["deduplicated"]) == (202, 10_000)
    assert found.status.deduplication.occurrence_count == 10_001
    assert cost == 1


async def test_ten_thousand_alerts_that_open_a_case_at_once_cost_a_claim_a_creation_and_a_count(world, shop):
    way, client = faulty(world)
    async with gateway(world, client=client) as http:
        status, body = await post(http, group(shop, [f"shop-1-{number % 3}" for number in range(10_000)]))
        [found] = await requests(world)
    assert (status, body["summary"]["created"], body["summary"]["deduplicated"]) == (201, 1, 9_999)
    assert found.status.deduplication.occurrence_count == 10_000
    assert (way.writes(LEASES), way.writes(REQUESTS)) == (1, 2)


async def test_repeats_in_many_webhooks_at_once_share_their_writes(world, shop):
    way, client = faulty(world)
    async with gateway(world, client=client, rate={"per_source": 0, "per_replica": 0}) as http:
        await post(http, group(shop, ["shop-1-0"]))
        slots = asyncio.Semaphore(50)

        async def repeat(number):
            async with slots:
                return await post(http, group(shop, [f"shop-1-{number % 3}"] * 50))

        answers = await together(200, repeat)
        [found] = await requests(world)
    assert {status for status, _ in answers} == {202}
    assert found.status.deduplication.occurrence_count == 10_001
    assert way.writes(STATUS) <= 50, "ten thousand repeats cost few writes"


async def test_before_the_caches_are_full_nothing_is_judged(world, shop):
    way, client = faulty(world)
    way.refuse("GET", "/replicasets", ApiError(503, "ServiceUnavailable", "later"), times=1000)
    async with starting(world, client) as http:
        status, body = await post(http, group(shop, ["shop-1-0"]))
        assert (status, body["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert "ReplicaSet" in body["detail"]
        async with http.get("/readyz") as answer:
            assert answer.status == 503
            assert "ReplicaSet" in (await answer.json())["dependencies"]["caches"]["error"]
    assert await requests(world) == []

"""The gateway over real HTTP and a real Kubernetes API: exactly one open remediation for each problem."""

import asyncio
import io
import secrets
from datetime import UTC, datetime

import pytest

from kubernaut.api import core
from kubernaut.api.remediation import RemediationRequest
from kubernaut.kube.clock import SystemClock
from kubernaut.kube.cluster import Caches, Cluster
from kubernaut.orchestration.claim import release
from tests.gateway.place import PATH, gateway, group, post, requests
from tests.world import eventually


async def test_a_group_its_repeat_and_one_more_pod_are_one_remediation_with_a_rising_count(world, shop):
    async with gateway(world) as http:
        status, body = await post(http, group(shop, ["shop-1-0", "shop-1-1"]))
        assert (status, body["summary"]["created"], body["summary"]["deduplicated"]) == (201, 1, 1)
        assert (await post(http, group(shop, ["shop-1-0", "shop-1-1"])))[0] == 202
        assert (await post(http, group(shop, ["shop-1-0", "shop-1-1", "shop-1-2"])))[0] == 202
        [request] = await requests(world)
    tally = request.status.deduplication
    assert (tally.occurrence_count, request.status.duplicate_count) == (7, 6)
    assert {path.rsplit("/", 1)[1] for path in tally.resources} == {"shop-1-0", "shop-1-1", "shop-1-2"}
    assert request.spec.target_resource == f"{shop}/deployment/shop"
    assert request.spec.environment == "production"
    assert request.metadata.name.startswith("remediation-")


async def test_two_gateways_that_hear_the_same_alerts_at_once_make_one_remediation(world, shop):
    async with gateway(world) as one, gateway(world) as two:
        answers = await asyncio.gather(*(post(http, group(shop, [f"shop-1-{n % 3}"])) for n in range(12) for http in (one, two)))
        found = await requests(world)
    assert len(found) == 1
    assert sorted(status for status, _ in answers) == [201, *[202] * 23]
    assert found[0].status.deduplication.occurrence_count == 24


async def test_a_new_problem_after_the_end_is_a_new_remediation(world, shop):
    async with gateway(world) as http:
        await post(http, group(shop, ["shop-1-0"]))
        [first] = await requests(world)
        ended = {"status": {"overallPhase": "Completed", "completionTime": datetime.now(UTC).isoformat()}}
        await world.client.patch(RemediationRequest.card, first.metadata.name, world.system, ended, subresource="status")
        status, _ = await post(http, group(shop, ["shop-1-1"]))
        found = await requests(world)
    assert status == 201
    assert len({each.metadata.name for each in found}) == 2
    assert [each.status.phase.terminal for each in found].count(False) == 1


async def test_a_deleted_remediations_name_is_not_given_again(world, shop):
    async with gateway(world) as http:
        await post(http, group(shop, ["shop-1-0"]))
        [first] = await requests(world)
        await release(Cluster(world.client, SystemClock(), Caches(world.client)), first)
        await world.client.delete(RemediationRequest.card, first.metadata.name, world.system)

        async def gone():
            return await requests(world) == []

        await eventually(gone)
        assert (await post(http, group(shop, ["shop-1-0"])))[0] == 201
        [second] = await requests(world)
    assert second.metadata.name != first.metadata.name


async def test_an_alert_for_a_pod_that_is_gone_belongs_to_the_problem_it_was_part_of(world, shop):
    async with gateway(world) as http:
        await post(http, group(shop, ["shop-1-0", "shop-1-1"]))
        for pod in ("shop-1-0", "shop-1-1"):
            await world.client.delete(core.POD, pod, shop, grace_seconds=0)
        assert (await post(http, group(shop, ["shop-1-0"])))[0] == 202
        await post(http, group(shop, ["shop-1-0"], status="resolved"))
        [request] = await requests(world)
        assert request.status.signal_state == "firing"
        await post(http, group(shop, ["shop-1-1"], status="resolved"))
        [request] = await requests(world)
    assert request.status.signal_state == "resolved"


async def test_resolved_is_noted_on_the_open_remediation_and_never_opens_one(world, shop):
    async with gateway(world) as http:
        status, body = await post(http, group(shop, ["shop-1-0"], status="resolved"))
        assert (status, body["summary"]["resolved"], await requests(world)) == (200, 1, [])
        await post(http, group(shop, ["shop-1-0"]))
        await post(http, group(shop, ["shop-1-0"], status="resolved"))
        [request] = await requests(world)
        assert request.status.signal_state == "resolved"
        assert request.status.signal_resolved_at is not None
        await post(http, group(shop, ["shop-1-0"]))
        [request] = await requests(world)
    assert (request.status.signal_state, request.status.signal_resolved_at) == ("firing", None)


async def test_five_hundred_alerts_of_which_one_is_broken_are_judged_one_by_one(world, shop):
    body = group(shop, [f"lost-{number}" for number in range(499)])
    body["alerts"].insert(250, {"labels": {}})
    async with gateway(world) as http:
        status, answer = await post(http, body)
        found = await requests(world)
    assert (status, len(found)) == (201, 499)
    assert (answer["summary"]["created"], answer["summary"]["rejected"], answer["summary"]["total"]) == (499, 1, 500)
    assert answer["results"][250]["rejection"]["reason"] == "NoAlertName"
    assert {each.spec.fingerprint_form for each in found} == {"alert"}


async def test_odd_texts_are_stored_within_bounds(world, shop):
    body = group(shop, ["shop-1-0"])
    body["alerts"][0]["annotations"] = {"long": "x" * 10_000, "control": "a\x00b\x1b[31mc"}
    body["alerts"][0]["labels"]["severity"] = "quite\x07bad"
    async with gateway(world) as http:
        status, _ = await post(http, body)
        [request] = await requests(world)
    assert (status, request.spec.severity) == (201, "unknown")
    assert len(request.spec.signal_annotations["long"]) < 5000


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        pytest.param(b"{not json", 400, "SIGNAL_VALIDATION_FAILED", id="malformed JSON"),
        pytest.param(b'{"version": "3", "alerts": [{}]}', 400, "SIGNAL_VALIDATION_FAILED", id="an unknown version"),
        pytest.param(b'{"version": 4, "alerts": {"a": 1}}', 400, "SIGNAL_VALIDATION_FAILED", id="wrong types"),
        pytest.param(bytes(5 * 1024 * 1024 + 1), 413, "REQUEST_TOO_LARGE", id="a body over 5 MB"),
    ],
)
async def test_a_bad_body_gets_an_answer_that_says_what_is_wrong(world, content, status, code):
    async with gateway(world) as http, http.post(PATH, data=io.BytesIO(content)) as answer:
        body = await answer.json(content_type=None)
    assert (answer.status, answer.content_type) == (status, "application/problem+json")
    assert (body["error"]["code"], body["title"], body["status"]) == (code, code, status)


async def test_what_cannot_be_stored_is_answered_503_and_taken_at_the_next_try(world, shop):
    namespace = f"later-{secrets.token_hex(3)}"
    async with gateway(world, namespace=namespace) as http:
        status, body = await post(http, group(shop, ["shop-1-0"]))
        assert (status, body["summary"]["failed"]) == (503, 1)
        world.made.append(namespace)
        await world.client.create(core.NAMESPACE, {"metadata": {"name": namespace}})
        status, body = await post(http, group(shop, ["shop-1-0"]))
    assert (status, body["summary"]["created"]) == (201, 1)
    assert body["remediationRequestNamespace"] == namespace


async def test_overload_is_answered_503_with_a_time_to_come_back(world):
    async with gateway(world, max_concurrent_requests=1) as http:
        blocker = asyncio.Event()

        async def slow():
            yield b"{"
            await blocker.wait()

        async def first():
            async with http.post(PATH, data=slow()) as answer:
                return answer.status

        waiting = asyncio.create_task(first())

        async def refused():
            async with http.post(PATH, data=b"{}") as answer:
                return answer.status == 503 and answer.headers["Retry-After"]

        assert await eventually(refused) == "30"
        blocker.set()
        assert await waiting == 400


async def test_probes_and_metrics_answer(world):
    async with gateway(world) as http:
        async with http.get("/healthz") as answer:
            assert (await answer.json())["status"] == "healthy"
        async with http.get("/readyz") as answer:
            assert (await answer.json())["dependencies"]["kubernetes"]["status"] == "healthy"
        async with http.get("/metrics") as answer:
            assert "gateway_signals_received_total" in await answer.text()

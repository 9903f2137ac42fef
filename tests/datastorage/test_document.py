"""The OpenAPI document against the running data storage; who may ask, how often, and how much."""

import asyncio
import json

import pytest
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from kubernaut.api import core
from kubernaut.datastorage.app import guards
from kubernaut.service import AccessSettings, RateSettings
from tests.datastorage.place import answer, datastorage, event, everything, opened, served
from tests.openapi import tried

EVENTS = "/api/v1/audit/events"
BATCH = f"{EVENTS}/batch"
UNSAYABLE = {f"POST {BATCH}": [negative_data_rejection], f"GET {EVENTS}": [positive_data_acceptance]}
"""A batch with a bad event is taken for the good ones; a cursor is one that was given out."""


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_no_request_gets_an_answer_that_the_document_does_not_know(http):
    sent = await asyncio.to_thread(tried, str(http._base_url).rstrip("/"), without=UNSAYABLE, examples=12)
    assert all(status < 500 for _, status in sent)
    for path in ("events", "events/batch", "remediation", "workflow", "legal-hold"):
        assert sent[f"/api/v1/audit/{path}", 201] > 0, "what is well formed is stored"
        assert sent[f"/api/v1/audit/{path}", 400] > 0, "what is not is refused"
    assert {path for path, status in sent if status == 200} >= {
        "/api/v1/audit/events",
        "/api/v1/context/success-rates",
        "/api/v1/audit/export",
    }


async def test_answers_about_tokens_are_in_the_document_where_tokens_are_asked_for(tmp_path):
    for enabled in (True, False):
        async with datastorage(f"sqlite+aiosqlite:///{tmp_path}/audit.db", access=AccessSettings(enabled=enabled)) as http:
            document = await answer(await http.get("/openapi.json"))
            for operations in document["paths"].values():
                assert all(({"401", "403"} <= each["responses"].keys()) == enabled for each in operations.values())


async def test_with_access_on_a_token_is_needed_and_its_user_is_on_record(world, tmp_path):
    namespace = await world.namespace("callers")
    await world.create(core.SERVICE_ACCOUNT, {"metadata": {"name": "auditor", "namespace": namespace}})
    asked = {"metadata": {"name": "auditor", "namespace": namespace}, "spec": {}}
    made = await world.client.create(core.SERVICE_ACCOUNT, asked, subresource_of="auditor", subresource="token")
    good = {"Authorization": f"Bearer {made['status']['token']}"}
    access = AccessSettings(enabled=True)
    async with (
        opened(f"sqlite+aiosqlite:///{tmp_path}/audit.db", access=access) as store,
        served(store, guards(world.client, store)) as http,
    ):
        await answer(await http.post("/api/v1/audit/events", json=event(1)), 401)
        await answer(await http.post("/api/v1/audit/events", json=event(1), headers={"Authorization": "Bearer nonsense"}), 401)
        await answer(await http.post("/api/v1/audit/legal-hold", json={"correlation_id": "a", "reason": "why"}, headers=good), 201)
        holds = (await answer(await http.get("/api/v1/audit/legal-hold", headers=good)))["holds"]
        assert holds[0]["placed_by"] == f"system:serviceaccount:{namespace}:auditor"
        await answer(await http.get("/readyz"))


async def test_one_who_asks_too_often_is_told_to_wait(tmp_path):
    rate = RateSettings(per_source=1, burst=2, per_replica=0)
    async with datastorage(f"sqlite+aiosqlite:///{tmp_path}/audit.db", rate=rate) as http:
        for status in (200, 200, 429):
            reply = await http.get("/api/v1/audit/events")
            await answer(reply, status)
        assert reply.headers["Retry-After"]


def nested(depth):
    return {"a": nested(depth - 1)} if depth else {}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(nested(10), "nested 10 deep", id="nesting"),
        pytest.param({"a": "x" * 256 * 1024}, "256 KiB", id="size"),
    ],
)
async def test_an_events_data_has_bounds(http, data, says):
    refused = await answer(await http.post("/api/v1/audit/events", json=event(1, event_data=data)), 400)
    assert says in refused["detail"]
    body = await answer(await http.post(BATCH, json=[event(1, event_data=data), event(2)]), 201)
    assert says in body["refused"][0]["error"]
    await answer(await http.post("/api/v1/audit/events", json=event(3, event_data=nested(9))), 201)


async def test_a_body_nested_without_end_is_refused(http):
    deep = b"[" * 100_000 + b"]" * 100_000
    for path in ("/api/v1/audit/events", BATCH, "/api/v1/audit/remediation"):
        await answer(await http.post(path, data=deep), 400)


async def test_what_no_database_could_keep_is_kept_as_text(http):
    raw = json.dumps(event(1, message="a\0b", event_data={"big": 10**40, "n\0": ["\0", 1.5, True, None]})).encode()
    await answer(await http.post("/api/v1/audit/events", data=raw), 201)
    (kept,) = await everything(http)
    assert kept["message"] == "a\N{REPLACEMENT CHARACTER}b"
    assert kept["event_data"] == {"big": str(10**40), "n\N{REPLACEMENT CHARACTER}": ["\N{REPLACEMENT CHARACTER}", 1.5, True, None]}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"event_id": "\\ud800"}', b"[]", b"null", b"\xff"],
    ids=["empty", "cut", "half a character", "a list", "null", "no UTF-8"],
)
async def test_a_body_that_is_no_record_is_refused_in_a_sentence(http, body):
    refused = await answer(await http.post("/api/v1/audit/events", data=body), 400)
    assert refused["detail"].startswith("The body is")

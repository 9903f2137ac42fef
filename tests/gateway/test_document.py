"""The OpenAPI document against the running gateway: no 5xx, no answer that is not in it."""

import asyncio
from datetime import timedelta

from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.gateway.place import SOURCES, gateway, post
from tests.openapi import tried

GENERIC = "/api/v1/signals"
FREE = {"per_source": 0, "per_replica": 0}
DEPENDS = {f"POST {GENERIC}": [positive_data_acceptance]}
"""What the generic route takes depends on its header, which an OpenAPI document cannot say."""


async def test_no_request_gets_an_answer_that_the_document_does_not_know(world):
    async with gateway(world, rate=FREE) as http:
        sent = await asyncio.to_thread(tried, str(http._base_url).rstrip("/"), without=DEPENDS)
    assert {path for path, _ in sent} == {GENERIC, *(source.path for source in SOURCES)}
    for path in {path for path, _ in sent}:
        assert sent[path, 200] > 0, "what is well formed is judged"
        assert sent[path, 400] > 0, "what is not is refused"
    assert all(status < 500 for _, status in sent)


async def test_the_documents_examples_are_taken(world):
    async with gateway(world, replay_window=timedelta(0)) as http, http.get("/openapi.json") as answer:
        paths = (await answer.json())["paths"]
        for source in SOURCES:
            example = paths[source.path]["post"]["requestBody"]["content"]["application/json"]["schema"]["example"]
            status, body = await post(http, example, source.path)
            assert (status, body["status"]) in {(201, "created"), (202, "duplicate")}, source.name


async def test_answers_about_tokens_are_in_the_document_where_tokens_are_asked_for(world):
    for access in ({"enabled": True}, {"enabled": False}):
        async with gateway(world, access=access) as http, http.get("/openapi.json") as answer:
            answers = (await answer.json())["paths"][SOURCES[0].path]["post"]["responses"]
        assert ({"401", "403"} <= answers.keys()) == access["enabled"]

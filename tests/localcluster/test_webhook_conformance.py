"""Webhooks in the corners: asked again after a later one, match conditions without a value, and those that never answer."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from kubernaut.localcluster import ClusterSettings
from kubernaut.localcluster.certificates import make_identity
from tests.localcluster.http import CONFIGMAPS, configmap, served
from tests.localcluster.test_webhooks import ADMISSION, CREATED, Hook, serving

pytestmark = pytest.mark.cluster
MUTATING, VALIDATING = f"{ADMISSION}/mutatingwebhookconfigurations", f"{ADMISSION}/validatingwebhookconfigurations"


@pytest.fixture
async def http():
    async with served(ClusterSettings()) as (_, made):
        yield made


def row(hook, name, **fields):
    return {
        "name": name,
        "clientConfig": {"url": hook.url, "caBundle": hook.bundle},
        "rules": [CREATED],
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        **fields,
    }


async def register(http, path, *rows):
    made = await http.post(path, {"metadata": {"name": "example-w"}, "webhooks": list(rows)})
    assert made.status == 201, made.body


@asynccontextmanager
async def silent():
    """Give the URL of a server that takes connections and says nothing."""
    done = asyncio.Event()

    async def connected(_reader, writer):
        await done.wait()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/review"
    finally:
        done.set()
        server.close()


@pytest.mark.parametrize(("policy", "asked"), [("Never", 1), ("IfNeeded", 2)])
async def test_a_webhook_is_asked_again_when_a_later_one_changed_what_it_saw(http, policy, asked):
    async with serving(http.word) as first, serving(http.word) as second:
        first.patches({"op": "add", "path": "/metadata/labels", "value": {"seen": "1"}})
        second.patches({"op": "add", "path": "/data/b", "value": "2"})
        await register(http, MUTATING, row(first, "a.example.dev", reinvocationPolicy=policy), row(second, "b.example.dev"))
        made = (await http.post(CONFIGMAPS, configmap(a="1"))).body
        assert (made["metadata"]["labels"], made["data"]) == ({"seen": "1"}, {"a": "1", "b": "2"})
        assert (len(first.asked), len(second.asked)) == (asked, 1)
        assert first.asked[-1]["object"]["data"].get("b") == ("2" if asked > 1 else None)


async def test_one_that_changed_nothing_after_it_is_not_asked_again(http):
    async with serving(http.word) as first, serving(http.word) as second:
        first.patches({"op": "add", "path": "/data/b", "value": "2"})
        await register(http, MUTATING, row(first, "a.example.dev", reinvocationPolicy="IfNeeded"), row(second, "b.example.dev"))
        await http.post(CONFIGMAPS, configmap(a="1"))
        assert (len(first.asked), len(second.asked)) == (1, 1)


@pytest.mark.parametrize(("policy", "status"), [("Fail", 403), ("Ignore", 201)])
async def test_a_condition_without_a_value_follows_the_failure_policy(http, policy, status):
    async with serving(http.word) as hook:
        hook.denies()
        condition = {"name": "broken", "expression": "object.data.none == '1'"}
        await register(http, VALIDATING, row(hook, "a.example.dev", matchConditions=[condition], failurePolicy=policy))
        answer = await http.post(CONFIGMAPS, configmap(a="1"))
        assert (answer.status, hook.asked) == (status, [])
        told = "configmaps \"one\" is forbidden: expression 'object.data.none == '1'' resulted in error: no such key: none"
        assert status == 201 or answer.message == told


@pytest.mark.parametrize(("policy", "status"), [("Fail", 500), ("Ignore", 201)])
async def test_one_that_never_answers_is_given_up(http, policy, status):
    async with silent() as url:
        hook = Hook(make_identity(["127.0.0.1"], datetime.now(UTC)), http.word)
        hook.url = url
        await register(http, VALIDATING, row(hook, "a.example.dev", timeoutSeconds=1, failurePolicy=policy))
        answer = await http.post(CONFIGMAPS, configmap())
        assert answer.status == status
        assert status == 201 or answer.message.endswith('/review?timeout=1s": context deadline exceeded')


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"matchConditions": [{"name": "c", "expression": "object."}]}, "webhooks[0].matchConditions[0].expression: Invalid value"),
        ({"matchConditions": [{"name": "c", "expression": "params.x == 1"}]}, "undeclared reference to 'params"),
        ({"timeoutSeconds": 31}, "the timeout value must be between 1 and 30 seconds"),
        ({"failurePolicy": "Maybe"}, 'webhooks[0].failurePolicy: Unsupported value: "Maybe"'),
    ],
)
async def test_a_configuration_at_fault_is_refused_at_once(http, fields, words):
    async with serving(http.word) as hook:
        refused = await http.post(VALIDATING, {"metadata": {"name": "example-w"}, "webhooks": [row(hook, "a.example.dev", **fields)]})
    assert refused.status == 422
    assert words in refused.message

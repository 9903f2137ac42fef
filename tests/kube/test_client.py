"""The REST protocol, one request at a time."""

import asyncio
from contextlib import aclosing

import pytest

from kubernaut.api.base import Kind
from kubernaut.kube import transport
from kubernaut.kube.client import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, ApiError, Client, _event, path_of

POD = Kind(kind="Pod", plural="pods", group="", version="v1")
NODE = Kind(kind="Node", plural="nodes", group="", version="v1", namespaced=False)
DEPLOYMENT = Kind(kind="Deployment", plural="deployments", group="apps", version="v1")
PODS = ("", "pods")


def pod(name="a", **metadata):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default", **metadata}}


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ((POD, "ns", "a"), "/api/v1/namespaces/ns/pods/a"),
        ((POD, "", ""), "/api/v1/pods"),
        ((POD, "ns", "a", "log"), "/api/v1/namespaces/ns/pods/a/log"),
        ((NODE, "", "n"), "/api/v1/nodes/n"),
        ((NODE, "ignored", "n"), "/api/v1/nodes/n"),
        ((DEPLOYMENT, "ns", "d", "scale"), "/apis/apps/v1/namespaces/ns/deployments/d/scale"),
        ((NODE, "", "system:node é"), "/api/v1/nodes/system:node%20%C3%A9"),
    ],
)
def test_path(arguments, path):
    assert path_of(*arguments) == path


@pytest.mark.parametrize("name", ["..", ".", "a/b", "../secrets/x", "a%2fb"])
def test_a_name_cannot_leave_its_collection(name):
    with pytest.raises(ApiError, match="no name"):
        path_of(POD, "ns", name)


@pytest.mark.parametrize("call", ["get", "delete"])
async def test_an_empty_name_never_means_the_whole_collection(api, client, call):
    with pytest.raises(ApiError, match="name"):
        await getattr(client, call)(POD, "", "default")
    with pytest.raises(ApiError, match="namespace"):
        await getattr(client, call)(POD, "a")
    assert api.requests == []


@pytest.mark.parametrize(
    ("code", "reason", "properties"),
    [
        (404, "NotFound", {"not_found"}),
        (409, "AlreadyExists", {"already_exists"}),
        (409, "Conflict", {"conflict"}),
        (422, "Invalid", {"invalid"}),
        (403, "Forbidden", {"forbidden"}),
        (410, "Expired", {"expired"}),
        (410, "Gone", {"expired"}),
        (429, "TooManyRequests", {"retryable"}),
        (500, "InternalError", {"retryable"}),
        (502, "", {"retryable"}),
        (503, "ServiceUnavailable", {"retryable"}),
        (504, "Timeout", {"retryable"}),
        (0, "Unreachable", {"retryable"}),
        (400, "BadRequest", set()),
    ],
)
def test_what_a_refusal_means(code, reason, properties):
    fault = ApiError(code, reason, "")
    names = ("not_found", "already_exists", "conflict", "invalid", "forbidden", "expired", "retryable")
    assert {name for name in names if getattr(fault, name)} == properties


async def test_a_refusal_carries_the_servers_words(api, client):
    with pytest.raises(ApiError) as caught:
        await client.get(POD, "a", "default")
    assert (caught.value.status, caught.value.reason, str(caught.value)) == (404, "NotFound", "404 NotFound: NotFound")


def test_a_proxys_page_is_cut_and_kept():
    fault = ApiError.of(502, b"<html>" + b"x" * 10_000)
    assert (fault.status, fault.message[:8], len(fault.message)) == (502, "<html>xx", 500)


async def test_a_lost_connection_is_an_api_error(api, client):
    api.refuse("GET", "pods", 0, times=2)  # aiohttp itself tries an idempotent request twice
    with pytest.raises(ApiError) as caught:
        await client.get(POD, "a", "default")
    assert (caught.value.status, caught.value.retryable) == (0, True)


async def test_nobody_there_is_an_api_error(unused_tcp_port):
    client = Client(f"http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(ApiError, match=rf"^Unreachable: 127\.0\.0\.1:{unused_tcp_port}: Connection refused \(GET /api"):
        await client.get(POD, "a", "default")
    await client.close()


async def test_an_answer_that_never_comes_is_an_api_error(api, client, monkeypatch):
    monkeypatch.setattr(transport, "REQUEST_SECONDS", 0.05)
    never = asyncio.Event()
    monkeypatch.setattr(api, "_route", lambda request: never.wait())
    with pytest.raises(ApiError, match="Timeout"):
        await client.get(POD, "a", "default")
    never.set()


async def test_objects_are_made_changed_and_deleted(api, client):
    made = await client.create(POD, pod())
    changed = await client.update(POD, {**made, "spec": {"nodeName": "n"}})
    with pytest.raises(ApiError) as caught:
        await client.update(POD, {**made, "spec": {"nodeName": "other"}})
    assert caught.value.conflict
    patched = await client.patch(POD, "a", "default", {"metadata": {"labels": {"x": "y"}}})
    assert (changed["spec"], patched["metadata"]["labels"]) == ({"nodeName": "n"}, {"x": "y"})
    with pytest.raises(ApiError):
        await client.delete(POD, "a", "default", uid="another")
    await client.delete(POD, "a", "default", uid=made["metadata"]["uid"])
    assert api.objects[PODS] == {}


async def test_what_a_request_says(api, client):
    api.put(PODS, pod())
    await client.patch(POD, "a", "default", {}, dry_run=True)
    await client.apply(POD, pod(), manager="me", force=True, subresource="status")
    assert [(method, path) for method, path in api.requests] == [
        ("PATCH", "/api/v1/namespaces/default/pods/a?dryRun=All"),
        ("PATCH", "/api/v1/namespaces/default/pods/a/status?fieldManager=me&force=true"),
    ]
    assert [headers["Content-Type"] for headers in api.headers] == [MERGE_PATCH, APPLY_PATCH]
    assert JSON_PATCH == "application/json-patch+json"


async def test_impersonation_is_said_in_headers_and_stays_with_its_client(api, client):
    api.put(PODS, pod())
    await client.impersonating("jane", ["dev", "ops"]).get(POD, "a", "default")
    await client.get(POD, "a", "default")
    assert api.headers[0]["Impersonate-User"] == "jane"
    assert "Impersonate-User" not in api.headers[1]
    with pytest.raises(ValueError, match="nobody"):
        client.impersonating("")


async def test_text_is_cut_at_its_bound(api, client):
    api.logs = "x" * (5 * 1024 * 1024)
    text = await client.text(path_of(POD, "default", "a", "log"), tailLines="10")
    assert len(text) == 4 * 1024 * 1024
    assert api.requests == [("GET", "/api/v1/namespaces/default/pods/a/log?tailLines=10")]


async def test_a_watch_line_beyond_its_bound_is_refused(api, client, monkeypatch):
    monkeypatch.setattr(transport, "LINE_LIMIT", 100_000)
    api.put(PODS, pod() | {"data": "x" * 200_000})
    async with aclosing(client.watch(POD, resource_version="1")) as events:
        with pytest.raises(ApiError, match="LineTooLong"):
            await anext(events)


@pytest.mark.parametrize("line", [b"<html>", b"[]", b"{}", b'{"type": "ADDED"}', b'{"type": 1, "object": {}}'])
def test_a_line_that_is_no_event_is_an_api_error(line):
    with pytest.raises(ApiError) as caught:
        _event(line)
    assert caught.value.retryable


async def test_an_answer_beyond_its_bound_is_refused(api, client, monkeypatch):
    api.put(PODS, pod() | {"data": "x" * 200_000})
    request = transport.Request("GET", "/api/v1/pods", {}, transport.Headers(), limit=100_000)
    with pytest.raises(ApiError, match="AnswerTooLarge"):
        await client._transport.send(request)


async def test_more_requests_than_connections_wait_their_turn(api):
    api.put(PODS, pod())
    client = Client(api.url, limit=2)
    answers = await asyncio.gather(*(client.get(POD, "a", "default") for _ in range(20)))
    assert len(answers) == 20
    await client.close()


async def test_a_label_selector_arrives_as_written(api, client):
    await client.list(POD, label_selector="app in (a, b),tier!=c d+e")
    assert "labelSelector=app+in+(a,+b),tier!%3Dc+d%2Be" in api.requests[0][1].replace("%20", "+")

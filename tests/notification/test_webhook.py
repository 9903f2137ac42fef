"""The webhook channel against a receiver over real HTTP."""

import hashlib
import hmac
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from kubernaut.notification.channels.base import NotDelivered
from kubernaut.notification.channels.webhook import Webhook, signature
from kubernaut.notification.settings import WebhookSettings
from tests.notification.pieces import note


class Receiver:
    """Keeps what it is sent and answers as told."""

    def __init__(self, status=200, text="", headers=None):
        self.got = []
        self._answer = {"status": status, "text": text, "headers": headers or {}}

    async def __call__(self, request):
        self.got.append((request.path, dict(request.headers), await request.read()))
        return web.Response(**self._answer)

    @asynccontextmanager
    async def serving(self):
        runner = web.ServerRunner(web.Server(self._plain), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/hooks/kubernaut"
        finally:
            await runner.cleanup()

    async def _plain(self, request):
        return await self(request)


@asynccontextmanager
async def channel(url, **settings):
    async with aiohttp.ClientSession() as session:
        yield Webhook(session, WebhookSettings(url=url, **settings))


async def test_a_message_arrives_as_json_with_its_id():
    receiver = Receiver(status=204)
    async with receiver.serving() as url, channel(url) as webhook:
        await webhook.send(note())
    [(path, headers, body)] = receiver.got
    assert (path, headers["Content-Type"], headers["X-Kubernaut-Delivery"]) == ("/hooks/kubernaut", "application/json", "u-1")
    assert "X-Kubernaut-Signature" not in headers
    assert json.loads(body) == {
        "id": "u-1",
        "type": "Approval",
        "priority": "High",
        "subject": "Approve?",
        "body": "**yes** or no",
        "correlationId": "remediation-abcde12345",
        "metadata": {"phase": "approval"},
        "details": {"target": "production/deployment/shop"},
    }


async def test_with_a_shared_secret_the_very_bytes_sent_are_signed():
    receiver = Receiver()
    async with receiver.serving() as url, channel(url, secret="shared") as webhook:
        await webhook.send(note(subject="漢 🚨"))
    [(_, headers, body)] = receiver.got
    assert headers["X-Kubernaut-Signature"] == "sha256=" + hmac.new(b"shared", body, hashlib.sha256).hexdigest()


def test_a_signature_is_the_one_that_the_documented_example_gives():
    """The vector of GitHub's webhook documentation, whose form ours is."""
    assert (
        signature("It's a Secret to Everybody", b"Hello, World!")
        == "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    )


@pytest.mark.parametrize(
    ("status", "permanent"),
    [
        *[(status, True) for status in (400, 401, 403, 404, 410, 413, 422)],
        *[(status, False) for status in (301, 408, 425, 429, 500, 502, 503, 504)],
    ],
)
async def test_an_answer_tells_whether_another_try_may_help(status, permanent):
    receiver = Receiver(status=status, text="because", headers={"Location": "/elsewhere"})
    async with receiver.serving() as url, channel(url) as webhook:
        with pytest.raises(NotDelivered, match=f"answered {status}: because") as fault:
            await webhook.send(note())
    assert fault.value.permanent is permanent
    assert len(receiver.got) == 1, "a redirect is not followed: the signature was for this receiver"

"""The webhook channel against a receiver over real HTTP."""

import json
from contextlib import asynccontextmanager

import aiohttp
import pytest

from kubernaut.api.notification import DeliveryEvent
from kubernaut.notification.channels.base import NotDelivered
from kubernaut.notification.channels.webhook import Webhook, signature
from kubernaut.notification.settings import WebhookSettings
from tests.notification.pieces import START, note
from tests.notification.receivers import PLANTED, Receiver, SignedHook


@asynccontextmanager
async def channel(url, **settings):
    async with aiohttp.ClientSession() as session:
        yield Webhook(session, WebhookSettings(url=url, **settings), now=lambda: START)


async def test_a_message_arrives_as_json_with_its_id():
    receiver = Receiver(status=204)
    async with receiver.serving() as url, channel(url) as webhook:
        await webhook.send(note())
    [(path, headers, body)] = receiver.got
    assert (path, headers["Content-Type"], headers["X-Kubernaut-Delivery"]) == ("/hooks/kubernaut", "application/json", "u-1")
    assert "X-Kubernaut-Signature" not in headers
    assert json.loads(body) == {
        "id": "u-1",
        "event": "told",
        "type": "Approval",
        "priority": "High",
        "subject": "Approve?",
        "body": "**yes** or no",
        "note": "",
        "correlationId": "remediation-abcde12345",
        "writtenAt": "2026-01-01T03:00:00+00:00",
        "metadata": {"phase": "approval"},
        "details": {"target": "production/deployment/shop"},
        "links": [{"text": "Grafana", "url": "https://grafana.example/d/1?a=b&c=d"}],
        "whole": "https://console.example/remediation-abcde12345",
    }


async def test_with_a_shared_secret_the_very_bytes_sent_are_signed_with_their_time():
    receiver = SignedHook()
    async with receiver.serving() as url, channel(url, secret=PLANTED) as webhook:
        await webhook.send(note(subject="漢 🚨"))
    assert [each["subject"] for each in receiver.told] == ["漢 🚨"]


async def test_another_secret_or_an_old_message_is_refused():
    receiver = SignedHook()
    async with receiver.serving() as url, channel(url, secret="another") as webhook:
        with pytest.raises(NotDelivered, match="answered 400"):
            await webhook.send(note())


async def test_the_secret_may_be_in_a_file_that_changes(tmp_path):
    receiver, file = SignedHook(), tmp_path / "secret"
    file.write_text("another")
    async with receiver.serving() as url, channel(url, secret_file=file) as webhook:
        with pytest.raises(NotDelivered):
            await webhook.send(note())
        file.write_text(PLANTED)
        await webhook.send(note())
    assert len(receiver.told) == 1


def test_a_signature_is_the_one_that_the_documented_example_gives():
    """The vector of Slack's documentation on verifying requests, whose form ours is."""
    body = (
        "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA"
        "&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J"
        "%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    signed = signature("8f742231b10e8888abcd99yyyzzz85a5", "1531420618", body.encode())
    assert signed == "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"


async def test_another_place_is_another_receiver_and_an_unknown_one_is_the_first():
    first, second = Receiver(), Receiver()
    async with first.serving() as url, second.serving() as other, channel(url, places={"audit": {"url": other}}) as webhook:
        await webhook.send(note(address=webhook.place("audit")))
        await webhook.send(note(address=webhook.place("nowhere")))
    assert (len(first.got), len(second.got)) == (1, 1)


async def test_what_follows_a_message_has_an_id_of_its_own():
    receiver = Receiver()
    async with receiver.serving() as url, channel(url) as webhook:
        await webhook.send(note(event=DeliveryEvent.CLOSED, note="The case has ended."))
    [(_, headers, body)] = receiver.got
    assert headers["X-Kubernaut-Delivery"] == "u-1-closed"
    assert json.loads(body)["note"] == "The case has ended."


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


@pytest.mark.parametrize(("asked", "seconds"), [("120", 120), ("soon", None), ("999999999", 86_400)])
async def test_how_long_a_receiver_wants_to_be_left_alone_is_heard(asked, seconds):
    receiver = Receiver(status=429, headers={"Retry-After": asked})
    async with receiver.serving() as url, channel(url) as webhook:
        with pytest.raises(NotDelivered) as fault:
            await webhook.send(note())
    assert (fault.value.patience.total_seconds() if fault.value.patience else None) == seconds

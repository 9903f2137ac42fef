"""What Slack sends: believed only with its signature over these very bytes of just now, and read strictly."""

from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slack_sdk.models.views import View

from kubernaut.notification.answering.slack import Pressed, Submitted, is_signed, read, why_form
from kubernaut.notification.channels.base import Link
from kubernaut.notification.channels.slack_blocks import APPROVE, REJECT, blocks_of, fallback_of
from tests.notification import forms
from tests.notification.pieces import note

# The worked example of Slack's own documentation, https://docs.slack.dev/authentication/verifying-requests-from-slack/
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
    b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
    b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
TIME = 1531420618
SIGNED = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"


def headers(time=str(TIME), signature=SIGNED):
    return {"x-slack-request-timestamp": time, "x-slack-signature": signature}


def test_the_documented_example_is_believed():
    assert is_signed(SECRET, BODY, headers(), TIME)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_any_byte_changed_is_not(place, by):
    changed = bytearray(BODY)
    changed[place] ^= by
    assert not is_signed(SECRET, bytes(changed), headers(), TIME)


UNSIGNED = {
    "another secret": ("0" * 32, headers(), TIME),
    "no secret": (" ", headers(), TIME),
    "over five minutes old": (SECRET, headers(), TIME + 301),
    "from the future": (SECRET, headers(), TIME - 301),
    "another time": (SECRET, headers(str(TIME + 1)), TIME),
    "no time": (SECRET, {"x-slack-signature": SIGNED}, TIME),
    "time that is none": (SECRET, headers("now"), TIME),
    "time in other digits": (SECRET, headers("١٥٣١٤٢٠٦١٨"), TIME),
    "no signature": (SECRET, {"x-slack-request-timestamp": str(TIME)}, TIME),
    "cut signature": (SECRET, headers(signature=SIGNED[:-1]), TIME),
    "strange signature": (SECRET, headers(signature="v0=é"), TIME),
}


@pytest.mark.parametrize(("secret", "sent", "now"), UNSIGNED.values(), ids=UNSIGNED)
def test_what_slack_did_not_sign_just_now_is_not_believed(secret, sent, now):
    assert not is_signed(secret, BODY, sent, now)


def sent(payload):
    return urlencode({"payload": orjson.dumps(payload).decode()}).encode()


PRESS = {
    "type": "block_actions",
    "user": {"id": "U0ADA"},
    "channel": {"id": "C1"},
    "trigger_id": "t.1",
    "actions": [{"action_id": APPROVE, "value": "TICKET"}],
}
VIEW = {"callback_id": REJECT, "private_metadata": '["TICKET", "C1"]', "state": {"values": {"reason": {"reason": {"value": "no"}}}}}


@pytest.mark.parametrize(
    ("payload", "found"),
    [
        (PRESS, Pressed(APPROVE, "TICKET", "U0ADA", "C1", "t.1")),
        ({**PRESS, "channel": None, "container": {"channel_id": "C2"}}, Pressed(APPROVE, "TICKET", "U0ADA", "C2", "t.1")),
        ({**PRESS, "actions": [{"action_id": "link-0"}]}, None),
        ({"type": "view_submission", "user": {"id": "U0ADA"}, "view": VIEW}, Submitted("TICKET", "U0ADA", "C1", "no")),
        ({"type": "view_submission", "user": {"id": "U0ADA"}, "view": {"callback_id": "another"}}, None),
        ({"type": "shortcut"}, None),
    ],
    ids=["a press", "in a thread", "a link", "a form", "another form", "something else"],
)
def test_what_somebody_did_is_read(payload, found):
    assert read(sent(payload)) == found


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"payload",
        b"payload={",
        b"\xff",
        sent([]),
        sent({}),
        sent({"type": "block_actions"}),
        sent({**PRESS, "actions": []}),
        sent({**PRESS, "user": "x"}),
    ],
)
def test_what_slack_would_not_send_is_a_fault(body):
    with pytest.raises(ValueError, match=r".+"):
        read(body)


def test_the_form_that_asks_why_is_one_that_slack_takes_and_leads_back():
    view = why_form("T" * 600, "C1", "restart on " + "x" * 500)
    View(**view).validate_json()
    assert len(view["private_metadata"]) <= 3000
    filled = {**VIEW, "private_metadata": view["private_metadata"], "callback_id": view["callback_id"]}
    assert read(sent({"type": "view_submission", "user": {"id": "U1"}, "view": filled})) == Submitted("T" * 600, "U1", "C1", "no")


def test_an_approval_has_two_buttons_and_one_of_them_asks_again():
    message = note(ticket="T" * 600, subject="x" * 400, answers=(Link("Page", "https://kubernaut.example/a"),))
    blocks = forms.slack(orjson.dumps({"text": fallback_of(message), "blocks": blocks_of(message)}))["blocks"]
    approve, reject = next(block for block in blocks if block["type"] == "actions")["elements"]
    assert [(each["action_id"], each["value"], "confirm" in each) for each in (approve, reject)] == [
        (APPROVE, "T" * 600, True),
        (REJECT, "T" * 600, False),
    ]

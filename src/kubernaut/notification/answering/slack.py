"""What Slack sends when somebody presses a button: its signature, who pressed what, and the form that asks for a reason. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

import orjson
from slack_sdk.models.blocks import InputBlock, PlainTextInputElement, PlainTextObject
from slack_sdk.models.views import View
from slack_sdk.signature import Clock, SignatureVerifier

from kubernaut.notification.channels.slack_blocks import APPROVE, REJECT

SIGNATURE: Final = "x-slack-signature"
TIME: Final = "x-slack-request-timestamp"
REASON: Final = "reason"
REASON_LIMIT: Final = 1000

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pressed:
    """Somebody pressed Approve or Reject."""

    action: str
    ticket: str
    user: str
    """The member id."""
    channel: str
    """Where the message is: what goes wrong is told there, to this person alone."""
    trigger: str
    """What a form can be opened with, for three seconds."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """Somebody sent the form that asks why the fix is rejected."""

    ticket: str
    user: str
    channel: str
    reason: str


class _At(Clock):
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def now(self) -> float:
        """Return the time that we were given."""
        return self._seconds


def is_signed(secret: str, body: bytes, headers: Mapping[str, str], now: float) -> bool:
    """Tell whether Slack signed this very body within the last five minutes. `now` is in Unix seconds."""
    time, signature = headers.get(TIME, ""), headers.get(SIGNATURE, "")
    if not (secret.strip() and time.isascii() and time.isdecimal() and signature.isascii()):
        return False
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return False
    return SignatureVerifier(secret, _At(now)).is_valid(text, time, signature)


def read(body: bytes) -> Pressed | Submitted | None:
    """Return what somebody did, None for what is no answer; raise ValueError for what Slack would not send."""
    try:
        [payload] = parse_qs(body.decode(), strict_parsing=True, max_num_fields=8)["payload"]
        found: Json = orjson.loads(payload)
        match found["type"]:
            case "block_actions":
                return _pressed(found)
            case "view_submission":
                return _submitted(found)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"not an interaction as Slack sends it: {type(error).__name__}") from error
    return None


def _pressed(found: Json) -> Pressed | None:
    action = found["actions"][0]
    if action["action_id"] not in {APPROVE, REJECT}:
        return None
    where = found.get("channel") or {"id": (found.get("container") or {}).get("channel_id", "")}
    return Pressed(action["action_id"], str(action["value"]), str(found["user"]["id"]), str(where["id"]), str(found.get("trigger_id", "")))


def _submitted(found: Json) -> Submitted | None:
    view = found["view"]
    if view["callback_id"] != REJECT:
        return None
    ticket, channel = orjson.loads(view["private_metadata"])
    reason = view["state"]["values"][REASON][REASON].get("value") or ""
    return Submitted(str(ticket), str(found["user"]["id"]), str(channel), str(reason)[:REASON_LIMIT])


def why_form(ticket: str, channel: str, about: str) -> Json:
    """Return the form that asks why a fix is rejected."""
    asks = InputBlock(
        label=PlainTextObject(text="Why? Everybody who was asked is told."),
        block_id=REASON,
        optional=True,
        element=PlainTextInputElement(action_id=REASON, multiline=True, max_length=REASON_LIMIT),
        hint=PlainTextObject(text=about[:150]),
    )
    view = View(
        type="modal",
        callback_id=REJECT,
        title=PlainTextObject(text="Reject this fix"),
        submit=PlainTextObject(text="Reject"),
        close=PlainTextObject(text="Back"),
        private_metadata=orjson.dumps([ticket, channel]).decode(),
        blocks=[asks],
    )
    return view.to_dict()

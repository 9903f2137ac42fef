"""One POST of one message: what every channel over HTTP shares. One try, bounded answers, no redirect, no secret in what is said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import orjson

from kubernaut.api.redact import HIDDEN, redact
from kubernaut.network import words
from kubernaut.notification.channels.base import NotDelivered

PERMANENT: Final = frozenset({400, 401, 403, 404, 405, 410, 413, 415, 422})
ANSWER_LIMIT: Final = 64 * 1024
SAID_LIMIT: Final = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said that took a message."""

    status: int
    text: str

    def json(self) -> dict[str, Any]:
        """Return the decoded answer; raise NotDelivered for what is no JSON object."""
        try:
            found = orjson.loads(self.text)
        except orjson.JSONDecodeError as error:
            raise NotDelivered(f"the receiver answered {self.status} with what is no JSON: {said(self.text)}", permanent=False) from error
        return found if isinstance(found, dict) else {}


async def post(
    session: aiohttp.ClientSession, url: str, body: bytes, *, headers: Mapping[str, str] | None = None, secrets: Sequence[str] = ()
) -> Answer:
    """Post JSON; anything but 2xx is NotDelivered. `secrets` are kept out of what it says, as is the URL."""
    sent = {"Content-Type": "application/json", "User-Agent": "kubernaut", **(headers or {})}
    try:
        async with session.post(url, data=body, headers=sent, allow_redirects=False) as answer:
            text = (await answer.content.read(ANSWER_LIMIT)).decode(errors="replace")
            if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
                return Answer(answer.status, text)
            what = f"the receiver answered {answer.status}: {said(text, secrets)}"
            raise NotDelivered(what, permanent=answer.status in PERMANENT, patience=patience_of(answer.headers))
    except (aiohttp.InvalidURL, ValueError) as error:
        raise NotDelivered("the URL is not one", permanent=True) from error
    except (aiohttp.ClientError, OSError) as error:
        raise NotDelivered(f"the receiver was not reached: {said(words(error), (*secrets, url))}", permanent=False) from error


def said(text: str, secrets: Sequence[str] = ()) -> str:
    """Return an answer as people may read it: short, without secrets."""
    for secret in filter(None, secrets):
        text = text.replace(secret, HIDDEN)
    return redact(text[:SAID_LIMIT])


def patience_of(headers: Mapping[str, str]) -> timedelta | None:
    """Return how long a receiver asks to be left alone (Retry-After in seconds; a date is not read)."""
    seconds = headers.get("Retry-After", "")
    return timedelta(seconds=min(int(seconds), 86_400)) if seconds.isdecimal() else None

"""A generic webhook: the message as JSON, signed with its time when a secret is shared."""

import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import aiohttp
import orjson

from kubernaut.api.notification import ChannelName, DeliveryEvent
from kubernaut.notification.channels.base import Message, secret_of
from kubernaut.notification.channels.http import post
from kubernaut.notification.settings import WebhookSettings

SIGNATURE_HEADER: Final = "X-Kubernaut-Signature"
TIME_HEADER: Final = "X-Kubernaut-Timestamp"
ID_HEADER: Final = "X-Kubernaut-Delivery"


class Webhook:
    """Posts messages to a URL."""

    name = ChannelName.WEBHOOK
    follows = frozenset({DeliveryEvent.ACKNOWLEDGED, DeliveryEvent.CLOSED})

    def __init__(
        self, session: aiohttp.ClientSession, settings: WebhookSettings, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._session = session
        self._settings = settings
        self._now = now

    def place(self, address: str) -> str:
        """Return the name of a receiver that is configured."""
        return address if address in self._settings.places else ""

    async def send(self, message: Message) -> str:
        """Post the message; anything but 2xx is not delivered."""
        place = self._settings.places.get(message.address, self._settings)
        body = orjson.dumps(payload(message))
        headers = {ID_HEADER: delivery_id(message)}
        secret = secret_of(place.secret, place.secret_file)
        if secret:
            time = str(int(self._now().timestamp()))
            headers |= {TIME_HEADER: time, SIGNATURE_HEADER: signature(secret, time, body)}
        await post(self._session, str(place.url), body, headers=headers, secrets=(secret,))
        return ""


def delivery_id(message: Message) -> str:
    """Return what is the same at every try of one message and event: a receiver drops what it has seen."""
    return message.id if message.event is DeliveryEvent.TOLD else f"{message.id}-{message.event.value}"


def payload(message: Message) -> dict[str, object]:
    """Return the body that receivers get."""
    return {
        "id": message.id,
        "event": message.event.value,
        "type": message.type.value,
        "priority": message.priority.value,
        "subject": message.subject,
        "body": message.body,
        "note": message.note,
        "correlationId": message.correlation_id,
        "writtenAt": message.written_at.isoformat(),
        "metadata": dict(message.metadata),
        "details": message.details,
        "links": [{"text": link.text, "url": link.url} for link in (*message.answers, *message.links)],
        "whole": message.whole,
    }


def signature(secret: str, time: str, body: bytes) -> str:
    """Return the signature of a body sent at a time (Unix seconds): `v0=` and the HMAC-SHA256 of `v0:TIME:BODY` in hex, as Slack signs."""
    return f"v0={hmac.new(secret.encode(), b':'.join((b'v0', time.encode(), body)), sha256).hexdigest()}"

"""A generic webhook: the message as JSON, signed when a secret is shared."""

import hmac
from hashlib import sha256

import aiohttp
import orjson

from kubernaut.api.notification import ChannelName
from kubernaut.api.redact import redact
from kubernaut.notification.channels.base import Message, NotDelivered
from kubernaut.notification.settings import WebhookSettings

PERMANENT = frozenset({400, 401, 403, 404, 405, 410, 413, 422})
SIGNATURE_HEADER = "X-Kubernaut-Signature"
ID_HEADER = "X-Kubernaut-Delivery"
ANSWER_LIMIT = 500


class Webhook:
    """Posts messages to a URL."""

    name = ChannelName.WEBHOOK

    def __init__(self, session: aiohttp.ClientSession, settings: WebhookSettings) -> None:
        self._session = session
        self._settings = settings

    async def send(self, message: Message) -> None:
        """Post the message; anything but 2xx is not delivered."""
        body = orjson.dumps(payload(message))
        headers = {"Content-Type": "application/json", ID_HEADER: message.id}
        if self._settings.secret is not None:
            headers[SIGNATURE_HEADER] = signature(self._settings.secret.get_secret_value(), body)
        try:
            async with self._session.post(str(self._settings.url), data=body, headers=headers, allow_redirects=False) as answer:
                if 200 <= answer.status < 300:  # noqa: PLR2004  (HTTP's own)
                    return
                text = redact((await answer.content.read(ANSWER_LIMIT)).decode(errors="replace"))
                raise NotDelivered(f"the receiver answered {answer.status}: {text}", permanent=answer.status in PERMANENT)
        except aiohttp.InvalidURL as error:
            raise NotDelivered(f"the URL is not one: {error}", permanent=True) from error
        except aiohttp.ClientError as error:
            raise NotDelivered(f"the receiver was not reached: {error}", permanent=False) from error


def payload(message: Message) -> dict[str, object]:
    """Return the body that receivers get."""
    return {
        "id": message.id,
        "type": message.type.value,
        "priority": message.priority.value,
        "subject": message.subject,
        "body": message.body,
        "correlationId": message.correlation_id,
        "metadata": dict(message.metadata),
        "details": message.details,
    }


def signature(secret: str, body: bytes) -> str:
    """Return the signature of a body: `sha256=` and the HMAC in hex."""
    return f"sha256={hmac.new(secret.encode(), body, sha256).hexdigest()}"

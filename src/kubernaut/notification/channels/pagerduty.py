"""PagerDuty, by its Events API v2: one alert a case, triggered, acknowledged and resolved under one key."""

from typing import Any, Final

import aiohttp
import orjson

from kubernaut.api.notification import ChannelName, DeliveryEvent, NotificationType, Priority
from kubernaut.notification.channels.base import Message, secret_of
from kubernaut.notification.channels.http import post
from kubernaut.notification.channels.markup import cut, one_line, sections, where
from kubernaut.notification.settings import PagerDutySettings

SUMMARY: Final = 1024
EVENT_BYTES: Final = 500_000
"""Below PagerDuty's 512 KB."""
SECTION: Final = 20_000
KEY: Final = 255
SEVERITIES: Final = {Priority.CRITICAL: "critical", Priority.HIGH: "error", Priority.MEDIUM: "warning", Priority.LOW: "info"}
ACTIONS: Final = {DeliveryEvent.TOLD: "trigger", DeliveryEvent.ACKNOWLEDGED: "acknowledge", DeliveryEvent.CLOSED: "resolve"}


class PagerDuty:
    """Sends events to services of PagerDuty."""

    name = ChannelName.PAGERDUTY
    follows = frozenset({DeliveryEvent.ACKNOWLEDGED, DeliveryEvent.CLOSED})

    def __init__(self, session: aiohttp.ClientSession, settings: PagerDutySettings) -> None:
        self._session = session
        self._settings = settings

    def place(self, address: str) -> str:
        """Return the name of a service that is configured."""
        return address if address in self._settings.places else ""

    async def send(self, message: Message) -> str:
        """Send the event; return its key. Repeats fall together under the key."""
        place = self._settings.places.get(message.address, self._settings)
        key = secret_of(place.routing_key, place.routing_key_file)
        await post(self._session, str(self._settings.url), orjson.dumps(event(message, key)), secrets=(key,))
        return dedup_key(message)


def dedup_key(message: Message) -> str:
    """Return what all events of a case share."""
    return f"kubernaut/{message.correlation_id}"[:KEY]


def event(message: Message, routing_key: str) -> dict[str, Any]:
    """Return an event; good news about a case resolves its alert, for nobody is to be woken by it."""
    good = message.type is NotificationType.COMPLETION
    action = "resolve" if good else ACTIONS[message.event]
    head: dict[str, Any] = {"routing_key": routing_key, "event_action": action, "dedup_key": dedup_key(message)}
    return head if action != "trigger" else head | _trigger(message)


def _trigger(message: Message) -> dict[str, Any]:
    details: dict[str, Any] = {
        section.title or "What happened": cut(section.text, SECTION, where(message.whole)) for section in sections(message.body)
    }
    details |= {"case": message.correlation_id, "whole text": message.whole, **message.metadata}
    found = {
        "payload": {
            "summary": one_line(message.subject, SUMMARY),
            "source": one_line(message.metadata.get("target") or message.correlation_id, SUMMARY),
            "severity": SEVERITIES[message.priority],
            "timestamp": message.written_at.isoformat(),
            "class": message.type.value,
            "group": message.metadata.get("environment", "kubernaut"),
            "custom_details": details,
        },
        "client": "kubernaut",
        "links": [{"href": link.url, "text": link.text} for link in (*message.answers, *message.links)],
    }
    if message.whole.startswith(("https://", "http://")):
        found["client_url"] = message.whole
    if len(orjson.dumps(found)) > EVENT_BYTES:
        found["payload"] = {**found["payload"], "custom_details": {"case": message.correlation_id, "text": where(message.whole)}}  # type: ignore[dict-item]
    return found

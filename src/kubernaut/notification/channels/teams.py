"""Microsoft Teams: an Adaptive Card to a workflow's webhook, within 28 KB."""

import re
from typing import Any, Final

import aiohttp
import orjson

from kubernaut.api.notification import ChannelName, DeliveryEvent, Priority
from kubernaut.notification.channels.base import Message, NotDelivered, secret_of
from kubernaut.notification.channels.http import post
from kubernaut.notification.channels.markup import cut, fenceless, one_line, sections, where
from kubernaut.notification.settings import TeamsSettings

CARD_BYTES: Final = 27_000
"""Below Teams' 28 KB."""
TITLE: Final = 500
ACTIONS: Final = 6
COLORS: Final = {Priority.CRITICAL: "Attention", Priority.HIGH: "Warning", Priority.MEDIUM: "Accent", Priority.LOW: "Default"}
_HIDDEN_FAULT: Final = re.compile(r"HTTP error (\d{3})")
"""Teams may answer 200 and say in the text that it did not take the card."""
PERMANENT: Final = frozenset({"400", "401", "403", "404", "410", "413"})

Json = dict[str, Any]


class Teams:
    """Posts cards by workflows of Teams."""

    name = ChannelName.MSTEAMS
    follows = frozenset({DeliveryEvent.CLOSED})

    def __init__(self, session: aiohttp.ClientSession, settings: TeamsSettings) -> None:
        self._session = session
        self._settings = settings

    def place(self, address: str) -> str:
        """Return the name of a workflow that is configured."""
        return address if address in self._settings.places else ""

    async def send(self, message: Message) -> str:
        """Post the card."""
        place = self._settings.places.get(message.address, self._settings)
        url = secret_of(place.url, place.url_file)
        answer = await post(self._session, url, orjson.dumps(card_message(message)), secrets=(url, *_parts(url)))
        if fault := _HIDDEN_FAULT.search(answer.text):
            raise NotDelivered(f"Teams answered {fault[1]} within a 200", permanent=fault[1] in PERMANENT)
        return ""


def card_message(message: Message) -> Json:
    """Return what a workflow is sent: the card, its texts as long as fits."""
    for limit in (8_000, 3_000, 1_500, 800, 400, 100):
        found = _envelope(_card(message, limit))
        if len(orjson.dumps(found)) <= CARD_BYTES:
            return found
    return _envelope(_card(message, 0))


def _parts(url: str) -> tuple[str, ...]:
    """Return the parts of a URL that are secret: its query's values."""
    return tuple(part.partition("=")[2] for part in url.partition("?")[2].split("&"))


def _envelope(card: Json) -> Json:
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _card(message: Message, limit: int) -> Json:
    return {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "fallbackText": one_line(message.subject, TITLE),
        "body": [
            {**_text(one_line(message.subject, TITLE)), "size": "Large", "weight": "Bolder", "color": COLORS[message.priority]},
            *_body(message, limit),
            {
                **_text(f"{message.priority.value} · {message.type.value} · case {message.correlation_id}"),
                "isSubtle": True,
                "size": "Small",
            },
        ],
        "actions": [
            {"type": "Action.OpenUrl", "title": one_line(link.text, 100), "url": link.url}
            for link in (*message.answers, *message.links)[:ACTIONS]
            if len(link.url) <= TITLE * 4
        ],
    }


def _body(message: Message, limit: int) -> list[Json]:
    """Return the blocks of the text; without room for any, where it can be read."""
    if message.event is not DeliveryEvent.TOLD:
        return [_text(message.note[:2000])]
    if not limit:
        return [_text(where(message.whole))]
    blocks: list[Json] = []
    for section in sections(message.body):
        if section.title:
            blocks.append({**_text(one_line(section.title, 200)), "weight": "Bolder", "spacing": "Medium"})
        if section.text:
            blocks.append(_text(fenceless(cut(section.text, limit, where(message.whole)))))
    return blocks


def _text(text: str) -> Json:
    return {"type": "TextBlock", "text": text, "wrap": True}

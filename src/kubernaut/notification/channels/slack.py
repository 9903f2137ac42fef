"""Slack: Block Kit messages, by a bot that keeps each case in one thread, or by an incoming webhook."""

from typing import Final

import aiohttp
import orjson

from kubernaut.api.notification import ChannelName, DeliveryEvent, NotificationType, Priority
from kubernaut.notification.channels.base import Message, secret_of
from kubernaut.notification.channels.http import post
from kubernaut.notification.channels.slack_api import SlackApi
from kubernaut.notification.channels.slack_blocks import blocks_of, closed_blocks_of, fallback_of
from kubernaut.notification.settings import SlackSettings

LOUD: Final = frozenset({Priority.CRITICAL, Priority.HIGH})
UNCHANGEABLE: Final = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
"""Why a message stays as it is; what became of it is told in its thread all the same."""


class Slack:
    """Posts messages into channels of Slack."""

    name = ChannelName.SLACK

    def __init__(self, session: aiohttp.ClientSession, settings: SlackSettings) -> None:
        self._session = session
        self._settings = settings
        self._api = SlackApi(session, settings)
        closing = {DeliveryEvent.CLOSED}
        self.follows = frozenset(closing | {DeliveryEvent.ACKNOWLEDGED} if settings.by_bot else closing)

    def place(self, address: str) -> str:
        """Return the Slack channel; a webhook is bound to one."""
        return address if self._settings.by_bot and address != self._settings.channel else ""

    async def send(self, message: Message) -> str:
        """Post the message, in the thread of its case by a bot; what became of it into its own thread."""
        if not self._settings.by_bot:
            await self._hook(message)
            return ""
        if message.event is DeliveryEvent.TOLD:
            return await self._post(message, message.thread)
        await self._strike(message)
        return await self._post(message, message.thread or message.receipt)

    async def _hook(self, message: Message) -> None:
        url = secret_of(self._settings.webhook_url, self._settings.webhook_url_file)
        body = orjson.dumps({"text": fallback_of(message), "blocks": blocks_of(message)})
        await post(self._session, url, body, secrets=(url, url.rpartition("/")[2]))

    async def _post(self, message: Message, thread: str) -> str:
        """Post by the bot; return the receipt, CHANNEL:TS."""
        channel, _, root = thread.partition(":")
        body: dict[str, object] = {
            "channel": channel or message.address or self._settings.channel,
            "text": fallback_of(message),
            "blocks": blocks_of(message),
            "unfurl_links": False,
        }
        if root:
            loud = message.event is DeliveryEvent.TOLD and (message.priority in LOUD or message.type is NotificationType.APPROVAL)
            body |= {"thread_ts": root, "reply_broadcast": loud}
        answer = await self._api.call("chat.postMessage", body)
        return f"{answer.get('channel', '')}:{answer.get('ts', '')}"

    async def _strike(self, message: Message) -> None:
        """Write over the message what became of it; doing it again changes nothing, so it comes before the reply."""
        channel, _, time = message.receipt.partition(":")
        if not time:
            return
        body = {"channel": channel, "ts": time, "text": fallback_of(message), "blocks": closed_blocks_of(message)}
        await self._api.call("chat.update", body, unless=UNCHANGEABLE)

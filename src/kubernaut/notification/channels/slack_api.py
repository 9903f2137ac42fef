"""Slack's Web API as a bot: one call of one method, its token read for each."""

from collections.abc import Mapping
from typing import Final

import aiohttp
import orjson

from kubernaut.notification.channels.base import NotDelivered, secret_of
from kubernaut.notification.channels.http import post, said
from kubernaut.notification.settings import SlackSettings

TEMPORARY: Final = frozenset(
    {"ratelimited", "rate_limited", "message_limit_exceeded", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
"""What the Web API answers where another try may help."""


class SlackApi:
    """Calls methods."""

    def __init__(self, session: aiohttp.ClientSession, settings: SlackSettings) -> None:
        self._session = session
        self._settings = settings

    async def call(self, method: str, body: Mapping[str, object], *, unless: frozenset[str] = frozenset()) -> dict[str, object]:
        """Call a method; return its answer. Raise NotDelivered unless it is ok, or an error that is named."""
        token = secret_of(self._settings.token, self._settings.token_file)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json; charset=utf-8"}
        url = f"{str(self._settings.api_url).rstrip('/')}/{method}"
        answer = (await post(self._session, url, orjson.dumps(body), headers=headers, secrets=(token,))).json()
        error = str(answer.get("error", ""))
        if not answer.get("ok") and error not in unless:
            raise NotDelivered(f"Slack answered {said(error or 'without a reason', (token,))}", permanent=error not in TEMPORARY | {""})
        return answer

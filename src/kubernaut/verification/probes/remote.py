"""An HTTP API that is asked while a fix is judged: short questions, bounded answers, and rest for one that does not answer."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from kubernaut.network import words
from kubernaut.verification import metrics
from kubernaut.verification.settings import EndpointSettings

BODY_LIMIT: Final = 4 * 1024 * 1024
AT_ONCE: Final = 4
TOLD: Final = 200
DECLINED: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})


class Silent(Exception):  # noqa: N818  (a plain statement)
    """No usable answer came; the message says why."""


class Declined(Silent):
    """It answers, but not to that question."""


class Remote:
    """Asks one API; after a fault it is left alone for a while, so that one that hangs holds up nothing."""

    def __init__(self, title: str, settings: EndpointSettings) -> None:
        self.title = title
        self._settings = settings
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._rests_until: datetime | None = None
        self._fault = ""

    async def ask(self, path: str, parameters: Sequence[tuple[str, str]], now: datetime) -> Any:
        """Return the JSON answer to a GET. Raise Silent, and Declined where the question itself is not taken."""
        async with self._turn:
            if self._rests_until is not None and now < self._rests_until:
                raise Silent(self._fault)
            try:
                return await self._get(path, parameters)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as fault:
                metrics.FAULTS.labels(self.title).inc()
                self._rests_until = now + self._settings.rest
                self._fault = f"{self.title} does not answer: {words(fault)[:TOLD]}"
                raise Silent(self._fault) from fault

    async def _get(self, path: str, parameters: Sequence[tuple[str, str]]) -> Any:
        """Each question has a connection of its own: they are few, and none is left open."""
        settings = self._settings
        timeout = aiohttp.ClientTimeout(total=settings.timeout.total_seconds())
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=settings.ca_file) if settings.ca_file else True)
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=connector) as session,
            session.get(settings.url.rstrip("/") + path, params=parameters, headers=self._headers(), allow_redirects=False) as answer,
        ):
            body = await _bounded(answer.content)
            if answer.status == HTTPStatus.OK:
                return orjson.loads(body)
            told = f"{answer.status} {answer.reason}: {body[:TOLD].decode(errors='replace')}"
            if answer.status in DECLINED:
                raise Declined(f"{self.title} does not take the question: {told}")
            raise ValueError(told)

    def _headers(self) -> Mapping[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "kubernaut"}
        if self._settings.token_file:
            headers["Authorization"] = f"Bearer {Path(self._settings.token_file).read_text(encoding='utf-8').strip()}"
        return headers


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    """Read a body; raise ValueError when it is longer than what is kept."""
    parts, size = [], 0
    async for part in content.iter_chunked(65_536):
        parts.append(part)
        size += len(part)
        if size > BODY_LIMIT:
            raise ValueError(f"its answer is longer than {BODY_LIMIT} bytes")
    return b"".join(parts)

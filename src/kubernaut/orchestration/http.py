"""The two HTTP services beside the Kubernetes API, as the founding document calls them: one JSON POST each."""

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Final

import aiohttp
import orjson

from kubernaut.api.audit import RemediationAudit
from kubernaut.api.base import Model
from kubernaut.api.notification import EscalationRequest
from kubernaut.orchestration.base import Undeliverable

ESCALATION_PATH: Final = "/api/v1/notify/escalation"
RECORD_PATH: Final = "/api/v1/audit/remediation"
ANSWER_LIMIT: Final = 2048

Token = Callable[[], str]
"""Returns the bearer token that is valid now; read anew for each request, since service account tokens are replaced."""


class JsonService:
    """An HTTP service that takes JSON; close it when done."""

    def __init__(self, url: str, *, token: Token | None = None, timeout: timedelta = timedelta(seconds=5)) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._timeout = aiohttp.ClientTimeout(total=timeout.total_seconds())
        self._session: aiohttp.ClientSession | None = None

    async def post(self, path: str, body: Model) -> None:
        """Send a body, one try; raise `Undeliverable` unless the answer is a success."""
        try:
            async with self._open().post(self._url + path, data=orjson.dumps(body.wire()), headers=self._headers()) as answer:
                if answer.status >= HTTPStatus.BAD_REQUEST:
                    text = (await answer.content.read(ANSWER_LIMIT)).decode(errors="replace")
                    raise Undeliverable(f"{answer.status} {answer.reason}: {text}", retryable=_retryable(answer.status))
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise Undeliverable(f"{type(fault).__name__}: {fault}") from fault

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, connector=aiohttp.TCPConnector(limit=16))
        return self._session

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "kubernaut"}
        return headers | ({"Authorization": f"Bearer {self._token()}"} if self._token else {})


class HttpEscalations(JsonService):
    """The notification service."""

    async def escalate(self, request: EscalationRequest) -> None:
        """Hand over an escalation, one try; raise `Undeliverable`."""
        await self.post(ESCALATION_PATH, request)


class HttpRecords(JsonService):
    """Data storage."""

    async def record(self, audit: RemediationAudit) -> None:
        """Keep the newest state of a remediation, one try; raise `Undeliverable`."""
        await self.post(RECORD_PATH, audit)


def _retryable(status: int) -> bool:
    return status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS} or status >= HTTPStatus.INTERNAL_SERVER_ERROR

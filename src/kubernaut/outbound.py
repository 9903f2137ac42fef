"""Our own HTTP services as seen by those who call them: one JSON POST each, one try, and a plain word when it was not taken."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Final, Protocol

import aiohttp
import orjson
import structlog
from prometheus_client import Counter

from kubernaut.api.base import Foreseen, Model
from kubernaut.network import words

ANSWER_LIMIT: Final = 2048
REMEDIATION_RECORDS: Final = "/api/v1/audit/remediation"
WORKFLOW_RECORDS: Final = "/api/v1/audit/workflow"
EVENTS: Final = "/api/v1/audit/events/batch"
ESCALATIONS: Final = "/api/v1/notify/escalation"
GIVEN_UP: Final = Counter("kubernaut_records_given_up_total", "Deliveries that data storage said can never be stored.", ["path"])
UNFIT: Final = '"urn:kubernaut:error:validation-error"'
"""How our services say that the body alone is to blame: no other try of it can do better. What a proxy answers is not for ever."""

Token = Callable[[], str]
"""Returns the bearer token that is valid now; read anew for each request, since service account tokens are replaced."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class Undeliverable(Foreseen):
    """A message was not taken; `retryable` tells whether another try soon may help, `unfit` that its body is to blame."""

    def __init__(self, message: str, *, retryable: bool = True, unfit: bool = False) -> None:
        super().__init__(message[:1024])
        self.retryable = retryable
        self.unfit = unfit


class Service(Protocol):
    """A service that takes JSON."""

    async def post(self, path: str, body: Model) -> None:
        """Send a body, one try; raise Undeliverable unless it was taken."""
        ...


class BatchService(Service, Protocol):
    """A service that takes JSON, and lists of it."""

    async def post_all(self, path: str, bodies: Sequence[Model]) -> None:
        """Send a list of bodies, one try; raise Undeliverable unless it was taken."""
        ...


async def post_each(service: Service, path: str, bodies: Sequence[Model]) -> None:
    """Send bodies one after the other; raise Undeliverable at the first not taken, but give up one whose body can never be taken."""
    for body in bodies:
        await _taken(service.post(path, body), path)


async def post_events(service: BatchService, events: Sequence[Model]) -> None:
    """Send audit events; raise Undeliverable unless they are safe. Data storage keeps the text of what it refuses: that is safe too."""
    await _taken(service.post_all(EVENTS, events), EVENTS)


async def _taken(sending: Awaitable[None], path: str) -> None:
    try:
        await sending
    except Undeliverable as fault:
        if not fault.unfit:
            raise
        GIVEN_UP.labels(path).inc()
        log.warning("a record was refused for good", path=path, fault=str(fault)[:500])


class JsonService:
    """An HTTP service that takes JSON; close it when done."""

    def __init__(self, url: str, *, token: Token | None = None, timeout: timedelta = timedelta(seconds=5)) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._timeout = aiohttp.ClientTimeout(total=timeout.total_seconds())
        self._session: aiohttp.ClientSession | None = None

    async def post(self, path: str, body: Model) -> None:
        """Send a body, one try; raise Undeliverable unless it was taken."""
        await self._send(path, orjson.dumps(body.wire()))

    async def post_all(self, path: str, bodies: Sequence[Model]) -> None:
        """Send a list of bodies, one try; raise Undeliverable unless it was taken."""
        await self._send(path, orjson.dumps([body.wire() for body in bodies]))

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _send(self, path: str, content: bytes) -> None:
        try:
            async with self._open().post(self._url + path, data=content, headers=self._headers()) as answer:
                text = (await answer.content.read(ANSWER_LIMIT)).decode(errors="replace")
                if answer.status >= HTTPStatus.BAD_REQUEST:
                    told = f"{self._url} answers {answer.status} {answer.reason}: {text}"
                    raise Undeliverable(told, retryable=_retryable(answer.status), unfit=UNFIT in text)
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise Undeliverable(f"{self._url} does not answer: {words(fault)}") from fault

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, connector=aiohttp.TCPConnector(limit=16))
        return self._session

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "kubernaut"}
        return headers | ({"Authorization": f"Bearer {self._token().strip()}"} if self._token else {})


def _retryable(status: int) -> bool:
    return status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS} or status >= HTTPStatus.INTERNAL_SERVER_ERROR

"""The way to one API server. Knows nothing of Kubernetes' verbs; HTTP by two bounded pools of connections, for requests and for watches."""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Protocol

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from kubernaut.kube.credentials import Credentials
from kubernaut.kube.errors import ApiError
from kubernaut.network import words

MIB: Final = 1024 * 1024
BODY_LIMIT: Final = 256 * MIB
LINE_LIMIT: Final = 16 * MIB
REFUSAL_LIMIT: Final = MIB
WATCH_LIMIT: Final = 512
REQUEST_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 10.0
CHUNK: Final = 64 * 1024

Headers = CIMultiDict[str]


@dataclass(frozen=True, slots=True)
class Request:
    """One request, ready to send."""

    method: str
    path: str
    """Percent-encoded."""
    query: Mapping[str, str]
    headers: Headers
    body: bytes | None = None
    limit: int = BODY_LIMIT
    """How many bytes of the answer are read at most."""
    cut: bool = False
    """Whether a longer answer is cut (text) instead of refused."""


class Transport(Protocol):
    """Carries requests to one API server, whichever way."""

    async def send(self, request: Request) -> bytes:
        """Send a request and return the answer's body; raise `ApiError` for a refusal, a timeout or a lost connection."""
        ...

    def lines(self, request: Request, *, idle: float) -> AsyncGenerator[bytes, None]:
        """Send a request and yield the answer line by line until the server ends it; `idle` seconds of silence are a lost connection."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class HttpTransport:
    """The connections to one API server; opened by the first request, so that it may be made outside a running loop."""

    def __init__(
        self, server: str, credentials: Credentials, *, tls: ssl.SSLContext | None, server_name: str, limit: int, user_agent: str
    ) -> None:
        self._server = server.rstrip("/")
        self._credentials = credentials
        self._tls = tls
        self._server_name = server_name
        self._limit = limit
        self._user_agent = user_agent
        self._sessions: dict[int, aiohttp.ClientSession] = {}

    async def send(self, request: Request) -> bytes:
        """Send a request and return the answer's body; raise `ApiError` for a refusal, a timeout or a lost connection."""
        with network_faults(request):
            arguments = await self._arguments(request)
            async with asyncio.timeout(REQUEST_SECONDS), self._session(self._limit).request(**arguments) as response:
                await self._refused(response)
                return await _read(response, request)

    async def lines(self, request: Request, *, idle: float) -> AsyncGenerator[bytes, None]:
        """Send a request and yield the answer line by line until the server ends it; `idle` seconds of silence are a lost connection."""
        with network_faults(request):
            arguments = await self._arguments(request)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=idle)
            async with self._session(WATCH_LIMIT).request(**arguments, timeout=timeout) as response:
                await self._refused(response)
                async for line in _split(response.content.iter_any()):
                    yield line

    async def close(self) -> None:
        """Close all connections."""
        while self._sessions:
            _, session = self._sessions.popitem()
            await session.close()

    def _session(self, limit: int) -> aiohttp.ClientSession:
        if limit not in self._sessions:
            connector = aiohttp.TCPConnector(limit=limit, socket_factory=_keepalive_socket)
            headers = {"User-Agent": self._user_agent, "Accept": "application/json"}
            timeout = aiohttp.ClientTimeout(
                total=None, sock_connect=CONNECT_SECONDS
            )  # in all: asyncio's own, which never eats a cancellation
            jar = aiohttp.DummyCookieJar()
            self._sessions[limit] = aiohttp.ClientSession(connector=connector, headers=headers, cookie_jar=jar, timeout=timeout)
        return self._sessions[limit]

    async def _arguments(self, request: Request) -> dict[str, Any]:
        credential = await self._credentials.current()
        headers = request.headers.copy()
        if credential.authorization:
            headers["Authorization"] = credential.authorization
        tls = credential.tls or self._tls
        return {
            "method": request.method,
            "url": URL(self._server + request.path, encoded=True).update_query(request.query),
            "data": request.body,
            "headers": headers,
            "allow_redirects": False,
            "ssl": True if tls is None else tls,
            "server_hostname": self._server_name or None,
        }

    async def _refused(self, response: aiohttp.ClientResponse) -> None:
        if response.status < HTTPStatus.MULTIPLE_CHOICES:
            return
        if response.status == HTTPStatus.UNAUTHORIZED:
            self._credentials.refused()
        asked = f"{response.method} {response.url.path}"
        raise ApiError.of(response.status, await response.content.read(REFUSAL_LIMIT), asked)


async def _read(response: aiohttp.ClientResponse, request: Request) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK):
        body += chunk
        if len(body) > request.limit:
            if request.cut:
                return bytes(body[: request.limit])
            raise ApiError(413, "AnswerTooLarge", f"{request.method} {request.path} answered more than {request.limit} bytes")
    return bytes(body)


async def _split(chunks: aiohttp.streams.AsyncStreamIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Cut a stream into lines; each chunk is searched once, however long the line."""
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            yield b"".join([*parts, line])
            parts, size = [], 0
        parts.append(rest)
        size += len(rest)
        if size > LINE_LIMIT:
            raise ApiError(0, "LineTooLong", f"a watch event is longer than {LINE_LIMIT} bytes")


@contextmanager
def network_faults(request: Request) -> Iterator[None]:
    """Turn every failure of the network into an `ApiError` with status 0."""
    where = f"{request.method} {request.path}"
    try:
        yield
    except TimeoutError as fault:
        raise ApiError(0, "Timeout", f"{where}: no answer in time") from fault
    except (aiohttp.ClientError, OSError) as fault:
        raise ApiError(0, "Unreachable", f"{words(fault)} ({where})") from fault


def _keepalive_socket(address: tuple[Any, ...]) -> socket.socket:
    """Open a socket that notices within a minute that its peer is gone: a watch may be silent for long."""
    family, kind, protocol = address[0], address[1], address[2]
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    sock.setblocking(False)
    return sock

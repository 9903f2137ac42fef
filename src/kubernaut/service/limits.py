"""Before a request is heard: how big, how slow, how many at once; then whoever guards the service."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter

from fastapi import Request
from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kubernaut.service.problem import OVERLOAD_RETRY_SECONDS, Problem, problem_response

READ_SECONDS = 30.0
"""How long each part of a body may be on its way."""

Guard = Callable[[Request], Awaitable[None]]
"""Raises Problem for a request that may not pass."""
Observe = Callable[[Request, int, float], None]
"""Hears of every answer: its request, status, and seconds."""

requests_total = Counter("kubernaut_http_requests_total", "HTTP requests answered", ["service", "status"])
request_seconds = Histogram("kubernaut_http_request_duration_seconds", "Time to answer", ["service", "method"])


class Limits:
    """Refuses bodies over the limit (413) or too slow (408) and requests over the concurrency (503); asks the guards; counts answers."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: str,
        body_limit: int,
        max_concurrent: int,
        guards: Sequence[Guard] = (),
        observe: Observe = lambda _request, _status, _seconds: None,
    ) -> None:
        self._app = app
        self._service = service
        self._body_limit = body_limit
        self._max_concurrent = max_concurrent
        self._guards = guards
        self._observe = observe
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        counted = self._counted(request, send)
        if refusal := self._refusal(request):
            await problem_response(request, refusal)(scope, receive, counted)
            return
        self._running += 1
        try:
            await self._guarded(request, receive, counted)
        finally:
            self._running -= 1

    async def _guarded(self, request: Request, receive: Receive, send: Send) -> None:
        """Let a request through unless a guard objects."""
        try:
            for guard in self._guards:
                await guard(request)
        except Problem as problem:
            await problem_response(request, problem)(request.scope, receive, send)
            return
        await self._app(request.scope, self._bounded(receive), send)

    def _refusal(self, request: Request) -> Problem | None:
        if int(request.headers.get("content-length") or 0) > self._body_limit:
            return too_large(self._body_limit)
        if self._running >= self._max_concurrent and request.method == "POST":
            return Problem(503, "SERVICE_UNAVAILABLE", "Too many requests at once: send it again", retry_after=OVERLOAD_RETRY_SECONDS)
        return None

    def _bounded(self, receive: Receive) -> Receive:
        read = 0
        whole = False

        async def bounded() -> Message:
            nonlocal read, whole
            message = await (receive() if whole else _soon(receive))
            whole = not message.get("more_body", False)
            read += len(message.get("body", b""))
            if read > self._body_limit:
                raise too_large(self._body_limit)
            return message

        return bounded

    def _counted(self, request: Request, send: Send) -> Send:
        began = perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                seconds, status = perf_counter() - began, message["status"]
                requests_total.labels(self._service, str(status)).inc()
                request_seconds.labels(self._service, request.method).observe(seconds)
                self._observe(request, status, seconds)
            await send(message)

        return counted


async def _soon(receive: Receive) -> Message:
    """Wait for the next part of a body, but not for ever."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await receive()
    except TimeoutError as late:
        raise Problem(408, "REQUEST_TIMEOUT", f"No part of the body came for {READ_SECONDS:.0f} s: send it again") from late


def too_large(limit: int) -> Problem:
    """Say that a body is over its limit."""
    return Problem(413, "REQUEST_TOO_LARGE", f"The body is over the limit of {limit} bytes")

"""An HTTP service of ours: one error body, health, limits and metrics, shared by gateway, notification and data storage."""

import asyncio
import contextlib
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from time import perf_counter

import orjson
import structlog
import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Histogram, generate_latest
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kubernaut.api.base import Obj

CORRELATION_HEADER = "X-Correlation-ID"
PROBLEM_MEDIA_TYPE = "application/problem+json"
DEGRADED_SECONDS = 0.1
CHECK_SECONDS = 5.0
OVERLOAD_RETRY_SECONDS = 30
DETAIL_LIMIT = 50
BACKLOG = 1024

Check = Callable[[], Awaitable[None]]
"""A dependency's health: returns when it is well, raises when not."""

log = structlog.get_logger(__name__)
requests_total = Counter("kubernaut_http_requests_total", "HTTP requests answered", ["service", "status"])
request_seconds = Histogram("kubernaut_http_request_duration_seconds", "Time to answer", ["service", "method"])


class Problem(Exception):  # noqa: N818  (the answer, not a fault of ours)
    """An answer that is an error: status, a code that programs compare, a sentence that says what to do."""

    def __init__(self, status: int, code: str, message: str, *, details: Obj | None = None, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details or {}
        self.retry_after = retry_after


class Json(Response):
    """A JSON answer, by orjson."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """Write the body."""
        return orjson.dumps(content)


def create_app(service: str, *, title: str, checks: Mapping[str, Check], body_limit: int, max_concurrent: int) -> FastAPI:
    """Make an app with error bodies, `/healthz`, `/readyz`, `/metrics` and limits; routes are added by the service.

    `body_limit` is in bytes; over it the answer is 413. Over `max_concurrent` requests at once the answer is 503.
    """
    app = FastAPI(title=title, docs_url=None, redoc_url=None)
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_fault)
    for path in ("/healthz", "/health"):
        app.add_route(path, _healthz, include_in_schema=False)
    ready = _readiness(checks)
    for path in ("/readyz", "/ready"):
        app.add_route(path, ready, include_in_schema=False)
    app.add_route("/metrics", _metrics, include_in_schema=False)
    app.add_middleware(Limits, service=service, body_limit=body_limit, max_concurrent=max_concurrent)
    return app


def problem_response(request: Request, problem: Problem) -> Response:
    """Write an error with the keys of both ages: RFC 9457 and `error{code,message,details}`."""
    correlation = request.headers.get(CORRELATION_HEADER) or uuid.uuid4().hex
    body = {
        "type": f"urn:kubernaut:error:{problem.code.lower().replace('_', '-')}",
        "title": problem.code,
        "detail": problem.message,
        "status": problem.status,
        "instance": request.url.path,
        "requestId": correlation,
        "error": {"code": problem.code, "message": problem.message, "details": problem.details},
        "timestamp": datetime.now(UTC).isoformat(),
        "path": request.url.path,
        "correlationId": correlation,
    }
    headers = {CORRELATION_HEADER: correlation}
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    plain = "application/json" in request.headers.get("accept", "")
    return Json(body, problem.status, headers, "application/json" if plain else PROBLEM_MEDIA_TYPE)


async def _on_problem(request: Request, error: Exception) -> Response:
    if not isinstance(error, Problem):
        raise error
    return problem_response(request, error)


async def _on_invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    fields = [{"field": ".".join(map(str, fault["loc"])), "message": fault["msg"]} for fault in error.errors()[:DETAIL_LIMIT]]
    named = "; ".join(f"{fault['field']}: {fault['message']}" for fault in fields)
    return problem_response(
        request, Problem(400, "VALIDATION_ERROR", f"The body is not as it must be: {named}", details={"fields": fields})
    )


async def _on_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    codes = {401: "AUTH_TOKEN_MISSING", 403: "AUTH_TOKEN_UNAUTHORIZED", 404: "RESOURCE_NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}
    return problem_response(request, Problem(error.status_code, codes.get(error.status_code, "INTERNAL_SERVER_ERROR"), str(error.detail)))


async def _on_fault(request: Request, error: Exception) -> Response:
    log.error("request failed", path=request.url.path, fault=repr(error)[:500])
    return problem_response(request, Problem(500, "INTERNAL_SERVER_ERROR", "A fault of ours, written to the log: send it again later"))


async def _healthz(_: Request) -> Response:
    return Json({"status": "healthy", "timestamp": datetime.now(UTC).isoformat()})


async def _metrics(_: Request) -> Response:
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


def _readiness(checks: Mapping[str, Check]) -> Callable[[Request], Awaitable[Response]]:
    async def ready(_: Request) -> Response:
        results = dict(zip(checks, await asyncio.gather(*(_checked(check) for check in checks.values())), strict=True))
        sick = [name for name, result in results.items() if result["status"] == "unhealthy"]
        body: Obj = {
            "status": "not_ready" if sick else "ready",
            "timestamp": datetime.now(UTC).isoformat(),
            "dependencies": results,
        }
        if sick:
            body["reason"] = f"not reachable: {', '.join(sick)}"
        return Json(body, 503 if sick else 200)

    return ready


async def _checked(check: Check) -> Obj:
    """Ask one dependency, whatever it answers: a probe must not fail because what it probes does."""
    began = perf_counter()
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except Exception as error:  # noqa: BLE001  (any fault of a dependency is the answer)
        return {"status": "unhealthy", "latency": round(perf_counter() - began, 4), "error": str(error)[:200] or type(error).__name__}
    latency = perf_counter() - began
    return {"status": "degraded" if latency > DEGRADED_SECONDS else "healthy", "latency": round(latency, 4)}


class Limits:
    """Refuses bodies over the limit (413) and requests over the concurrency (503), and counts answers."""

    def __init__(self, app: ASGIApp, *, service: str, body_limit: int, max_concurrent: int) -> None:
        self._app = app
        self._service = service
        self._body_limit = body_limit
        self._max_concurrent = max_concurrent
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        refusal = self._refusal(request)
        if refusal is not None:
            await problem_response(request, refusal)(scope, receive, send)
            requests_total.labels(self._service, str(refusal.status)).inc()
            return
        self._running += 1
        try:
            with request_seconds.labels(self._service, scope["method"]).time():
                await self._app(scope, self._bounded(receive), self._counted(send))
        finally:
            self._running -= 1

    def _refusal(self, request: Request) -> Problem | None:
        if int(request.headers.get("content-length") or 0) > self._body_limit:
            return too_large(self._body_limit)
        if self._running >= self._max_concurrent and request.method == "POST":
            return Problem(503, "SERVICE_UNAVAILABLE", "Too many requests at once: send it again", retry_after=OVERLOAD_RETRY_SECONDS)
        return None

    def _bounded(self, receive: Receive) -> Receive:
        read = 0

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._body_limit:
                raise too_large(self._body_limit)
            return message

        return bounded

    def _counted(self, send: Send) -> Send:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                requests_total.labels(self._service, str(message["status"])).inc()
            await send(message)

        return counted


def too_large(limit: int) -> Problem:
    """Say that a body is over its limit."""
    return Problem(413, "REQUEST_TOO_LARGE", f"The body is over the limit of {limit} bytes")


class _Server(uvicorn.Server):
    """Uvicorn without signal handlers: the process has one place that stops everything."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signals alone."""
        yield


@contextlib.asynccontextmanager
async def serving(app: FastAPI, *, host: str, port: int) -> AsyncIterator[str]:
    """Serve an app while the context lasts; gives its URL. Port 0 takes a free one; a taken port raises OSError at once."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from error
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=5)
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name=f"http {host}:{port}")
    try:
        name = f"[{host}]" if ":" in host else host
        url = f"http://{name}:{listener.getsockname()[1]}"
        log.info("listening", service=app.title, url=url)
        yield url
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)
        listener.close()

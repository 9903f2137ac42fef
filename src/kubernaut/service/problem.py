"""What our services answer when something is wrong: one body with the keys of both ages."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

import orjson
import structlog
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from kubernaut.api.base import Obj

CORRELATION_HEADER = "X-Correlation-ID"
CORRELATION_LIMIT = 128
PROBLEM_MEDIA_TYPE = "application/problem+json"
OVERLOAD_RETRY_SECONDS = 30
DETAIL_LIMIT = 50
CODES = {401: "AUTH_TOKEN_MISSING", 403: "AUTH_TOKEN_UNAUTHORIZED", 404: "RESOURCE_NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}

log = structlog.get_logger(__name__)


class Problem(Exception):  # noqa: N818  (the answer, not a fault of ours)
    """An answer that is an error: status, a code that programs compare, a sentence that says what to do."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Obj | None = None,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details or {}
        self.retry_after = retry_after
        self.headers = dict(headers or {})


class Json(Response):
    """A JSON answer, by orjson."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """Write the body."""
        return orjson.dumps(content)


def problem_response(request: Request, problem: Problem) -> Response:
    """Write an error with the keys of both ages: RFC 9457 and `error{code,message,details}`."""
    correlation = _correlation(request)
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
    headers = problem.headers | {CORRELATION_HEADER: correlation}
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    plain = "application/json" in request.headers.get("accept", "")
    return Json(body, problem.status, headers, "application/json" if plain else PROBLEM_MEDIA_TYPE)


def _correlation(request: Request) -> str:
    """Return the caller's own id where it is fit for a header and a log line, else a new one."""
    given = request.headers.get(CORRELATION_HEADER, "")
    return given if 0 < len(given) <= CORRELATION_LIMIT and given.isascii() and given.isprintable() else uuid.uuid4().hex


async def on_problem(request: Request, error: Exception) -> Response:
    """Answer what a service raised."""
    if not isinstance(error, Problem):
        raise error
    return problem_response(request, error)


async def on_invalid(request: Request, error: Exception) -> Response:
    """Answer a body that does not have its shape."""
    if not isinstance(error, RequestValidationError):
        raise error
    fields = [{"field": ".".join(map(str, fault["loc"])), "message": fault["msg"]} for fault in error.errors()[:DETAIL_LIMIT]]
    named = "; ".join(f"{fault['field']}: {fault['message']}" for fault in fields)
    return problem_response(
        request, Problem(400, "VALIDATION_ERROR", f"The body is not as it must be: {named}", details={"fields": fields})
    )


async def on_http(request: Request, error: Exception) -> Response:
    """Answer what the framework refused, such as an unknown path."""
    if not isinstance(error, HTTPException):
        raise error
    code = CODES.get(error.status_code, "INTERNAL_SERVER_ERROR")
    return problem_response(request, Problem(error.status_code, code, str(error.detail), headers=error.headers))


async def on_fault(request: Request, error: Exception) -> Response:
    """Answer a fault of ours, and write it to the log."""
    log.error("request failed", path=request.url.path, fault=repr(error)[:500])
    return problem_response(request, Problem(500, "INTERNAL_SERVER_ERROR", "A fault of ours, written to the log: send it again later"))

"""The app that every HTTP service of ours begins with; the service adds its routes."""

from collections.abc import Mapping, Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from starlette.exceptions import HTTPException
from starlette.responses import Response

from kubernaut.api.base import Obj
from kubernaut.service.health import Check, healthz, readiness
from kubernaut.service.limits import Guard, Limits, Observe
from kubernaut.service.problem import Problem, on_fault, on_http, on_invalid, on_problem


class ServiceApp(FastAPI):
    """An app whose OpenAPI document also tells of the plain routes that were described to it."""

    def describe(self, path: str, operation: Obj, *, method: str = "post") -> None:
        """Put a plain route into the document: an OpenAPI operation object."""
        self._described().setdefault(path, {})[method] = operation

    def openapi(self) -> Obj:
        """Return the OpenAPI document."""
        document: Obj = super().openapi()
        for path, operations in self._described().items():
            document["paths"].setdefault(path, {}).update(operations)
        return document

    def _described(self) -> dict[str, Obj]:
        if not hasattr(self.state, "described"):
            self.state.described = {}
        found: dict[str, Obj] = self.state.described
        return found


def create_app(
    service: str,
    *,
    title: str,
    checks: Mapping[str, Check],
    body_limit: int,
    max_concurrent: int,
    guards: Sequence[Guard] = (),
    observe: Observe = lambda _request, _status, _seconds: None,
) -> ServiceApp:
    """Make an app with error bodies, `/healthz`, `/readyz`, `/metrics`, `/openapi.json` and limits; routes are added by the service.

    `body_limit` is in bytes; over it the answer is 413. Over `max_concurrent` requests at once the answer is 503. Guards are
    asked in order before a body is read; `observe` hears of every answer.
    """
    app = ServiceApp(title=title, docs_url=None, redoc_url=None)
    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_fault)
    for path in ("/healthz", "/health"):
        app.add_route(path, healthz, include_in_schema=False)
    ready = readiness(checks)
    for path in ("/readyz", "/ready"):
        app.add_route(path, ready, include_in_schema=False)
    app.add_route("/metrics", _metrics, include_in_schema=False)
    app.add_middleware(Limits, service=service, body_limit=body_limit, max_concurrent=max_concurrent, guards=tuple(guards), observe=observe)
    return app


async def _metrics(_: Request) -> Response:
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

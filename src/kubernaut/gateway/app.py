"""The gateway's HTTP face: a route for each source, an answer for each alert."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from kubernaut.api import core
from kubernaut.api.remediation import RemediationRequest
from kubernaut.gateway import document, metrics
from kubernaut.gateway.counting import paths_of
from kubernaut.gateway.intake import FINGERPRINT_INDEX, RESOURCE_INDEX, Intake
from kubernaut.gateway.owners import FOLLOWED
from kubernaut.gateway.results import answer, tell
from kubernaut.gateway.settings import GatewaySettings
from kubernaut.gateway.sources.base import BadBody, Source
from kubernaut.kube.client import Client
from kubernaut.kube.informer import IndexFn
from kubernaut.kube.manager import Manager
from kubernaut.kube.reviews import Permission, Reviewer
from kubernaut.service import OVERLOAD_RETRY_SECONDS, Access, Check, Guard, Problem, Rates, create_app

SERVICE = "gateway"
SOURCE_HEADER = "X-Signal-Source"
TIME_HEADER = "X-Timestamp"


def setup(manager: Manager, settings: GatewaySettings) -> Intake:
    """Ask for the caches that the gateway reads; return its intake."""
    indexes: dict[str, IndexFn] = {FINGERPRINT_INDEX: lambda obj: (obj["spec"]["signalFingerprint"],), RESOURCE_INDEX: paths_of}
    requests = manager.informer(RemediationRequest, namespace=settings.namespace, indexes=indexes)
    others = [manager.informer(kind) for kind in (*FOLLOWED, core.NAMESPACE)]
    return Intake(manager.cluster, settings, [requests, *others])


def guards(client: Client, settings: GatewaySettings) -> tuple[Guard, ...]:
    """Return who is asked before a webhook is heard: who may send, and how often."""
    rates = Rates(SERVICE, settings.rate)
    if not settings.access.enabled:
        return (rates,)
    permission = Permission("create", "services", "gateway-service", settings.namespace)
    judge = Reviewer(client, audiences=settings.access.audiences, permission=permission if settings.access.authorize else None)
    return Access(judge, settings.access, needs=str(permission)), rates


def gateway_app(
    intake: Intake, sources: Sequence[Source], settings: GatewaySettings, checks: Mapping[str, Check], guarding: Sequence[Guard] = ()
) -> FastAPI:
    """Make the gateway's app: one POST route a source, and one for all that is told the source by a header."""
    app = create_app(
        SERVICE,
        title="kubernaut gateway",
        checks={**checks, "caches": _caches(intake)},
        body_limit=settings.body_limit,
        max_concurrent=settings.max_concurrent_requests,
        guards=guarding,
        observe=metrics.answering({source.path for source in sources}),
    )
    endpoints = {source.name: _endpoint(intake, source) for source in sources}
    secured = settings.access.enabled
    for source in sources:
        app.add_route(source.path, endpoints[source.name], methods=["POST"])
        app.describe(source.path, document.operation(source, secured=secured))
    app.add_route(metrics.GENERIC, _by_header(endpoints), methods=["POST"])
    app.describe(metrics.GENERIC, document.generic(sources, SOURCE_HEADER, secured=secured))
    app.add_route(f"{metrics.GENERIC}/{{source}}", _unknown(endpoints), methods=["POST"])
    return app


Endpoint = Callable[[Request], Awaitable[Response]]


def _caches(intake: Intake) -> Check:
    async def check() -> None:
        if missing := intake.unsynced():
            raise LookupError(f"not read yet: {', '.join(missing)}")

    return check


def _by_header(endpoints: Mapping[str, Endpoint]) -> Endpoint:
    async def post(request: Request) -> Response:
        wanted = request.headers.get(SOURCE_HEADER, "")
        if wanted not in endpoints:
            raise _no_source(f"the header {SOURCE_HEADER} says {wanted[:64]!r}", endpoints)
        return await endpoints[wanted](request)

    return post


def _unknown(endpoints: Mapping[str, Endpoint]) -> Endpoint:
    async def post(request: Request) -> Response:
        raise _no_source(f"the path says {request.path_params['source'][:64]!r}", endpoints)

    return post


def _no_source(said: str, endpoints: Mapping[str, Endpoint]) -> Problem:
    return Problem(400, "ADAPTER_NOT_FOUND", f"No such source of signals: {said}; known are {', '.join(endpoints)}")


def _endpoint(intake: Intake, source: Source) -> Endpoint:
    async def post(request: Request) -> Response:
        body = await request.body()
        _check_time(request, intake)
        if missing := await intake.synced():
            message = f"Starting: the caches of {', '.join(missing)} are not full yet; send it again"
            raise Problem(503, "SERVICE_UNAVAILABLE", message, retry_after=OVERLOAD_RETRY_SECONDS)
        try:
            entries = source.read(body)
        except BadBody as error:
            raise Problem(400, "SIGNAL_VALIDATION_FAILED", str(error)) from error
        digest = sha256(body).hexdigest()
        results = await asyncio.gather(*(intake.take(entry, source=source.name, body_digest=digest) for entry in entries))
        tell(results, source.name)
        return answer(results)

    return post


def _check_time(request: Request, intake: Intake) -> None:
    """Refuse a body whose sender says that it is old, or from the future; a sender that says nothing is believed."""
    said = request.headers.get(TIME_HEADER)
    if said is None:
        return
    try:
        moment = datetime.fromtimestamp(int(said), UTC) if said.isdecimal() else datetime.fromisoformat(said).astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        message = f"The header {TIME_HEADER} {said[:64]!r} is neither Unix seconds nor an RFC 3339 time"
        raise Problem(400, "INVALID_FIELD_VALUE", message) from error
    if not intake.is_fresh(moment):
        raise Problem(
            400, "REPLAY_REJECTED", f"The header {TIME_HEADER} says {said[:64]!r}: outside of the replay window, or a clock is wrong"
        )

"""The gateway's HTTP face: a route for each source, an answer for each alert."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from kubernaut.api import core
from kubernaut.api.remediation import RemediationRequest
from kubernaut.gateway.intake import FINGERPRINT_INDEX, RESOURCE_INDEX, Became, Intake, Result, resources_of
from kubernaut.gateway.owners import FOLLOWED
from kubernaut.gateway.settings import GatewaySettings
from kubernaut.gateway.sources.base import BadBody, Source
from kubernaut.kube.informer import IndexFn
from kubernaut.kube.manager import Manager
from kubernaut.service import OVERLOAD_RETRY_SECONDS, Check, Json, Problem, create_app

PARALLEL = 32
"""How many alerts of one body are stored at once."""


def setup(manager: Manager, settings: GatewaySettings) -> Intake:
    """Ask for the caches that the gateway reads; return its intake."""
    indexes: dict[str, IndexFn] = {FINGERPRINT_INDEX: lambda obj: (obj["spec"]["signalFingerprint"],), RESOURCE_INDEX: resources_of}
    manager.informer(RemediationRequest, namespace=settings.namespace, indexes=indexes)
    for kind in (*FOLLOWED, core.NAMESPACE):
        manager.informer(kind)
    return Intake(manager.cluster, settings)


def gateway_app(intake: Intake, sources: Sequence[Source], settings: GatewaySettings, checks: Mapping[str, Check]) -> FastAPI:
    """Make the gateway's app: one POST route a source."""
    app = create_app(
        "gateway",
        title="kubernaut gateway",
        checks=checks,
        body_limit=settings.body_limit,
        max_concurrent=settings.max_concurrent_requests,
    )
    for source in sources:
        app.add_route(source.path, _endpoint(intake, source), methods=["POST"])
    return app


def _endpoint(intake: Intake, source: Source) -> Callable[[Request], Awaitable[Response]]:
    async def post(request: Request) -> Response:
        body = await request.body()
        try:
            entries = source.read(body)
        except BadBody as error:
            raise Problem(400, "SIGNAL_VALIDATION_FAILED", str(error)) from error
        digest = sha256(body).hexdigest()
        slots = asyncio.Semaphore(PARALLEL)

        async def take(index: int) -> Result:
            async with slots:
                return await intake.take(entries[index], source=source.name, body_digest=digest)

        return answer(await asyncio.gather(*(take(index) for index in range(len(entries)))))

    return post


def answer(results: Sequence[Result]) -> Response:
    """Return 201 when something was created, 202 when only counted, 200 when nothing was to be done, 503 when something was not stored.

    After a 503 the sender repeats the whole body; what was stored the first time is then counted as a repeat.
    """
    became = Counter(result.status for result in results)
    body = {
        "results": [result.body() for result in results],
        "summary": {
            "total": len(results),
            "created": became[Became.CREATED],
            "deduplicated": became[Became.DUPLICATE],
            "resolved": became[Became.RESOLVED],
            "rejected": became[Became.REJECTED],
            "failed": became[Became.FAILED],
        },
    }
    if len(results) == 1:
        body |= results[0].body()
    if became[Became.FAILED]:
        return Json(body, 503, {"Retry-After": str(OVERLOAD_RETRY_SECONDS)})
    if became[Became.CREATED]:
        return Json(body, 201)
    return Json(body, 202 if became[Became.DUPLICATE] else 200)

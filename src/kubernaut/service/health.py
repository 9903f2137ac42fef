"""Whether a service lives, and whether what it depends on is well."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from time import perf_counter

from fastapi import Request
from starlette.responses import Response

from kubernaut.api.base import Obj
from kubernaut.service.problem import Json

DEGRADED_SECONDS = 0.1
CHECK_SECONDS = 5.0

Check = Callable[[], Awaitable[None]]
"""A dependency's health: returns when it is well, raises when not."""


async def healthz(_: Request) -> Response:
    """Say that the process answers."""
    return Json({"status": "healthy", "timestamp": datetime.now(UTC).isoformat()})


def readiness(checks: Mapping[str, Check]) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint that asks every dependency, all at once, and names the sick ones."""

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

"""Trying again what the API server could not take just now: never what it refused for good."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import stamina

from kubernaut.gateway import metrics
from kubernaut.gateway.settings import GatewaySettings
from kubernaut.kube.errors import ApiError

WAIT_LIMIT: Final = 5.0

T = TypeVar("T")


async def persistently(act: Callable[[], Awaitable[T]], settings: GatewaySettings) -> T:
    """Do something, and again after 409, 429, 5xx, a timeout or a lost connection, as often as is set; raise the last ApiError."""
    tries = stamina.retry_context(
        on=_worth_it,
        attempts=settings.store_attempts,
        timeout=None,
        wait_initial=settings.store_retry_seconds,
        wait_max=WAIT_LIMIT,
        wait_jitter=settings.store_retry_seconds,
    )
    async for attempt in tries:
        with attempt:
            return await act()
    raise RuntimeError("no try was made")


def _worth_it(error: Exception) -> bool:
    worth = isinstance(error, ApiError) and (error.retryable or error.conflict)  # a quota counted meanwhile is a conflict too
    if worth:
        metrics.retried(reason_of(error))
    return worth


def reason_of(error: Exception) -> str:
    """Return one word for a failure, fit for a metric's label."""
    return (error.reason or str(error.status))[:64] if isinstance(error, ApiError) else type(error).__name__

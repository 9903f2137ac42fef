"""How often one caller may ask: a token bucket for each caller, and one for the whole replica."""

import math
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import Final

from fastapi import Request
from prometheus_client import Counter
from pydantic import BaseModel, ConfigDict, Field

from kubernaut.service.problem import Problem

CALLERS_LIMIT: Final = 10_000
"""How many callers are remembered; of the others the longest silent one is forgotten."""
RETRY_SECONDS: Final = 60
"""What 429 tells a caller to wait: the platform's standard."""
GUARDED: Final = "/api/"

rate_limited = Counter("kubernaut_http_rate_limited_total", "Requests refused because a caller asks too often", ["service", "limit"])


class RateSettings(BaseModel):
    """How many requests a second are taken; 0 is no limit. The defaults are the platform's standard."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_source: float = Field(default=100, ge=0)
    """Of one caller: its service account where callers must show a token, else its address."""
    burst: int = Field(default=150, ge=1)
    """How many one caller may send at once after a pause."""
    per_replica: float = Field(default=1000, ge=0)
    """Of all callers together."""


class Bucket:
    """Holds up to `burst` tokens and gains `rate` a second; every request takes one."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    def take(self, now: float) -> bool:
        """Take a token, if there is one."""
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = max(self._at, now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Rates:
    """A guard that answers 429 to a caller over its rate. `time` gives seconds that only grow."""

    def __init__(self, service: str, settings: RateSettings, *, time: Callable[[], float] = monotonic) -> None:
        self._service = service
        self._settings = settings
        self._time = time
        self._callers: OrderedDict[str, Bucket] = OrderedDict()
        self._all = Bucket(settings.per_replica, max(settings.per_replica, settings.burst), time())

    async def __call__(self, request: Request) -> None:
        """Let a request pass, or raise Problem 429. Probes and metrics always pass."""
        if not request.url.path.startswith(GUARDED):
            return
        now = self._time()
        if self._settings.per_source and not self._bucket(caller(request), now).take(now):
            raise self._refusal("source", self._settings.per_source)
        if self._settings.per_replica and not self._all.take(now):
            raise self._refusal("replica", self._settings.per_replica)

    def _bucket(self, name: str, now: float) -> Bucket:
        bucket = self._callers.pop(name, None) or Bucket(self._settings.per_source, self._settings.burst, now)
        self._callers[name] = bucket
        if len(self._callers) > CALLERS_LIMIT:
            self._callers.popitem(last=False)
        return bucket

    def _refusal(self, limit: str, rate: float) -> Problem:
        rate_limited.labels(self._service, limit).inc()
        whose = "you send" if limit == "source" else "all senders together send"
        message = f"More than {rate:g} requests a second are not taken, and {whose} more: wait {RETRY_SECONDS} s and send it again"
        headers = {"X-RateLimit-Limit": str(math.ceil(rate)), "X-RateLimit-Window": "1s"}
        return Problem(429, "RATE_LIMIT_EXCEEDED", message, retry_after=RETRY_SECONDS, headers=headers)


def caller(request: Request) -> str:
    """Return who asks: the user of the token, where there is one, else the address of the peer."""
    user = getattr(request.state, "user", "")
    return f"user {user}" if user else f"address {request.client.host if request.client else ''}"

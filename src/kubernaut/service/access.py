"""Who may call a service: bearer tokens judged by the API server (TokenReview, SubjectAccessReview), its verdicts kept for a short time."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from hashlib import sha256
from time import monotonic
from typing import Final

import structlog
from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from kubernaut.service.problem import OVERLOAD_RETRY_SECONDS, Problem

TOKEN_LIMIT: Final = 16 * 1024
REVIEWS_AT_ONCE: Final = 16
REVIEW_SECONDS: Final = 5.0
METRICS: Final = "/metrics"
GUARDED: Final = "/api/"

Verdict = tuple[str, bool]
"""A token's user, "" for an unknown one, and whether that user may call."""
Judge = Callable[[str], Awaitable[Verdict]]
"""Judges a token; raises OSError when there is nobody to ask."""

log = structlog.get_logger(__name__)


class AccessSettings(BaseModel):
    """Whether callers must show a token that the API server knows, and for how long its word holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = False
    """Off: whoever reaches the port may call."""
    audiences: tuple[str, ...] = ()
    """One of these must be among the token's audiences; empty: the API server's own."""
    authorize: bool = False
    """Whether the caller also needs a role that allows it (SubjectAccessReview)."""
    protect_metrics: bool = False
    """Whether `/metrics` needs a token too."""
    accepted_seconds: float = Field(default=60, ge=0, le=3600)
    """How long an accepted token is not asked about again: so long a withdrawn one may still work."""
    refused_seconds: float = Field(default=10, ge=0, le=3600)
    cache_entries: int = Field(default=1024, ge=1, le=100_000)


class Kept:
    """Verdicts for a while: at most `limit`, the oldest going first."""

    def __init__(self, seconds: float, limit: int) -> None:
        self._seconds = seconds
        self._limit = limit
        self._verdicts: OrderedDict[str, tuple[float, Verdict]] = OrderedDict()

    def get(self, key: str, now: float) -> Verdict | None:
        """Return a verdict that still holds."""
        expires, verdict = self._verdicts.get(key, (now, None))
        return verdict if now < expires else None

    def put(self, key: str, verdict: Verdict, now: float) -> None:
        """Keep a verdict from now on."""
        self._verdicts.pop(key, None)
        self._verdicts[key] = (now + self._seconds, verdict)
        while len(self._verdicts) > self._limit:
            self._verdicts.popitem(last=False)


class Access:
    """A guard: 401 without a good token, 403 without the right, 503 when there is nobody to ask.

    Verdicts are kept under the token's hash, never under the token, the bad ones apart from the good, so that a flood of bad
    tokens drives no good one out; concurrent requests with one token share one question. `needs` says which right a caller
    lacks; `time` gives seconds that only grow.
    """

    def __init__(self, judge: Judge, settings: AccessSettings, *, needs: str = "", time: Callable[[], float] = monotonic) -> None:
        self._judge = judge
        self._needs = needs
        self._time = time
        self._protected = (GUARDED, METRICS) if settings.protect_metrics else (GUARDED,)
        self._accepted = Kept(settings.accepted_seconds, settings.cache_entries)
        self._refused = Kept(settings.refused_seconds, settings.cache_entries)
        self._asking: dict[str, asyncio.Task[Verdict]] = {}
        self._slots = asyncio.Semaphore(REVIEWS_AT_ONCE)

    async def __call__(self, request: Request) -> None:
        """Let a request pass, noting its user, or raise Problem. Probes always pass."""
        if not request.url.path.startswith(self._protected):
            return
        user, allowed = await self._verdict(bearer(request))
        if not user:
            raise _unauthorized("AUTH_TOKEN_INVALID", "The API server does not know this bearer token, or not for this audience")
        if not allowed:
            raise Problem(403, "AUTH_TOKEN_UNAUTHORIZED", f"{user} may not call this: it needs a role that allows {self._needs}")
        request.state.user = user

    async def _verdict(self, token: str) -> Verdict:
        key, now = sha256(token.encode()).hexdigest(), self._time()
        if known := self._accepted.get(key, now) or self._refused.get(key, now):
            return known
        try:
            return await asyncio.shield(self._question(key, token))
        except (OSError, TimeoutError) as error:
            log.warning("a token could not be judged", fault=str(error)[:500] or "no answer in time")
            message = "The Kubernetes API could not be asked whether this bearer token is good: send it again"
            raise Problem(503, "SERVICE_UNAVAILABLE", message, retry_after=OVERLOAD_RETRY_SECONDS) from error

    def _question(self, key: str, token: str) -> asyncio.Task[Verdict]:
        """Return the question about a token that is on its way, or ask it."""
        if key not in self._asking:
            task = self._asking[key] = asyncio.create_task(self._ask(key, token))
            task.add_done_callback(lambda done: self._answered(key, done))
        return self._asking[key]

    def _answered(self, key: str, task: asyncio.Task[Verdict]) -> None:
        self._asking.pop(key, None)
        if not task.cancelled():
            task.exception()  # whoever still waits hears it; nobody may

    async def _ask(self, key: str, token: str) -> Verdict:
        async with self._slots, asyncio.timeout(REVIEW_SECONDS):
            user, allowed = await self._judge(token)
        (self._accepted if user and allowed else self._refused).put(key, (user, allowed), self._time())
        return user, allowed


def bearer(request: Request) -> str:
    """Return the bearer token of a request; raise Problem 401 where there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.casefold() != "bearer" or not token:
        raise _unauthorized("AUTH_TOKEN_MISSING", "A bearer token of a ServiceAccount is needed: Authorization: Bearer <token>")
    if len(token) > TOKEN_LIMIT:
        raise _unauthorized("AUTH_TOKEN_INVALID", f"A bearer token has at most {TOKEN_LIMIT} characters")
    return token


def _unauthorized(code: str, message: str) -> Problem:
    return Problem(401, code, message, headers={"WWW-Authenticate": "Bearer"})

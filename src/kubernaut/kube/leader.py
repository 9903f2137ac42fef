"""Leader election by a Lease, after client-go's algorithm: of several replicas one works, the others keep warm caches.

A rival's lease is judged by when we saw it change on our own clock, never by the times written in it: clocks differ.
"""

import asyncio
import random
import secrets
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from kubernaut.api.base import Kind, Obj
from kubernaut.kube.backoff import delay
from kubernaut.kube.client import Client
from kubernaut.kube.clock import Clock
from kubernaut.kube.errors import ApiError

LEASE: Final = Kind(kind="Lease", plural="leases", group="coordination.k8s.io", version="v1")
RELEASE_SECONDS: Final = 5.0

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


def micro_time(moment: datetime) -> str:
    """Return a time as `MicroTime`: exactly six decimals, or the API server refuses it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def own_identity() -> str:
    """Return a name for this process that no other process has."""
    return f"{socket.gethostname()}_{secrets.token_hex(4)}"


@dataclass(frozen=True, kw_only=True)
class LeaderSettings:
    """How a leader is chosen; the defaults are client-go's."""

    namespace: str
    """Where the Lease lives."""
    name: str = ""
    """The Lease; empty for the manager's name."""
    identity: str = field(default_factory=own_identity)
    """Who we are; distinct for every replica."""
    lease: timedelta = timedelta(seconds=15)
    """How long a rival waits after the last sign of life; whole seconds."""
    renew: timedelta = timedelta(seconds=10)
    """How long a leader tries to renew before it stops working."""
    retry: timedelta = timedelta(seconds=2)
    """How often the lease is looked at."""

    def __post_init__(self) -> None:
        """Refuse times under which two could lead at once."""
        if not self.lease > self.renew > 1.2 * self.retry or self.lease.total_seconds() % 1:
            raise ValueError("a lease must be whole seconds and outlast the renewal time, which must outlast 1.2 retries")


class Elector:
    """Takes part in one election for as long as it runs."""

    def __init__(self, client: Client, clock: Clock, settings: LeaderSettings, rng: random.Random | None = None) -> None:
        self._client = client
        self._clock = clock
        self._settings = settings
        self._rng = rng or random.SystemRandom()
        self._seen: Obj | None = None
        self._seen_at = 0.0
        self._lease: Obj = {}

    async def run(self, work: Callable[[], Awaitable[None]], lost: Callable[[], None]) -> None:
        """Work whenever we lead, until cancelled. When the lease is lost, `lost` is called at once and the work cancelled.

        On cancellation the work is cancelled, the lease kept until it has ended, then released, so that a rival starts at once.
        """
        while True:
            await self._acquire()
            log.info("leading", lease=self._settings.name, identity=self._settings.identity)
            await self._lead(asyncio.ensure_future(work()), lost)

    async def _acquire(self) -> None:
        loop = asyncio.get_running_loop()
        patience = self._settings.renew.total_seconds()
        while not await self._try(loop.time() + patience):  # noqa: ASYNC110  (the lease is another machine's: only looking tells)
            await asyncio.sleep(self._jittered())

    async def _lead(self, task: "asyncio.Future[None]", lost: Callable[[], None]) -> None:
        try:
            await self._guard(task, lost)
        except asyncio.CancelledError:
            task.cancel()
            await self._guard(task, lost)
            raise
        finally:
            await self._release()

    async def _guard(self, task: "asyncio.Future[None]", lost: Callable[[], None]) -> None:
        """Wait for the end of the work, which the loss of the lease brings about; raise what it raised."""
        if not await self._hold(task):
            log.warning("lease lost", lease=self._settings.name, identity=self._settings.identity)
            lost()
            task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()

    async def _hold(self, task: "asyncio.Future[None]") -> bool:
        """Renew until the work has ended (True) or the lease is lost (False)."""
        loop = asyncio.get_running_loop()
        patience = self._settings.renew.total_seconds()
        deadline = loop.time() + patience
        while not task.done():
            await asyncio.wait({task}, timeout=self._settings.retry.total_seconds())
            started = loop.time()
            if task.done():
                break
            if await self._try(deadline):
                deadline = started + patience
            elif self._holder() != self._settings.identity or loop.time() >= deadline:
                return False
        return True

    async def _try(self, deadline: float) -> bool:
        """Take or renew the lease once; False when a rival holds it, or the API server does not let us know in time."""
        try:
            async with asyncio.timeout_at(deadline):
                return await self._take()
        except (ApiError, TimeoutError) as fault:
            log.debug("lease not taken", lease=self._settings.name, fault=str(fault)[:500])
            return False

    async def _take(self) -> bool:
        try:
            lease = await self._client.get(LEASE, self._settings.name, self._settings.namespace)
        except ApiError as fault:
            if not fault.not_found:
                raise
            await self._create()
            return True
        self._observe(lease)
        mine = self._holder() == self._settings.identity
        if not mine and self._holder() and self._valid():
            return False
        self._observe(await self._client.update(LEASE, {**lease, "spec": self._claim(lease.get("spec") or {}, mine=mine)}))
        return True

    async def _create(self) -> None:
        metadata = {"name": self._settings.name, "namespace": self._settings.namespace}
        spec = {**self._claim({}, mine=False), "leaseTransitions": 0}
        self._observe(await self._client.create(LEASE, {"metadata": metadata, "spec": spec}))

    def _claim(self, spec: Obj, *, mine: bool) -> Obj:
        now = micro_time(self._clock.now())
        seconds = int(self._settings.lease.total_seconds())
        ours = {"holderIdentity": self._settings.identity, "leaseDurationSeconds": seconds, "renewTime": now}
        if mine:
            return {**spec, **ours}
        return {**spec, **ours, "acquireTime": now, "leaseTransitions": (spec.get("leaseTransitions") or 0) + 1}

    def _observe(self, lease: Obj) -> None:
        """Remember when, on our own clock, the lease last changed."""
        self._lease = lease
        spec = lease.get("spec") or {}
        if spec != self._seen:
            self._seen, self._seen_at = spec, asyncio.get_running_loop().time()

    def _holder(self) -> str:
        return (self._seen or {}).get("holderIdentity") or ""

    def _valid(self) -> bool:
        duration = (self._seen or {}).get("leaseDurationSeconds") or 0
        return self._seen_at + float(duration) > asyncio.get_running_loop().time()

    async def _release(self) -> None:
        """Give the lease back, if it is still ours; a lease that cannot be given back ends by itself."""
        if self._holder() != self._settings.identity:
            return
        now = micro_time(self._clock.now())
        spec = {**self._lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": now, "acquireTime": now}
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                self._observe(await self._client.update(LEASE, {**self._lease, "spec": spec}))
        except (ApiError, TimeoutError) as fault:
            log.info("lease not released", lease=self._settings.name, fault=str(fault)[:500])

    def _jittered(self) -> float:
        retry = self._settings.retry.total_seconds()
        return delay(retry, retry * 1.2, 1, self._rng)

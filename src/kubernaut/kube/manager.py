"""Holds a process together: shared caches, controllers, background tasks, the Event recorder and the election of a leader."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final, TypeVar

import structlog

from kubernaut.api.base import Kind, Resource
from kubernaut.kube import metrics
from kubernaut.kube.backoff import Backoff
from kubernaut.kube.client import Client
from kubernaut.kube.clock import Clock
from kubernaut.kube.cluster import Caches, Cluster, Watched, card_of
from kubernaut.kube.controller import Controller, Reconcile
from kubernaut.kube.events import Recorder
from kubernaut.kube.informer import IndexFn, Informer, Key
from kubernaut.kube.leader import Elector, LeaderSettings
from kubernaut.kube.outcome import Outcome
from kubernaut.kube.worker import Workers, attempt

R = TypeVar("R", bound=Resource)
RESTART_SECONDS: Final = (1.0, 60.0)
"""How long a background task that failed waits: at first, and at most."""
log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class Manager:
    """The controllers of one process. Set up everything first, then `run` it."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        *,
        name: str,
        namespace: str = "",
        leader_election: LeaderSettings | None = None,
        workers: int = 4,
        rng: random.Random | None = None,
    ) -> None:
        self.ready = asyncio.Event()
        self._client = client
        self._clock = clock
        self._name = name
        self._namespace = namespace
        self._leader_election = leader_election
        self._default_workers = workers
        self._rng = rng or random.SystemRandom()
        self._caches = Caches(client, self._rng)
        self.cluster = Cluster(client, clock, self._caches)
        self.recorder = Recorder(client, clock, name, self._rng)
        self._workers: list[Workers] = []
        self._background: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self._shipped: set[type[Resource]] = set()
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def namespace(self) -> str:
        """Where the objects of ours are."""
        return self._namespace

    def informer(
        self, watched: Watched, *, namespace: str = "", indexes: Mapping[str, IndexFn] | None = None, required: bool = True
    ) -> Informer:
        """Return the informer of a kind, shared by all who ask; "" is the manager's namespace for a namespaced model, else all.

        Work starts when all are full, but for those that nobody requires: where one cannot be read, its `unread` says why.
        """
        card = card_of(watched)
        ours = card.namespaced and not isinstance(watched, Kind)
        informer, made = self._caches.ask(card, namespace or (self._namespace if ours else ""), indexes, required=required)
        if made and self._tasks is not None:
            self._tasks.create_task(informer.run())
        return informer

    def controller(
        self,
        model: type[R],
        reconcile: Reconcile[R],
        *,
        finalizer: str = "",
        finalize: Reconcile[R] | None = None,
        workers: int = 0,
        timeout: timedelta = timedelta(minutes=2),
    ) -> Controller[R]:
        """Reconcile all objects of a kind; with a finalizer, `finalize` runs before an object goes."""
        count = workers or self._default_workers
        return Controller(self, model, reconcile, finalizer=finalizer, finalize=finalize, workers=count, timeout=timeout)

    def background(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run a long task while we lead; one that fails is started again, later each time."""
        self._background.append((name, run))

    def workers(
        self,
        name: str,
        process: Callable[[Key], Awaitable[Outcome]],
        keys: Callable[[], Iterable[Key]],
        *,
        count: int = 4,
        timeout: timedelta = timedelta(minutes=2),
        on_fault: Callable[[Key, Exception], None] = lambda _key, _fault: None,
    ) -> Workers:
        """Run passes over keys while we lead: for controllers of another make."""
        made = Workers(name, process, keys, clock=self._clock, count=count, timeout=timeout, on_fault=on_fault, rng=self._rng)
        self._workers.append(made)
        return made

    def ships(self, model: type[Resource]) -> None:
        """Hear that the journals of a kind are shipped by this process: its finalizers wait for them."""
        self._shipped.add(model)

    def is_shipped(self, model: type[Resource]) -> bool:
        """Tell whether this process ships the journals of a kind."""
        return model in self._shipped

    async def run(self) -> None:
        """Run until cancelled; then take no more work, let running passes finish, and release the lease."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                for informer in self._caches.all():
                    self._tasks.create_task(informer.run())
                self._tasks.create_task(self.recorder.run())
                self._tasks.create_task(self._campaign())
        finally:
            self._tasks = None

    async def _campaign(self) -> None:
        for informer in self._caches.all():
            await (informer.synced if informer.required else informer.tried).wait()
        if self._leader_election is None:
            await self._lead()
            return
        settings = replace(self._leader_election, name=self._leader_election.name or self._name)
        await Elector(self._client, self._clock, settings, self._rng).run(self._lead, self._abort)

    async def _lead(self) -> None:
        gauge = metrics.LEADING.labels(self._name)
        try:
            async with asyncio.TaskGroup() as tasks:
                for workers in self._workers:
                    tasks.create_task(workers.run())
                for name, run in self._background:
                    tasks.create_task(self._supervise(name, run))
                gauge.set(1)
                self.ready.set()
                await asyncio.Event().wait()  # what lives with leadership ends only with it
        finally:
            gauge.set(0)
            self.ready.clear()

    def _abort(self) -> None:
        for workers in self._workers:
            workers.abort()

    async def _supervise(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        backoff = Backoff(*RESTART_SECONDS, self._rng)
        while fault := await attempt(run()):
            seconds = backoff.next()
            log.warning("background task failed", task=name, fault=repr(fault)[:2000], retry_seconds=round(seconds, 1), exc_info=fault)
            await asyncio.sleep(seconds)

"""A cluster in memory over real HTTP, one stage at work on it, and a watcher that waits for what becomes visible."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

from kubernaut import manifests
from kubernaut.api import core
from kubernaut.api.base import Kind, Resource
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError
from kubernaut.kube.informer import Informer
from kubernaut.kube.manager import Manager
from kubernaut.localcluster import ClusterSettings, LocalCluster
from kubernaut.localcluster.pipelines import tekton_crds
from tests.world import EXTERNAL, visit

Obj = dict[str, Any]
SYSTEM, RUNS = manifests.SYSTEM_NAMESPACE, manifests.WORKFLOW_NAMESPACE
PATIENCE = 60


B = TypeVar("B", bound="Bench")
C = TypeVar("C", bound=Client)


class Connect(Protocol):
    """Makes clients of one cluster."""

    def __call__(self, kind: type[C], /) -> C:
        """Return a client of a class."""
        ...


class Clock:
    """The machine's clock, which a test may put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class KillingClient(Client):
    """Carries out a number of writes; the answer to the last of them never arrives, and no further request does: the process is dead."""

    writes_left = -1
    counted = ""
    """What the path of a write that counts ends with."""
    dead: asyncio.Event

    async def _send(self, method: str, *args: Any, **kwargs: Any) -> Obj:
        if self.dead.is_set():
            raise ApiError(0, "Dead", "the process is dead")
        answer = await super()._send(method, *args, **kwargs)
        if method == "GET" or _is_read(args) or not args[0].endswith(self.counted):
            return answer
        self.writes_left -= 1
        if self.writes_left == 0:
            self.dead.set()
            raise ApiError(0, "Dead", "the process is dead")
        return answer


def _is_read(args: tuple[Any, ...]) -> bool:
    return "/events" in args[0] or "selfsubjectaccessreviews" in args[0]


class Bench:
    """A cluster and the questions tests ask."""

    def __init__(self, connect: Connect, cluster: LocalCluster | None) -> None:
        self.connect, self._cluster, self.clock = connect, cluster, Clock()
        self.client = connect(Client)
        self._change = asyncio.Event()
        self._informers: dict[str, Informer] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._clients: list[Client] = []

    @property
    def cluster(self) -> LocalCluster:
        """The embedded cluster, where a test is of what only that one has."""
        assert self._cluster is not None
        return self._cluster

    async def install(self, objs: list[Obj]) -> None:
        for obj in objs:
            kind = core.kind_named(obj["kind"]) or _kind(obj)
            await self.client.create(kind, obj)

    def _store(self, kind: Kind) -> Informer:
        if kind.kind not in self._informers:
            self._informers[kind.kind] = informer = Informer(self.client, kind)
            informer.on_change(lambda _old, _new: self._change.set())
            self._tasks.append(asyncio.create_task(informer.run()))
        return self._informers[kind.kind]

    async def until(self, kind: Kind, namespace: str, name: str, holds: Callable[[Obj], bool] = lambda _: True) -> Obj:
        """Return an object as soon as it is seen to be so."""
        store = self._store(kind).store
        with self._telling(lambda: f"{kind.kind} {name}: {store.get(namespace, name)}"):
            async with asyncio.timeout(PATIENCE):
                while not ((found := store.get(namespace, name)) and holds(found)):
                    self._change.clear()
                    await self._change.wait()
        return found

    async def gone(self, kind: Kind, namespace: str, name: str) -> None:
        """Wait until an object is seen to be gone."""
        informer = self._store(kind)
        await informer.synced.wait()
        async with asyncio.timeout(PATIENCE):
            while informer.store.get(namespace, name) is not None:
                self._change.clear()
                await self._change.wait()

    @contextmanager
    def _telling(self, what: Callable[[], str]) -> Iterator[None]:
        try:
            yield
        except TimeoutError as fault:
            raise AssertionError(f"never seen; last: {what()[:3000]}") from fault

    @asynccontextmanager
    async def at_work(self, setup: Callable[[Manager], None], client: Client | None = None) -> AsyncIterator[Manager]:
        """Run a stage while the context lasts."""
        manager = Manager(client or self.client, self.clock, name="test", namespace=SYSTEM)
        setup(manager)
        work, ready = asyncio.create_task(manager.run()), asyncio.create_task(manager.ready.wait())
        await asyncio.wait({work, ready}, return_when=asyncio.FIRST_COMPLETED)
        try:
            yield manager
        finally:
            ready.cancel()
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work

    def killing(self, after: int, counted: str = "") -> KillingClient:
        """Return a client that dies after a number of writes, of those whose path ends so."""
        client = self.connect(KillingClient)
        client.writes_left, client.counted, client.dead = after, counted, asyncio.Event()
        self._clients.append(client)
        return client

    async def poke(self, kind: Kind, namespace: str, name: str) -> None:
        """Touch an object so that it is looked at again."""
        body = {"metadata": {"annotations": {"test/poked-at": self.clock.now().isoformat()}}}
        await self.client.patch(kind, name, namespace, body)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for client in self._clients:
            await client.close()


def _kind(obj: Obj) -> Kind:
    group, _, version = obj["apiVersion"].rpartition("/")
    plural = obj["kind"].lower() + "s" if not obj["kind"].endswith("y") else obj["kind"].lower()[:-1] + "ies"
    return Kind(kind=obj["kind"], plural=plural, group=group, version=version, namespaced=False)


@asynccontextmanager
async def bench_of(make: type[B], *models: type[Resource], tls: bool = False, rbac: bool = False) -> AsyncIterator[B]:
    """Run a cluster with Tekton's kinds and those given, the namespaces, and nothing at work."""
    async with LocalCluster(ClusterSettings(tls=tls, rbac=rbac)) as cluster:
        trust = _trust(cluster) if tls else None
        bench = make(lambda kind: kind(cluster.url, token=cluster.admin_token, tls=trust), cluster)
        wanted = [each for each in manifests.definitions() if each["spec"]["names"]["kind"] in {model.card.kind for model in models}]
        await bench.install([*tekton_crds(), *wanted, *manifests.namespaces()])
        yield bench
        await bench.close()
        await bench.client.close()


@asynccontextmanager
async def bench_anywhere(make: type[B], *models: type[Resource], also: Sequence[str] = ()) -> AsyncIterator[B]:
    """Give the same on the foreign cluster, if there is one, in namespaces of the test's own; `also` are further ones."""
    if not EXTERNAL:
        async with bench_of(make, *models) as bench:
            for name in also:
                await bench.client.create(core.NAMESPACE, {"metadata": {"name": name}})
            yield bench
        return
    async with visit((SYSTEM, RUNS, *also)) as transport:
        bench = make(lambda kind: kind.over(transport), None)
        yield bench
        await bench.close()


def _trust(cluster: LocalCluster) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=cluster.certificate)

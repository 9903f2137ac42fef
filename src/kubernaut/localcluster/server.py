"""The embedded cluster as a whole: store, registry, HTTP face and stand-ins, started and stopped together."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from kubernaut.localcluster.calls import Call, User
from kubernaut.localcluster.catalog import Catalog
from kubernaut.localcluster.journal import Journal
from kubernaut.localcluster.local import LocalApi
from kubernaut.localcluster.metadata import Sources
from kubernaut.localcluster.registry import NAMESPACES, Registry
from kubernaut.localcluster.schemas import Schemas
from kubernaut.localcluster.store import History, Store

StandIn = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class ClusterSettings:
    """How a cluster is set up; `database` is a path or `:memory:`, port 0 any free one."""

    database: str = ":memory:"
    host: str = "127.0.0.1"
    port: int = 0
    admin_token: str = ""
    stand_ins: frozenset[str] = frozenset()
    history: History = field(default_factory=History)
    sources: Sources = field(default_factory=Sources)


BOOTSTRAP = ("default", "kube-node-lease", "kube-public", "kube-system")


class LocalCluster:
    """A Kubernetes API of one process."""

    def __init__(self, settings: ClusterSettings) -> None:
        """Open the store and make the API ready for callers in process; HTTP comes with `start`."""
        journal = None if settings.database == ":memory:" else Journal(settings.database)
        self._settings = settings
        self._store = Store(journal, settings.history)
        self.registry = Registry(self._store, Catalog(), Schemas(), settings.sources)
        self.api = LocalApi(self.registry, Call())
        self._bootstrap()

    def _bootstrap(self) -> None:
        for name in BOOTSTRAP:
            if self.registry.find(NAMESPACES, "", name) is None:
                self.registry.create(NAMESPACES, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, Call())

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop."""
        await self.stop()

    async def start(self) -> None:
        """Serve HTTP and start the stand-ins."""

    async def stop(self) -> None:
        """Stop serving and close the store."""
        self._store.close()

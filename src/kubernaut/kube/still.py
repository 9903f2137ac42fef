"""A cluster at one moment: the reads of `Cluster` over objects that were listed once, or saved. It cannot be written to."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kubernaut.api.base import Kind, Obj
from kubernaut.kube.client import Client
from kubernaut.kube.cluster import OWNER_INDEX, Caches, Cluster, NotWatched
from kubernaut.kube.errors import ApiError
from kubernaut.kube.informer import Cache, IndexFn, Unread, controller_owner
from kubernaut.kube.transport import Request

Indexes = Mapping[Kind, Mapping[str, IndexFn]]
_NO_SERVER: Final = "these are saved objects: there is no API server behind them"


@dataclass(frozen=True, slots=True)
class Moment:
    """A clock that stands still."""

    at: datetime

    def now(self) -> datetime:
        """Return the moment."""
        return self.at


class _Nowhere:
    """Refuses every request: what reads saved objects changes nothing."""

    async def send(self, request: Request) -> bytes:
        raise ApiError(503, "NoServer", f"{request.method} {request.path}: {_NO_SERVER}")

    async def lines(self, request: Request, *, idle: float) -> AsyncGenerator[bytes, None]:
        raise ApiError(503, "NoServer", f"{request.path} ({idle:g} s): {_NO_SERVER}")
        yield b""

    async def close(self) -> None:
        """Close nothing."""


class StillCluster(Cluster):
    """Objects of one moment, read by name and by index."""

    def __init__(self, at: datetime, objects: Iterable[Obj], indexes: Indexes, unread: Mapping[Kind, str] = {}) -> None:
        """Keep the objects of the kinds that `indexes` names; `unread` says why those of a kind are not known."""
        client = Client.over(_Nowhere())
        super().__init__(client, Moment(at), Caches(client))
        self._stores = {_key(kind): _store(functions) for kind, functions in indexes.items()}
        self._unread = {_key(kind): Unread(why, passing=False) for kind, why in unread.items()}
        by_name = {(kind.group, kind.kind): self._stores[_key(kind)] for kind in indexes}
        for obj in objects:
            store = by_name.get((_group(obj), obj["kind"]))
            if store is not None:
                store.put(obj)

    def read(self, kind: Kind, namespace: str, name: str) -> Obj | None:
        """Return an object, or None; raise `NotWatched` for a kind that nobody named."""
        return self._of(kind).get(namespace, name)

    def select(self, kind: Kind, index: str, value: str) -> list[Obj]:
        """Return the objects that an index files under a value; raise `NotWatched` for a kind or an index that nobody named."""
        store = self._of(kind)
        if index not in store.indexes():
            raise NotWatched(f"{kind.kind} has no index {index!r}")
        return store.by(index, value)

    def unread(self, kind: Kind) -> Unread | None:
        """Return why the objects of a kind are not known; None when they are."""
        return self._unread.get(_key(kind))

    def objects(self, kind: Kind) -> list[Obj]:
        """Return all objects of a kind."""
        return self._of(kind).all()

    def count(self) -> int:
        """Return how many objects there are."""
        return sum(len(store) for store in self._stores.values())

    def _of(self, kind: Kind) -> Cache:
        store = self._stores.get(_key(kind))
        if store is None:
            raise NotWatched(f"{kind.kind} is not among the kinds that were asked for")
        return store


def _key(kind: Kind) -> tuple[str, str]:
    return kind.group, kind.plural


def _group(obj: Obj) -> str:
    group, slash, _ = str(obj.get("apiVersion") or "").rpartition("/")
    return group if slash else ""


def _store(functions: Mapping[str, IndexFn]) -> Cache:
    store = Cache()
    store.add_index(OWNER_INDEX, _owner_uid)
    for name, function in functions.items():
        store.add_index(name, function)
    return store


def _owner_uid(obj: Obj) -> Iterable[str]:
    uid = controller_owner(obj).get("uid")
    return (uid,) if uid else ()

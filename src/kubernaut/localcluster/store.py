"""What the cluster knows: the newest revision of every object in memory, a bounded history of changes, and the journal beneath.

Everything is synchronous and runs on one event loop: a read, a decision and a write without an await between them are one transaction.
"""

import asyncio
from bisect import bisect_left, insort
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import orjson

from kubernaut.localcluster import errors
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.journal import Journal, Row

OBJECT_MAX = 1_572_864
"""What etcd takes in one request."""

Key = tuple[str, str]  # namespace (empty for cluster scoped kinds), name


class Record:
    """One revision of one object; `data` is its JSON, `obj` the same parsed (shared: never mutate it)."""

    __slots__ = ("_live", "_obj", "data", "key", "prior", "resource", "revision", "type")

    def __init__(self, row: Row, obj: Obj | None, prior: "Record | None") -> None:
        """Take over the row; `prior` is the revision it replaced, kept only while the history holds this one."""
        self.revision = row.revision
        self.resource = row.resource
        self.key: Key = (row.namespace, row.name)
        self.type = row.type
        self.data = row.data
        self.prior = prior
        self._obj = obj
        self._live = True

    @property
    def obj(self) -> Obj:
        """The object, parsed again for each caller once the record is history."""
        if self._obj is not None:
            return self._obj
        parsed: Obj = orjson.loads(self.data)
        if self._live:
            self._obj = parsed
        return parsed

    def copy(self) -> Obj:
        """Return the object as a value of the caller's own."""
        fresh: Obj = orjson.loads(self.data)
        return fresh

    def fade(self) -> None:
        """Keep the bytes alone: a parsed object takes some ten times their room."""
        self._obj = None
        self._live = False


def encode(obj: Obj) -> bytes:
    """Return the JSON of an object, apiVersion and kind first, so that list items can be cut out of it."""
    head = {"apiVersion": obj.get("apiVersion"), "kind": obj.get("kind")}
    return orjson.dumps(head | obj)


@dataclass(frozen=True, slots=True)
class History:
    """How much of the past is kept for watches and paging."""

    revisions: int = 20_000
    octets: int = 64 * 1024 * 1024


class Store:
    """Objects by resource, namespace and name; one counter of revisions over all of them."""

    def __init__(self, journal: Journal | None = None, history: History | None = None) -> None:
        """Replay the journal, if there is one."""
        self._journal = journal
        self._history = history or History()
        self._live: dict[str, dict[Key, Record]] = defaultdict(dict)
        self._keys: dict[str, list[Key]] = defaultdict(list)
        self._log: deque[Record] = deque()
        self._log_of: dict[str, deque[Record]] = defaultdict(deque)
        self._octets = 0
        self._floors: dict[str, int] = {}
        self._followers: dict[str, dict[Follower, None]] = defaultdict(dict)
        self._base = 0
        self.revision = 1
        if journal:
            self._replay(journal)

    def _replay(self, journal: Journal) -> None:
        self._base = journal.mark("compacted")
        for row in journal.rows():
            self._apply(row, None)
        self.revision = max(self.revision, journal.mark("revision"))

    def get(self, resource: str, namespace: str, name: str) -> Record | None:
        """Return the newest revision of an object."""
        return self._live[resource].get((namespace, name))

    def scan(self, resource: str, namespace: str = "", after: Key | None = None) -> Iterator[Record]:
        """Yield the objects of a namespace (or of all) by namespace and name, those past `after`."""
        keys, live = self._keys[resource], self._live[resource]
        start = bisect_left(keys, (after[0], after[1] + "\0")) if after else bisect_left(keys, (namespace, ""))
        for index in range(start, len(keys)):
            if namespace and keys[index][0] != namespace:
                return
            yield live[keys[index]]

    def count(self, resource: str) -> int:
        """Return how many objects a resource has."""
        return len(self._keys[resource])

    def put(self, resource: str, key: Key, obj: Obj) -> Record:
        """Store an object (which becomes the store's) under the next revision."""
        kind = "MODIFIED" if key in self._live[resource] else "ADDED"
        return self._write(resource, key, kind, obj)

    def remove(self, resource: str, key: Key, obj: Obj) -> Record:
        """Remove an object; `obj` is its last state, as watchers see it."""
        return self._write(resource, key, "DELETED", obj)

    def _write(self, resource: str, key: Key, type_: str, obj: Obj) -> Record:
        revision = self.revision + 1
        obj["metadata"]["resourceVersion"] = str(revision)
        data = encode(obj)
        if len(data) > OBJECT_MAX:
            raise errors.internal("etcdserver: request is too large")
        row = Row(revision, resource, *key, type_, data)
        if self._journal:
            self._journal.append(row)
        record = self._apply(row, obj)
        self._trim()
        for follower in self._followers[resource]:
            follower.ring()
        return record

    def _apply(self, row: Row, obj: Obj | None) -> Record:
        live, keys, key = self._live[row.resource], self._keys[row.resource], (row.namespace, row.name)
        prior = live.get(key)
        record = Record(row, obj, prior)
        if prior:
            prior.fade()
        if row.type == "DELETED":
            live.pop(key, None)
            keys.pop(bisect_left(keys, key))
            record.fade()
        else:
            live[key] = record
            if prior is None:
                insort(keys, key)
        self.revision = row.revision
        self._remember(record)
        return record

    def _remember(self, record: Record) -> None:
        if record.revision <= self._base:
            record.prior = None
            return
        self._log.append(record)
        self._log_of[record.resource].append(record)
        self._octets += len(record.data)

    def _trim(self) -> None:
        over = len(self._log) > self._history.revisions or self._octets > self._history.octets
        if over:
            # a tenth at a time, so that the journal is not swept at every write
            self.compact(self._log[min(len(self._log) - 1, self._history.revisions // 10)].revision)

    def compact(self, revision: int) -> None:
        """Forget the changes up to a revision; the objects stay."""
        while self._log and self._log[0].revision <= revision:
            record = self._log.popleft()
            self._log_of[record.resource].popleft()
            self._floors[record.resource] = record.revision
            self._octets -= len(record.data)
            record.prior = None
        if self._journal:
            self._journal.compact(revision, self.revision)

    def expire(self) -> None:
        """Forget the whole history: every older resource version is too old from now on."""
        self.compact(self.revision)
        self._base = self.revision

    def floor(self, resource: str) -> int:
        """Return the oldest revision from which a resource can be followed without a gap."""
        return max(self._floors.get(resource, 0), self._base)

    def since(self, resource: str, revision: int) -> list[Record]:
        """Return the changes after a revision, oldest first; raise ApiError 410 where some are forgotten."""
        if revision < self.floor(resource):
            raise errors.too_old(revision, self.floor(resource))
        found: list[Record] = []
        for record in reversed(self._log_of[resource]):
            if record.revision <= revision:
                break
            found.append(record)
        found.reverse()
        return found

    def at(self, resource: str, revision: int) -> dict[Key, Record]:
        """Return a resource's objects as they were at a revision; raise ApiError 410 where that is forgotten."""
        then = dict(self._live[resource])
        for record in reversed(self.since(resource, revision)):
            if record.prior and record.prior.type != "DELETED":
                then[record.key] = record.prior
            else:
                then.pop(record.key, None)
        return then

    def follow(self, resource: str, after: int) -> "Follower":
        """Return a reader of the changes after a revision."""
        return Follower(self, resource, after)

    def followers(self, resource: str) -> "dict[Follower, None]":
        """Return who follows a resource now, in the order in which they came."""
        return self._followers[resource]

    def dismiss(self, resource: str) -> None:
        """End every watch of a resource: it is served no more."""
        for follower in self._followers[resource]:
            follower.ended = True
            follower.ring()

    def close(self) -> None:
        """Close the journal."""
        if self._journal:
            self._journal.close()


class Follower:
    """A place in the history of one resource. Its queue is the history itself: who falls behind it is cut off with a 410."""

    def __init__(self, store: Store, resource: str, after: int) -> None:
        """Start after a revision."""
        self._store = store
        self._resource = resource
        self._bell = asyncio.Event()
        self.revision = after
        self.ended = False

    def ring(self) -> None:
        """Wake the reader."""
        self._bell.set()

    def __enter__(self) -> Self:
        """Start listening."""
        self._store.followers(self._resource)[self] = None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop listening."""
        self._store.followers(self._resource).pop(self, None)

    async def batch(self, seconds: float | None = None) -> list[Record]:
        """Return the next changes, waiting for one; an empty list when the time is up or it has ended. Raise ApiError 410 when cut off."""
        found = self.ready()
        if found or self.ended:
            return found
        try:
            async with asyncio.timeout(seconds):
                await self._bell.wait()
        except TimeoutError:
            return []
        return self.ready()

    def ready(self) -> list[Record]:
        """Return the changes that are there already."""
        self._bell.clear()
        found = self._store.since(self._resource, self.revision)
        self.revision = max(self.revision, self._store.revision)
        return found

"""The loop under every stand-in: caches fed by watches, a queue of keys, retries that come later and later.

A stand-in looks at levels, never at edges: whatever event arrives, it is asked to set one key right from what the caches show.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from typing import Final, NamedTuple

import structlog

from kubernaut.localcluster.api import Api, Obj, ResourceKind, WatchEvent
from kubernaut.localcluster.errors import ApiError

__all__ = ["Key", "Loop", "Queue", "Store", "key_of"]

_log = structlog.get_logger(__name__)


class Key(NamedTuple):
    """What a stand-in sets right: an object's namespace and name."""

    namespace: str
    name: str


Keys = Callable[[Obj], Iterable[Key]]
Indexer = Callable[[Obj], Iterable[Hashable]]
Reconcile = Callable[[Key], Awaitable[float | None]]
"""Sets a key right; returns the seconds after which to look again, if nothing happens before."""

NOT_FOUND, GONE, CONFLICT = 404, 410, 409
_TOMBSTONES: Final = 10_000
_REWATCH_SECONDS: Final = 1.0
_WORKERS: Final = 4


def key_of(obj: Obj) -> Key:
    """Return the namespace and name of an object."""
    return Key(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def _version(obj: Obj) -> int:
    return int(obj["metadata"]["resourceVersion"])


class _Index:
    """Objects by a value taken from them."""

    def __init__(self, indexer: Indexer) -> None:
        self._indexer = indexer
        self._keys: dict[Hashable, dict[Key, None]] = {}

    def keys(self, value: Hashable) -> Iterable[Key]:
        return self._keys.get(value, ())

    def add(self, key: Key, obj: Obj) -> None:
        for value in self._indexer(obj):
            self._keys.setdefault(value, {})[key] = None

    def remove(self, key: Key, obj: Obj) -> None:
        for value in self._indexer(obj):
            held = self._keys.get(value, {})
            held.pop(key, None)
            if not held:
                self._keys.pop(value, None)


class Store:
    """The objects of one kind as one stand-in sees them: fed by a watch, with its own writes visible at once."""

    def __init__(self, api: Api, kind: ResourceKind, indexes: Mapping[str, Indexer]) -> None:
        """Start empty; `indexes` names the values objects can be found by."""
        self.kind = kind
        self._api = api
        self._objects: dict[Key, Obj] = {}
        self._indexes = {name: _Index(indexer) for name, indexer in indexes.items()}
        self._deleted: OrderedDict[str, None] = OrderedDict()
        self._relisted: set[Key] | None = set()

    def get(self, key: Key) -> Obj | None:
        """Return one object, or None."""
        return self._objects.get(key)

    def all(self) -> list[Obj]:
        """Return every object."""
        return list(self._objects.values())

    def by(self, index: str, value: Hashable) -> list[Obj]:
        """Return the objects with this value in an index."""
        return [self._objects[key] for key in self._indexes[index].keys(value)]

    async def create(self, obj: Obj) -> Obj:
        """Create an object."""
        return self._put(await self._api.create(self.kind, obj))

    async def update(self, obj: Obj, subresource: str = "") -> Obj:
        """Replace an object or one of its subresources, unless it has changed meanwhile (409)."""
        return self._put(await self._api.update(self.kind, obj, subresource))

    async def patch(self, obj: Obj, patch: Obj, subresource: str = "") -> Obj:
        """Merge a patch into an object."""
        key = key_of(obj)
        return self._put(await self._api.patch(self.kind, key.name, key.namespace, patch, subresource))

    async def delete(self, obj: Obj, *, propagation: str = "", grace_seconds: int | None = None) -> None:
        """Delete exactly this object (a namesake is left alone); one that is gone already is no fault."""
        key, uid = key_of(obj), obj["metadata"]["uid"]
        try:
            await self._api.delete(self.kind, key.name, key.namespace, uid=uid, propagation=propagation, grace_seconds=grace_seconds)
            left = await self._api.get(self.kind, key.name, key.namespace)
        except ApiError as error:
            if error.code != NOT_FOUND:
                raise
            left = None
        if left is not None and left["metadata"]["uid"] == uid:
            self._put(left)
        else:
            self._bury(key, uid)

    def take(self, event: WatchEvent) -> list[Obj]:
        """Apply one line of the watch; return what there was and what there is now."""
        if event.type == "BOOKMARK":
            return self._end_relist()
        key = key_of(event.object)
        before = self._objects.get(key)
        if event.type == "DELETED":
            self._bury(key, event.object["metadata"]["uid"])
            self._deleted.pop(event.object["metadata"]["uid"], None)
            return [event.object]
        self._put(event.object)
        return [event.object] if before is None else [before, event.object]

    def begin_relist(self) -> None:
        """A watch starts anew: what it does not show until its bookmark is gone."""
        self._relisted = set()

    def _end_relist(self) -> list[Obj]:
        shown, self._relisted = self._relisted, None
        lost = [obj for key, obj in self._objects.items() if shown is not None and key not in shown]
        for obj in lost:
            self._drop(key_of(obj))
        return lost

    def _put(self, obj: Obj) -> Obj:
        key, held = key_of(obj), self._objects.get(key_of(obj))
        outdated = held is not None and _version(held) > _version(obj)
        if not outdated and obj["metadata"]["uid"] not in self._deleted:
            self._drop(key)
            self._objects[key] = obj
            if self._relisted is not None:
                self._relisted.add(key)
            for index in self._indexes.values():
                index.add(key, obj)
        return obj

    def _bury(self, key: Key, uid: str) -> None:
        # late lines of the watch, written before the deletion, must not raise the dead
        self._deleted[uid] = None
        while len(self._deleted) > _TOMBSTONES:
            self._deleted.popitem(last=False)
        held = self._objects.get(key)
        if held is not None and held["metadata"]["uid"] == uid:
            self._drop(key)

    def _drop(self, key: Key) -> None:
        held = self._objects.pop(key, None)
        if held is not None:
            for index in self._indexes.values():
                index.remove(key, held)


class Queue:
    """Keys to look at: each once, never by two workers at a time, failures later and later up to a bound."""

    def __init__(self, rng: random.Random, base_seconds: float = 0.02, cap_seconds: float = 30.0) -> None:
        """Back off from `base_seconds`, doubling, up to `cap_seconds`, with jitter."""
        self._rng = rng
        self._base, self._cap = base_seconds, cap_seconds
        self._ready: OrderedDict[Key, None] = OrderedDict()
        self._busy: set[Key] = set()
        self._again: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._wake = asyncio.Event()

    def add(self, key: Key) -> None:
        """Look at a key soon; one that is being looked at comes again afterwards."""
        if key in self._busy:
            self._again.add(key)
            return
        self._ready[key] = None
        self._wake.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Look at a key after a while; the earliest of several wins."""
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None and timer.when() <= loop.time() + seconds:
            return
        if timer is not None:
            timer.cancel()
        self._timers[key] = loop.call_later(seconds, self._due, key)

    def _due(self, key: Key) -> None:
        del self._timers[key]
        self.add(key)

    async def take(self) -> Key:
        """Wait for a key and mark it as being looked at."""
        while not self._ready:
            self._wake.clear()
            await self._wake.wait()
        key, _ = self._ready.popitem(last=False)
        self._busy.add(key)
        return key

    def done(self, key: Key) -> None:
        """Say that a key was looked at without a fault."""
        self._failures.pop(key, None)
        self._release(key)

    def failed(self, key: Key) -> float:
        """Say that a key could not be set right; return the seconds until it comes again."""
        count = self._failures[key] = self._failures.get(key, 0) + 1
        seconds = min(self._cap, self._base * 2.0 ** min(count - 1, 30)) * self._rng.uniform(0.5, 1.0)
        self._release(key)
        self.add_after(key, seconds)
        return seconds

    def close(self) -> None:
        """Forget everything: whoever starts anew learns all keys from the watches."""
        for timer in self._timers.values():
            timer.cancel()
        for held in (self._timers, self._ready, self._busy, self._again, self._failures):
            held.clear()

    def _release(self, key: Key) -> None:
        self._busy.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)


class Loop:
    """One stand-in at work: its watches, its queue and its workers."""

    def __init__(self, api: Api, name: str, reconcile: Reconcile, rng: random.Random, workers: int = _WORKERS) -> None:
        """Set up nothing but state; `run` starts the work."""
        self.api = api
        self.name = name
        self.queue = Queue(rng)
        self._reconcile = reconcile
        self._workers = workers
        self._watched: list[tuple[Store, Keys]] = []
        self._group: asyncio.TaskGroup | None = None
        self._unsynced: set[ResourceKind] = set()
        self._synced = asyncio.Event()

    def store(self, kind: ResourceKind, keys: Keys, **indexes: Indexer) -> Store:
        """Keep the objects of a kind; each change puts the keys told by `keys` into the queue."""
        store = Store(self.api, kind, indexes)
        self._watched.append((store, keys))
        if self._group is not None:
            self._watch(self._group, store, keys)
        return store

    def _watch(self, group: asyncio.TaskGroup, store: Store, keys: Keys) -> None:
        group.create_task(self._follow(store, keys), name=f"{self.name} watch {store.kind.plural}")

    async def run(self) -> None:
        """Work until cancelled."""
        self._unsynced = {store.kind for store, _ in self._watched}
        self._synced.clear()
        try:
            async with asyncio.TaskGroup() as self._group:
                for store, keys in self._watched:
                    self._watch(self._group, store, keys)
                await self._synced.wait()
                for _ in range(self._workers):
                    self._group.create_task(self._work(), name=f"{self.name} worker")
        finally:
            self._group = None
            self.queue.close()

    async def _follow(self, store: Store, keys: Keys) -> None:
        """Feed a store from a watch, begun anew after each fault, until cancelled or the kind is served no more."""
        while True:
            store.begin_relist()
            try:
                async for event in self.api.watch(store.kind):
                    self._take(store, keys, event)
            except ApiError as error:
                if error.code == NOT_FOUND:
                    return
                _log.info("watch begins anew", stand_in=self.name, kind=store.kind.kind, error=error.message)
            await asyncio.sleep(_REWATCH_SECONDS)

    def _take(self, store: Store, keys: Keys, event: WatchEvent) -> None:
        for obj in store.take(event):
            for key in keys(obj):
                self.queue.add(key)
        if event.type == "BOOKMARK":
            self._unsynced.discard(store.kind)
            if not self._unsynced:
                self._synced.set()

    async def _work(self) -> None:
        while True:
            key = await self.queue.take()
            try:
                again = await self._reconcile(key)
            except (ApiError, ValueError) as error:
                # a conflict, a refusal or a value nobody can read: later it may be otherwise
                seconds = self.queue.failed(key)
                _log.debug("later again", stand_in=self.name, key="/".join(key), error=str(error), seconds=round(seconds, 3))
            else:
                self.queue.done(key)
                if again is not None:
                    self.queue.add_after(key, again)

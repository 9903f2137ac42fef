"""A live copy of all objects of a kind, with indexes: what every reconciler reads instead of asking the API server.

List once, then watch; a watch that ends is resumed; when history is lost the list is read again and compared, so that what was
deleted meanwhile is seen. Objects are shared: nobody changes them.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Final, NamedTuple

import structlog

from kubernaut.api.base import Kind, Obj
from kubernaut.kube import metrics
from kubernaut.kube.backoff import Backoff
from kubernaut.kube.client import Client
from kubernaut.kube.errors import DATA_FAULTS, ApiError
from kubernaut.kube.trouble import Trouble

SETTLED_SECONDS: Final = 5.0
"""A watch that lived that long was a good one, even without events."""
WATCH_SECONDS: Final = (240, 480)

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class Key(NamedTuple):
    """Which object of a kind."""

    namespace: str
    name: str


class Unread(NamedTuple):
    """Why the objects of a kind are not known."""

    why: str
    """In the API server's words."""
    passing: bool
    """Whether it may be over in a moment; a lack of permission is not."""


IndexFn = Callable[[Obj], Iterable[str]]
Handler = Callable[[Obj | None, Obj | None], None]
"""Hears of a change: (None, new) added, (old, new) changed, (old, None) deleted."""


def key_of(obj: Obj) -> Key:
    """Return an object's namespace and name."""
    return Key(obj["metadata"].get("namespace") or "", obj["metadata"]["name"])


def revision_of(obj: Obj) -> int:
    """Return an object's resource version as a number (comparable within a kind since Kubernetes 1.35), or 0 where it is none."""
    version = obj["metadata"].get("resourceVersion") or ""
    return int(version) if version.isdecimal() else 0


class Store:
    """The objects of a kind by key and by index; the order is that of arrival."""

    def __init__(self) -> None:
        self._objects: dict[Key, Obj] = {}
        self._functions: dict[str, IndexFn] = {}
        self._indexes: dict[str, dict[str, dict[Key, None]]] = {}
        self._values: dict[str, dict[Key, tuple[str, ...]]] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, namespace: str, name: str) -> Obj | None:
        """Return one object, or None."""
        return self._objects.get(Key(namespace, name))

    def by(self, index: str, value: str) -> list[Obj]:
        """Return the objects an index files under a value; raise KeyError for an index nobody declared."""
        return [self._objects[key] for key in self._indexes[index].get(value, ())]

    def all(self) -> list[Obj]:
        """Return all objects."""
        return list(self._objects.values())

    def keys(self) -> list[Key]:
        """Return the keys of all objects."""
        return list(self._objects)

    def indexes(self) -> frozenset[str]:
        """Return the names of the indexes."""
        return frozenset(self._functions)


class Cache(Store):
    """A store that can be written: the informer's own side."""

    def add_index(self, name: str, function: IndexFn) -> None:
        """File all objects, present and future, under the values a function gives; raise ValueError for a name another function has."""
        if (known := self._functions.get(name, function)) != function:
            makers = f"{known.__module__}.{known.__qualname__} and {function.__module__}.{function.__qualname__}"
            raise ValueError(f"index {name!r} is declared twice, by {makers}: put the stage's name before it")
        self._functions[name] = function
        self._indexes[name], self._values[name] = {}, {}
        for key, obj in self._objects.items():
            self._file(name, key, obj)

    def put(self, obj: Obj) -> None:
        """Keep an object in place of the one with its key."""
        key = key_of(obj)
        self._objects[key] = obj
        for name in self._functions:
            self._unfile(name, key)
            self._file(name, key, obj)

    def remove(self, key: Key) -> Obj | None:
        """Drop an object; return it."""
        for name in self._functions:
            self._unfile(name, key)
        return self._objects.pop(key, None)

    def _file(self, name: str, key: Key, obj: Obj) -> None:
        try:
            values = tuple(self._functions[name](obj))
        except DATA_FAULTS as fault:
            log.warning("index failed", index=name, namespace=key.namespace, name=key.name, fault=repr(fault)[:500])
            return
        for value in values:
            self._indexes[name].setdefault(value, {})[key] = None
        if values:
            self._values[name][key] = values

    def _unfile(self, name: str, key: Key) -> None:
        index = self._indexes[name]
        for value in set(self._values[name].pop(key, ())):
            del index[value][key]
            if not index[value]:
                del index[value]


class Informer:
    """Keeps a store equal to what the API server has of one kind, in one namespace or ("") in all."""

    def __init__(
        self,
        client: Client,
        kind: Kind,
        namespace: str = "",
        *,
        backoff: Backoff | None = None,
        rng: random.Random | None = None,
        trouble: Trouble | None = None,
    ) -> None:
        self.kind = kind
        self.namespace = namespace
        self.required = False
        """Whether somebody cannot work without it; who can asks `unread` instead."""
        self.synced = asyncio.Event()
        self.tried = asyncio.Event()
        """Whether it is known that the objects can be read, or that they cannot for now."""
        self.unread: Unread | None = Unread("not read yet", passing=True)
        """Why the objects are not known; None when they are."""
        self._client = client
        self._cache = Cache()
        self._handlers: list[Handler] = []
        self._version = ""
        self._revision = 0
        self._backoff = backoff or Backoff(0.8, 30.0, rng or random.SystemRandom())
        self._trouble = trouble or Trouble()

    @property
    def store(self) -> Store:
        """The objects; read only."""
        return self._cache

    def add_index(self, name: str, function: IndexFn) -> None:
        """Make objects findable by the values a function reads off them."""
        self._cache.add_index(name, function)

    def on_change(self, handler: Handler) -> None:
        """Call a handler for every change from now on, and at once for every object already there."""
        self._handlers.append(handler)
        for obj in self._cache.all():
            self._call(handler, None, obj)

    def observe(self, obj: Obj) -> None:
        """Take in the answer to a write of ours before the watch shows it.

        An object not newer than what the watch has shown is ignored: the watch has already told of it, or of its deletion.
        """
        if revision_of(obj) > self._revision and self.namespace in {"", key_of(obj).namespace}:
            self._show(obj)

    async def run(self) -> None:
        """List and watch until cancelled."""
        while True:
            wait = await self._round()
            if wait:
                await asyncio.sleep(wait)

    async def _round(self) -> float:
        """List where needed, watch until the stream ends; return how many seconds to wait before the next round."""
        fresh = not self._version
        try:
            if fresh:
                await self._relist()
            if await self._follow():
                self._backoff.reset()
                self._trouble.over(self.kind)
                return 0
        except ApiError as fault:
            self._trouble.met(self.kind, fault, listing=not self._version)
            if fresh and fault.not_found and not self.synced.is_set():
                self._settle()
            self._note(fault)
            if fault.expired:
                self._version = ""
                if not fresh:
                    return 0
        return self._backoff.next()

    async def _relist(self) -> None:
        """Read all objects and show the difference. Never from a lagging cache: what we wrote before a crash must be there."""
        listing = await self._client.list(self.kind, self.namespace)
        metrics.RELISTS.labels(self.kind.kind).inc()
        self._advance(listing.resource_version)
        present = {key_of(obj) for obj in listing.items}
        for obj in listing.items:
            self._show(obj)
        for obj in self._cache.all():
            if key_of(obj) not in present:
                self._forget(obj)
        self._trouble.over(self.kind)
        self._settle()

    def _settle(self) -> None:
        """Say that what is there is known."""
        self.unread = None
        self.synced.set()
        self.tried.set()

    def _note(self, fault: ApiError) -> None:
        """Keep why nothing is known; a kind that we may not read any more is listed again once we may."""
        if fault.forbidden:
            self._version = ""
        if fault.forbidden or not self.synced.is_set():
            self.unread = Unread(str(fault)[:200], passing=not fault.forbidden)
            self.tried.set()

    def _forget(self, obj: Obj) -> None:
        """Drop what a list does not hold, but not what we wrote after that list was made."""
        if revision_of(obj) <= self._revision:
            self._emit(self._cache.remove(key_of(obj)), None)

    async def _follow(self) -> bool:
        """Watch until the server ends the stream; tell whether the watch was worth something."""
        loop = asyncio.get_running_loop()
        started, seen = loop.time(), False
        seconds = int(self._backoff.rng.uniform(*WATCH_SECONDS))
        watch = self._client.watch(self.kind, self.namespace, resource_version=self._version, timeout_seconds=seconds)
        async with aclosing(watch) as events:
            async for type_, obj in events:
                self._hear(type_, obj)
                seen = True
                self._backoff.reset()
        return seen or loop.time() - started >= SETTLED_SECONDS

    def _hear(self, type_: str, obj: Obj) -> None:
        if type_ == "DELETED":
            self._delete(obj)
        elif type_ != "BOOKMARK":
            self._show(obj)
        self._advance(obj["metadata"]["resourceVersion"])

    def _advance(self, version: str) -> None:
        self._version = version
        self._revision = max(self._revision, int(version)) if version.isdecimal() else self._revision

    def _show(self, obj: Obj) -> None:
        """Take in a state of an object, unless a newer one is known; another uid is another object."""
        known = self._cache.get(*key_of(obj))
        if known is not None and _not_newer(obj, known):
            return
        if known is not None and known["metadata"].get("uid") != obj["metadata"].get("uid"):
            self._emit(self._cache.remove(key_of(obj)), None)
            known = None
        self._cache.put(obj)
        self._emit(known, obj)

    def _delete(self, obj: Obj) -> None:
        """Drop an object; its last state is what the event brings. One of the same name that we made since stays."""
        known = self._cache.get(*key_of(obj))
        if known is None or (known["metadata"].get("uid") != obj["metadata"].get("uid") and _not_newer(obj, known)):
            return
        self._cache.remove(key_of(obj))
        self._emit(obj, None)

    def _emit(self, old: Obj | None, new: Obj | None) -> None:
        for handler in self._handlers:
            self._call(handler, old, new)

    def _call(self, handler: Handler, old: Obj | None, new: Obj | None) -> None:
        """Tell a handler; one that stumbles over an object's shape does not stop the others."""
        try:
            handler(old, new)
        except DATA_FAULTS as fault:
            key = key_of(new or old or {"metadata": {"name": ""}})
            log.warning("handler failed", kind=self.kind.kind, namespace=key.namespace, name=key.name, fault=repr(fault)[:500])


def _not_newer(obj: Obj, known: Obj) -> bool:
    """Tell whether an object's state is the known one or comes before it."""
    same = obj["metadata"].get("resourceVersion") == known["metadata"].get("resourceVersion")
    return same or 0 < revision_of(obj) < revision_of(known)


def controller_owner(obj: Obj) -> Mapping[str, str]:
    """Return the owner reference with `controller: true`, or nothing."""
    references = obj["metadata"].get("ownerReferences") or ()
    return next((reference for reference in references if reference.get("controller")), {})

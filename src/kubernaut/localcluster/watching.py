"""Watch streams: what is there, then what happens, as one JSON line an event."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass

import orjson

from kubernaut.localcluster import errors, faces
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.listing import parse_version
from kubernaut.localcluster.parameters import Parameters
from kubernaut.localcluster.selecting import Selection
from kubernaut.localcluster.store import Follower, Record, Store

BOOKMARK_SECONDS = 60.0
_LAST_BOOKMARK_SECONDS = 2.0
_DEFAULT_SECONDS = 1800 * 1.5

Shape = Callable[[Record, bytes | None], bytes]
"""How an event's object is written: from its record and, where it differs, the JSON of what is shown."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of a watch, checked; `initial` None is the old rule: all that is there where no version is given."""

    version: int = 0
    initial: bool | None = None
    bookmarks: bool = False
    seconds: float = _DEFAULT_SECONDS


def read(parameters: Parameters) -> Asked:
    """Check the options of a watch; raise ApiError 400, 422 or 500."""
    initial = parameters.flag("sendInitialEvents") if parameters.has("sendInitialEvents") else None
    match = parameters.text("resourceVersionMatch")
    if initial is not None and match != "NotOlderThan":
        raise _refused("Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
    if initial is None and match:
        raise _refused("Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
    try:
        version = parse_version(parameters.text("resourceVersion"))
    except ValueError as error:
        raise errors.internal(str(error)) from error
    seconds = parameters.number("timeoutSeconds")
    return Asked(version, initial, parameters.flag("allowWatchBookmarks"), seconds if seconds and seconds > 0 else _DEFAULT_SECONDS)


def _refused(text: str) -> errors.ApiError:
    return errors.invalid_options("ListOptions", "resourceVersionMatch", "FieldValueForbidden", text)


def line(type_: str, obj: bytes) -> bytes:
    """Return one event as it goes over the wire."""
    return b'{"type":"' + type_.encode() + b'","object":' + obj + b"}\n"


class Stream:
    """One watch: its place in the history, what it lets through and how it shows it."""

    def __init__(self, store: Store, kind: ResourceKind, namespace: str, selection: Selection, shape: Shape) -> None:
        """Prepare a watch of a namespace, or of all."""
        self._store = store
        self._kind = kind
        self._namespace = namespace
        self._selection = selection
        self._shape = shape

    async def lines(self, asked: Asked) -> AsyncIterator[bytes]:
        """Yield chunks of whole lines until the time is up, or a 410 has been told."""
        end = asyncio.get_running_loop().time() + asked.seconds
        initial = asked.initial if asked.initial is not None else not asked.version
        start = self._store.revision if initial or asked.initial is False else asked.version
        with self._store.follow(self._kind.stored, start) as follower:
            if initial:
                yield self._present()
                if asked.bookmarks and asked.initial:
                    yield self._bookmark(start, initial=True)
            try:
                async for chunk in self._changes(follower, asked, end):
                    yield chunk
            except errors.ApiError as error:
                yield line("ERROR", orjson.dumps(error.status()))

    def _present(self) -> bytes:
        found = [record for record in self._store.scan(self._kind.stored, self._namespace) if self._selection(record)]
        return b"".join(line("ADDED", self._shape(record, None)) for record in found)

    async def _changes(self, follower: Follower, asked: Asked, end: float) -> AsyncIterator[bytes]:
        told = follower.revision
        closing = not asked.bookmarks
        while not follower.ended and (left := end - asyncio.get_running_loop().time()) > 0:
            wait = (
                min(left, BOOKMARK_SECONDS)
                if closing or left <= _LAST_BOOKMARK_SECONDS
                else min(left - _LAST_BOOKMARK_SECONDS, BOOKMARK_SECONDS)
            )
            chunk = b"".join(self._events(await follower.batch(wait)))
            if chunk:
                told = follower.revision
                yield chunk
            elif asked.bookmarks and self._store.revision > told:
                told = follower.revision = self._store.revision
                yield self._bookmark(told)

    def _events(self, records: Iterable[Record]) -> Iterable[bytes]:
        for record in records:
            if not self._namespace or record.key[0] == self._namespace:
                yield from self._event(record)

    def _event(self, record: Record) -> Iterable[bytes]:
        was = record.prior is not None and record.prior.type != "DELETED" and self._selection(record.prior)
        if record.type == "DELETED":
            if was or (record.prior is None and self._selection(record)):
                yield line("DELETED", self._shape(record, None))
            return
        is_ = self._selection(record)
        if is_:
            yield line("MODIFIED" if was else "ADDED", self._shape(record, None))
        elif was and record.prior is not None:
            yield line("DELETED", self._shape(record, self._last_match(record, record.prior)))

    def _last_match(self, record: Record, prior: Record) -> bytes:
        # whoever leaves a selection is told with the state that still matched, at the version at which it left
        last = prior.copy()
        last["metadata"]["resourceVersion"] = str(record.revision)
        return orjson.dumps(faces.from_stored(self._kind, last))

    def _bookmark(self, revision: int, *, initial: bool = False) -> bytes:
        meta: Obj = {"resourceVersion": str(revision)}
        if not self._kind.custom:
            meta["creationTimestamp"] = None
        if initial:
            meta["annotations"] = {"k8s.io/initial-events-end": "true"}
        return line("BOOKMARK", orjson.dumps({"kind": self._kind.kind, "apiVersion": self._kind.api_version, "metadata": meta}))

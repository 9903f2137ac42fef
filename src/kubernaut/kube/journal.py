"""Facts on their way to the audit trail: kept in the object's own status until data storage has acknowledged them."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import orjson
from pydantic import JsonValue

from kubernaut.api.base import AuditOutcome, Foreseen, Journal, JournalEntry, Obj, Resource
from kubernaut.api.redact import redact_value
from kubernaut.kube import metrics
from kubernaut.kube.errors import ApiError
from kubernaut.kube.informer import Key, key_of
from kubernaut.kube.outcome import DONE, Outcome
from kubernaut.kube.status import cut, status_of

if TYPE_CHECKING:
    from kubernaut.kube.manager import Manager

PENDING_LIMIT: Final = 128
"""The bound of `Journal.pending`."""
HEADROOM: Final = 16
"""How many facts one pass may record; with less room than that, a reconcile waits until the journal drains."""
JOURNAL_FINALIZER: Final = "kubernaut.ai/journal"
"""Keeps a deleted object until its facts are on record; children are created with it, and the controller of their kind takes it off."""
GATHER_SECONDS: Final = 0.25
"""How long facts gather in their object before they are delivered together: fewer writes, and fewer that meet each other."""
DATA_LIMIT: Final = 4096
"""Bytes of an entry's data; 128 full entries stay well below the 1.5 MB an API object may have."""

Deliver = Callable[[Resource, Sequence[JournalEntry]], Awaitable[None]]
"""Hands facts to data storage; returns when they are safe there, raises when they may not be."""


class JournalFull(Foreseen):
    """A pass recorded more facts than the journal has room for."""


def record(
    resource: Resource,
    reason: str,
    message: str,
    *,
    now: datetime,
    outcome: AuditOutcome = AuditOutcome.SUCCESS,
    data: Mapping[str, JsonValue] = {},
) -> None:
    """Add a fact to a resource's journal; it becomes a Kubernetes Event and an audit record once the status is written.

    Data beyond 4 KiB is left out, and the names of what is missing are kept. Raise `JournalFull` where 128 facts are pending.
    """
    journal = status_of(resource).journal
    if len(journal.pending) >= PENDING_LIMIT:
        raise JournalFull(f"{len(journal.pending)} facts wait for data storage: work on this object goes on when it has taken them")
    entry = JournalEntry(ordinal=journal.count, at=now, reason=reason, message=cut(message), outcome=outcome, data=_bounded(data))
    journal.pending = [*journal.pending, entry]
    journal.count += 1


def crowded(journal: Journal) -> bool:
    """Tell whether a pass might find no room for its facts."""
    return len(journal.pending) > PENDING_LIMIT - HEADROOM


def pending_of(obj: Obj) -> int:
    """Return how many facts of a raw object are pending."""
    journal = (obj.get("status") or {}).get("journal") or {}
    return len(journal.get("pending") or ())


def _bounded(data: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Keep the fields that fit, in order and without secrets, and name those that do not."""
    kept: dict[str, JsonValue] = {}
    left, missing = DATA_LIMIT, list[JsonValue]()
    for name, raw in data.items():
        value = redact_value(raw, key=name)
        size = _size(name, value)
        if size <= left:
            kept[name], left = value, left - size
        else:
            missing.append(name[:64])
    return kept | ({"fieldsLeftOut": missing[:32]} if missing else {})


def _size(name: str, value: JsonValue) -> int:
    """Return how many bytes a field takes; more than there can be for what JSON as Kubernetes speaks it cannot hold (64-bit integers)."""
    try:
        return len(orjson.dumps({name: value}))
    except orjson.JSONEncodeError:
        return DATA_LIMIT + 1


class JournalShipper:
    """Delivers every pending fact of our kinds, oldest first, then takes it out of its object. One to a manager.

    At least once: a fact may be delivered twice (its object's uid and its ordinal tell), and is never dropped: a finalizer keeps the
    object until all of them are delivered.
    """

    def __init__(self, manager: "Manager", models: Sequence[type[Resource]], deliver: Deliver) -> None:
        self._lanes = [Lane(manager, model, deliver) for model in models]


class Lane:
    """The journals of one kind."""

    def __init__(self, manager: "Manager", model: type[Resource], deliver: Deliver) -> None:
        self._model = model
        self._deliver = deliver
        self._cluster = manager.cluster
        self._pending: dict[Key, int] = {}
        self._total = 0
        self._away = False
        self._store = manager.informer(model).store
        self._workers = manager.workers(f"journal-{model.card.plural}", self._process, self._keys)
        manager.ships(model)
        manager.informer(model).on_change(self._changed)

    def _keys(self) -> Iterable[Key]:
        return [*self._pending]

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        """Keep count of what is pending."""
        obj = new or old
        if obj is None:
            return
        key, count = key_of(obj), pending_of(new) if new is not None else 0
        self._count(key, count)
        if count:
            self._workers.add_after(key, GATHER_SECONDS)

    def _count(self, key: Key, count: int) -> None:
        self._total += count - self._pending.pop(key, 0)
        if count:
            self._pending[key] = count
        metrics.JOURNAL_PENDING.labels(self._model.card.kind).set(self._total)

    async def _process(self, key: Key) -> Outcome:
        obj = self._store.get(*key)
        if obj is not None and pending_of(obj):
            await self._take_out(obj, await self._send(obj))
        return DONE

    async def _send(self, obj: Obj) -> int:
        """Deliver what is pending; return the last ordinal delivered."""
        resource = self._cluster.shared(self._model, obj)
        pending = sorted(status_of(resource).journal.pending, key=lambda entry: entry.ordinal)
        delivered = False
        try:
            await self._deliver(resource, pending)
            delivered = True
        finally:
            self._heard(delivered)
        return pending[-1].ordinal

    def _heard(self, delivered: bool) -> None:
        """Try all again as soon as data storage is back: each has been waiting longer after each try, in the end for minutes."""
        if delivered and self._away:
            for key in self._keys():
                self._workers.add(key)
        self._away = not delivered

    async def _take_out(self, obj: Obj, last: int) -> None:
        """Drop entries up to an ordinal from the object; one that has changed meanwhile is read again."""
        card, (namespace, name), uid = self._model.card, key_of(obj), obj["metadata"]["uid"]
        try:
            written = await self._drop(obj, last)
        except ApiError as fault:
            if fault.not_found:
                return
            if not fault.conflict:
                raise
            live = await self._cluster.client.get(card, name, namespace)
            if live["metadata"]["uid"] != uid:
                return
            written = await self._drop(live, last)
        self._cluster.observe(card, written)

    async def _drop(self, obj: Obj, last: int) -> Obj:
        key = key_of(obj)
        left = [entry for entry in obj["status"]["journal"]["pending"] if entry["ordinal"] > last]
        body = {
            "metadata": {"resourceVersion": obj["metadata"]["resourceVersion"]},
            "status": {"journal": {"pending": left}},
        }
        return await self._cluster.client.patch(self._model.card, key.name, key.namespace, body, subresource="status")

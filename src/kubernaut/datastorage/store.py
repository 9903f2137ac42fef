"""The store: every write may be repeated and leaves one record; writes that come together are made safe together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, Self
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from kubernaut.api.audit import AuditEvent, RemediationAudit, WorkflowAudit
from kubernaut.datastorage import metrics, records, retention, takeover
from kubernaut.datastorage.chain import Signer
from kubernaut.datastorage.database import CLOSE_SECONDS, FAULTS, Database
from kubernaut.datastorage.keys import signer_for
from kubernaut.datastorage.settings import DataStorageSettings
from kubernaut.datastorage.trail import Trail
from kubernaut.datastorage.writer import Writer

KEEP_HOUSE_SECONDS: Final = 3600.0

Clock = Callable[[], datetime]
Record = Callable[[AsyncConnection], Awaitable[int]]
"""Writes one record in a transaction; returns its id."""
Work = Sequence[AuditEvent] | Record

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


def _utc() -> datetime:
    return datetime.now(UTC)


class Store:
    """The audit database. `now` gives the time in UTC."""

    def __init__(self, database: Database, settings: DataStorageSettings, signer: Signer | None, now: Clock) -> None:
        self.database = database
        self.settings = settings
        self.signer = signer
        self.now = now
        self.trail = Trail(signer, checkpoint_every=settings.checkpoint_every, partitions=database.postgresql)
        self._writer: Writer[Work, Any] = Writer(self._commit)
        self._keeper: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    @classmethod
    async def open(cls, settings: DataStorageSettings, now: Clock = _utc) -> Self:
        """Open the database and bring its schema up to date.

        Raise BadDatabase, NewerSchema where the database is ahead of this program, OlderSchema where it is behind and we may not
        change it, BadKey, BadDatabase where it cannot be reached.
        """
        signer = signer_for(settings.database, settings.signing_key)
        database = await Database.open(settings.database, migrate=settings.migrate)
        store = cls(database, settings, signer, now)
        try:
            await takeover.take_over(database, store.add_events)
        except BaseException:
            await store.close()
            raise
        store._keeper = asyncio.create_task(store._keep_house(), name="audit retention")
        return store

    async def close(self) -> None:
        """Write what waits and let go of all connections, within seconds."""
        self._closing.set()
        if self._keeper is not None:
            await asyncio.wait({self._keeper}, timeout=CLOSE_SECONDS)
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        await self._writer.close()
        await self.database.close()

    async def ping(self) -> None:
        """Raise when the database does not answer."""
        await self.database.ping()

    async def add_events(self, events: Sequence[AuditEvent]) -> list[bool]:
        """Put events on record; return for each whether it was new. Raise Unavailable when that cannot be done now."""
        if not events:
            return []
        known: list[bool] = await self._writer.write(events, len(events))
        return known

    async def put_remediation(self, record: RemediationAudit) -> int:
        """Store or update the record of a remediation with its service statuses; return its id."""
        return await self._record(lambda connection: records.put_remediation(self.database, connection, record, self.now()))

    async def put_workflow(self, record: WorkflowAudit) -> int:
        """Store or update a workflow record; return its id."""
        return await self._record(lambda connection: records.put_workflow(self.database, connection, record))

    async def act(self, act: Record) -> int:
        """Write something else in a transaction of its group; return what it returns."""
        return await self._record(act)

    async def _record(self, act: Record) -> int:
        record_id: int = await self._writer.write(act)
        return record_id

    async def _commit(self, works: Sequence[Work]) -> list[Any]:
        """Write a group in one transaction: all events together, then each record."""
        events = [event for work in works if not callable(work) for event in work]
        with metrics.WRITE_SECONDS.time():
            try:
                async with self.database.writing() as connection:
                    new = await self.trail.append(connection, events, self.now()) if events else set[UUID]()
                    results: list[int | list[bool]] = [await work(connection) if callable(work) else _told(work, new) for work in works]
            except BaseException:
                self.trail.forget()
                raise
        metrics.GROUP_SIZE.observe(len(events) + sum(map(callable, works)))
        stored = sum(sum(result) for result in results if isinstance(result, list))
        metrics.STORED.inc(stored)
        metrics.DUPLICATES.inc(len(events) - stored)
        return results

    async def _keep_house(self) -> None:
        """Take out what retention lets go, now and every hour, until the store closes."""
        while not self._closing.is_set():
            try:
                await retention.purge(self.database, self.now(), self.settings.retention_days)
            except FAULTS as fault:
                log.warning("retention will be tried again", fault=str(fault)[:500])
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), KEEP_HOUSE_SECONDS)


def _told(events: Sequence[AuditEvent], new: set[UUID]) -> list[bool]:
    """Tell for each event whether it was new, to the first who brought it."""
    told = []
    for event in events:
        told.append(event.event_id in new)
        new.discard(event.event_id)
    return told

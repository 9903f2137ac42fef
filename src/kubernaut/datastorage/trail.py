"""Putting events on record: each once, in one chain a day, in the transaction it is given."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, func, insert, literal, literal_column, select, text, true, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from kubernaut.api.audit import AuditEvent
from kubernaut.datastorage import metrics
from kubernaut.datastorage.chain import Head, Signer, body, link
from kubernaut.datastorage.protection import month_of, partition_name, partition_statements
from kubernaut.datastorage.tables import EVENT_COLUMNS, EventId, audit_checkpoints, audit_days, audit_events, audit_head

ID_CHUNK: Final = 500


class Trail:
    """Appends to the chain. The row of the chain's head is locked first: whoever has it is the only writer, in whichever process."""

    def __init__(self, signer: Signer | None, *, checkpoint_every: int, partitions: bool) -> None:
        self._signer = signer
        self._every = checkpoint_every
        self._partitions = partitions
        self._months: set[date] = set()

    async def append(self, connection: AsyncConnection, events: Sequence[AuditEvent], now: datetime) -> set[UUID]:
        """Put events on record that are not there yet; return the ids of those. All carry the time `now`, in UTC."""
        before, ahead = await _locked_head(connection)
        head = before.of(now.date())
        new = await _unknown(connection, events, ahead)
        if not new:
            return set()
        await self._make_room(connection, head.day)
        if head.day != before.day:
            await self._close(connection, before, now)
        rows, after = chained(head, new, now)
        await connection.execute(insert(audit_events), rows)
        ahead = max(ahead, *((event.event_timestamp.date() - head.day).days for event in new))
        moved = {"day": after.day, "position": after.position, "hash": after.hash, "follows": after.follows, "ahead_days": ahead}
        await connection.execute(update(audit_head).where(audit_head.c.id == 1).values(moved))
        if after.position // self._every != head.position // self._every:
            await self._checkpoint(connection, after, now)
        for event in new:
            metrics.LAG_SECONDS.observe(max(0.0, (now - event.event_timestamp).total_seconds()))
        return {event.event_id for event in new}

    def forget(self) -> None:
        """Take nothing for made: a transaction was rolled back."""
        self._months.clear()

    async def checkpoint(self, connection: AsyncConnection, now: datetime) -> None:
        """Sign where the chain stands, unless that was signed already."""
        head, _ = await _locked_head(connection)
        known = select(audit_checkpoints.c.hash).where(audit_checkpoints.c.day == head.day, audit_checkpoints.c.position == head.position)
        if head.position and (await connection.execute(known)).first() is None:
            await self._checkpoint(connection, head, now)

    async def _close(self, connection: AsyncConnection, head: Head, now: datetime) -> None:
        """Put the end of a day's chain on record."""
        if not head.position:
            return
        end = {"day": head.day, "records": head.position, "follows": head.follows, "hash": head.hash}
        await connection.execute(insert(audit_days).values(end))
        await self.checkpoint(connection, now)

    async def _checkpoint(self, connection: AsyncConnection, head: Head, now: datetime) -> None:
        if self._signer is not None:
            signed = self._signer.checkpoint(head, now)
            await connection.execute(insert(audit_checkpoints).values({**signed, "day": head.day}))

    async def _make_room(self, connection: AsyncConnection, day: date) -> None:
        """Make the month's partition, where there are partitions."""
        if not self._partitions or month_of(day) in self._months:
            return
        there = await connection.execute(text("SELECT to_regclass(:name)"), {"name": partition_name(day)})
        if there.scalar() is None:
            for statement in partition_statements(day):
                await connection.execute(text(statement))
        self._months.add(month_of(day))


async def _locked_head(connection: AsyncConnection) -> tuple[Head, int]:
    """Return the head, locked until the transaction ends (by its row on PostgreSQL, by the whole file on SQLite), and `ahead_days`."""
    row = (await connection.execute(update(audit_head).where(audit_head.c.id == 1).values(id=1).returning(*audit_head.columns))).one()
    return Head(row.day, row.position, row.hash, row.follows), int(row.ahead_days)


async def _unknown(connection: AsyncConnection, events: Iterable[AuditEvent], ahead: int) -> list[AuditEvent]:
    """Return the events that are not on record, each once."""
    fresh = {event.event_id: event for event in reversed([*events])}
    ids, known = [*fresh], set[UUID]()
    since = _since(fresh.values(), ahead)
    asked = known_ids if connection.dialect.name == "postgresql" else _known_of_list
    for start in range(0, len(ids), ID_CHUNK):
        known |= set((await connection.execute(asked(ids[start : start + ID_CHUNK], since))).scalars())
    return [event for event in reversed(fresh.values()) if event.event_id not in known]


def known_ids(ids: Sequence[UUID], since: date) -> Select[UUID]:
    """Return PostgreSQL's question which of some ids are on record: one look into the index for each id.

    A list of ids is a filter there, over all of a month, for as long as the month was never analysed: its planner holds an id for
    common, and what it holds for common it does not look up.
    """
    asked = func.unnest(literal([*ids], ARRAY(EventId)), type_=EventId()).column_valued("asked")
    there = select(true()).where(audit_events.c.event_id == asked, audit_events.c.chain_day >= since).limit(literal_column("1"))
    return select(asked).where(there.correlate_except(audit_events).scalar_subquery())


def _known_of_list(ids: Sequence[UUID], since: date) -> Select[UUID]:
    return select(audit_events.c.event_id).where(audit_events.c.event_id.in_(ids), audit_events.c.chain_day >= since)


def _since(events: Iterable[AuditEvent], ahead: int) -> date:
    """Return the first day these events can have been stored, so that older months are not searched."""
    first = min(event.event_timestamp.date() for event in events)
    return date.fromordinal(max(1, first.toordinal() - ahead))


def chained(head: Head, events: Sequence[AuditEvent], now: datetime) -> tuple[list[dict[str, Any]], Head]:
    """Return the rows of events that follow a head, and the head after them."""
    rows, position, last = list[dict[str, Any]](), head.position, head.hash
    for event in events:
        position += 1
        told = told_of(event)
        last = link(last, body(head.day, position, now, told))
        rows.append({**told, "chain_day": head.day, "position": position, "stored_at": now, "event_hash": last})
    return rows, Head(head.day, position, last, head.follows)


def told_of(event: AuditEvent) -> dict[str, Any]:
    """Return what an event's producer said, as it is stored and hashed."""
    told = {name: getattr(event, name) for name in EVENT_COLUMNS}
    return {**told, "event_outcome": event.event_outcome.value}

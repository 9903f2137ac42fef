"""How long records stay: whole months, except those that hold a case under legal hold."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from kubernaut.datastorage import metrics
from kubernaut.datastorage.database import Database
from kubernaut.datastorage.protection import month_of, next_month, partition_name
from kubernaut.datastorage.tables import audit_events, audit_purges, legal_holds

PARTITIONS: Final = "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'audit_events'::regclass"

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


def ends(now: datetime, days: int) -> date:
    """Return the first day that must stay: the first of a month."""
    return month_of(now.date() - timedelta(days=days))


async def purge(database: Database, now: datetime, days: int) -> list[date]:
    """Take out the months that are over by more than so many days and hold no case under legal hold; return their first days."""
    before = ends(now, days)
    async with database.reading() as connection:
        expired = await _months(connection, before)
        held = [month for month in expired if await _held(connection, month)]
    metrics.HELD.set(len(held))
    going = [month for month in expired if month not in held]
    if going:
        async with database.writing() as connection:
            await connection.execute(insert(audit_purges).values({"before_day": before, "at": now}))
            await _drop(database, connection, going)
        metrics.PURGED.inc(len(going))
        log.info("retention has taken out months of the audit trail", months=[f"{month:%Y-%m}" for month in going], kept_by_hold=len(held))
    return going


async def _months(connection: AsyncConnection, before: date) -> list[date]:
    """Return the months with records before a day, oldest first; each look is one step in the index."""
    found, since = list[date](), date.min
    while True:
        day = audit_events.c.chain_day
        question = select(day).where(day >= since, day < before).order_by(day, audit_events.c.position).limit(1)
        first = (await connection.execute(question)).scalar()
        if first is None:
            return found
        found.append(month_of(first))
        since = next_month(first)


async def _held(connection: AsyncConnection, month: date) -> bool:
    """Tell whether a month holds a record of a case under legal hold."""
    day = audit_events.c.chain_day
    question = select(audit_events.c.position).join(legal_holds, legal_holds.c.correlation_id == audit_events.c.correlation_id)
    return (await connection.execute(question.where(day >= month, day < next_month(month)).limit(1))).first() is not None


async def _drop(database: Database, connection: AsyncConnection, months: Sequence[date]) -> None:
    if database.postgresql:
        there = set((await connection.execute(text(PARTITIONS))).scalars())
        for name in sorted({partition_name(month) for month in months} & there):
            await connection.execute(text(f"DROP TABLE {name}"))
        return
    for month in months:
        await connection.execute(
            delete(audit_events).where(audit_events.c.chain_day >= month, audit_events.c.chain_day < next_month(month))
        )

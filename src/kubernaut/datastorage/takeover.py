"""Events that the first schema holds are put into the chain once, and their table goes."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, MetaData, Row, Table, inspect, select, text

from kubernaut.api.audit import AuditEvent
from kubernaut.datastorage.database import Database
from kubernaut.datastorage.tables import EVENT_COLUMNS, audit_events

OLD: Final = "audit_events_0001"
CHUNK: Final = 1000

Add = Callable[[Sequence[AuditEvent]], Awaitable[object]]


async def take_over(database: Database, add: Add) -> None:
    """Add the old events in their order, then drop their table; when that is cut short, the next start goes on."""
    async with database.reading() as connection:
        if not await connection.run_sync(_is_there):
            return
    old = _old()
    last = 0
    while True:
        async with database.reading() as connection:
            rows = (await connection.execute(select(old).where(old.c.seq > last).order_by(old.c.seq).limit(CHUNK))).all()
        if not rows:
            break
        await add([_event(row) for row in rows])
        last = rows[-1].seq
    async with database.writing() as connection:
        await connection.execute(text(f"DROP TABLE {OLD}"))


def _is_there(connection: Connection) -> bool:
    return inspect(connection).has_table(OLD)


def _old() -> Table:
    kept = [column for column in audit_events.columns if column.name in EVENT_COLUMNS and column.name != "target"]
    return Table(OLD, MetaData(), Column("seq", BigInteger), *(Column(column.name, column.type) for column in kept))


def _event(row: Row[Any]) -> AuditEvent:
    return AuditEvent.model_validate(dict(row._mapping))  # noqa: SLF001  (the mapping is SQLAlchemy's public name)

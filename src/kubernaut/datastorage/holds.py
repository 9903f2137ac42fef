"""Legal holds: cases whose records stay however old they are. Placing and lifting one is itself on record."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from kubernaut.api.audit import AuditEvent, LegalHold
from kubernaut.api.base import AuditOutcome
from kubernaut.datastorage.store import Store
from kubernaut.datastorage.tables import legal_holds

CATEGORY: Final = "security"
HOLD_EVENTS: Final = UUID("0d6f4f0e-0a9d-4b53-8a1f-7f8e5f1c2a66")
"""Ids of the events about holds are made in this namespace."""
HOLDS_LIMIT: Final = 10_000


async def place(store: Store, hold: LegalHold, actor: str) -> None:
    """Hold a case; holding it again changes the reason."""
    now = store.now()
    row = {"correlation_id": hold.correlation_id, "reason": hold.reason, "placed_by": actor[:255], "placed_at": now}

    async def put(connection: AsyncConnection) -> int:
        statement = store.database.insert(legal_holds).values(row)
        changed = {name: value for name, value in row.items() if name != "correlation_id"}
        await connection.execute(statement.on_conflict_do_update(index_elements=["correlation_id"], set_=changed))
        await store.trail.append(connection, [_event(hold.correlation_id, "LegalHoldPlaced", hold.reason, actor, now)], now)
        return 1

    await store.act(put)


async def lift(store: Store, correlation_id: str, actor: str) -> bool:
    """Let a case go; return whether it was held."""
    now = store.now()

    async def drop(connection: AsyncConnection) -> int:
        gone = await connection.execute(delete(legal_holds).where(legal_holds.c.correlation_id == correlation_id))
        if gone.rowcount:
            await store.trail.append(connection, [_event(correlation_id, "LegalHoldLifted", "", actor, now)], now)
        return gone.rowcount

    return bool(await store.act(drop))


async def placed(store: Store) -> list[dict[str, Any]]:
    """Return the holds, oldest first."""
    question = select(legal_holds).order_by(legal_holds.c.placed_at, legal_holds.c.correlation_id).limit(HOLDS_LIMIT)
    async with store.database.reading() as connection:
        return [{str(name): value for name, value in row.items()} for row in (await connection.execute(question)).mappings()]


def _event(correlation_id: str, action: str, reason: str, actor: str, now: datetime) -> AuditEvent:
    return AuditEvent(
        event_id=uuid5(HOLD_EVENTS, f"{correlation_id}/{action}/{now.isoformat()}"),
        event_timestamp=now,
        event_type=f"{CATEGORY}.legalhold.{action.lower()}",
        event_category=CATEGORY,
        event_action=action,
        event_outcome=AuditOutcome.SUCCESS,
        correlation_id=correlation_id,
        actor_type="user",
        actor_id=actor[:255],
        message=reason,
    )

"""Questions to the audit trail, paged by stable cursors."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from kubernaut.api.base import Obj
from kubernaut.datastorage.tables import audit_events, remediation_audit, service_crd_status

PAGE_LIMIT = 1000
EXACT = ("event_type", "event_category", "event_outcome", "correlation_id", "resource_type", "resource_name", "namespace", "actor_id")
"""Columns a question may name."""
COLUMNS = tuple(str(column.name) for column in audit_events.columns)


class BadCursor(ValueError):  # noqa: N818  (says what it is)
    """A cursor that this service did not give out."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some events in order of time, and how to ask for the next."""

    events: list[Obj]
    next_cursor: str


async def events(
    engine: AsyncEngine,
    equal: Mapping[str, str],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    cursor: str = "",
    limit: int = 50,
) -> Page:
    """Return events by equality of columns and time, oldest first; at most `limit` (1 to 1000)."""
    table = audit_events.c
    conditions: list[ColumnElement[bool]] = [table[name] == value for name, value in equal.items() if name in EXACT]
    if since is not None:
        conditions.append(table.event_timestamp >= since)
    if until is not None:
        conditions.append(table.event_timestamp < until)
    if cursor:
        moment, seq = _read_cursor(cursor)
        conditions.append(or_(table.event_timestamp > moment, and_(table.event_timestamp == moment, table.seq > seq)))
    count = max(1, min(limit, PAGE_LIMIT))
    question = select(audit_events).where(*conditions).order_by(table.event_timestamp, table.seq).limit(count + 1)
    async with engine.connect() as connection:
        rows = (await connection.execute(question)).all()
    more = len(rows) > count
    return Page([_event(row) for row in rows[:count]], _cursor(rows[count - 1]) if more else "")


async def remediation(engine: AsyncEngine, name: str) -> Obj | None:
    """Return the record of one remediation with its service statuses, or None."""
    async with engine.connect() as connection:
        row = (await connection.execute(select(remediation_audit).where(remediation_audit.c.remediation_name == name))).first()
        if row is None:
            return None
        services = await connection.execute(
            select(service_crd_status).where(service_crd_status.c.remediation_audit_id == row.id).order_by(service_crd_status.c.start_time)
        )
        return {
            "alertFingerprint": row.alert_fingerprint,
            "remediationName": row.remediation_name,
            "overallPhase": row.overall_phase,
            "startTime": row.start_time,
            "serviceCrdStatuses": [_service(each) for each in services],
            **_present(completionTime=row.completion_time, timeoutPhase=row.timeout_phase, failureReason=row.failure_reason),
        }


def _service(row: Row[Any]) -> Obj:
    return {
        "serviceType": row.service_type,
        "crdName": row.crd_name,
        "phase": row.phase,
        "startTime": row.start_time,
        **_present(completionTime=row.completion_time),
    }


def _present(**fields: object) -> Obj:
    return {key: value for key, value in fields.items() if value is not None}


def _event(row: Row[Any]) -> Obj:
    return dict(zip(COLUMNS, row, strict=True))


def _cursor(row: Row[Any]) -> str:
    return base64.urlsafe_b64encode(f"{row.event_timestamp.astimezone(UTC).isoformat()}|{row.seq}".encode()).decode()


def _read_cursor(cursor: str) -> tuple[datetime, int]:
    try:
        moment, seq = base64.urlsafe_b64decode(cursor.encode()).decode().rsplit("|", 1)
        return datetime.fromisoformat(moment), int(seq)
    except (ValueError, binascii.Error) as error:
        raise BadCursor("the cursor is not one that was given out here; leave it away to begin anew") from error

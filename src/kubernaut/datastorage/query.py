"""Questions to the audit trail, paged by stable cursors."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from kubernaut.api.base import Obj
from kubernaut.datastorage.database import Database
from kubernaut.datastorage.tables import EVENT_COLUMNS, audit_events, remediation_audit, service_crd_status

PAGE_LIMIT: Final = 1000
EXACT: Final = (
    "event_type",
    "event_category",
    "event_action",
    "event_outcome",
    "correlation_id",
    "resource_type",
    "resource_name",
    "namespace",
    "target",
    "actor_id",
)
"""Columns a question may name."""
SHOWN: Final = (*EVENT_COLUMNS, "stored_at", "chain_day", "position", "event_hash")
POSITION_LIMIT: Final = 2**63 - 1


class BadCursor(ValueError):  # noqa: N818  (says what it is)
    """A cursor that this service did not give out."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some events in order of time, and how to ask for the next."""

    events: list[Obj]
    next_cursor: str


@dataclass(frozen=True, slots=True)
class Question:
    """Which events: equality of columns, time from `since` until before `until`, a text within the message."""

    equal: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what a row must meet."""
        table = audit_events.c
        found: list[ColumnElement[bool]] = [table[name] == value for name, value in self.equal.items() if name in EXACT]
        found += [table.event_timestamp >= self.since] if self.since is not None else []
        found += [table.event_timestamp < self.until] if self.until is not None else []
        found += [table.message.icontains(self.text, autoescape=True)] if self.text else []
        return found


async def events(database: Database, question: Question, *, cursor: str = "", limit: int = 50) -> Page:
    """Return events oldest first, at most `limit` (1 to 1000); raise BadCursor."""
    table = audit_events.c
    order = (table.event_timestamp, table.chain_day, table.position)
    wanted: Select[Any] = select(*(table[name] for name in SHOWN)).where(*question.conditions())
    if cursor:
        wanted = wanted.where(tuple_(*order) > _read_cursor(cursor))
    count = max(1, min(limit, PAGE_LIMIT))
    async with database.reading() as connection:
        rows = (await connection.execute(wanted.order_by(*order).limit(count + 1))).all()
    more = len(rows) > count
    return Page([dict(zip(SHOWN, row, strict=True)) for row in rows[:count]], _cursor(rows[count - 1]) if more else "")


async def remediation(database: Database, name: str) -> Obj | None:
    """Return the record of one remediation with its service statuses, or None."""
    async with database.reading() as connection:
        return (await remediations(connection, [name])).get(name)


async def remediations(connection: AsyncConnection, names: list[str]) -> dict[str, Obj]:
    """Return the records of remediations that are there, by name."""
    found = (await connection.execute(select(remediation_audit).where(remediation_audit.c.remediation_name.in_(names)))).all()
    owner = service_crd_status.c.remediation_audit_id
    wanted = (
        select(service_crd_status)
        .where(owner.in_([row.id for row in found]))
        .order_by(service_crd_status.c.start_time, service_crd_status.c.id)
    )
    services: dict[int, list[Obj]] = {row.id: [] for row in found}
    for each in await connection.execute(wanted):
        services[each.remediation_audit_id].append(_service(each))
    return {row.remediation_name: _remediation(row, services[row.id]) for row in found}


def _remediation(row: Row[Any], services: list[Obj]) -> Obj:
    return {
        "alertFingerprint": row.alert_fingerprint,
        "remediationName": row.remediation_name,
        "overallPhase": row.overall_phase,
        "startTime": row.start_time,
        "serviceCrdStatuses": services,
        **present(completionTime=row.completion_time, timeoutPhase=row.timeout_phase, failureReason=row.failure_reason),
    }


def _service(row: Row[Any]) -> Obj:
    return {
        "serviceType": row.service_type,
        "crdName": row.crd_name,
        "phase": row.phase,
        "startTime": row.start_time,
        **present(completionTime=row.completion_time),
    }


def present(**fields: object) -> Obj:
    """Return the fields that have a value."""
    return {key: value for key, value in fields.items() if value is not None}


def _cursor(row: Row[Any]) -> str:
    place = f"{row.event_timestamp.astimezone(UTC).isoformat()}|{row.chain_day}|{row.position}"
    return base64.urlsafe_b64encode(place.encode()).decode()


def _read_cursor(cursor: str) -> tuple[datetime, date, int]:
    try:
        moment, day, position = base64.urlsafe_b64decode(cursor.encode()).decode().split("|")
        place = datetime.fromisoformat(moment).astimezone(UTC), date.fromisoformat(day), int(position)
    except (ValueError, binascii.Error, OverflowError) as error:
        raise BadCursor("the cursor is not one that was given out here; leave it away to begin anew") from error
    if not 0 <= place[2] <= POSITION_LIMIT:
        raise BadCursor("the cursor is not one that was given out here; leave it away to begin anew")
    return place

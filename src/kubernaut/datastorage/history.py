"""What is known of cases: the timeline of one, what was tried on a target and how it ended, how often workflows helped."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from kubernaut.api.base import Obj
from kubernaut.datastorage.database import Database
from kubernaut.datastorage.query import present, remediations
from kubernaut.datastorage.tables import audit_events, workflow_audit

TIMELINE_LIMIT: Final = 5000
HISTORY_LIMIT: Final = 100
ASSESSED: Final = "EffectivenessAssessed"
COMPLETED: Final = "workflowexecution.workflow.completed"
FAILED: Final = "workflowexecution.workflow.failed"
WORKFLOWS_LIMIT: Final = 1000


async def timeline(database: Database, name: str) -> Obj | None:
    """Return the record of a case and all that happened in it, in order of time, up to 5000 facts; None when nothing is known of it."""
    table = audit_events.c
    wanted = (
        select(
            table.event_timestamp,
            table.event_action,
            table.event_outcome,
            table.actor_type,
            table.actor_id,
            table.resource_type,
            table.resource_name,
            table.target,
            table.message,
            table.event_data,
        )
        .where(table.correlation_id == name)
        .order_by(table.event_timestamp, table.chain_day, table.position)
        .limit(TIMELINE_LIMIT + 1)
    )
    async with database.reading() as connection:
        rows = (await connection.execute(wanted)).mappings().all()
        record = (await remediations(connection, [name])).get(name)
        tried = await _workflows(connection, [name])
    if not rows and record is None and not tried:
        return None
    facts = [{str(name): value for name, value in row.items()} for row in rows[:TIMELINE_LIMIT]]
    return {"name": name, **present(remediation=record), "workflows": tried, "events": facts, "truncated": len(rows) > TIMELINE_LIMIT}


async def for_target(database: Database, target: str, *, since: datetime | None = None, limit: int = 20) -> list[Obj]:
    """Return the cases about a target (`namespace/kind/name`), newest first: what was tried, whether it helped, how it ended."""
    began = func.min(audit_events.c.event_timestamp)
    cases = select(audit_events.c.correlation_id, began.label("began")).where(audit_events.c.target == target)
    cases = cases.group_by(audit_events.c.correlation_id).order_by(began.desc(), audit_events.c.correlation_id)
    if since is not None:
        cases = cases.where(audit_events.c.event_timestamp >= since)
    async with database.reading() as connection:
        found = (await connection.execute(cases.limit(min(limit, HISTORY_LIMIT)))).all()
        names = [row.correlation_id for row in found]
        records = await remediations(connection, names)
        tried = await _workflows(connection, names)
        judged = await _verdicts(connection, names)
    return [_case(row, records, tried, judged) for row in found]


def _case(row: Row[Any, Any], records: dict[str, Obj], tried: Sequence[Obj], judged: dict[str, Obj]) -> Obj:
    name = row.correlation_id
    record = records.get(name, {})
    ended = {key: record.get(key) for key in ("overallPhase", "completionTime", "failureReason", "timeoutPhase")}
    mine = [{key: value for key, value in each.items() if key != "correlationId"} for each in tried if each["correlationId"] == name]
    return {"name": name, "startTime": row.began, **present(**ended, effectiveness=judged.get(name)), "workflows": mine}


async def _workflows(connection: AsyncConnection, names: Sequence[str]) -> list[Obj]:
    """Return what workflows of some cases did, oldest first."""
    wanted = (
        select(workflow_audit).where(workflow_audit.c.correlation_id.in_(names)).order_by(workflow_audit.c.timestamp, workflow_audit.c.id)
    )
    return [_workflow(row) for row in await connection.execute(wanted)]


def _workflow(row: Row[Any]) -> Obj:
    return {
        "correlationId": row.correlation_id,
        "eventType": row.event_type,
        "workflowExecutionId": row.workflow_execution_id,
        "workflowId": row.workflow_id,
        "targetResource": row.target_resource,
        "phase": row.phase,
        "outcome": row.outcome,
        "timestamp": row.timestamp,
        **present(failureReason=row.failure_reason, failureMessage=row.failure_message),
    }


async def _verdicts(connection: AsyncConnection, names: Sequence[str]) -> dict[str, Obj]:
    """Return the last judgement on whether the fix of a case helped, by case."""
    table = audit_events.c
    wanted = select(table.correlation_id, table.event_timestamp, table.message, table.event_data)
    wanted = wanted.where(table.correlation_id.in_(names), table.event_action == ASSESSED).order_by(table.event_timestamp)
    return {
        row.correlation_id: {**row.event_data, "message": row.message, "assessedAt": row.event_timestamp}
        for row in await connection.execute(wanted)
    }


async def success_rates(database: Database, *, since: datetime | None = None) -> list[Obj]:
    """Return for each workflow how often it ran to its end, how often well, and the share, most used first."""
    well = func.sum(case((workflow_audit.c.event_type == COMPLETED, 1), else_=0)).label("succeeded")
    total = func.count().label("total")
    wanted = select(workflow_audit.c.workflow_id, total, well, func.max(workflow_audit.c.timestamp).label("last"))
    wanted = wanted.where(workflow_audit.c.event_type.in_([COMPLETED, FAILED]), workflow_audit.c.workflow_id != "")
    if since is not None:
        wanted = wanted.where(workflow_audit.c.timestamp >= since)
    wanted = wanted.group_by(workflow_audit.c.workflow_id).order_by(total.desc(), workflow_audit.c.workflow_id).limit(WORKFLOWS_LIMIT)
    async with database.reading() as connection:
        rows = (await connection.execute(wanted)).all()
    return [_rate(row.workflow_id, row.total, int(row.succeeded), row.last) for row in rows]


def _rate(workflow_id: str, total: int, succeeded: int, last: datetime) -> Obj:
    share = round(succeeded / total, 4)
    return {"workflowId": workflow_id, "total": total, "succeeded": succeeded, "failed": total - succeeded, "rate": share, "lastAt": last}

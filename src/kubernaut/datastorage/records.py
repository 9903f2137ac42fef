"""Remediation and workflow records: one row each, brought up to date by whoever sends them again."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from kubernaut.api.audit import RemediationAudit, ServiceCRDStatus, WorkflowAudit
from kubernaut.datastorage.database import Database
from kubernaut.datastorage.tables import remediation_audit, service_crd_status, workflow_audit

REMEDIATION_KEY: Final = ("remediation_name",)
SERVICE_KEY: Final = ("remediation_audit_id", "service_type", "crd_name")
WORKFLOW_KEY: Final = ("workflow_execution_id", "event_type")


async def put_remediation(database: Database, connection: AsyncConnection, record: RemediationAudit, now: datetime) -> int:
    """Store or update the record of a remediation with its service statuses; return its id. Statuses it no longer names stay.

    What is sent again may be older than what came last: a record that tells the end is not replaced by one that does not.
    """
    row = {**_columns(remediation_audit, record), "created_at": now, "updated_at": now}
    await _upsert(database, connection, remediation_audit, [row], REMEDIATION_KEY, last="completion_time")
    known = select(remediation_audit.c.id).where(remediation_audit.c.remediation_name == record.remediation_name)
    record_id = int((await connection.execute(known)).scalar_one())
    services = {(each.service_type, each.crd_name): each for each in record.service_crd_statuses}.values()
    rows = [{**_columns(service_crd_status, each), "remediation_audit_id": record_id, "updated_at": now} for each in services]
    await _upsert(database, connection, service_crd_status, rows, SERVICE_KEY)
    return record_id


async def put_workflow(database: Database, connection: AsyncConnection, record: WorkflowAudit) -> int:
    """Store or update a workflow record: one for each execution and event type; return its id."""
    await _upsert(database, connection, workflow_audit, [_columns(workflow_audit, record)], WORKFLOW_KEY)
    key = (workflow_audit.c.workflow_execution_id == record.workflow_execution_id, workflow_audit.c.event_type == record.event_type)
    return int((await connection.execute(select(workflow_audit.c.id).where(*key))).scalar_one())


async def _upsert(
    database: Database, connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]], key: Sequence[str], *, last: str = ""
) -> None:
    """Insert rows or bring them up to date; a row in which `last` is filled stays unless the new one has it too."""
    statement = database.insert(table)
    changed = {name: statement.excluded[name] for row in rows[:1] for name in row if name not in {*key, "created_at"}}
    if rows:
        where = table.c[last].is_(None) | statement.excluded[last].is_not(None) if last else None
        await connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=changed, where=where), rows)


def _columns(table: Table, record: RemediationAudit | ServiceCRDStatus | WorkflowAudit) -> dict[str, Any]:
    """Return the columns of a table that a record fills."""
    return {column.name: getattr(record, column.name) for column in table.columns if column.name in type(record).model_fields}

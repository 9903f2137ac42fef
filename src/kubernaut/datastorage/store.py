"""The database: opened, migrated, written. Every write may be repeated and leaves one record."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Table, delete, event, select, text
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from kubernaut.api.audit import AuditEvent, RemediationAudit, WorkflowAudit
from kubernaut.api.base import Unusable
from kubernaut.datastorage.tables import audit_events, remediation_audit, service_crd_status, workflow_audit

MIGRATIONS = Path(__file__).parent / "migrations"


class NewerSchema(Unusable):
    """The database was made by a later version of this program."""


class Store:
    """The audit database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._writing = asyncio.Lock()

    @classmethod
    async def open(cls, url: str) -> Self:
        """Open a database and bring its schema up to date; raise NewerSchema when it is ahead of this program."""
        engine = create_async_engine(url, pool_pre_ping=True)
        if engine.dialect.name == "sqlite":
            event.listen(engine.sync_engine, "connect", _sqlite_settings)
        store = cls(engine)
        try:
            async with engine.begin() as connection:
                await connection.run_sync(_migrate)
        except BaseException:
            await engine.dispose()
            raise
        return store

    async def close(self) -> None:
        """Let go of all connections."""
        await self.engine.dispose()

    async def ping(self) -> None:
        """Raise when the database does not answer."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def add_events(self, events: Sequence[AuditEvent]) -> int:
        """Store events in one transaction; return how many were new."""
        if not events:
            return 0
        stored_at = datetime.now(UTC)
        rows = [{**each.model_dump(), "stored_at": stored_at, "event_data": dict(each.event_data)} for each in events]
        for row, each in zip(rows, events, strict=True):
            row["event_outcome"] = each.event_outcome.value
        async with self._writing, self.engine.begin() as connection:
            new = 0
            for row in rows:
                done = await connection.execute(
                    self._insert(audit_events).values(_filled(row)).on_conflict_do_nothing(index_elements=["event_id"])
                )
                new += max(done.rowcount, 0)
            return new

    async def put_remediation(self, record: RemediationAudit) -> int:
        """Store or update the record of a remediation with its service statuses; return its id."""
        now = datetime.now(UTC)
        row = record.model_dump(by_alias=False)
        services = row.pop("service_crd_statuses", [])
        async with self._writing, self.engine.begin() as connection:
            known = _filled_for(remediation_audit, row) | {"created_at": now, "updated_at": now}
            changed = {key: value for key, value in known.items() if key not in ("remediation_name", "created_at")}
            statement = self._insert(remediation_audit).values(known)
            await connection.execute(statement.on_conflict_do_update(index_elements=["remediation_name"], set_=changed))
            found = await connection.execute(
                select(remediation_audit.c.id).where(remediation_audit.c.remediation_name == record.remediation_name)
            )
            record_id = int(found.scalar_one())
            await self._put_services(connection, record_id, services, now)
            return record_id

    async def _put_services(
        self, connection: AsyncConnection, record_id: int, services: Sequence[Mapping[str, Any]], now: datetime
    ) -> None:
        await connection.execute(delete(service_crd_status).where(service_crd_status.c.remediation_audit_id == record_id))
        rows = [{**_filled_for(service_crd_status, each), "remediation_audit_id": record_id, "updated_at": now} for each in services]
        if rows:
            await connection.execute(self._insert(service_crd_status), rows)

    async def add_workflow(self, record: WorkflowAudit) -> None:
        """Store or update a workflow record: one for each execution and event type."""
        row = _filled_for(workflow_audit, record.model_dump(by_alias=False))
        row |= {key: row.get(key) or "" for key in ("workflow_id", "target_resource", "phase", "outcome", "correlation_id")}
        changed = {key: value for key, value in row.items() if key not in ("workflow_execution_id", "event_type")}
        statement = self._insert(workflow_audit).values(row)
        async with self._writing, self.engine.begin() as connection:
            await connection.execute(statement.on_conflict_do_update(index_elements=["workflow_execution_id", "event_type"], set_=changed))

    def _insert(self, table: Table) -> Any:
        return sqlite_insert(table) if self.engine.dialect.name == "sqlite" else postgresql_insert(table)


def _filled(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give empty texts to the columns that the wire form leaves out."""
    texts = ("event_version", "actor_type", "actor_id", "resource_type", "resource_name", "resource_id", "namespace", "message")
    return {**row, **{key: row.get(key) or "" for key in texts}, "sequence": row.get("sequence", 0)}


def _filled_for(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value for every column of a table that a record can fill."""
    own = {"id", "created_at", "updated_at", "remediation_audit_id"}
    return {column.name: row.get(column.name) for column in table.columns if column.name not in own}


def _sqlite_settings(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _migrate(connection: Connection) -> None:
    """Run the migrations that are missing."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise NewerSchema(f"the database's schema is not known here ({error}): use the version of kubernaut that made it") from error

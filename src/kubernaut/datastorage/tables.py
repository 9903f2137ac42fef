"""The tables, the same on SQLite and PostgreSQL."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.engine import Dialect

BIG = BigInteger().with_variant(Integer, "sqlite")


class Moment(TypeDecorator[datetime]):
    """A time in UTC; SQLite keeps no zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store in UTC."""
        return value.astimezone(UTC) if value is not None and dialect else None

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Read as UTC."""
        if value is None or not dialect:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class EventId(TypeDecorator[UUID]):
    """A UUID; a driver's own kind of it, which JSON writers do not know, becomes Python's."""

    impl = Uuid
    cache_ok = True

    def process_result_value(self, value: UUID | None, dialect: Dialect) -> UUID | None:
        """Read as Python's."""
        return UUID(int=value.int) if value is not None and dialect else None


metadata = MetaData()

audit_events = Table(
    "audit_events",
    metadata,
    Column("chain_day", Date, primary_key=True),
    Column("position", BIG, primary_key=True, autoincrement=False),
    Column("event_id", EventId, nullable=False),
    Column("event_version", String(20), nullable=False),
    Column("event_timestamp", Moment, nullable=False),
    Column("event_type", String(100), nullable=False),
    Column("event_category", String(50), nullable=False),
    Column("event_action", String(50), nullable=False),
    Column("event_outcome", String(20), nullable=False),
    Column("correlation_id", String(255), nullable=False),
    Column("actor_type", String(50), nullable=False),
    Column("actor_id", String(255), nullable=False),
    Column("resource_type", String(100), nullable=False),
    Column("resource_name", String(255), nullable=False),
    Column("resource_id", String(255), nullable=False),
    Column("namespace", String(63), nullable=False),
    Column("target", String(420), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("message", String(1024), nullable=False),
    Column("event_data", JSON, nullable=False),
    Column("stored_at", Moment, nullable=False),
    Column("event_hash", String(64), nullable=False),
    UniqueConstraint("event_id", "chain_day", name="uq_audit_events_id"),
    Index("ix_audit_events_correlation", "correlation_id", "event_timestamp", "chain_day", "position"),
    Index("ix_audit_events_type", "event_type", "event_timestamp"),
    Index("ix_audit_events_target", "target", "event_timestamp"),
    Index("ix_audit_events_time", "event_timestamp", "chain_day", "position"),
    postgresql_partition_by="RANGE (chain_day)",
)
"""One row a fact, by the day it was stored and its place in that day's chain; partitions of a month each on PostgreSQL."""
EVENT_COLUMNS = tuple(
    str(column.name) for column in audit_events.columns if column.name not in {"chain_day", "position", "stored_at", "event_hash"}
)
"""What its producer said of an event."""

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("day", Date, nullable=False),
    Column("position", BIG, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("follows", String(64), nullable=False),
    Column("ahead_days", Integer, nullable=False),
)
"""One row: where the chain ends, and by how many days a producer's clock was ever ahead of ours. Whoever stores locks it first."""

audit_days = Table(
    "audit_days",
    metadata,
    Column("day", Date, primary_key=True),
    Column("records", BIG, nullable=False),
    Column("follows", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
"""The chains that are closed; they stay when their records have gone."""

audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    Column("day", Date, primary_key=True),
    Column("position", BIG, primary_key=True, autoincrement=False),
    Column("hash", String(64), nullable=False),
    Column("at", String(40), nullable=False),
    Column("key_id", String(32), nullable=False),
    Column("signature", String(128), nullable=False),
)

audit_purges = Table(
    "audit_purges",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("before_day", Date, nullable=False),
    Column("at", Moment, nullable=False),
)
"""Retention: records of days before this one may go. The database lets nobody delete others."""

legal_holds = Table(
    "legal_holds",
    metadata,
    Column("correlation_id", String(255), primary_key=True),
    Column("reason", String(1024), nullable=False),
    Column("placed_by", String(255), nullable=False),
    Column("placed_at", Moment, nullable=False),
)
"""Cases whose records retention must leave."""

remediation_audit = Table(
    "remediation_audit",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("alert_fingerprint", String(64), nullable=False, index=True),
    Column("remediation_name", String(255), nullable=False, unique=True),
    Column("overall_phase", String(50), nullable=False, index=True),
    Column("start_time", Moment, nullable=False),
    Column("completion_time", Moment),
    Column("timeout_phase", String(63)),
    Column("failure_reason", Text),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

service_crd_status = Table(
    "service_crd_status",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("remediation_audit_id", BIG, ForeignKey("remediation_audit.id", ondelete="CASCADE"), nullable=False),
    Column("service_type", String(63), nullable=False),
    Column("crd_name", String(255), nullable=False),
    Column("phase", String(50), nullable=False),
    Column("start_time", Moment, nullable=False),
    Column("completion_time", Moment),
    Column("updated_at", Moment, nullable=False),
    UniqueConstraint("remediation_audit_id", "service_type", "crd_name", name="uq_service_crd_status"),
)

workflow_audit = Table(
    "workflow_audit",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("event_type", String(100), nullable=False),
    Column("workflow_execution_id", String(255), nullable=False),
    Column("workflow_id", String(255), nullable=False),
    Column("target_resource", String(420), nullable=False, index=True),
    Column("phase", String(50), nullable=False),
    Column("outcome", String(50), nullable=False),
    Column("timestamp", Moment, nullable=False),
    Column("correlation_id", String(255), nullable=False, index=True),
    Column("failure_reason", Text),
    Column("failure_message", Text),
    UniqueConstraint("workflow_execution_id", "event_type", name="uq_workflow_audit"),
)

"""The trail as a hash chain a day: by months on PostgreSQL, closed to updates and deletes, with checkpoints, retention and legal holds."""

from datetime import UTC, date, datetime

import sqlalchemy as sa
from alembic import op

from kubernaut.datastorage import protection

revision = "0002"
down_revision = "0001"

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
MOMENT = sa.DateTime(timezone=True)
OLD_INDEXES = ("ix_audit_events_correlation", "ix_audit_events_type", "ix_audit_events_time")
BEGINNING = "0" * 64


def upgrade() -> None:
    """Make the new tables; events of the first schema wait in `audit_events_0001`, from where the store takes them over."""
    connection = op.get_bind()
    for name in OLD_INDEXES:
        op.drop_index(name, "audit_events")
    op.rename_table("audit_events", "audit_events_0001")
    if connection.dialect.name == "postgresql":
        op.execute("ALTER INDEX audit_events_pkey RENAME TO audit_events_0001_pkey")
    _events()
    _chain()
    _keeping()
    for statement in protection.statements(connection.dialect.name):
        op.execute(statement)


def _texts(**widths: int) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(width), nullable=False) for name, width in widths.items()]


def _events() -> None:
    op.create_table(
        "audit_events",
        sa.Column("chain_day", sa.Date, primary_key=True),
        sa.Column("position", BIG, primary_key=True, autoincrement=False),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("event_version", sa.String(20), nullable=False),
        sa.Column("event_timestamp", MOMENT, nullable=False),
        *_texts(event_type=100, event_category=50, event_action=50, event_outcome=20, correlation_id=255, actor_type=50, actor_id=255),
        *_texts(resource_type=100, resource_name=255, resource_id=255, namespace=63, target=420),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("message", sa.String(1024), nullable=False),
        sa.Column("event_data", sa.JSON, nullable=False),
        sa.Column("stored_at", MOMENT, nullable=False),
        sa.Column("event_hash", sa.String(64), nullable=False),
        sa.UniqueConstraint("event_id", "chain_day", name="uq_audit_events_id"),
        postgresql_partition_by="RANGE (chain_day)",
    )
    op.create_index("ix_audit_events_correlation", "audit_events", ["correlation_id", "event_timestamp", "chain_day", "position"])
    op.create_index("ix_audit_events_type", "audit_events", ["event_type", "event_timestamp"])
    op.create_index("ix_audit_events_target", "audit_events", ["target", "event_timestamp"])
    op.create_index("ix_audit_events_time", "audit_events", ["event_timestamp", "chain_day", "position"])


def _chain() -> None:
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("position", BIG, nullable=False),
        *_texts(hash=64, follows=64),
        sa.Column("ahead_days", sa.Integer, nullable=False),
    )
    first = {"id": 1, "day": date(1970, 1, 1), "position": 0, "hash": BEGINNING, "follows": BEGINNING, "ahead_days": 1}
    op.bulk_insert(head, [first])
    op.create_table(
        "audit_days",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("records", BIG, nullable=False),
        *_texts(follows=64, hash=64),
    )
    op.create_table(
        "audit_checkpoints",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("position", BIG, primary_key=True, autoincrement=False),
        *_texts(hash=64, at=40, key_id=32, signature=128),
    )


def _keeping() -> None:
    purges = op.create_table(
        "audit_purges",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        sa.Column("before_day", sa.Date, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
    )
    op.bulk_insert(purges, [{"before_day": date(1970, 1, 1), "at": datetime(1970, 1, 1, tzinfo=UTC)}])
    op.create_table(
        "legal_holds",
        sa.Column("correlation_id", sa.String(255), primary_key=True),
        *_texts(reason=1024, placed_by=255),
        sa.Column("placed_at", MOMENT, nullable=False),
    )

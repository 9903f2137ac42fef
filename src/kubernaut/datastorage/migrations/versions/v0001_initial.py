"""The first schema: audit events, remediation records with their service statuses, workflow records."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    _events()
    _remediations()
    _workflows()


def _events() -> None:
    op.create_table(
        "audit_events",
        sa.Column("seq", BIG, primary_key=True, autoincrement=True),
        sa.Column("event_id", sa.Uuid, nullable=False, unique=True),
        sa.Column("event_version", sa.String(20), nullable=False),
        sa.Column("event_timestamp", MOMENT, nullable=False),
        *_texts(event_type=100, event_category=50, event_action=50, event_outcome=20, correlation_id=255, actor_type=50, actor_id=255),
        *_texts(resource_type=100, resource_name=255, resource_id=255, namespace=63),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("message", sa.String(1024), nullable=False),
        sa.Column("event_data", sa.JSON, nullable=False),
        sa.Column("stored_at", MOMENT, nullable=False),
    )
    op.create_index("ix_audit_events_correlation", "audit_events", ["correlation_id", "event_timestamp", "seq"])
    op.create_index("ix_audit_events_type", "audit_events", ["event_type", "event_timestamp"])
    op.create_index("ix_audit_events_time", "audit_events", ["event_timestamp", "seq"])


def _texts(**widths: int) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(width), nullable=False) for name, width in widths.items()]


def _remediations() -> None:
    op.create_table(
        "remediation_audit",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        sa.Column("alert_fingerprint", sa.String(64), nullable=False, index=True),
        sa.Column("remediation_name", sa.String(255), nullable=False, unique=True),
        sa.Column("overall_phase", sa.String(50), nullable=False, index=True),
        sa.Column("start_time", MOMENT, nullable=False),
        sa.Column("completion_time", MOMENT),
        sa.Column("timeout_phase", sa.String(63)),
        sa.Column("failure_reason", sa.Text),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
    )
    op.create_table(
        "service_crd_status",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        sa.Column("remediation_audit_id", BIG, sa.ForeignKey("remediation_audit.id", ondelete="CASCADE"), nullable=False),
        *_texts(service_type=63, crd_name=255, phase=50),
        sa.Column("start_time", MOMENT, nullable=False),
        sa.Column("completion_time", MOMENT),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.UniqueConstraint("remediation_audit_id", "service_type", "crd_name", name="uq_service_crd_status"),
    )


def _workflows() -> None:
    op.create_table(
        "workflow_audit",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        *_texts(event_type=100, workflow_execution_id=255, workflow_id=255),
        sa.Column("target_resource", sa.String(420), nullable=False, index=True),
        *_texts(phase=50, outcome=50),
        sa.Column("timestamp", MOMENT, nullable=False),
        sa.Column("correlation_id", sa.String(255), nullable=False, index=True),
        sa.Column("failure_reason", sa.Text),
        sa.Column("failure_message", sa.Text),
        sa.UniqueConstraint("workflow_execution_id", "event_type", name="uq_workflow_audit"),
    )

"""The first schema: audit events, remediation records with their service statuses, workflow records."""

from alembic import op

from kubernaut.datastorage.tables import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    metadata.create_all(op.get_bind())

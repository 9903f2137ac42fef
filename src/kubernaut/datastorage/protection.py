"""What the database itself refuses: changing or removing what is on record. And the months that PostgreSQL keeps it in."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

SEALED: Final = ("audit_events", "audit_checkpoints", "audit_days", "audit_purges")
"""Tables whose rows nobody updates or deletes."""
REFUSAL: Final = "the audit trail is never changed"
FUNCTION: Final = "kubernaut_refuse"


def statements(dialect: str) -> list[str]:
    """Return what closes the tables, for `sqlite` or `postgresql`."""
    return list(_sqlite() if dialect == "sqlite" else _postgresql())


def _sqlite() -> Iterator[str]:
    for table in SEALED:
        yield f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        expired = "WHEN OLD.chain_day >= (SELECT max(before_day) FROM audit_purges) " if table == "audit_events" else ""
        yield f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {expired}BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"


def _postgresql() -> Iterator[str]:
    yield (
        f"CREATE FUNCTION {FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'insufficient_privilege'; END $$"
    )
    for table in SEALED:
        yield f"CREATE TRIGGER {table}_sealed BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {FUNCTION}()"
        yield _no_truncate(table)


def _no_truncate(table: str) -> str:
    return f"CREATE TRIGGER {table}_whole BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {FUNCTION}()"


def month_of(day: date) -> date:
    """Return the first day of a day's month."""
    return day.replace(day=1)


def next_month(day: date) -> date:
    """Return the first day of the month after a day's."""
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


def partition_name(day: date) -> str:
    """Return the table that holds the records of a day's month."""
    return f"audit_events_{day:%Y_%m}"


def partition_statements(day: date) -> tuple[str, str]:
    """Return what makes the partition of a day's month; row triggers come from the parent, TRUNCATE needs one of its own."""
    first, end, name = month_of(day), next_month(day), partition_name(day)
    return f"CREATE TABLE {name} PARTITION OF audit_events FOR VALUES FROM ('{first}') TO ('{end}')", _no_truncate(name)

"""What data storage adds to bare inserts of the same rows into the same database, and what a case's trail costs among a million events.

Ratios within this run, not a machine's limits. PostgreSQL runs in a directory of its own with fsync on; SQLite commits in full.
"""

import asyncio
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from runpy import run_path
from statistics import median
from time import perf_counter
from typing import Any
from uuid import UUID

import aiohttp
import orjson
from sqlalchemy import insert, select, text

from kubernaut.api.audit import AuditEvent
from kubernaut.datastorage import query
from kubernaut.datastorage.app import datastorage_app
from kubernaut.datastorage.chain import Head
from kubernaut.datastorage.protection import partition_statements
from kubernaut.datastorage.settings import DataStorageSettings
from kubernaut.datastorage.store import Store
from kubernaut.datastorage.tables import audit_events
from kubernaut.datastorage.trail import chained
from kubernaut.service import serving
from kubernaut.telemetry import configure_logging

SERVER = Path(__file__).parents[1] / "tests" / "datastorage" / "postgres.py"
"""Runs a PostgreSQL, for the tests and for us."""
EVENTS, BATCH, SENDERS = 10_000, 50, 16
MILLION, A_CASE = 1_000_000, 50
QUESTIONS = 40
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BARE_DAYS = (date(2026, 3, 2), date(2026, 3, 3))
OLD_DAY = date(2026, 2, 1)


def event(number: int) -> AuditEvent:
    """Return an event of usual size."""
    return AuditEvent.model_validate(
        {
            "event_id": UUID(int=number + 1),
            "event_timestamp": NOW - timedelta(seconds=number % 3600),
            "event_type": "orchestration.remediationrequest.phasetransition",
            "event_category": "orchestration",
            "event_action": "PhaseTransition",
            "event_outcome": "success",
            "correlation_id": f"remediation-{number // A_CASE:08}",
            "resource_type": "RemediationRequest",
            "resource_name": f"remediation-{number // A_CASE:08}",
            "resource_id": str(UUID(int=number // A_CASE)),
            "namespace": "kubernaut-system",
            "target": f"shop/deployment/service-{number % 500}",
            "sequence": number % A_CASE,
            "message": "Executing → Verifying: the workflow has ended well; the target is watched",
            "event_data": {"from": "Executing", "to": "Verifying"},
        }
    )


def parts(events: Sequence[AuditEvent]) -> Iterator[Sequence[AuditEvent]]:
    """Yield batches as producers send them."""
    for start in range(0, len(events), BATCH):
        yield events[start : start + BATCH]


async def timed(work: Awaitable[object]) -> float:
    """Return the seconds that work takes."""
    began = perf_counter()
    await work
    return perf_counter() - began


async def side_by_side(batches: Iterator[Sequence[AuditEvent]], act: Callable[[Sequence[AuditEvent]], Awaitable[object]]) -> None:
    """Hand batches on by so many senders, each one after the other."""

    async def sender() -> None:
        for batch in batches:
            await act(batch)

    await asyncio.gather(*(sender() for _ in range(SENDERS)))


async def bare(store: Store, day: date, group: int) -> float:
    """Insert such rows, made beforehand, with as many in a transaction as data storage has at most; return the seconds."""
    others = (event(MILLION * day.day + number) for number in range(EVENTS))
    rows, _ = chained(
        Head(day, 0, "0" * 64, "0" * 64), [each.model_copy(update={"correlation_id": f"other-{day}"}) for each in others], NOW
    )

    async def work() -> None:
        for start in range(0, len(rows), group):
            async with store.database.engine.begin() as connection:
                await connection.execute(insert(audit_events), rows[start : start + group])

    return await timed(work())


async def storing(store: Store) -> None:
    """Measure and print how fast events are stored."""
    name = "PostgreSQL" if store.database.postgresql else "SQLite"
    events = [event(number) for number in range(2 * EVENTS + BATCH)]
    await store.add_events(events[2 * EVENTS :])
    before = await bare(store, BARE_DAYS[0], BATCH * SENDERS)
    direct = await timed(side_by_side(parts(events[:EVENTS]), store.add_events))
    async with serving(datastorage_app(store), host="127.0.0.1", port=0) as url, aiohttp.ClientSession(url) as http:
        over_http = await timed(side_by_side(parts(events[EVENTS : 2 * EVENTS]), lambda batch: post(http, batch)))
    again = await timed(side_by_side(parts(events[:EVENTS]), store.add_events))
    without = (before + await bare(store, BARE_DAYS[1], BATCH * SENDERS)) / 2
    for label, seconds in (
        ("bare inserts, the same rows, indexes and transactions", without),
        (f"store, {SENDERS} senders of {BATCH}", direct),
        ("over HTTP", over_http),
        ("told a second time", again),
    ):
        print(f"{name:<12}{label:<56}{EVENTS / seconds:>10.0f}/s{seconds / without:>8.2f}")


async def post(http: aiohttp.ClientSession, batch: Sequence[AuditEvent]) -> None:
    """Send a batch; raise unless all of it was taken."""
    async with http.post("/api/v1/audit/events/batch", data=orjson.dumps([each.wire() for each in batch])) as answer:
        if answer.status != 201:
            raise RuntimeError(await answer.text())


def plain_rows(count: int) -> Iterator[tuple[Any, ...]]:
    """Yield rows of `audit_events` in the order of its columns; what stands for their hashes is none."""
    data = '{"from":"Executing","to":"Verifying"}'
    for number in range(count):
        case, at = f"remediation-x{number // A_CASE:08}", NOW - timedelta(days=28, seconds=number % 86_000)
        what = ("orchestration.remediationrequest.phasetransition", "orchestration", "PhaseTransition", "success", case, "service", "bench")
        where = ("RemediationRequest", case, str(UUID(int=number // A_CASE)), "kubernaut-system", f"shop/deployment/service-{number % 500}")
        yield (
            OLD_DAY,
            number + 1,
            UUID(int=10**9 + number),
            "1.0",
            at,
            *what,
            *where,
            number % A_CASE,
            "in the old days",
            data,
            NOW,
            "0" * 64,
        )


async def fill(store: Store, path: str) -> None:
    """Put a million events beside the others, the quickest way each database has."""
    if not store.database.postgresql:
        await asyncio.to_thread(fill_sqlite, path)
        return
    columns = [str(column.name) for column in audit_events.columns]
    async with store.database.engine.begin() as connection:
        for statement in partition_statements(OLD_DAY):
            await connection.execute(text(statement))
        raw = (await connection.get_raw_connection()).driver_connection
        if raw is None:
            raise RuntimeError("no connection")
        await raw.copy_records_to_table("audit_events", records=plain_rows(MILLION), columns=columns, timeout=600)
    async with store.database.engine.begin() as connection:
        await connection.execute(text("ANALYZE audit_events"))


def fill_sqlite(path: str) -> None:
    """Insert by the driver itself."""
    with sqlite3.connect(path) as connection:
        marks = ", ".join("?" * len(audit_events.columns))
        rows = (tuple(_plain(value) for value in row) for row in plain_rows(MILLION))
        connection.executemany(f"INSERT INTO audit_events VALUES ({marks})", rows)  # noqa: S608
    connection.close()


def _plain(value: object) -> object:
    match value:
        case UUID():
            return value.hex
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M:%S.%f")
        case date():
            return value.isoformat()
    return value


async def asking(store: Store, path: str) -> None:
    """Measure and print what one case's trail costs before and after there are a million others."""
    name = "PostgreSQL" if store.database.postgresql else "SQLite"
    small = await a_question(store, "remediation-{:08}", EVENTS // A_CASE)
    took = await timed(fill(store, path))
    large = await a_question(store, "remediation-x{:08}", MILLION // A_CASE)
    async with store.database.engine.connect() as connection:
        ping = median([await timed(connection.execute(select(1))) for _ in range(QUESTIONS)])
    print(f"{name:<12}{f'a case of {A_CASE} among {4 * EVENTS}':<56}{small * 1000:>10.2f}ms")
    aside = f"(SELECT 1: {ping * 1000:.2f}ms; filled in {took:.0f}s)"
    print(f"{name:<12}{f'a case of {A_CASE} among {MILLION + 4 * EVENTS}':<56}{large * 1000:>10.2f}ms{large / small:>7.2f}   {aside}")


async def a_question(store: Store, case: str, cases: int) -> float:
    """Return the median seconds that reading a whole case takes."""
    took = []
    for number in range(QUESTIONS):
        asked = query.Question({"correlation_id": case.format(number * 7919 % cases)})
        began = perf_counter()
        page = await query.events(store.database, asked, limit=query.PAGE_LIMIT)
        took.append(perf_counter() - began)
        if len(page.events) != A_CASE:
            raise RuntimeError(f"{len(page.events)} events")
    return median(took)


async def measure(database: str, path: str = "") -> None:
    """Measure one database."""
    settings = DataStorageSettings(database=database, signing_key=f"{tempfile.mkdtemp()}/key.pem")
    store = await Store.open(settings, lambda: NOW)
    try:
        await storing(store)
        await asking(store, path)
    finally:
        await store.close()


def main() -> None:
    """Measure both databases and print."""
    configure_logging(level="error", form="console")
    print(f"{'':<12}{'events stored':<56}{'':>12}{'time, bare = 1':>16}")
    with tempfile.TemporaryDirectory() as home:
        asyncio.run(measure(f"sqlite+aiosqlite:///{home}/audit.db", f"{home}/audit.db"))
    with run_path(str(SERVER))["postgres"](durable=True) as server:
        asyncio.run(measure(server.database()))


if __name__ == "__main__":
    main()

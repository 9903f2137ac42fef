"""What data storage adds to bare inserts of the same rows into the same database.

Ratios within this run, not a machine's limits. PostgreSQL runs in a directory of its own with fsync on; SQLite commits in full.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from runpy import run_path
from time import perf_counter
from typing import TypeVar
from uuid import UUID

import aiohttp
import orjson
from sqlalchemy import insert

from kubernaut.api.audit import AuditEvent
from kubernaut.datastorage.app import datastorage_app
from kubernaut.datastorage.chain import Head
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
Batch = TypeVar("Batch")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BARE_DAYS = (date(2026, 3, 2), date(2026, 3, 3))


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


async def side_by_side(batches: Iterator[Batch], act: Callable[[Batch], Awaitable[object]]) -> None:
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
    bodies = [orjson.dumps([each.wire() for each in batch]) for batch in parts(events[EVENTS : 2 * EVENTS])]
    async with serving(datastorage_app(store), host="127.0.0.1", port=0) as url, aiohttp.ClientSession(url) as http:
        over_http = await timed(side_by_side(iter(bodies), lambda body: post(http, body)))
    again = await timed(side_by_side(parts(events[:EVENTS]), store.add_events))
    without = (before + await bare(store, BARE_DAYS[1], BATCH * SENDERS)) / 2
    for label, seconds in (
        ("bare inserts, the same rows, indexes and transactions", without),
        (f"store, {SENDERS} senders of {BATCH}", direct),
        ("over HTTP", over_http),
        ("told a second time", again),
    ):
        print(f"{name:<12}{label:<56}{EVENTS / seconds:>10.0f}/s{seconds / without:>8.2f}")


async def post(http: aiohttp.ClientSession, body: bytes) -> None:
    """Send a batch; raise unless all of it was taken."""
    async with http.post("/api/v1/audit/events/batch", data=body) as answer:
        if answer.status != 201:
            raise RuntimeError(await answer.text())


async def measure(database: str) -> None:
    """Measure one database."""
    settings = DataStorageSettings(database=database, signing_key=f"{tempfile.mkdtemp()}/key.pem")
    store = await Store.open(settings, lambda: NOW)
    try:
        await storing(store)
    finally:
        await store.close()


def main() -> None:
    """Measure both databases and print."""
    configure_logging(level="error", form="console")
    print(f"{'':<12}{'events stored':<56}{'':>12}{'time, bare = 1':>16}")
    with tempfile.TemporaryDirectory() as home:
        asyncio.run(measure(f"sqlite+aiosqlite:///{home}/audit.db"))
    with run_path(str(SERVER))["postgres"](durable=True) as server:
        asyncio.run(measure(server.database()))


if __name__ == "__main__":
    main()

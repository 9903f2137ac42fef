"""What questions cost among a million events: each against the same question among ten thousand, asked in turn.

Both trails tell of a year, in cases of fifty events, and are whole: chained, each day closed and signed, as an export of a case at the end
proves. They are filled the quickest way each database has. The questions are those that people and the analysis ask; only a target has
a hundred times the cases in the larger trail.
"""

import argparse
import asyncio
import io
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from runpy import run_path
from time import perf_counter
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import insert, text, update

from kubernaut.datastorage import history, query
from kubernaut.datastorage.chain import BEGINNING, Head, body, link
from kubernaut.datastorage.export import Selection, export
from kubernaut.datastorage.protection import month_of, partition_statements
from kubernaut.datastorage.settings import DataStorageSettings
from kubernaut.datastorage.store import Store
from kubernaut.datastorage.tables import audit_checkpoints, audit_days, audit_events, audit_head
from kubernaut.datastorage.verify import verify
from kubernaut.telemetry import configure_logging

SERVER = Path(__file__).parents[1] / "tests" / "datastorage" / "postgres.py"
"""Runs a PostgreSQL, for the tests and for us."""
FEW, A_CASE, TARGETS = 10_000, 50, 100
WARM, ASKED = 10, 200
FIRST, DAYS = date(2025, 1, 1), 365
COLUMNS = [str(column.name) for column in audit_events.columns]
Row = tuple[Any, ...]


def told(number: int, count: int) -> tuple[date, dict[str, Any]]:
    """Return an event of usual size, and the day it is stored."""
    day = FIRST + timedelta(days=number * DAYS // count)
    noon = datetime(day.year, day.month, day.day, 6, tzinfo=UTC)
    name = case_of(number // A_CASE)
    return day, {
        "event_id": UUID(int=number + 1),
        "event_version": "1.0",
        "event_timestamp": noon + timedelta(seconds=number % 40_000),
        "event_type": "orchestration.remediationrequest.phasetransition",
        "event_category": "orchestration",
        "event_action": "PhaseTransition",
        "event_outcome": "success",
        "correlation_id": name,
        "actor_type": "service",
        "actor_id": "kubernaut-system",
        "resource_type": "RemediationRequest",
        "resource_name": name,
        "resource_id": str(UUID(int=number // A_CASE)),
        "namespace": "kubernaut-system",
        "target": target_of(number // A_CASE),
        "sequence": number % A_CASE,
        "message": "Executing → Verifying: the workflow has ended well; the target is watched",
        "event_data": {"from": "Executing", "to": "Verifying"},
    }


def case_of(number: int) -> str:
    """Return a case's name."""
    return f"remediation-{number:08}"


def target_of(case: int) -> str:
    """Return what a case is about."""
    return f"shop/deployment/service-{case % TARGETS}"


class Chain:
    """A whole trail in the making: rows in order, and what closes each day."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.head = Head(FIRST - timedelta(days=1), 0, BEGINNING, BEGINNING).of(FIRST)
        self.closed: list[Head] = []

    def rows(self) -> Iterator[Row]:
        """Yield the rows of `audit_events`, in the order of its columns."""
        for number in range(self._count):
            day, event = told(number, self._count)
            if day != self.head.day:
                self.closed.append(self.head)
                self.head = self.head.of(day)
            at = event["event_timestamp"] + timedelta(seconds=1)
            place = self.head.position + 1
            last = link(self.head.hash, body(day, place, at, event))
            self.head = Head(day, place, last, self.head.follows)
            values = {**event, "event_data": orjson.dumps(event["event_data"]).decode()}
            yield tuple({**values, "chain_day": day, "position": place, "stored_at": at, "event_hash": last}[name] for name in COLUMNS)


async def fill(store: Store, path: str, count: int) -> None:
    """Write a trail of so many events, as if it had been stored over a year."""
    chain = Chain(count)
    if store.database.postgresql:
        await fill_postgresql(store, chain)
    else:
        await asyncio.to_thread(fill_sqlite, path, chain)
    if store.signer is None:
        raise RuntimeError("no key")
    now = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC) + timedelta(days=DAYS)
    marks = [store.signer.checkpoint(head, now) for head in (*chain.closed, chain.head)]
    ends = [{"day": head.day, "records": head.position, "follows": head.follows, "hash": head.hash} for head in chain.closed]
    last = {"day": chain.head.day, "position": chain.head.position, "hash": chain.head.hash, "follows": chain.head.follows}
    async with store.database.writing() as connection:
        await connection.execute(insert(audit_days), ends)
        await connection.execute(insert(audit_checkpoints), [{**each, "day": date.fromisoformat(each["day"])} for each in marks])
        await connection.execute(update(audit_head).where(audit_head.c.id == 1).values(last))
    async with store.database.writing() as connection:
        await connection.execute(text("ANALYZE audit_events"))


async def fill_postgresql(store: Store, chain: Chain) -> None:
    """Copy the rows in."""
    months = sorted({month_of(FIRST + timedelta(days=number)) for number in range(DAYS)})
    async with store.database.engine.begin() as connection:
        for statement in (each for month in months for each in partition_statements(month)):
            await connection.execute(text(statement))
        raw = (await connection.get_raw_connection()).driver_connection
        if raw is None:
            raise RuntimeError("no connection")
        await raw.copy_records_to_table("audit_events", records=chain.rows(), columns=COLUMNS, timeout=1200)


def fill_sqlite(path: str, chain: Chain) -> None:
    """Insert by the driver itself."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA cache_size = -200000")
        rows = (tuple(_plain(value) for value in row) for row in chain.rows())
        connection.executemany(f"INSERT INTO audit_events VALUES ({', '.join('?' * len(COLUMNS))})", rows)  # noqa: S608
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


@dataclass(frozen=True)
class Trail:
    """A filled data storage."""

    store: Store
    events: int

    async def a_case(self, number: int) -> int:
        """Read all of a case, by its correlation id."""
        asked = query.Question({"correlation_id": case_of(number % (self.events // A_CASE))})
        return len((await query.events(self.store.database, asked, limit=query.PAGE_LIMIT)).events)

    async def a_timeline(self, number: int) -> int:
        """Read a case as `kubernaut show --from-audit` does."""
        found = await history.timeline(self.store.database, case_of(number % (self.events // A_CASE)))
        return len(found["events"]) if found else 0

    async def a_target(self, number: int) -> int:
        """Read what was tried on a target, as the analysis does."""
        return len(await history.for_target(self.store.database, target_of(number)))

    async def a_page(self, number: int) -> int:
        """Read the first page of the events of a type since a day."""
        since = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC) + timedelta(days=number % DAYS)
        asked = query.Question({"event_type": "orchestration.remediationrequest.phasetransition"}, since=since)
        return len((await query.events(self.store.database, asked)).events)


QUESTIONS: Mapping[str, Callable[[Trail, int], Awaitable[int]]] = {
    f"all {A_CASE} events of a case, by correlation id": Trail.a_case,
    "the timeline of a case": Trail.a_timeline,
    "the last cases of a target, of 2 and of 200": Trail.a_target,
    "a page of events of a type since a day": Trail.a_page,
}


async def asking(few: Trail, many: Trail, ask: Callable[[Trail, int], Awaitable[int]]) -> tuple[list[float], list[float]]:
    """Put a question to both in turn; return the seconds each took, in order of size."""
    took: dict[int, list[float]] = {few.events: [], many.events: []}
    for number in range(-WARM, ASKED):
        for trail in (few, many) if number % 2 else (many, few):
            began = perf_counter()
            found = await ask(trail, number * 7919)
            if number >= 0:
                took[trail.events].append(perf_counter() - began)
            if not found:
                raise RuntimeError("nothing was found")
    return sorted(took[few.events]), sorted(took[many.events])


def report(name: str, label: str, few: Sequence[float], many: Sequence[float]) -> None:
    """Print a line: median and 95th percentile in milliseconds, and how many times the smaller's the larger's are."""
    middle, high = len(few) // 2, len(few) * 95 // 100
    figures = "".join(f"{1000 * each[place]:>9.2f}" for each in (few, many) for place in (middle, high))
    print(f"{name:<12}{label:<48}{figures}{many[middle] / few[middle]:>9.2f}{many[high] / few[high]:>9.2f}")


async def whole(trail: Trail) -> None:
    """Raise Broken unless a case out of the middle is as it was stored."""
    selection = Selection(correlation_id=case_of(trail.events // A_CASE // 2))
    lines = io.BytesIO(b"".join([piece async for piece in export(trail.store, selection)])).readlines()
    if (count := verify(lines).count) != A_CASE:
        raise RuntimeError(f"{count} events")


async def measure(events: int, places: Sequence[tuple[str, str]]) -> None:
    """Measure one database; `places` are the URLs and files of a small and a large one."""
    stores = []
    try:
        for url, _ in places:
            settings = DataStorageSettings(database=url, signing_key=f"{tempfile.mkdtemp()}/key.pem")
            stores.append(await Store.open(settings, lambda: datetime(2026, 3, 1, tzinfo=UTC)))
        few, many = (Trail(store, count) for store, count in zip(stores, (FEW, events), strict=True))
        began = perf_counter()
        for trail, (_, path) in zip((few, many), places, strict=True):
            await fill(trail.store, path, trail.events)
        name, filled = "PostgreSQL" if few.store.database.postgresql else "SQLite", perf_counter() - began
        for label, ask in QUESTIONS.items():
            report(name, label, *await asking(few, many, ask))
        await whole(many)
        print(f"{name:<12}(filled in {filled:.0f} s; an exported case verifies)")
    finally:
        for store in stores:
            await store.close()


def main() -> None:
    """Measure both databases and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000, help="how many the larger trail has")
    events = parser.parse_args().events
    configure_logging(level="error", form="console")
    print(f"{'':<60}{f'among {FEW}, ms':>18}{f'among {events}, ms':>18}{'ratio':>18}")
    print(f"{'':<60}{'p50':>9}{'p95':>9}{'p50':>9}{'p95':>9}{'p50':>9}{'p95':>9}")
    with tempfile.TemporaryDirectory() as home:
        files = [f"{home}/{size}.db" for size in ("few", "many")]
        asyncio.run(measure(events, [(f"sqlite+aiosqlite:///{file}", file) for file in files]))
    with run_path(str(SERVER))["postgres"](durable=True) as server:
        asyncio.run(measure(events, [(server.database(), "") for _ in range(2)]))


if __name__ == "__main__":
    main()

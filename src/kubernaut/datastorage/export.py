"""The trail as a file: JSON lines behind a signed manifest, which `verify` checks without a server."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, select

from kubernaut.api.base import Obj, Unusable
from kubernaut.datastorage.chain import ALGORITHM, Head, Signer, canonical, opening
from kubernaut.datastorage.store import Store
from kubernaut.datastorage.tables import EVENT_COLUMNS, audit_checkpoints, audit_days, audit_events, audit_head

FORMAT: Final = "kubernaut-audit/1"
CHUNK: Final = 1000


class Unsigned(Unusable):
    """There is no key to sign an export with."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What to export: the records stored on days from `first` to `last`, both included, or those of one case."""

    first: date | None = None
    last: date | None = None
    correlation_id: str = ""

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what a row must meet."""
        table = audit_events.c
        found: list[ColumnElement[bool]] = [table.correlation_id == self.correlation_id] if self.correlation_id else []
        found += [table.chain_day >= self.first] if self.first else []
        return found + ([table.chain_day <= self.last] if self.last else [])

    def told(self) -> Obj:
        """Return it as the manifest says it."""
        return {"first_day": self.first, "last_day": self.last, "correlation_id": self.correlation_id or None}


@dataclass
class _Survey:
    """Which records there are: runs of places in each day's chain, and a digest of their hashes in order."""

    ranges: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0
    digest: Any = field(default_factory=sha256)

    def see(self, day: date, position: int, record_hash: str) -> None:
        run = self.ranges[-1] if self.ranges else None
        if run and run["day"] == day and run["last"] == position - 1:
            run["last"] = position
        else:
            self.ranges.append({"day": day, "first": position, "last": position})
        self.count += 1
        self.digest.update(record_hash.encode())


async def export(store: Store, selection: Selection) -> AsyncIterator[bytes]:
    """Yield the file in pieces: the manifest, then a line a record in the order of the chain. Raise Unsigned before the first piece."""
    if store.signer is None:
        raise Unsigned("this data storage has no key to sign an export with: set datastorage.signing_key to a file")
    await store.act(lambda connection: _sign_head(store, connection))
    survey = await _survey(store, selection)
    yield await _manifest(store, store.signer, selection, survey)
    async for piece in _lines(store, selection, survey):
        yield piece


async def _sign_head(store: Store, connection: Any) -> int:
    await store.trail.checkpoint(connection, store.now())
    return 0


async def _survey(store: Store, selection: Selection) -> _Survey:
    table, survey = audit_events.c, _Survey()
    wanted = _ordered(select(table.chain_day, table.position, table.event_hash).where(*selection.conditions()))
    async with store.database.reading() as connection:
        async for row in await connection.stream(wanted.execution_options(yield_per=CHUNK)):
            survey.see(*row)
    return survey


def _ordered(wanted: Select[Any]) -> Select[Any]:
    return wanted.order_by(audit_events.c.chain_day, audit_events.c.position)


async def _manifest(store: Store, signer: Signer, selection: Selection, survey: _Survey) -> bytes:
    days = {run["day"] for run in survey.ranges}
    manifest = {
        "format": FORMAT,
        "algorithm": ALGORITHM,
        "made_at": store.now(),
        "selection": selection.told(),
        "count": survey.count,
        "digest": survey.digest.hexdigest(),
        "ranges": survey.ranges,
        "days": [
            {"day": head.day, "records": head.position, "follows": head.follows, "hash": head.hash} for head in await _days(store, days)
        ],
        "checkpoints": await _checkpoints(store, signer, days),
        "public_key": signer.public,
        "key_id": signer.key_id,
    }
    return canonical({"manifest": manifest, "signature": signer.sign(manifest)}) + b"\n"


async def _days(store: Store, days: set[date]) -> list[Head]:
    """Return where the chains of some days end, the open one's too."""
    async with store.database.reading() as connection:
        closed = (await connection.execute(select(audit_days).where(audit_days.c.day.in_(days)).order_by(audit_days.c.day))).all()
        head = (await connection.execute(select(audit_head))).one()
    found = [Head(row.day, row.records, row.hash, row.follows) for row in closed]
    return found + ([Head(head.day, head.position, head.hash, head.follows)] if head.day in days else [])


async def _checkpoints(store: Store, signer: Signer, days: set[date]) -> list[Obj]:
    """Return the checkpoints of some days that this key has signed."""
    table = audit_checkpoints.c
    wanted = select(audit_checkpoints).where(table.day.in_(days), table.key_id == signer.key_id).order_by(table.day, table.position)
    async with store.database.reading() as connection:
        rows = (await connection.execute(wanted)).mappings()
        return [{str(name): value for name, value in row.items()} | {"day": row["day"].isoformat()} for row in rows]


async def _lines(store: Store, selection: Selection, survey: _Survey) -> AsyncIterator[bytes]:
    """Yield the surveyed records, many lines a piece; what was stored since is left out."""
    if not survey.ranges:
        return
    end = (survey.ranges[-1]["day"], survey.ranges[-1]["last"])
    wanted = _ordered(select(audit_events).where(*selection.conditions())).execution_options(yield_per=CHUNK)
    before: tuple[date, int, str] | None = None
    async with store.database.reading() as connection:
        result = await connection.stream(wanted)
        async for rows in result.partitions():
            lines = []
            for row in rows:
                if (row.chain_day, row.position) > end:
                    break
                follows = before[2] if before and before[:2] == (row.chain_day, row.position - 1) else await _hash_before(store, row)
                lines.append(_line(row, follows))
                before = row.chain_day, row.position, row.event_hash
            yield b"".join(lines)


async def _hash_before(store: Store, row: Row[Any]) -> str:
    """Return the hash that a record follows."""
    if row.position == 1:
        (head,) = await _days(store, {row.chain_day})
        return opening(head.day, head.follows)
    table = audit_events.c
    wanted = select(table.event_hash).where(table.chain_day == row.chain_day, table.position == row.position - 1)
    async with store.database.engine.connect() as connection:
        return str((await connection.execute(wanted)).scalar() or "")


def _line(row: Row[Any], previous: str) -> bytes:
    told = {name: getattr(row, name) for name in EVENT_COLUMNS}
    place = {"day": row.chain_day, "position": row.position, "stored_at": row.stored_at}
    return canonical({**place, "event": told, "previous": previous, "hash": row.event_hash}) + b"\n"

"""Commands about the audit trail: hand it out, check it, show what is no longer in the cluster, bring its database up to date."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import quote

import aiohttp
import typer

from kubernaut.api.base import Obj, Unusable
from kubernaut.cli.connecting import KubeconfigOption
from kubernaut.cli.screen import Screen
from kubernaut.cli.storage import DataStorage, DataStorageOption, NoTrail, TokenFileOption, TokenOption
from kubernaut.cli.storage import data_storage as reach
from kubernaut.cli.telling import fail, finish
from kubernaut.cli.trail import MAX_EVENTS, Entry, read_trail, stamp, trail_lines
from kubernaut.network import words

app = typer.Typer(no_args_is_help=True, help="The audit trail: export it, verify an export without the server, see the key that signs it.")

CHUNK: Final = 1 << 20


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="where to write it; it must not be there yet")],
    since: Annotated[str, typer.Option(help="first day of storing, such as 2026-01-31; default: the first of all")] = "",
    until: Annotated[str, typer.Option(help="last day of storing; default: today")] = "",
    case: Annotated[str, typer.Option(help="only the records of one case: the remediation's name")] = "",
    data_storage: DataStorageOption = "",
    token: TokenOption = "",
    token_file: TokenFileOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Write the trail to a file: JSON lines behind a manifest that data storage has signed."""
    asked = {"first_day": since, "last_day": until, "correlation_id": case}
    params = {name: value for name, value in asked.items() if value}
    if file.exists():
        fail(f"{file} is there already: nothing is overwritten", 2)

    async def work() -> None:
        part = file.with_name(f"{file.name}.part")
        storage = await reach(data_storage, token=token, token_file=token_file, kubeconfig=kubeconfig)
        try:
            await _download(storage, params, part)
            told = await asyncio.to_thread(_verified, part, "")
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
        typer.echo(f"{file}: {told}")

    finish(work())


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="an export")],
    key: Annotated[str, typer.Option(help="the public key you trust, in base64 as kubernaut audit key shows it, or a PEM file")] = "",
) -> None:
    """Check an export by itself, without the server; names the first record that is bad, missing or moved."""
    try:
        typer.echo(f"{file}: {_verified(file, key)}")
    except (OSError, Unusable) as fault:
        fail(f"{file}: {fault.strerror if isinstance(fault, OSError) else fault}")


@app.command()
def key(
    data_storage: DataStorageOption = "",
    token: TokenOption = "",
    token_file: TokenFileOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Show the public key that signs; keep it where data storage cannot change it, for audit verify --key."""

    async def work() -> None:
        storage = await reach(data_storage, token=token, token_file=token_file, kubeconfig=kubeconfig)
        typer.echo((await storage.ask("/api/v1/audit/key"))["public_key"])

    finish(work())


def _verified(file: Path, key: str) -> str:
    """Check a file; return what to tell of it."""
    from kubernaut.datastorage.keys import public_key  # noqa: PLC0415  (a command loads only what it runs)
    from kubernaut.datastorage.verify import verify as check  # noqa: PLC0415

    with file.open("rb") as lines:
        found = check(lines, key=public_key(key) if key else "")
    span = f", {found.first} to {found.last}" if found.count else ""
    compared = "the key you gave" if found.compared else f"key {found.key_id} (not compared with one of yours: give --key)"
    return f"whole: {found.count} records{span}, signed by {compared} at {found.made_at}"


async def _download(storage: DataStorage, params: dict[str, str], part: Path) -> None:
    """Write an export as it comes; raise NoTrail when it does not come to its end."""
    try:
        with await asyncio.to_thread(part.open, "xb") as file:
            async with storage.session() as session, session.get("/api/v1/audit/export", params=params) as answer:
                await storage.refused(answer)
                async for piece in answer.content.iter_chunked(CHUNK):
                    await asyncio.to_thread(file.write, piece)
            await asyncio.to_thread(os.fsync, file.fileno())
    except (aiohttp.ClientError, TimeoutError) as fault:
        raise NoTrail(f"data storage at {storage.url} broke off: {words(fault)}") from fault


def timeline(
    name: Annotated[str, typer.Argument(help="the remediation, also one that is gone from the cluster")],
    data_storage: DataStorageOption = "",
    token: TokenOption = "",
    token_file: TokenFileOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Show what happened in one case, from the audit trail."""

    async def work() -> None:
        storage = await reach(data_storage, token=token, token_file=token_file, kubeconfig=kubeconfig)
        entries = await read_trail(storage, name)
        if not entries:
            fail(f"nothing is on record about {name!r}")
        Screen().trail(entries, name)
        if len(entries) >= MAX_EVENTS:
            typer.echo(f"these are the first {len(entries)} facts; kubernaut audit export FILE --case {name} writes all")

    finish(work())


async def shown(storage: DataStorage, name: str) -> list[str]:
    """Return a remediation as the trail tells of it, as lines: how it ended, its stage objects, its fixes, what happened."""
    told = await storage.ask(f"/api/v1/query/remediation/{quote(name, safe='')}/timeline")
    facts = [Entry.model_validate(each) for each in told["events"]]
    record = told.get("remediation") or {"overallPhase": "no remediation record, only what happened", "serviceCrdStatuses": []}
    more = [f"    and more: kubernaut audit export FILE --case {name} writes all"] if told["truncated"] else []
    happened = [f"    {line}" for line in trail_lines(facts)]
    return [*_head(name, record, facts), *_objects(record), *_fixes(told["workflows"]), "", "  what happened", *happened, *more]


def _head(name: str, record: Obj, facts: Sequence[Entry]) -> Iterator[str]:
    """Yield what it was about and how it ended, as far as that is on record."""
    outcome = next((str(each.event_data["outcome"]) for each in reversed(facts) if each.event_data.get("outcome")), "")
    yield f"{name}: {record['overallPhase']}{f' ({outcome})' if outcome else ''}, from the audit trail"
    yield ""
    if target := next((each.target for each in facts if each.target), ""):
        yield f"  target       {target}"
    for title, field in (("started", "startTime"), ("ended", "completionTime")):
        if field in record:
            yield f"  {title:<12} {stamp(datetime.fromisoformat(record[field]))} UTC"
    for title, field in (("timed out in", "timeoutPhase"), ("failed", "failureReason"), ("fingerprint", "alertFingerprint")):
        if field in record:
            yield f"  {title:<12} {record[field]}"


def _objects(record: Obj) -> list[str]:
    rows = [f"    {each['serviceType']:<24} {each['phase']:<12} {each['crdName']}" for each in record["serviceCrdStatuses"]]
    return ["", "  objects", *rows] if rows else []


def _fixes(tried: Sequence[Obj]) -> list[str]:
    """Return each fix as it was last told of: there is a record of its start and one of its end."""
    last = {each["workflowExecutionId"]: each for each in tried}.values()
    rows = [f"    {each['phase']:<12} {each['workflowId'] or 'planned steps'} on {each['targetResource']}{_why(each)}" for each in last]
    return ["", "  fixes", *rows] if rows else []


def _why(tried: Obj) -> str:
    said = [str(tried[field]) for field in ("failureReason", "failureMessage") if tried.get(field)]
    return f": {': '.join(said)}" if said else ""


def migrate(config: Path | None) -> None:
    """Bring the audit database's schema up to date; end the command."""
    from kubernaut.datastorage.database import Database  # noqa: PLC0415  (a command loads only what it runs)
    from kubernaut.settings import load  # noqa: PLC0415

    async def work() -> None:
        settings = load(config).datastorage
        database = await Database.open(settings.database)
        await database.close()
        typer.echo("the audit database is up to date")

    finish(work())

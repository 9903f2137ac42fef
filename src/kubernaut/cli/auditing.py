"""Commands about the audit trail: hand it out, check it, show what is no longer in the cluster, bring its database up to date."""

import asyncio
import json
import os
from pathlib import Path
from typing import Annotated, Final

import aiohttp
import typer

from kubernaut.api.base import Obj, Unusable
from kubernaut.cli.places import running_place
from kubernaut.cli.telling import fail, finish
from kubernaut.cli.trail import Entry, NoTrail, trail_lines

app = typer.Typer(no_args_is_help=True, help="The audit trail: export it, verify an export without the server, see the key that signs it.")

CHUNK: Final = 1 << 20
FAULT_LIMIT: Final = 2048
SILENCE_SECONDS: Final = 60
DataStorageOption = Annotated[
    str, typer.Option("--data-storage", envvar="KUBERNAUT_SERVICES__DATASTORAGE", help="URL of data storage; default: the embedded one")
]
TokenOption = Annotated[str, typer.Option("--token", envvar="KUBERNAUT_TOKEN", help="bearer token, where data storage asks for one")]


def url_of(given: str) -> str:
    """Return where data storage is: the URL given, else the embedded system's; end the command where there is neither."""
    place = running_place()
    announced = place.announced() if place else None
    url = given or (announced.datastorage if announced else "")
    if not url:
        fail("where is data storage? give --data-storage URL (nothing embedded runs here)", 2)
    return url


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="where to write it; it must not be there yet")],
    since: Annotated[str, typer.Option(help="first day of storing, such as 2026-01-31; default: the first of all")] = "",
    until: Annotated[str, typer.Option(help="last day of storing; default: today")] = "",
    case: Annotated[str, typer.Option(help="only the records of one case: the remediation's name")] = "",
    data_storage: DataStorageOption = "",
    token: TokenOption = "",
) -> None:
    """Write the trail to a file: JSON lines behind a manifest that data storage has signed."""
    asked = {"first_day": since, "last_day": until, "correlation_id": case}
    params = {name: value for name, value in asked.items() if value}
    if file.exists():
        fail(f"{file} is there already: nothing is overwritten", 2)
    url = url_of(data_storage)

    async def work() -> None:
        part = file.with_name(f"{file.name}.part")
        try:
            await _download(url, params, token, part)
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
def key(data_storage: DataStorageOption = "", token: TokenOption = "") -> None:
    """Show the public key that signs; keep it where data storage cannot change it, for audit verify --key."""
    url = url_of(data_storage)

    async def work() -> None:
        typer.echo((await ask(url, "/api/v1/audit/key", token))["public_key"])

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


async def _download(url: str, params: dict[str, str], token: str, part: Path) -> None:
    """Write an export as it comes; raise NoTrail when it does not come to its end."""
    try:
        async with _session(url, token) as session, session.get("/api/v1/audit/export", params=params) as answer:
            await _refused(url, answer)
            with await asyncio.to_thread(part.open, "xb") as file:
                async for piece in answer.content.iter_chunked(CHUNK):
                    await asyncio.to_thread(file.write, piece)
                await asyncio.to_thread(os.fsync, file.fileno())
    except (aiohttp.ClientError, TimeoutError) as fault:
        raise NoTrail(f"data storage at {url} broke off: {fault or 'no answer in time'}") from fault


async def ask(url: str, path: str, token: str = "") -> Obj:
    """Return data storage's answer to a question; raise NoTrail where there is none."""
    try:
        async with _session(url, token) as session, session.get(path) as answer:
            await _refused(url, answer)
            found: Obj = await answer.json()
    except (aiohttp.ClientError, TimeoutError) as fault:
        raise NoTrail(f"data storage at {url} does not answer: {fault or 'no answer in time'}") from fault
    return found


def _session(url: str, token: str) -> aiohttp.ClientSession:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SILENCE_SECONDS)
    return aiohttp.ClientSession(url, headers=headers, timeout=timeout)


async def _refused(url: str, answer: aiohttp.ClientResponse) -> None:
    """Raise NoTrail, in data storage's own words, unless the answer is a good one."""
    if answer.ok:
        return
    text = (await answer.content.read(FAULT_LIMIT)).decode(errors="replace")
    try:
        said = str(json.loads(text)["detail"])
    except (ValueError, KeyError, TypeError):
        said = text or str(answer.reason)
    raise NoTrail(f"data storage at {url}: {said}")


def show(name: str, data_storage: str) -> None:
    """Show a remediation from the trail; end the command."""
    url = url_of(data_storage)

    async def work() -> None:
        typer.echo("\n".join(await shown(url, name)))

    finish(work())


async def shown(url: str, name: str, token: str = "") -> list[str]:
    """Return a remediation as the trail tells of it, as lines: its record, its stage objects, what happened."""
    told = await ask(url, f"/api/v1/query/remediation/{name}/timeline", token)
    return [*_record(name, told.get("remediation")), *_workflows(told["workflows"]), "", "  what happened", *_events(told)]


def _record(name: str, record: Obj | None) -> list[str]:
    if record is None:
        return [f"{name}: no remediation record, only what happened"]
    lines = [f"{name}: {record['overallPhase']} (from the audit trail)", ""]
    rows = (("started", "startTime"), ("ended", "completionTime"), ("fingerprint", "alertFingerprint"))
    lines += [f"  {title:<12}{record[field]}" for title, field in rows if field in record]
    lines += [f"  timed out   in {record['timeoutPhase']}"] if "timeoutPhase" in record else []
    lines += [f"  failed      {record['failureReason']}"] if "failureReason" in record else []
    objects = [f"    {each['serviceType']:<24} {each['phase']:<12} {each['crdName']}" for each in record["serviceCrdStatuses"]]
    return [*lines, "", "  objects", *objects]


def _workflows(tried: list[Obj]) -> list[str]:
    rows = [f"    {each['phase']:<12} {each['workflowId'] or 'planned steps'} on {each['targetResource']}" for each in tried]
    return ["", "  fixes", *rows] if rows else []


def _events(told: Obj) -> list[str]:
    lines = [f"    {line}" for line in trail_lines([Entry.model_validate(each) for each in told["events"]])]
    return [*lines, "    and more: kubernaut audit export --case writes all"] if told["truncated"] else lines


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

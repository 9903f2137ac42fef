"""The audit trail of one case, read back from data storage."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import aiohttp
from pydantic import BaseModel, ConfigDict
from rich.table import Table
from rich.text import Text

PAGE = 500
MAX_EVENTS = 10_000
TRANSITION = "PhaseTransition"
STYLES = {"failure": "red", "pending": "yellow"}


class Entry(BaseModel):
    """One fact of the trail."""

    model_config = ConfigDict(extra="ignore")

    event_timestamp: datetime
    event_outcome: str
    event_action: str
    actor_id: str = ""
    actor_type: str = ""
    resource_type: str = ""
    resource_name: str = ""
    message: str = ""


class NoTrail(Exception):  # noqa: N818  (says what is so)
    """The trail cannot be read; the message says why."""


async def read_trail(datastorage: str, correlation_id: str) -> list[Entry]:
    """Return all facts of a case in order of time; raise NoTrail when data storage does not answer."""
    entries: list[Entry] = []
    cursor = ""
    try:
        async with aiohttp.ClientSession(datastorage, timeout=aiohttp.ClientTimeout(total=30)) as session:
            while len(entries) < MAX_EVENTS:
                params = {"correlation_id": correlation_id, "limit": str(PAGE), "cursor": cursor}
                async with session.get("/api/v1/audit/events", params=params) as answer:
                    answer.raise_for_status()
                    page = await answer.json()
                entries += [Entry.model_validate(each) for each in page["data"]]
                cursor = page["pagination"]["next_cursor"]
                if not cursor:
                    break
    except (aiohttp.ClientError, TimeoutError) as error:
        raise NoTrail(f"data storage at {datastorage} does not answer: {error}") from error
    return entries


def trail_table(entries: Sequence[Entry], title: str) -> Table:
    """Return the trail as a table."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    table.add_column("when", justify="right", no_wrap=True, style="dim")
    table.add_column("who", no_wrap=True)
    table.add_column("what", no_wrap=True)
    table.add_column("why", overflow="fold")
    for entry, (when, who, what, why) in zip(entries, _rows(entries), strict=True):
        table.add_row(when, who, what, Text(why, style=STYLES.get(entry.event_outcome, "")))
    return table


def trail_lines(entries: Sequence[Entry]) -> list[str]:
    """Return the trail as plain lines, one a fact."""
    return [f"{when:>8}  {who:<23}  {what:<26}  {why}" for when, who, what, why in _rows(entries)]


def _rows(entries: Sequence[Entry]) -> Iterator[tuple[str, str, str, str]]:
    for entry in entries:
        after = (entry.event_timestamp - entries[0].event_timestamp).total_seconds()
        who = entry.actor_id if entry.actor_type == "user" else entry.resource_type
        what, why = entry.event_action, " ".join(entry.message.split())
        if entry.event_action == TRANSITION and ": " in why:
            what, why = why.split(": ", 1)
        yield f"+{after:.1f}s", who, what, why

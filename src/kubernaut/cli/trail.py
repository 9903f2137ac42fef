"""The audit trail of one case, read back from data storage."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict
from rich.table import Table
from rich.text import Text

from kubernaut.api.base import FreeForm
from kubernaut.api.durations import go_duration
from kubernaut.cli.storage import DataStorage

PAGE = 500
MAX_EVENTS = 10_000
TRANSITION = "PhaseTransition"
MINUTE = 60
TABLE_WIDTH = 110
"""Columns below which a table would leave no room for the reasons."""
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
    target: str = ""
    event_data: FreeForm = {}


async def read_trail(storage: DataStorage, correlation_id: str) -> list[Entry]:
    """Return the facts of a case in order of time, at most `MAX_EVENTS`; raise NoTrail when data storage does not answer."""
    entries: list[Entry] = []
    cursor = ""
    while len(entries) < MAX_EVENTS:
        page = await storage.ask("/api/v1/audit/events", correlation_id=correlation_id, limit=str(PAGE), cursor=cursor)
        entries += [Entry.model_validate(each) for each in page["data"]]
        cursor = page["pagination"]["next_cursor"]
        if not cursor:
            break
    return entries


def trail_table(entries: Sequence[Entry], title: str) -> Table:
    """Return the trail as a table; its title says the day, and each later day where it begins."""
    day = f", {entries[0].event_timestamp.astimezone(UTC):%Y-%m-%d}" if entries else ""
    table = Table(title=f"{title}{day}", title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    table.add_column("UTC", no_wrap=True)
    table.add_column("after", justify="right", no_wrap=True, style="dim")
    table.add_column("who", no_wrap=True)
    table.add_column("what", no_wrap=True)
    table.add_column("why", overflow="fold")
    before = day.strip(", ")
    for entry, (at, after, who, what, why) in zip(entries, _rows(entries), strict=True):
        date, time = at.split()
        if date != before:
            table.add_row(date)
        table.add_row(time, after, who, what, Text(why, style=STYLES.get(entry.event_outcome, "")))
        before = date
    return table


def trail_lines(entries: Sequence[Entry]) -> list[str]:
    """Return the trail as plain lines, one a fact, in columns."""
    rows = [*_rows(entries)]
    after, who, what = (max((len(row[column]) for row in rows), default=0) for column in (1, 2, 3))
    return [f"{row[0]}  {row[1]:>{after}}  {row[2]:<{who}}  {row[3]:<{what}}  {row[4]}".rstrip() for row in rows]


def _rows(entries: Sequence[Entry]) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield when each fact was, in UTC and after the first, whose it is, what it is, and why."""
    for entry in entries:
        who = entry.actor_id if entry.actor_type == "user" else entry.resource_type
        what, why = entry.event_action, " ".join(entry.message.split())
        if entry.event_action == TRANSITION and ": " in why:
            what, why = why.split(": ", 1)
        yield stamp(entry.event_timestamp), f"+{_after(entry.event_timestamp - entries[0].event_timestamp)}", who, what, why


def stamp(moment: datetime) -> str:
    """Return a moment in UTC, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _after(length: timedelta) -> str:
    """Return a duration: tenths of a second where it is short, seconds beyond a minute."""
    seconds = max(0.0, length.total_seconds())
    return f"{seconds:.1f}s" if seconds < MINUTE else go_duration(timedelta(seconds=int(seconds)))

"""The last lines of containers that do not stay up or do not serve, else of those that do: which are asked for, how they are read.

Bounded in number, size and time, and without secrets before anybody sees them. What they say is data: it is quoted and matched, and what
is wrong with the cluster's objects decides. Logs that cannot be read are said to be unread, and nothing else changes.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Final, Protocol

from kubernaut.analysis.containers import Container, containers
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api import core
from kubernaut.api.redact import redact
from kubernaut.kube.client import Client, path_of
from kubernaut.kube.clock import Clock
from kubernaut.kube.errors import ApiError

UNREAD: Final = "pods/log"
"""How a snapshot calls logs that could not be read."""
LINES: Final = 80
BYTES: Final = 16 * 1024
"""Characters of a log that are kept, from its end."""
FETCHED: Final = 256 * 1024
"""Bytes that one log may send; the API counts them from the first of the last lines."""
LOGS: Final = 12
"""Logs read for one question."""
ALIKE: Final = 2
"""Containers of one name and workload whose logs are read: others say the same."""
BUDGET: Final = 5.0
"""Seconds that all logs of a question may take together."""
AT_ONCE: Final = 4
FRESH: Final = timedelta(seconds=30)
"""How long what was read serves for the same question."""
HELD: Final = 64
"""Questions whose logs are held."""
_CUT_KEY: Final = re.compile(r"\A(?:(?!-----BEGIN )[^\n]*\n)*?-----END [A-Z ]{1,40}-----")
"""A key whose beginning was cut off, with all before it."""
_NEVER_RAN: Final = frozenset({400, 404})
"""What the API answers where there is no log: the pod is gone, or the container never ran."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One log that would help."""

    namespace: str
    pod: str
    container: str
    previous: bool
    """Whether it is that of the instance before the present one."""

    @property
    def key(self) -> str:
        """What a snapshot files it under."""
        return f"{self.namespace}/{self.pod}/{self.container}"


@dataclass(frozen=True, slots=True)
class Logs:
    """What was read."""

    texts: Mapping[str, str] = field(default_factory=dict)
    """By `namespace/pod/container`, without secrets."""
    unread: bool = False
    """Whether some could not be read, for lack of rights or time."""


class LogSource(Protocol):
    """Where logs come from: an API server, or files."""

    async def read(self, wanted: Sequence[Wanted]) -> Logs:
        """Return the last lines of those that have any; say whether some could not be read."""
        ...


def wanted(snapshot: Snapshot) -> list[Wanted]:
    """Return the logs that would help with a snapshot and with what it leads to; none of what says by itself why it is down.

    Where all that the subject has is up and ready, programs that serve are asked, its own first, then those that it calls: they may serve,
    and complain all the same.
    """
    down = _chosen(_asked(snapshot), _of)
    well = all(row.ready for row in containers(snapshot) if not row.init)
    return [*down, *_chosen(_asked(snapshot), _serving)][:LOGS] if well else down


def _chosen(asked: Iterator[tuple[str, Container]], choose: Callable[[Container], Wanted | None]) -> list[Wanted]:
    found: dict[str, Wanted] = {}
    seen: dict[tuple[str, str], int] = {}
    for top, container in asked:
        row = choose(container)
        if row is None or row.key in found or seen.get((top, container.name), 0) >= ALIKE:
            continue
        seen[top, container.name] = seen.get((top, container.name), 0) + 1
        found[row.key] = row
    return list(found.values())[:LOGS]


def _asked(snapshot: Snapshot) -> Iterator[tuple[str, Container]]:
    yield from ((snapshot.target.path(), container) for container in containers(snapshot))
    yield from chain.from_iterable(_asked(lead.snapshot) for lead in snapshot.leads if lead.snapshot)


def _of(container: Container) -> Wanted | None:
    """Return the log that tells why a container is down, or does not serve; None where none would, or a last message does."""
    ended = next(iter(container.ends()), None)
    meta = container.pod["metadata"]
    place = str(meta.get("namespace", "")), str(meta["name"]), container.name
    if ended is not None and ended.exit_code and not container.ready:
        return None if ended.message or ended.reason == "OOMKilled" else Wanted(*place, ended.where == "lastState")
    return Wanted(*place, previous=False) if container.running_since and not container.ready else None


def _serving(container: Container) -> Wanted | None:
    meta = container.pod["metadata"]
    up = container.ready and container.running_since and not container.init
    return Wanted(str(meta.get("namespace", "")), str(meta["name"]), container.name, previous=False) if up else None


def last_lines(text: str) -> str:
    """Return the end of a log, whole lines of it, without secrets: they are looked for in more of it than is kept."""
    begun = _CUT_KEY.sub("", "\n".join(text.splitlines()[-2 * LINES :]))
    lines = "\n".join(redact(begun).splitlines()[-LINES:])
    if len(lines) > BYTES:
        _, _, lines = lines[-BYTES:].partition("\n")
    return lines


class ApiLogs:
    """Logs as the API server hands them out."""

    def __init__(self, client: Client, *, budget: float = BUDGET) -> None:
        self._client = client
        self._budget = budget

    async def read(self, wanted: Sequence[Wanted]) -> Logs:
        """Read them, a few at once, as many as the time allows."""
        slots, texts, refused = asyncio.Semaphore(AT_ONCE), dict[str, str](), list[Wanted]()

        async def one(row: Wanted) -> None:
            async with slots:
                try:
                    texts[row.key] = last_lines(await self._text(row))
                except ApiError as fault:
                    if fault.status not in _NEVER_RAN:
                        refused.append(row)

        late = False
        try:
            async with asyncio.timeout(self._budget):
                await asyncio.gather(*map(one, wanted))
        except TimeoutError:
            late = True
        return Logs({key: text for key, text in sorted(texts.items()) if text}, unread=late or bool(refused))

    async def _text(self, row: Wanted) -> str:
        path = path_of(core.POD, row.namespace, row.pod, "log")
        asked = {"container": row.container, "tailLines": str(2 * LINES), "limitBytes": str(FETCHED)}
        return await self._client.text(path, **asked, **({"previous": "true"} if row.previous else {}))


class RecentLogs:
    """Logs that were read a moment ago are not read again: whoever waits for a slow investigator asks the same every few seconds."""

    def __init__(self, source: LogSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._held: OrderedDict[tuple[Wanted, ...], tuple[datetime, Logs]] = OrderedDict()

    async def read(self, wanted: Sequence[Wanted]) -> Logs:
        """Return what was read lately, else read it."""
        key, now = tuple(wanted), self._clock.now()
        held = self._held.get(key)
        if held is None or now - held[0] > FRESH:
            held = self._held[key] = now, await self._source.read(wanted)
            self._held.move_to_end(key)
            while len(self._held) > HELD:
                self._held.popitem(last=False)
        return held[1]

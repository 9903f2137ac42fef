"""Asks the investigators about every subject of a request, and keeps what says most: the same for the stage and for a person's terminal."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from kubernaut.analysis.collect import Collector
from kubernaut.analysis.investigators.base import Finding, Investigator, Question, Verdict
from kubernaut.analysis.investigators.chain import ask_in_turn
from kubernaut.analysis.logs import Logs, LogSource, wanted
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import ResourceIdentifier

_RANKS: Final = {Verdict.CAUSE_FOUND: 0, Verdict.INCONCLUSIVE: 1, Verdict.NO_ACTION: 2}
"""Of several subjects, the one with a cause counts; all must be well for nothing to be done."""

ROUNDS: Final = 2
"""How often logs are read for one subject: what the first say may lead to a workload whose own are worth reading."""


class Diagnosis:
    """Collects, and asks."""

    def __init__(self, collector: Collector, investigators: Sequence[Investigator], logs: LogSource | None = None) -> None:
        self._collector = collector
        self._logs = logs
        self._investigators = tuple(investigators)

    async def find(self, question: Question, now: datetime) -> tuple[Finding, Snapshot]:
        """Return the finding that says most of all subjects of the scope, with what it was seen in. May raise `Unfinished`."""
        found = []
        for subject in self._collector.subjects(question.request):
            snapshot = await self._taken(question, subject, now)
            found.append((await ask_in_turn(self._investigators, question, snapshot), snapshot))
        return min(found, key=lambda row: (_RANKS[row[0].verdict], -row[0].cause.confidence))

    async def _taken(self, question: Question, subject: ResourceIdentifier, now: datetime) -> Snapshot:
        """Return the cluster around a subject; taken again where logs were read, as they may tell where else to look, and to read."""
        snapshot, read, asked = self._collector.collect(question.request, subject, now), Logs(), set[str]()
        for _ in range(ROUNDS if self._logs else 0):
            rows = [row for row in wanted(snapshot) if row.key not in asked]
            if self._logs is None or not rows:
                break
            more = await self._logs.read(rows)
            asked |= {row.key for row in rows}
            read = Logs({**read.texts, **more.texts}, read.unread or more.unread)
            snapshot = self._collector.collect(question.request, subject, now, read) if more.texts or more.unread else snapshot
        return snapshot

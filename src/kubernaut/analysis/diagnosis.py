"""Asks the investigators about every subject of a request, and keeps what says most: the same for the stage and for a person's terminal."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from kubernaut.analysis.collect import Collector
from kubernaut.analysis.investigators.base import Finding, Investigator, Question, Verdict
from kubernaut.analysis.investigators.chain import ask_in_turn
from kubernaut.analysis.logs import LogSource, wanted
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import ResourceIdentifier

_RANKS: Final = {Verdict.CAUSE_FOUND: 0, Verdict.INCONCLUSIVE: 1, Verdict.NO_ACTION: 2}
"""Of several subjects, the one with a cause counts; all must be well for nothing to be done."""


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
        """Return the cluster around a subject; taken once more where logs were read, as they may tell where else to look."""
        snapshot = self._collector.collect(question.request, subject, now)
        rows = wanted(snapshot) if self._logs else []
        if self._logs is None or not rows:
            return snapshot
        read = await self._logs.read(rows)
        return self._collector.collect(question.request, subject, now, read) if read.texts or read.unread else snapshot

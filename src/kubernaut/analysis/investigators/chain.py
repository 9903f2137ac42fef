"""Who is asked after whom: the rules first, and HolmesGPT when settings want it. The one place that knows their order.

The rules' answer stands wherever HolmesGPT knows nothing better, and says what HolmesGPT said.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from kubernaut.analysis.investigators.base import Alternative, Finding, Investigator, Question, Verdict
from kubernaut.analysis.investigators.holmesgpt.book import LeaseBook
from kubernaut.analysis.investigators.holmesgpt.investigator import HolmesInvestigator
from kubernaut.analysis.investigators.holmesgpt.process import HolmesProcess
from kubernaut.analysis.investigators.holmesgpt.settings import HolmesGPTSettings, When
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.kube.cluster import Cluster

NAME: Final = "rules and HolmesGPT"


def holmesgpt(settings: HolmesGPTSettings, cluster: Cluster, namespace: str) -> HolmesInvestigator | None:
    """Return HolmesGPT, where it is to be asked at all; what it spends is on record in our namespace."""
    if settings.asked is When.NEVER:
        return None
    book = partial(LeaseBook, client=cluster.client, namespace=namespace)
    return HolmesInvestigator(settings, cluster.clock, HolmesProcess(settings), book)


class Chain:
    """Investigators in their order, and behind them one that is asked when they are not sure enough."""

    def __init__(self, first: Sequence[Investigator], then: Investigator, settings: HolmesGPTSettings) -> None:
        self._first = tuple(first)
        self._then = then
        self._settings = settings

    @property
    def name(self) -> str:
        """How it signs where nobody else does."""
        return NAME

    async def investigate(self, question: Question, snapshot: Snapshot) -> Finding:
        """Return the first answer that knows; else, or when settings want more, what it and HolmesGPT's come to. May raise `Unfinished`."""
        known = await ask_in_turn(self._first, question, snapshot)
        if not self._wanted(known):
            return known
        second = await self._then.investigate(replace(question, known=known), snapshot)
        return replace(together(known, second), contact=second.contact)

    def _wanted(self, known: Finding) -> bool:
        match self._settings.asked:
            case When.NEVER:
                return False
            case When.UNKNOWN:
                return known.verdict is Verdict.INCONCLUSIVE
            case When.UNSURE:
                return known.verdict is not Verdict.NO_ACTION and known.cause.confidence < self._settings.unsure_below
            case When.ALWAYS:
                return known.verdict is not Verdict.NO_ACTION


async def ask_in_turn(investigators: Sequence[Investigator], question: Question, snapshot: Snapshot) -> Finding:
    """Ask until one knows; the first one's answer stands when none does."""
    findings = []
    for investigator in investigators:
        findings.append(await investigator.investigate(question, snapshot))
        if findings[-1].verdict is not Verdict.INCONCLUSIVE:
            return findings[-1]
    return findings[0]


def together(known: Finding, second: Finding) -> Finding:
    """Return what two answers come to: the first one's cause, action and confidence wherever it has one, with what the second says of it.

    A second opinion makes nothing surer and nothing less sure: no text that it was talked into can change what is done or who is asked.
    """
    if known.verdict is Verdict.INCONCLUSIVE and second.verdict is Verdict.CAUSE_FOUND:
        return replace(second, warnings=(*known.warnings, *second.warnings), looked_at=known.looked_at)
    warnings = (*known.warnings, *second.warnings)
    if second.verdict is not Verdict.CAUSE_FOUND:
        if known.verdict is Verdict.CAUSE_FOUND or not second.advice:
            return replace(known, warnings=warnings)
        return replace(known, warnings=warnings, advice=f"{known.advice} HolmesGPT advises: {second.advice}".strip())
    if (known.action, known.target) == (second.action, second.target):
        agreed = replace(known.cause, factors=(*known.cause.factors, f"HolmesGPT agrees: {second.cause.summary}"))
        return replace(known, cause=agreed, warnings=warnings)
    other = Alternative(second.cause.name, f"HolmesGPT disagrees ({second.action or 'no fix'}): {second.cause.summary}")
    return replace(known, alternatives=(other, *known.alternatives), warnings=warnings)

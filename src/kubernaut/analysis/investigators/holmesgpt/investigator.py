"""The HolmesGPT investigator: asks once for all equal questions, off to the side, and believes an answer only as far as it holds.

A question is put to a task; whoever asks is told to come back (`Unfinished`). When HolmesGPT is away, over budget or wrong to the end, the
answer is an honest "not known" that says why, and what the rules found stands.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from kubernaut.analysis.investigators.base import Cause, Contact, Finding, Question, Unfinished, Verdict
from kubernaut.analysis.investigators.holmesgpt import blind, metrics, prompt
from kubernaut.analysis.investigators.holmesgpt.answer import NAME, hold, read
from kubernaut.analysis.investigators.holmesgpt.book import Book, Forgetful
from kubernaut.analysis.investigators.holmesgpt.breaker import Breaker
from kubernaut.analysis.investigators.holmesgpt.evidence import case_of, evidence_of
from kubernaut.analysis.investigators.holmesgpt.gate import Failed, Gate, Pass, Refused
from kubernaut.analysis.investigators.holmesgpt.ledger import Account, Ledger
from kubernaut.analysis.investigators.holmesgpt.offer import Choice, offers, words
from kubernaut.analysis.investigators.holmesgpt.plants import Sieve
from kubernaut.analysis.investigators.holmesgpt.process import Away, HolmesProcess
from kubernaut.analysis.investigators.holmesgpt.settings import HolmesGPTSettings
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.kube.clock import Clock

KEPT: Final = 1000
"""Answers, and cases that wait for one."""
STARTED_ANEW: Final = 1
"""How often an investigation is begun again after HolmesGPT's process died."""
AWAY_FOR: Final = timedelta(minutes=1)
"""How long "away" is an answer to equal questions."""
IN_TIME: Final = timedelta(seconds=15)
"""How long before nobody waits any more the rules' answer is given instead."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question with what it is about."""

    name: str
    account: Account
    question: Question
    snapshot: Snapshot
    choices: tuple[Choice, ...]
    sieve: Sieve


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer, and until when it holds."""

    finding: Finding
    until: datetime


class HolmesInvestigator:
    """Asks HolmesGPT. `run` it beside whoever asks: it ends the process."""

    def __init__(
        self, settings: HolmesGPTSettings, clock: Clock, process: HolmesProcess, book: Callable[[Ledger], Book] = Forgetful
    ) -> None:
        self._settings = settings
        self._clock = clock
        self.process = process
        self.ledger = Ledger(settings.budgets, settings.prices)
        self._gate = Gate(settings, clock, book(self.ledger), Breaker(settings.breaker))
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._turns = asyncio.Semaphore(settings.at_once)
        self._answers: OrderedDict[str, _Kept] = OrderedDict()
        self._cases: OrderedDict[str, str] = OrderedDict()
        """The evidence that each case has asked about; it keeps its question while the cluster moves on."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._passes: dict[str, Pass] = {}
        """Of the investigations that are under way."""

    @property
    def name(self) -> str:
        """How it signs."""
        return NAME

    async def run(self) -> None:
        """Be there until cancelled; then end all investigations and the process."""
        try:
            await asyncio.Event().wait()
        finally:
            await self.rest()
            await self.process.close()

    async def rest(self) -> None:
        """End all investigations; the process stays warm."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        stack, self._stack, self._gate.url = self._stack, AsyncExitStack(), ""
        await stack.aclose()

    async def investigate(self, question: Question, snapshot: Snapshot) -> Finding:
        """Return the answer where there is one; else see that it is being looked for, and raise `Unfinished`."""
        if not snapshot.chain:
            return self._away(snapshot, "there is no object to ask it about")
        case, now = case_of(question, snapshot), self._clock.now()
        key = self._cases.get(case)
        if key is None or not (key in self._tasks or self._kept(key, now)):
            choices = offers(question, snapshot)
            key = evidence_of(question, snapshot, choices)
            self._remember(case, key)
            self._begin(key, case, question, snapshot, choices)
        if (finding := self._kept(key, now)) is not None:
            del self._cases[case]  # asked anew, it is about the cluster as it is then
            return finding
        if question.until is not None and now >= question.until - IN_TIME:
            return self._away(snapshot, "its answer did not come in time")
        raise self._unfinished(key)

    def _unfinished(self, key: str) -> Unfinished:
        """Return what is said while the answer is being looked for."""
        contact = self._passes[key].contact if key in self._passes else Contact()
        again = f"; the model is asked again at {contact.next_at:%H:%M:%S} UTC, since {contact.last_error}" if contact.next_at else ""
        message = f"HolmesGPT is looking into it{again}"
        return Unfinished(message, self._settings.look_again, replace(contact, message=message))

    def _begin(self, key: str, case: str, question: Question, snapshot: Snapshot, choices: tuple[Choice, ...]) -> None:
        """Start an investigation, unless there is one of the same evidence, or its answer."""
        if key in self._tasks or self._kept(key, self._clock.now()) is not None:
            return
        if len(self._tasks) >= KEPT:
            self._keep(key, self._away(snapshot, "too many questions wait for it"), AWAY_FOR)
            return
        account = Account(case, snapshot.target.namespace)
        asked = _Asked(f"inv-{key[:12]}", account, question, snapshot, choices, Sieve(words(question.catalogue())))
        self._tasks[key] = asyncio.create_task(self._investigated(key, asked), name=f"holmesgpt {asked.name}")

    async def _investigated(self, key: str, asked: _Asked) -> None:
        """Find the answer, and keep it."""
        began = self._clock.now()
        finding, well = self._away(asked.snapshot, "it failed"), False
        try:
            async with self._turns, asyncio.timeout(self._settings.timeout.total_seconds()):
                finding, well = await self._found(key, asked), True
            outcome = finding.verdict.value
        except TimeoutError:
            finding, outcome = self._away(asked.snapshot, f"it took longer than {self._settings.timeout.total_seconds():g} s"), "timed out"
        except Away as why:
            finding, outcome = self._away(asked.snapshot, str(why)), "away"
        finally:
            self._keep(key, self._reached(key, finding, well=well), self._settings.kept if well else AWAY_FOR)
            del self._tasks[key]
        metrics.INVESTIGATIONS.labels(outcome).inc()
        metrics.SECONDS.observe((self._clock.now() - began).total_seconds())
        spent = self.ledger.spent(asked.account, began)
        log.info(
            "HolmesGPT was asked",
            investigation=asked.name,
            outcome=outcome,
            calls=spent.calls,
            tokens=spent.tokens,
            why=finding.warnings[:1],
        )

    async def _found(self, key: str, asked: _Asked) -> Finding:
        """Ask, and once more where HolmesGPT's process died half-way; raise Away."""
        now, until = self._clock.now(), asked.question.until
        if until is not None and now >= until - IN_TIME:
            raise Away("its turn came too late")
        if why := self.ledger.refusal(asked.account, now):
            raise Away(why)
        url = await self._opened()
        with self._gate.passing(asked.account, asked.sieve) as pass_:
            self._passes[key] = pass_
            finding = await self._persist(asked, pass_, url)
        metrics.PLANTED.inc(len(pass_.planted))
        told = tuple(f"a text in the cluster reads as an instruction and was kept from HolmesGPT: “{each}”" for each in pass_.planted[:5])
        limit = min(finding.cause.confidence, self._settings.confidence_limit)
        return replace(finding, cause=replace(finding.cause, confidence=limit), warnings=told + finding.warnings)

    def _reached(self, key: str, finding: Finding, *, well: bool) -> Finding:
        """Return a finding with how HolmesGPT could be reached for it."""
        pass_ = self._passes.pop(key, None)
        known = pass_.contact if pass_ else Contact()
        message = "HolmesGPT answered" if well else finding.cause.summary
        return replace(finding, contact=replace(known, available=well, next_at=None, message=message))

    async def _persist(self, asked: _Asked, pass_: Pass, url: str) -> Finding:
        for left in range(STARTED_ANEW, -1, -1):
            try:
                return await self._talk(asked, pass_, url)
            except Away as why:
                if pass_.refused:
                    raise Away(pass_.refused) from why
                if not left or self.process.pid is not None:
                    raise
        raise AssertionError("unreachable")

    async def _talk(self, asked: _Asked, pass_: Pass, url: str) -> Finding:
        """Ask, and send back what does not hold, three times at most."""
        planted: list[str] = []
        say = prompt.first(asked.name, asked.question, asked.snapshot, asked.choices, (asked.sieve, planted))
        pass_.note(tuple(planted))
        faults: list[str] = []
        try:
            for _ in range(1 + self._settings.corrections):
                found = self._judged(asked, await self.process.ask(asked.name, prompt.SYSTEM, say, url=url, key=pass_.key))
                if isinstance(found, Finding):
                    return await self._seconded(asked, pass_, found)
                faults, say = found, prompt.correction(found)
        finally:
            await self.process.forget(asked.name)
        return self._away(asked.snapshot, f"its answer did not hold after {self._settings.corrections} corrections: {faults[0]}")

    async def _seconded(self, asked: _Asked, pass_: Pass, found: Finding) -> Finding:
        """Return a finding whose action also a look without text calls for; else without it."""
        if not found.workflow or not self._settings.second_look:
            return found
        try:
            text = await self._gate.say(pass_, blind.SYSTEM, blind.question(asked.snapshot, asked.choices), tokens=blind.ANSWER_TOKENS)
        except (Refused, Failed) as why:
            raise Away(str(why)) from why
        return found if found.workflow in blind.fits(text) else blind.without_action(found, asked.snapshot)

    def _judged(self, asked: _Asked, text: str) -> Finding | list[str]:
        answer = read(text)
        found = answer if isinstance(answer, list) else hold(answer, asked.question, asked.snapshot, asked.choices)
        if isinstance(found, list):
            log.info("HolmesGPT's answer does not hold", investigation=asked.name, faults=found[:3])
        return found

    async def _opened(self) -> str:
        async with self._opening:
            return self._gate.url or await self._stack.enter_async_context(self._gate.opened())

    def _away(self, snapshot: Snapshot, why: str) -> Finding:
        """Return the answer of one who cannot be asked."""
        cause = Cause(name="Unknown", summary=f"HolmesGPT gave no answer: {why}.", confidence=0.0)
        warning = f"HolmesGPT gave no answer: {why}; what the rules found stands"
        return Finding(verdict=Verdict.INCONCLUSIVE, investigator=NAME, target=snapshot.target, cause=cause, warnings=(warning,))

    def _kept(self, key: str, now: datetime) -> Finding | None:
        found = self._answers.get(key)
        return found.finding if found is not None and now < found.until else None

    def _keep(self, key: str, finding: Finding, length: timedelta) -> None:
        self._answers[key] = _Kept(finding, self._clock.now() + length)
        while len(self._answers) > KEPT:
            self._answers.popitem(last=False)

    def _remember(self, case: str, key: str) -> None:
        self._cases[case] = key
        self._cases.move_to_end(case)
        while len(self._cases) > 10 * KEPT:
            self._cases.popitem(last=False)

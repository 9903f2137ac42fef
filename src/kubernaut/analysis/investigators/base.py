"""What every investigator is asked and answers. Adding one: implement `Investigator`, pass the conformance tests, list it in `wiring.py`.

Whatever an investigator read (logs, annotations, messages) is data: it fills evidence, and never a target, an action, or a parameter that
the catalogue's schema would not allow.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.analysis import AnalysisRequest, PreviousExecution
from kubernaut.api.base import ResourceIdentifier
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.redact import redact

Facts = Mapping[str, str]
"""What the diagnosis measured, by dotted name, such as `memory.limit.proposed`; parameters of workflows are filled from it."""
TEXT_LIMIT = 300
"""Characters kept of a text that was read in the cluster."""
CUT_FIRST = 8192
"""Characters that are looked at; what could be longer is cut before it costs time."""


class Verdict(StrEnum):
    """What came of an investigation."""

    CAUSE_FOUND = "cause found"
    NO_ACTION = "no action needed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that was read, and what it says."""

    source: str
    """`kind/namespace/name`."""
    field: str
    value: str
    says: str


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another explanation, and why it lost."""

    cause: str
    why_not: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What is wrong."""

    name: str
    """One CamelCase word, such as `OOMKilled`."""
    summary: str
    confidence: float
    evidence: tuple[Evidence, ...] = ()
    factors: tuple[str, ...] = ()
    """What made it worse or more likely."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """How an investigator that may be away could be reached."""

    available: bool | None = None
    """None while it is being tried."""
    message: str = ""
    retries: int = 0
    """Tries after the first of each call."""
    last_error: str = ""
    last_at: datetime | None = None
    next_at: datetime | None = None
    waited: timedelta = timedelta()
    """For all retries together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An investigator's answer."""

    verdict: Verdict
    investigator: str
    target: ResourceIdentifier
    """What a fix would act on."""
    cause: Cause
    """For NO_ACTION and INCONCLUSIVE: why not."""
    action: str = ""
    """The action type wanted, such as IncreaseMemoryLimits; empty where a person must act."""
    workflow: str = ""
    """The one workflow that may carry it out, by id, where the investigator chose it itself; empty leaves the choice open."""
    advice: str = ""
    """What a person should do; never executed."""
    facts: Facts = field(default_factory=dict)
    alternatives: tuple[Alternative, ...] = ()
    warnings: tuple[str, ...] = ()
    looked_at: tuple[str, ...] = ()
    contact: Contact | None = None
    """How HolmesGPT could be reached, where it was asked."""


def _empty() -> Sequence[RemediationWorkflow]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: the signal with its scope, and what was tried before."""

    request: AnalysisRequest
    tried: tuple[PreviousExecution, ...] = ()
    catalogue: Callable[[], Sequence[RemediationWorkflow]] = _empty
    """Returns all workflows there are; read only by those who choose from them."""
    until: datetime | None = None
    """When nobody waits for the answer any more."""
    known: Finding | None = None
    """What an investigator that was asked before found."""


class Unfinished(Exception):  # noqa: N818  (a plain statement)
    """The answer needs longer than one pass: the same question is to be asked again after `pause`, and nothing is started twice."""

    def __init__(self, message: str, pause: timedelta, contact: Contact | None = None) -> None:
        super().__init__(message)
        self.pause = pause
        self.contact = contact


class Investigator(Protocol):
    """Finds the cause of a signal."""

    @property
    def name(self) -> str:
        """How it signs."""
        ...

    async def investigate(self, question: Question, snapshot: Snapshot) -> Finding:
        """Answer from the snapshot: always the same to the same question. Raise `Unfinished` while it is being looked for."""
        ...


def plain(text: object, limit: int = TEXT_LIMIT) -> str:
    """Return a text of the cluster fit for evidence: one line, printable, bounded, without secrets."""
    line = " ".join("".join(char if char.isprintable() else " " for char in redact(str(text)[:CUT_FIRST])).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"

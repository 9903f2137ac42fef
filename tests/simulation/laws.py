"""What must hold after every write to the store, whatever fails: the laws, kept by looking at the store alone."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from kubernaut.api.base import Obj
from kubernaut.kube.errors import DATA_FAULTS
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.store import Record
from kubernaut.settings import Settings
from tests.simulation.cluster import Target
from tests.simulation.replica import Surroundings
from tests.simulation.wire import Server

TERMINAL: Final = frozenset({"Completed", "Failed", "TimedOut", "Skipped", "Cancelled"})
MOST: Final = 5
"""Broken laws that are told of one world; the first is what counts."""


@dataclass
class Facts:
    """What the laws may look at."""

    settings: Settings
    targets: dict[str, Target]
    around: Surroundings
    server: Server
    now: Callable[[], float]
    objects: dict[str, dict[str, Obj]] = field(default_factory=dict)
    """The objects that exist now: by plural, then by name; namespaces do not matter for the kinds looked at."""
    rows: Counter[str] = field(default_factory=Counter)
    """How often each row of the phase table was taken."""
    gone: dict[str, Obj] = field(default_factory=dict)
    """The last state of what was removed, by uid."""

    def all(self, plural: str) -> Iterator[Obj]:
        """Yield the objects of a kind that exist."""
        yield from self.objects.get(plural, {}).values()

    def get(self, plural: str, name: str) -> Obj | None:
        """Return an object that exists, or None."""
        return self.objects.get(plural, {}).get(name)

    def of_remediation(self, plural: str, name: str) -> list[Obj]:
        """Return the objects of a kind that name a remediation."""
        return [each for each in self.all(plural) if (each["spec"].get("remediationRequestRef") or {}).get("name") == name]


class Law:
    """One law. It hears of every write, in order, and is asked once more when everything has come to rest."""

    plurals: frozenset[str] = frozenset()
    """The kinds whose writes it wants to hear of."""

    def __init__(self, facts: Facts, broken: Callable[[str], None]) -> None:
        self.facts = facts
        self.broken = broken

    def written(self, plural: str, old: Obj | None, new: Obj | None) -> None:
        """Judge a write: (None, new) created, (old, new) changed, (old, None) removed."""

    def taken(self, entry: Obj) -> None:
        """Judge an alert that was answered 2xx."""

    def at_rest(self) -> None:
        """Judge the end."""


class Laws:
    """All laws over one store."""

    def __init__(self, facts: Facts) -> None:
        from tests.simulation.lawbook import BOOK  # noqa: PLC0415  (the laws stand on this module)

        self.facts = facts
        self.found: list[str] = []
        self.broken = asyncio.Event()
        self._laws = [law(facts, self.note) for law in BOOK]
        self._heard: frozenset[str] = frozenset().union(*(law.plurals for law in BOOK), {"remediationrequests"})
        self._names: set[str] = set()

    @property
    def ledger(self):
        """Data storage."""
        return self.facts.around.ledger

    @property
    def cases(self) -> int:
        """How many remediations there were."""
        return len(self._names)

    def note(self, text: str) -> None:
        """Keep that a law was broken, and end the play."""
        if len(self.found) < MOST:
            self.found.append(f"{self.facts.now():.3f} {text}")
        self.broken.set()

    def written(self, kind: ResourceKind, record: Record) -> None:
        """Hear of a write to the store."""
        if kind.plural not in self._heard or kind.group == "events.k8s.io":
            return
        known = self.facts.objects.setdefault(kind.plural, {})
        name = record.key[1]
        old, new = known.get(name), None if record.type == "DELETED" else record.obj
        if new is None:
            known.pop(name, None)
            self.facts.gone[record.copy()["metadata"]["uid"]] = old = record.copy()
        else:
            known[name] = new
        if kind.plural == "remediationrequests" and new is not None:
            self._names.add(new["metadata"]["uid"])
        for law in self._laws:
            if kind.plural in law.plurals:
                self._ask(law, kind.plural, old, new)

    def _ask(self, law: Law, plural: str, old: Obj | None, new: Obj | None) -> None:
        """Ask a law; one that stumbles is told, for the API server would take it for a fault of its own."""
        try:
            law.written(plural, old, new)
        except DATA_FAULTS as fault:
            self.note(f"a law stumbled: {type(law).__name__} over {plural}: {fault!r}")

    def taken(self, entry: Obj) -> None:
        """Hear of an alert that was answered 2xx."""
        for law in self._laws:
            law.taken(entry)

    def at_rest(self) -> None:
        """Judge the end."""
        for law in self._laws:
            law.at_rest()

    def is_calm(self) -> bool:
        """Tell whether every case has ended and is forgotten."""
        return not self.facts.objects.get("remediationrequests")

    def restless(self) -> str:
        """Say which cases have not ended."""
        return ", ".join(f"{each['metadata']['name']} {phase_of(each)}" for each in self.facts.all("remediationrequests"))[:1000]


def phase_of(obj: Obj | None) -> str:
    """Return the phase of any object of ours."""
    status = (obj or {}).get("status") or {}
    return str(status.get("overallPhase") or status.get("phase") or "Pending")

"""Investigators that other packages bring, by the entry point group `kubernaut.investigators`; asked after the built-in ones, by name."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta
from importlib.metadata import EntryPoint
from typing import Final

from kubernaut.analysis.investigators.base import Cause, Finding, Investigator, Question, Verdict
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Unusable
from kubernaut.kube.errors import DATA_FAULTS
from kubernaut.plugins import installed

GROUP: Final = "kubernaut.investigators"
MOST: Final = 8
PATIENCE: Final = timedelta(seconds=20)


class Bounded:
    """Asks another's investigator for so long and no longer; what goes wrong in it is told in its answer, and stops nobody."""

    def __init__(self, asked: Investigator, patience: timedelta = PATIENCE) -> None:
        self._asked = asked
        self._patience = patience

    @property
    def name(self) -> str:
        """How it signs."""
        return self._asked.name

    async def investigate(self, question: Question, snapshot: Snapshot) -> Finding:
        """Return its answer, or that it has none and why."""
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                return await self._asked.investigate(question, snapshot)
        except TimeoutError:
            return self._without(snapshot, f"did not answer in {self._patience.total_seconds():g} seconds")
        except DATA_FAULTS as fault:
            return self._without(snapshot, f"failed: {type(fault).__name__}: {str(fault)[:200]}")

    def _without(self, snapshot: Snapshot, why: str) -> Finding:
        told = f"the investigator {self.name} {why}"
        cause = Cause(name="Unknown", summary=f"{told[0].upper()}{told[1:]}.", confidence=0.0)
        return Finding(verdict=Verdict.INCONCLUSIVE, investigator=self.name, target=snapshot.target, cause=cause, warnings=(told,))


def with_installed(built_in: Sequence[Investigator], found: Iterable[EntryPoint] | None = None) -> tuple[Investigator, ...]:
    """Return the built-in investigators and the installed ones; an entry point names a class or function that is called without arguments.

    Raise Unusable for one that cannot be loaded or is none, for too many, and where two share a name.
    """
    points = sorted(installed(GROUP) if found is None else found, key=lambda point: point.name)
    if len(points) > MOST:
        raise Unusable(f"{len(points)} investigators are installed, at most {MOST} are asked: uninstall some")
    asked: list[Investigator] = [*built_in]
    for point in points:
        investigator = _loaded(point)
        if any(investigator.name == each.name for each in asked):
            raise Unusable(f"two investigators are called {investigator.name!r}: uninstall {point.value}")
        asked.append(Bounded(investigator))
    return tuple(asked)


def _loaded(point: EntryPoint) -> Investigator:
    try:
        investigator: Investigator = point.load()()
    except (ImportError, AttributeError, TypeError) as fault:
        raise Unusable(f"the investigator {point.name!r} ({point.value}) cannot be loaded: {fault}") from fault
    missing = [name for name in ("name", "investigate") if not hasattr(investigator, name)]
    if missing:
        raise Unusable(f"the investigator {point.name!r} ({point.value}) lacks {', '.join(missing)}: it is no investigator")
    return investigator

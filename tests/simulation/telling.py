"""Sums of simulated worlds: how many cases, which rows of the phase table, which faults; and where to find what failed."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kubernaut.api.base import Obj
from kubernaut.orchestration.table import TABLE
from tests.simulation.play import Played


@dataclass
class Sum:
    """What several worlds came to."""

    worlds: int = 0
    cases: int = 0
    calls: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, played: Played) -> None:
        """Add a world."""
        self.worlds += 1
        self.cases += played.cases
        self.calls += played.calls
        self.rows += played.rows
        self.faults += played.faults

    def wire(self) -> Obj:
        """Return the sum as JSON has it."""
        return {
            "worlds": self.worlds,
            "cases": self.cases,
            "calls": self.calls,
            "rows": dict(sorted(self.rows.items())),
            "faults": dict(sorted(self.faults.items())),
        }

    @classmethod
    def read(cls, obj: Obj) -> "Sum":
        """Read a sum that was written before."""
        return cls(obj["worlds"], obj["cases"], obj["calls"], Counter(obj["rows"]), Counter(obj["faults"]))

    def lines(self) -> Iterator[str]:
        """Tell it to a person."""
        yield f"simulated: {self.worlds} worlds, {self.cases} cases, {self.calls} API calls"
        yield "faults: " + ", ".join(f"{name} {count}" for name, count in self.faults.most_common())
        yield "rows of the phase table: " + ", ".join(f"{name} {count}" for name, count in self.rows.most_common())
        yield "rows never taken: " + (", ".join(row.id for row in TABLE if row.id not in self.rows) or "none")


def failure(played: Played) -> str:
    """Tell which laws a world broke, and how to see it again."""
    again = f"replay: KUBERNAUT_SIMULATION_SEED={played.seed} pytest tests/simulation/test_simulation.py"
    return "\n".join([f"seed {played.seed}, {played.cases} cases:", *(f"  {each}" for each in played.broken), again, played.schedule])


def total(sums: Iterable[Sum]) -> Sum:
    """Add sums up."""
    whole = Sum()
    for each in sums:
        whole = Sum(
            whole.worlds + each.worlds,
            whole.cases + each.cases,
            whole.calls + each.calls,
            whole.rows + each.rows,
            whole.faults + each.faults,
        )
    return whole

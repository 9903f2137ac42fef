"""The cases in tests/cases: each a file of plain Kubernetes objects behind a header that says what is asked and what is expected.

The header's `healthy` turns the objects into the healthy twin: merge patches by kind and name, objects to add, and `$patch: delete`.
Its `logs` are what containers wrote; the rules see those of them that they would ask for.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from kubernaut.analysis.diagnosis import ROUNDS
from kubernaut.analysis.investigators.base import Finding
from kubernaut.analysis.investigators.rules.investigator import judge
from kubernaut.analysis.logs import Logs, last_lines, wanted
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Obj
from tests.analysis.shelf import Shelf

FOLDER = Path(__file__).parent.parent / "cases"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Case:
    """One case."""

    name: str
    header: Obj
    objects: list[Obj]

    @property
    def expected(self) -> Obj:
        return dict(self.header["expected"])

    @property
    def aside(self) -> bool:
        """Whether it was kept aside while the rules were tuned."""
        return bool(self.header["aside"])

    def twin(self) -> list[Obj]:
        """Return the objects of the healthy twin."""
        held = {_key(obj): obj for obj in self.objects}
        for change in self.header["healthy"]:
            if change.get("$patch") == "delete":
                del held[_key(change)]
            else:
                held[_key(change)] = _merged(held.get(_key(change), {}), change)
        return list(held.values())

    def snapshot(self, objects: list[Obj] | None = None, *, logs: str = "logs", **scope: Any) -> Snapshot:
        """Return what is seen of the case, with those logs of the header's field that are asked for, in a diagnosis' rounds."""
        subject, texts, read = self.header["subject"], self.header.get(logs) or {}, dict[str, str]()
        shelf = Shelf().hold(self.objects if objects is None else objects)
        place = {"at": datetime.fromisoformat(self.header["at"]), "namespace": subject.get("namespace", ""), **scope}
        seen = shelf.collect(subject["kind"], subject["name"], **place)
        for _ in range(ROUNDS if texts else 0):
            read |= {row.key: last_lines(texts[row.key]) for row in wanted(seen) if row.key in texts}
            seen = shelf.collect(subject["kind"], subject["name"], logs=Logs(read), **place)
        return seen

    def judged(self, *, healthy: bool = False) -> Finding:
        return judge(self.snapshot(self.twin(), logs="healthyLogs") if healthy else self.snapshot())


def _key(obj: Obj) -> tuple[str, str, str]:
    return obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _merged(old: Any, new: Any) -> Any:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    kept = {key: value for key, value in old.items() if key not in new}
    return kept | {key: _merged(old.get(key), value) for key, value in new.items() if value is not None}


@cache
def cases() -> tuple[Case, ...]:
    """Return all cases, by name."""
    return tuple(_read(path) for path in sorted(FOLDER.glob("*.yaml")))


def _read(path: Path) -> Case:
    header, *objects = yaml.load_all(path.read_text(encoding="utf-8"), Loader=_LOADER)
    return Case(path.stem, header["spec"], objects)

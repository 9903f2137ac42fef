"""What a real Tekton wrote in 54 cases (tests/recordings/tekton): its PipelineRuns and TaskRuns, event by event in the order they came."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import orjson

Obj = dict[str, Any]
FOLDER = Path(__file__).parents[1] / "recordings" / "tekton"
CASES = sorted(path.stem for path in FOLDER.glob("*.jsonl"))


@dataclass(frozen=True)
class Event:
    """One line of a watch."""

    type: str
    obj: Obj

    @property
    def kind(self) -> str:
        return str(self.obj["kind"])

    @property
    def name(self) -> str:
        return str(self.obj["metadata"]["name"])


@dataclass
class Recording:
    """One PipelineRun and its TaskRuns."""

    name: str
    events: list[Event] = field(default_factory=list)

    def _of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.kind == kind]

    @property
    def pipeline_run(self) -> Obj:
        """The PipelineRun as it was seen last."""
        return self._of("PipelineRun")[-1].obj

    @property
    def history(self) -> list[Obj]:
        """The PipelineRun at every event."""
        return [event.obj for event in self._of("PipelineRun")]

    @property
    def task_runs(self) -> dict[str, Obj]:
        """The TaskRuns as they were seen last."""
        return {event.name: event.obj for event in self._of("TaskRun")}


@cache
def recordings(case: str) -> dict[str, Recording]:
    """Return what was recorded in a case, by PipelineRun."""
    found: dict[str, Recording] = {}
    for line in (FOLDER / f"{case}.jsonl").read_bytes().splitlines():
        said = orjson.loads(line)
        event = Event(said["type"], said["object"])
        run = event.name if event.kind == "PipelineRun" else event.obj["metadata"]["labels"]["tekton.dev/pipelineRun"]
        found.setdefault(run, Recording(run)).events.append(event)
    return found


@cache
def recording(case: str) -> Recording:
    """Return what was recorded of a case's first PipelineRun."""
    return next(iter(recordings(case).values()))

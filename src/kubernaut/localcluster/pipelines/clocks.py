"""The three timeouts of a PipelineRun: pipeline, tasks and finally, from spec.timeouts and the times in its status."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.pipelines.plan import Facts
from kubernaut.localcluster.pipelines.times import duration, moment, written

_DEFAULT = "1h0m0s"
_NONE = timedelta(0)


class Clocks:
    """When each part of a run must be over; a timeout of zero never ends."""

    def __init__(self, spec: Obj, status: Obj) -> None:
        """Read the timeouts; an absent one follows from the other two."""
        times = spec.get("timeouts") or {}
        self.pipeline = duration(times.get("pipeline", _DEFAULT))
        self._tasks = _part(times.get("tasks"), times.get("finally"), self.pipeline)
        self._finally = _part(times.get("finally"), times.get("tasks"), self.pipeline)
        self._start = moment(status["startTime"]) if "startTime" in status else None
        self._finals = moment(status["finallyStartTime"]) if "finallyStartTime" in status else None

    def pipeline_over(self, now: datetime) -> bool:
        """Tell whether the whole run has had its time."""
        return _over(now, self._start, self.pipeline)

    def tasks_over(self, now: datetime) -> bool:
        """Tell whether the tasks have had theirs before finally began."""
        return self._finals is None and _over(now, self._start, self._tasks)

    def finally_over(self, now: datetime) -> bool:
        """Tell whether the finally tasks have had theirs."""
        return _over(now, self._finals, self._finally)

    def next(self, now: datetime, tasks_done: bool) -> datetime | None:
        """Return the first moment still ahead at which something runs out."""
        tasks = None if tasks_done else _due(self._start, self._tasks)
        return _first(now, (_due(self._start, self.pipeline), tasks, _due(self._finals, self._finally)))

    def timed_out(self, run: str, facts: Facts) -> str:
        """Return the message of the part that ran out of time, or an empty string."""
        if facts.tasks_timed_out or any(facts.outcome(task["name"]) == "timed-out" for task in facts.tasks):
            return f'PipelineRun "{run}" failed due to tasks failed to finish within "{written(self._tasks)}"'
        if facts.finally_timed_out or any(facts.outcome(task["name"]) == "timed-out" for task in facts.finals):
            return f'PipelineRun "{run}" failed due to finally failed to finish within "{written(self._finally)}"'
        return ""


def _part(own: str | None, other: str | None, whole: timedelta) -> timedelta:
    if own is not None:
        return duration(own)
    return whole - duration(other) if other is not None and whole else _NONE


def _over(now: datetime, start: datetime | None, limit: timedelta) -> bool:
    due = _due(start, limit)
    return due is not None and now >= due


def _due(start: datetime | None, limit: timedelta) -> datetime | None:
    return start + limit if start is not None and limit else None


def _first(now: datetime, moments: Iterable[datetime | None]) -> datetime | None:
    return min((due for due in moments if due is not None and due > now), default=None)

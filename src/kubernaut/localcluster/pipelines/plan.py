"""How a pipeline stands and what it starts next, from its spec and its TaskRuns: pure, as Tekton's PipelineRunFacts.

Every pass works from the TaskRuns that exist, never from the PipelineRun's own status, so that a restart loses nothing.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.pipelines.graph import links, ordered, result_references
from kubernaut.localcluster.pipelines.status import ended, succeeded
from kubernaut.localcluster.pipelines.variables import Value, Variables, expand, references

CANCELLED, CANCELLED_RUN_FINALLY, STOPPED_RUN_FINALLY, PENDING = (
    "Cancelled",
    "CancelledRunFinally",
    "StoppedRunFinally",
    "PipelineRunPending",
)
BY_CANCEL = "TaskRun cancelled as the PipelineRun it belongs to has been cancelled."
BY_TIMEOUT = "TaskRun cancelled as the PipelineRun it belongs to has timed out."

STOPPING = "PipelineRun was stopping"
GRACEFULLY_CANCELLED = "PipelineRun was gracefully cancelled"
GRACEFULLY_STOPPED = "PipelineRun was gracefully stopped"
PARENT_SKIPPED = "Parent Tasks were skipped"
RESULTS_MISSING = "Results were missing"
WHEN_FALSE = "When Expressions evaluated to false"
TASKS_TIMED_OUT = "PipelineRun Tasks timeout has been reached"
FINALLY_TIMED_OUT = "PipelineRun Finally timeout has been reached"


@dataclass(frozen=True)
class Facts:
    """What was seen: the resolved spec, TaskRuns by pipeline task, and which clocks have run out."""

    spec: Obj
    runs: Mapping[str, Obj]
    stop: str = ""
    """spec.status of the PipelineRun."""
    tasks_timed_out: bool = False
    finally_timed_out: bool = False
    _skips: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def tasks(self) -> list[Obj]:
        """The tasks of the graph."""
        return self.spec.get("tasks") or []

    @property
    def finals(self) -> list[Obj]:
        """The finally tasks."""
        return self.spec.get("finally") or []

    def outcome(self, name: str) -> str:
        """Return how a pipeline task stands: absent, running, succeeded, failed, cancelled, timed-out or ignored (it failed and may)."""
        run = self.runs.get(name)
        if run is None:
            return "absent"
        return _outcome(run)

    def done(self, name: str) -> bool:
        """Tell whether a graph task has ended or will never start."""
        if self.outcome(name) != "absent":
            return self.outcome(name) != "running"
        return bool(self.skip(name)) or self.invalid(name)

    def invalid(self, name: str) -> bool:
        """Tell whether a graph task cannot start because a task that succeeded did not write a result it uses."""
        if name in self.runs:
            return False
        task = next(task for task in self.tasks if task["name"] == name)
        return any(self.outcome(parent) == "succeeded" for parent, _ in self.missing_results(task))

    def tasks_done(self) -> bool:
        """Tell whether nothing of the graph runs or will run."""
        return all(self.done(task["name"]) for task in self.tasks)

    def skip(self, name: str) -> str:
        """Return why a graph task is skipped, or an empty string."""
        if not self._skips:
            for task in ordered(self.tasks):
                self._skips[task["name"]] = self._skip(task)
        return self._skips[name]

    def skip_final(self, task: Obj) -> str:
        """Return why a finally task is skipped, once the graph is done."""
        if task["name"] in self.runs or not self.tasks_done():
            return ""
        if self.missing_results(task):
            return RESULTS_MISSING
        if not _when(task, {**self.results(), **self.statuses()}):
            return WHEN_FALSE
        return FINALLY_TIMED_OUT if self.finally_timed_out else ""

    def ready(self) -> list[Obj]:
        """Return the tasks to start now: of the graph, or of finally once the graph is done."""
        if self.tasks_done():
            return [task for task in self.finals if task["name"] not in self.runs and not self.skip_final(task)]
        return [task for task in self.tasks if self._startable(task)]

    def stopping(self) -> bool:
        """Tell whether a graph task failed or was cancelled, so that no other starts."""
        return any(self.outcome(task["name"]) in ("failed", "cancelled", "timed-out") for task in self.tasks)

    def missing_results(self, task: Obj) -> list[tuple[str, str]]:
        """Return (task, result) that a task uses and that do not exist though their task is done."""
        known = self.results()
        used = result_references(task)
        return [(name, result) for name, result in used if self._known_done(name) and f"tasks.{name}.results.{result}" not in known]

    def results(self) -> dict[str, Value]:
        """Return `tasks.<task>.results.<result>` for every result written."""
        found: dict[str, Value] = {}
        for name, run in self.runs.items():
            for result in (run.get("status") or {}).get("results") or []:
                found[f"tasks.{name}.results.{result['name']}"] = result["value"]
        return found

    def statuses(self) -> dict[str, Value]:
        """Return `tasks.status`, `tasks.<task>.status` and `.reason`, for finally tasks."""
        words = {"succeeded": "Succeeded", "failed": "Failed", "ignored": "Failed", "cancelled": "Failed", "timed-out": "Failed"}
        found: dict[str, Value] = {"tasks.status": self._aggregate()}
        for task in self.tasks:
            name = task["name"]
            found[f"tasks.{name}.status"] = words.get(self.outcome(name), "None")
            found[f"tasks.{name}.reason"] = succeeded(self.runs.get(name, {})).get("reason", "")
        return found

    def _aggregate(self) -> str:
        outcomes = {self.outcome(task["name"]) for task in self.tasks}
        if outcomes & {"failed", "cancelled", "timed-out"}:
            return "Failed"
        if outcomes <= {"succeeded", "ignored"}:
            return "Succeeded"
        return "Completed" if self.tasks_done() else "None"

    def _known_done(self, name: str) -> bool:
        return any(task["name"] == name for task in self.tasks) and self.done(name)

    def _parents_done(self, task: Obj) -> bool:
        return all(self.done(name) for name in links(task))

    def _startable(self, task: Obj) -> bool:
        name = task["name"]
        return name not in self.runs and self._parents_done(task) and not self.skip(name) and not self.missing_results(task)

    def _skip(self, task: Obj) -> str:
        if task["name"] in self.runs:
            return ""
        return self._skip_by_run() or self._skip_by_parents(task) or self._skip_by_time(task)

    def _skip_by_run(self) -> str:
        if self.stopping():
            return STOPPING
        return {CANCELLED_RUN_FINALLY: GRACEFULLY_CANCELLED, STOPPED_RUN_FINALLY: GRACEFULLY_STOPPED}.get(self.stop, "")

    def _skip_by_time(self, task: Obj) -> str:
        return TASKS_TIMED_OUT if self.tasks_timed_out and self._parents_done(task) else ""

    def _skip_by_parents(self, task: Obj) -> str:
        reasons = {self.skip(name) for name in links(task)}
        if reasons - {"", WHEN_FALSE} or any(self.invalid(name) for name in links(task)):
            return PARENT_SKIPPED
        if not self._parents_done(task):
            return ""
        if any(self.skip(name) == WHEN_FALSE for name, _ in self.missing_results(task)):
            return RESULTS_MISSING
        return "" if self.missing_results(task) or _when(task, self.results()) else WHEN_FALSE


def _outcome(run: Obj) -> str:
    state = succeeded(run)
    if not ended(run):
        return "running"
    if state["status"] == "True":
        return "succeeded"
    if state.get("reason") == "TaskRunCancelled":
        return "timed-out" if run["spec"].get("statusMessage") == BY_TIMEOUT else "cancelled"
    return "ignored" if state.get("reason") == "FailureIgnored" else "failed"


def _when(task: Obj, variables: Variables) -> bool:
    return all(_holds(expand(expression, variables)) for expression in task.get("when", []))


def _holds(expression: Obj) -> bool:
    inside = expression.get("input") in expression.get("values", [])
    return inside if expression.get("operator") == "in" else not inside


@dataclass(frozen=True, slots=True)
class Verdict:
    """The condition a PipelineRun gets for where it stands."""

    status: str
    reason: str
    message: str


def verdict(facts: Facts, run: str, timed_out: str) -> Verdict:
    """Return the condition; `timed_out` is the message of a tasks or finally timeout that has run out, or empty."""
    count = tally(facts)
    if count["incomplete"]:
        return Verdict("Unknown", _reason_under_way(facts, count, timed_out), _message(count))
    if timed_out:
        return Verdict("False", "PipelineRunTimeout", timed_out)
    return _final(facts, count, run)


def _final(facts: Facts, count: Counter[str], run: str) -> Verdict:
    if count["failed"] or count["timed-out"] or count["skipped for time"]:
        return Verdict("False", "Failed", _message(count))
    if facts.stop in (CANCELLED_RUN_FINALLY, STOPPED_RUN_FINALLY):
        return Verdict("False", "Cancelled", f'PipelineRun "{run}" was cancelled')
    if count["cancelled"]:
        return Verdict("False", "Cancelled", _message(count))
    if count["invalid"]:
        return Verdict("False", "PipelineValidationFailed", _message(count))
    return Verdict("True", "Completed" if count["skipped"] else "Succeeded", _message(count))


def _reason_under_way(facts: Facts, count: Counter[str], timed_out: str) -> str:
    if timed_out:
        return "PipelineRunTimeoutRunningFinally"
    graceful = {CANCELLED_RUN_FINALLY: "CancelledRunningFinally", STOPPED_RUN_FINALLY: "StoppedRunningFinally"}.get(facts.stop)
    if graceful:
        return graceful
    finals_done = all(facts.outcome(task["name"]) not in ("absent", "running") for task in facts.finals)
    failed = count["failed"] or count["timed-out"]
    return "PipelineRunStopping" if count["cancelled"] or (failed and finals_done) else "Running"


def tally(facts: Facts) -> Counter[str]:
    """Count the tasks by how they stand."""
    count = Counter(_standing(facts, task, facts.skip(task["name"])) for task in facts.tasks)
    count.update(_standing(facts, task, facts.skip_final(task)) for task in facts.finals)
    count["skipped"] += count["skipped for time"]
    return count


def _standing(facts: Facts, task: Obj, skip: str) -> str:
    outcome = facts.outcome(task["name"])
    if outcome == "running":
        return "incomplete"
    if outcome != "absent":
        return outcome
    if skip:
        return "skipped for time" if skip in (TASKS_TIMED_OUT, FINALLY_TIMED_OUT) else "skipped"
    return "invalid" if task in facts.tasks and facts.invalid(task["name"]) else "incomplete"


def _message(count: Counter[str]) -> str:
    failed = count["failed"] + count["timed-out"]
    completed = count["succeeded"] + failed + count["ignored"] + count["cancelled"]
    ignored = f" (Ignored: {count['ignored']})" if count["ignored"] and not count["incomplete"] else ""
    shown = failed + count["ignored"] if ignored else failed
    waiting = f"Incomplete: {count['incomplete']}, " if count["incomplete"] else ""
    return f"Tasks Completed: {completed} (Failed: {shown}{ignored}, Cancelled {count['cancelled']}), {waiting}Skipped: {count['skipped']}"


def skipped_tasks(facts: Facts) -> list[Obj]:
    """Return status.skippedTasks."""
    rows = [(task, facts.skip(task["name"])) for task in facts.tasks] + [(task, facts.skip_final(task)) for task in facts.finals]
    variables = {**facts.results(), **facts.statuses()}
    return [_skipped(task, reason, expand(task.get("when", []), variables)) for task, reason in rows if reason]


def _skipped(task: Obj, reason: str, when: list[Obj]) -> Obj:
    return {"name": task["name"], "reason": reason, **({"whenExpressions": when} if reason == WHEN_FALSE else {})}


def pipeline_results(facts: Facts) -> tuple[list[Obj], list[str]]:
    """Return status.results, and the names of declared results whose task succeeded without writing them."""
    known, found, invalid = facts.results(), [], []
    for declared in facts.spec.get("results") or []:
        value = declared["value"]
        lacking = [path for path in references(value) if not _resolvable(path, known)]
        if not lacking:
            found.append({"name": declared["name"], "value": expand(value, known)})
        elif any(facts.outcome(path.split(".")[1]) == "succeeded" for path in lacking if path.count(".")):
            invalid.append(str(declared["name"]))
    return found, invalid


def _resolvable(path: str, known: Mapping[str, Value]) -> bool:
    return bool(expand(f"$({path})", known) != f"$({path})")

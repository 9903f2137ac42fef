"""status.steps of a TaskRun: one entry a step, in the order of the Task, with the state its container would show."""

from collections.abc import Iterable

from kubernaut.localcluster.errors import Obj

_STATES = frozenset({"waiting", "running", "terminated"})
ERROR, COMPLETED, CONTINUED, SKIPPED, TIMED_OUT = "Error", "Completed", "Continued", "Skipped", "TimeoutExceeded"


class StepStates:
    """The entries; every change makes a new one, so that a status once written is never altered."""

    def __init__(self, entries: Iterable[Obj]) -> None:
        """Take up entries as they were written."""
        self._entries = list(entries)

    @classmethod
    def of(cls, steps: Iterable[Obj]) -> "StepStates":
        """Return the entries of steps that have no container yet."""
        return cls({"name": step["name"], "provenance": {}} for step in steps)

    def entries(self) -> list[Obj]:
        """Return status.steps."""
        return list(self._entries)

    def started_at(self, position: int, otherwise: str) -> str:
        """Return when a step's container began to run."""
        return str(self._entries[position].get("running", {}).get("startedAt", otherwise))

    def run(self, now: str, steps: list[Obj]) -> None:
        """Show all containers as running, which they are in Tekton while steps wait for each other."""
        self._entries = [_entry(step["name"], {"imageID": step["image"], "running": {"startedAt": now}}) for step in steps]

    def wait(self, name: str, reason: str, message: str) -> None:
        """Show one container as waiting, the others as being prepared."""
        self._entries = [
            _entry(
                entry["name"],
                {"waiting": {"reason": reason, "message": message} if entry["name"] == name else {"reason": "PodInitializing"}},
            )
            for entry in self._entries
        ]

    def end(self, position: int, terminated: Obj, reason: str) -> None:
        """Show a container as ended."""
        self._entries[position] = _ended(self._entries[position], terminated, reason)

    def skip(self, position: int, now: str) -> None:
        """Show a container whose step was not begun because one before it failed."""
        self.end(position, {"exitCode": 1, "reason": ERROR, "startedAt": now, "finishedAt": now}, SKIPPED)

    def lose(self, now: str) -> str:
        """Show all unfinished containers as lost with their node; return the first one's name."""
        names = []
        for position, entry in enumerate(self._entries):
            if "terminated" not in entry:
                started = self.started_at(position, now)
                self.end(position, {"exitCode": 255, "reason": ERROR, "startedAt": started, "finishedAt": now}, ERROR)
                names.append(str(entry["name"]))
        return names[0]

    def terminate_all(self, reason: str, pod: str, start: str, now: str) -> None:
        """Show all unfinished containers as ended with their Pod; those that never came to be stay without a state."""
        for position, entry in enumerate(self._entries):
            if entry.keys() & {"waiting", "running"}:
                message = f"Step {entry['name']} terminated as pod {pod} is terminated"
                started = self.started_at(position, start)
                self.end(position, {"exitCode": 1, "reason": reason, "message": message, "startedAt": started, "finishedAt": now}, reason)


def _entry(name: str, state: Obj) -> Obj:
    return {"container": f"step-{name}", "name": name, "provenance": {}, **state}


def _ended(entry: Obj, terminated: Obj, reason: str) -> Obj:
    kept = {key: value for key, value in entry.items() if key not in _STATES}
    return {"container": f"step-{entry['name']}", **kept, "terminated": terminated, "terminationReason": reason}

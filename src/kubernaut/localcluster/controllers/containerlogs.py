"""What simulated containers wrote: told anew each time from the scenario and the container's status, so that it survives a restart."""

from collections.abc import Iterator

from kubernaut.localcluster.api import Obj
from kubernaut.localcluster.controllers.behaviour import subject_of
from kubernaut.localcluster.controllers.scenario import Scenario

__all__ = ["container_log"]


def container_log(pod: Obj, name: str, scenario: Scenario, *, previous: bool = False) -> str | None:
    """Return the log of a container's latest instance, or of the one before it; None where there was none."""
    spec, row = _named(pod["spec"], name, "ontainers"), _named(pod.get("status") or {}, name, "ontainerStatuses")
    if spec is None or row is None:
        return None
    state = row["lastState"] if previous or "waiting" in row["state"] else row["state"]
    if not state:
        return None if previous else ""
    return "".join(_lines(pod, spec, scenario, state.get("terminated")))


def _named(obj: Obj, name: str, ending: str) -> Obj | None:
    rows = [row for prefix in ("initC", "c") for row in obj.get(prefix + ending) or ()]
    return next((row for row in rows if row["name"] == name), None)


def _lines(pod: Obj, container: Obj, scenario: Scenario, end: Obj | None) -> Iterator[str]:
    rules = list(scenario.rules_for(subject_of(pod, container)))
    yield from (_ended(rule.log) for rule in rules if rule.log)
    if end is not None:
        last = next((rule.exits for rule in rules if rule.exits and rule.exits.code == end["exitCode"]), None)
        yield _ended(last.log) if last and last.log else ""


def _ended(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"

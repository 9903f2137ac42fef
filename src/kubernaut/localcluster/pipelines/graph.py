"""The order of a pipeline's tasks: what each waits for."""

from collections.abc import Iterable

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.pipelines.variables import references


def result_references(task: Obj) -> list[tuple[str, str]]:
    """Return (task, result) for every result of another task that a pipeline task's parameters, when expressions and reference use."""
    body = [task.get(key) for key in ("params", "when", "taskRef", "matrix")]
    parts = [path.split(".") for path in references(body)]
    return [(part[1], ".".join(part[3:]).partition("[")[0]) for part in parts if len(part) > 3 and part[0] == "tasks" and part[2] == "results"]  # noqa: PLR2004


def links(task: Obj) -> list[str]:
    """Return the names of the tasks that must be done first: runAfter and tasks whose results are used, each once."""
    return list(dict.fromkeys([*task.get("runAfter", []), *(name for name, _ in result_references(task))]))


def cycle(tasks: Iterable[Obj]) -> tuple[str, str] | None:
    """Return a task and one it waits for that lie on a circle, or None."""
    waits = {str(task["name"]): set(links(task)) for task in tasks}
    while free := [name for name, parents in waits.items() if not parents & waits.keys()]:
        for name in free:
            del waits[name]
    return next(((name, sorted(parents & waits.keys())[0]) for name, parents in waits.items()), None)

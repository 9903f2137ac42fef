"""The order of a pipeline's tasks: what each waits for."""

from collections.abc import Iterable

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.pipelines.variables import references

_RESULT_DOTS = 3  # tasks.<task>.results.<result>


def result_references(task: Obj) -> list[tuple[str, str]]:
    """Return (task, result) for every result of another task that a pipeline task's parameters, when expressions and reference use."""
    body = [task.get(key) for key in ("params", "when", "taskRef", "matrix")]
    parts = [path.split(".", 3) for path in references(body) if path.startswith("tasks.") and path.count(".") >= _RESULT_DOTS]
    return [(part[1], part[3].partition("[")[0]) for part in parts if part[2] == "results"]


def links(task: Obj) -> list[str]:
    """Return the names of the tasks that must be done first: runAfter and tasks whose results are used, each once."""
    return list(dict.fromkeys([*task.get("runAfter", []), *(name for name, _ in result_references(task))]))


def ordered(tasks: Iterable[Obj]) -> list[Obj]:
    """Return the tasks with each after all it waits for; those on a circle, and what waits for them, are left out."""
    left, found, done = list(tasks), list[Obj](), set[str]()
    while free := [task for task in left if done.issuperset(links(task))]:
        found += free
        done |= {str(task["name"]) for task in free}
        left = [task for task in left if task["name"] not in done]
    return found


def cycle(tasks: Iterable[Obj]) -> tuple[str, str] | None:
    """Return a task that lies on or behind a circle and one it waits for there, or None."""
    every = list(tasks)
    free = {str(task["name"]) for task in ordered(every)}
    stuck = {str(task["name"]): task for task in every if task["name"] not in free}
    return next(((name, next(parent for parent in links(task) if parent in stuck)) for name, task in stuck.items()), None)

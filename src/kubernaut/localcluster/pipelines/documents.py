"""Pipelines and Tasks as text: decoding, and the checks Tekton's webhook makes of them before anything runs."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
import yaml

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.pipelines.graph import cycle, links

MAX_NODES = 50_000


class Undecodable(Exception):  # noqa: N818 - an outcome
    """The text holds no object; the message is that of Tekton's decoder."""


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: times stay strings."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def decode(data: bytes) -> Obj:
    """Read one object from JSON or YAML; raise Undecodable."""
    value = _parsed(data)
    if not isinstance(value, dict) or not value.get("kind"):
        raise Undecodable("decoding error: Object 'Kind' is missing")
    if _nodes(value, MAX_NODES) <= 0:
        raise Undecodable("decoding error: error converting YAML to JSON: yaml: document contains excessive aliasing")
    return value


def _parsed(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return _yaml(data)


def _yaml(data: bytes) -> Any:
    try:
        return yaml.load(data, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = getattr(error, "problem", None) or str(error)
        raise Undecodable(f"decoding error: error converting YAML to JSON: yaml: {_as_go(str(problem))}") from error


def _as_go(problem: str) -> str:
    return "mapping values are not allowed in this context" if problem.startswith("mapping values are not allowed") else problem


def _nodes(value: Any, budget: int) -> int:
    stack = [value]
    while stack and budget > 0:
        budget -= 1
        top = stack.pop()
        stack.extend(top.values() if isinstance(top, dict) else top if isinstance(top, list) else ())
    return budget


def pipeline_faults(spec: Obj) -> str:
    """Return what is wrong with a Pipeline's spec in the webhook's words, or an empty string."""
    tasks, finals = spec.get("tasks") or [], spec.get("finally") or []
    if not tasks:
        return "missing field(s): spec.tasks"
    checks = (_names(tasks, "spec.tasks"), _names([*tasks, *finals], "spec.finally"), _links(tasks), _bodies([*tasks, *finals]))
    return next((fault for fault in checks if fault), "")


def task_faults(spec: Obj, path: str = "spec") -> str:
    """Return what is wrong with a Task's spec, or an empty string."""
    steps = spec.get("steps")
    if not isinstance(steps, list) or not steps:
        return f"missing field(s): {path}.steps"
    return next((fault for position, step in enumerate(steps) if (fault := _step_fault(step, f"{path}.steps[{position}]"))), "")


def _step_fault(step: Obj, path: str) -> str:
    if not step.get("image") and "ref" not in step:
        return f"missing field(s): {path}.Image"
    if step.get("script") and step.get("command"):
        return f"script cannot be used with command: {path}.script"
    return ""


def _names(tasks: Iterable[Mapping[str, Any]], path: str) -> str:
    seen = set()
    for position, task in enumerate(tasks):
        name = task.get("name")
        if not name:
            return f"missing field(s): {path}[{position}].name"
        if name in seen:
            return f"expected exactly one, got both: {path}[{position}].name"
        seen.add(name)
    return ""


def _links(tasks: list[Obj]) -> str:
    names = {task["name"] for task in tasks}
    for task in tasks:
        for parent in links(task):
            if parent not in names:
                name = task["name"]
                why = f"task {name} depends on {parent} but {parent} wasn't present in Pipeline"
                return f"invalid value: couldn't add link between {name} and {parent}: {why}: spec.tasks"
    looped = cycle(tasks)
    return f'invalid value: cycle detected; task "{looped[0]}" depends on "{looped[1]}": spec.tasks' if looped else ""


def unsupported(spec: Obj) -> str:
    """Return what a pipeline asks for that the embedded runner has not, or an empty string."""
    for task in [*spec.get("tasks", []), *spec.get("finally", [])]:
        if "matrix" in task or "pipelineRef" in task or "pipelineSpec" in task:
            return f'pipeline task "{task["name"]}": matrix and pipelines in pipelines are not supported by the embedded runner'
        if task.get("taskRef", {}).get("apiVersion", "tekton.dev/").partition("/")[0] != "tekton.dev":
            return f'pipeline task "{task["name"]}": custom tasks are not supported by the embedded runner'
    return ""


def _bodies(tasks: list[Obj]) -> str:
    for position, task in enumerate(tasks):
        path = f"spec.tasks[{position}]"
        if "pipelineRef" in task or "pipelineSpec" in task:
            continue
        if ("taskRef" in task) == ("taskSpec" in task):
            got = "both" if "taskRef" in task else "neither"
            return f"expected exactly one, got {got}: {path}.taskRef, {path}.taskSpec"
        if "taskSpec" in task and (fault := task_faults(task["taskSpec"], f"{path}.taskSpec")):
            return fault
    return ""

"""The pipelines and tasks of the recorded cases."""

from typing import Any

from tests.localcluster.pipelines.stage import REGISTRY, SHELL, bundle_ref

Obj = dict[str, Any]
TASKS = f"{REGISTRY}/tekton/tasks:1"


def step(name: str, script: str, **more: Any) -> Obj:
    """Return a step in a shell."""
    return {"name": name, "image": SHELL, "script": f"#!/bin/sh\n{script}\n", **more}


def task(name: str, *steps: Obj, results: tuple[str, ...] = (), spec: Obj | None = None, **more: Any) -> Obj:
    """Return a pipeline task with its Task embedded."""
    body = {"steps": list(steps), **({"results": [{"name": result} for result in results]} if results else {}), **(spec or {})}
    return {"name": name, "taskSpec": body, **more}


def pipeline(name: str, *tasks: Obj, **more: Any) -> Obj:
    """Return a Pipeline."""
    return {"apiVersion": "tekton.dev/v1", "kind": "Pipeline", "metadata": {"name": name}, "spec": {"tasks": list(tasks), **more}}


def task_object(name: str, *steps: Obj, **spec: Any) -> Obj:
    """Return a Task."""
    return {"apiVersion": "tekton.dev/v1", "kind": "Task", "metadata": {"name": name}, "spec": {"steps": list(steps), **spec}}


def referring(name: str, **params: str) -> Obj:
    """Return a pipeline task whose Task comes from the bundle of tasks."""
    given = [{"name": key, "value": value} for key, value in params.items()]
    return {"name": name, "taskRef": bundle_ref(name, TASKS, "task"), "params": given}


GREET = task_object(
    "greet",
    step("say", 'printf "hello %s" "$(params.who)" | tee $(results.greeting.path)'),
    step("count", 'printf "%s" "$(params.who)" | wc -c | tr -d "\\n " > $(results.length.path)'),
    params=[{"name": "who", "type": "string"}],
    results=[{"name": "greeting", "type": "string"}, {"name": "length", "type": "string"}],
)
SHOUT = task_object(
    "shout",
    step("shout", 'printf "%s" "$(params.text)" | tr a-z A-Z | tee $(results.loud.path)'),
    params=[{"name": "text", "type": "string"}],
    results=[{"name": "loud", "type": "string"}],
)
TIDY = task_object("tidy", step("tidy", 'echo "status was $(params.status)"'), params=[{"name": "status", "type": "string"}])

HELLO = pipeline(
    "hello",
    referring("greet", who="$(params.who)"),
    referring("shout", text="$(tasks.greet.results.greeting)"),
    **{"finally": [referring("tidy", status="$(tasks.status)")]},
    params=[
        {"name": "who", "type": "string", "description": "whom to greet"},
        {"name": "tags", "type": "array", "default": ["a", "b"]},
        {"name": "opts", "type": "object", "properties": {"colour": {"type": "string"}}, "default": {"colour": "red"}},
    ],
    results=[
        {"name": "GREETING", "value": "$(tasks.greet.results.greeting)"},
        {"name": "LOUD", "value": "$(tasks.shout.results.loud)"},
        {"name": "LENGTH", "value": "$(tasks.greet.results.length)"},
    ],
)

FINALLY = [task("last", step("tidy", "echo tidy"))]
BROKEN = pipeline(
    "broken",
    task("first", step("fine", "echo fine")),
    task(
        "second",
        step("before", "echo before"),
        step("break", 'echo "it broke" >&2\nprintf "partial" > $(results.partial.path)\nexit 3'),
        step("after", "echo after"),
        results=("partial",),
        runAfter=["first"],
    ),
    task("third", step("never", "echo never"), runAfter=["second"]),
    **{"finally": [task("last", step("tidy", 'echo "status $(tasks.status)"'))]},
    results=[{"name": "PARTIAL", "value": "$(tasks.second.results.partial)"}],
)
SLEEPER = pipeline(
    "sleeper",
    task("sleep", step("sleep", "echo $$ > $(params.fifo)\nexec sleep 120")),
    task("after", step("never", "echo never"), runAfter=["sleep"]),
    **{"finally": FINALLY},
    params=[{"name": "fifo", "default": "/dev/null"}],
)
SIDE_BY_SIDE = pipeline("side-by-side", task("a", step("quick", "exit 7")), task("b", step("slow", "sleep 2")))
CARRY_ON = pipeline(
    "carry-on",
    task("soft", step("break", "exit 3"), onError="continue"),
    task("stepsoft", step("break", "exit 4", onError="continue"), step("go", "echo go"), runAfter=["soft"]),
)
RETRY = pipeline("retry", task("flaky", step("break", "exit 5"), retries=1))
PULL = pipeline("pull", task("pull", {**step("pull", "echo never"), "image": f"{REGISTRY}/nosuch/image:1"}))
WORKSPACE = pipeline(
    "workspace",
    task(
        "ws",
        step("a", "echo hi > $(workspaces.data.path)/f && cat $(workspaces.data.path)/f"),
        spec={"workspaces": [{"name": "data"}]},
        workspaces=[{"name": "data", "workspace": "shared"}],
    ),
    workspaces=[{"name": "shared"}],
)
QUIET = pipeline(
    "quiet",
    task("quiet", step("a", "echo nothing"), results=("r",)),
    task(
        "uses", step("b", "echo $(params.x)"), spec={"params": [{"name": "x"}]}, params=[{"name": "x", "value": "$(tasks.quiet.results.r)"}]
    ),
    results=[{"name": "R", "value": "$(tasks.quiet.results.r)"}],
)
COMMAND = pipeline("command", task("bad", {"name": "bad", "image": SHELL, "command": ["/no/such/command"]}))
FOUR = pipeline(
    "four",
    task("first", step("fine", "echo fine")),
    task("second", step("x", "true"), runAfter=["first"]),
    task("third", step("x", "true"), runAfter=["second"]),
    **{"finally": FINALLY},
)
FLAT = pipeline("flat", task("sleep", step("sleep", "sleep 0.6")), task("other", step("quick", "true")), **{"finally": FINALLY})
TASK_GONE = pipeline("taskgone", {"name": "gone", "taskRef": bundle_ref("nosuch", TASKS, "task")})
INVALID = pipeline("invalid", task("a", step("x", "true"), runAfter=["nosuch"]))

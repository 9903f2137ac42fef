"""The TaskRun of a pipeline task, as Tekton writes it."""

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.pipelines.names import task_run_name
from kubernaut.localcluster.pipelines.plan import Facts
from kubernaut.localcluster.pipelines.resolver import owner_reference
from kubernaut.localcluster.pipelines.variables import Value, expand
from kubernaut.localcluster.pipelines.world import API_VERSION

_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_DEFAULT_TIMEOUT = "1h0m0s"


def cancel_patch(message: str) -> Obj:
    """Return the patch that asks for a TaskRun's end."""
    return {"spec": {"status": "TaskRunCancelled", "statusMessage": message}}


def task_run(run: Obj, facts: Facts, task: Obj) -> Obj:
    """Return the TaskRun to create for a pipeline task whose results are all there."""
    meta = run["metadata"]
    annotations = {key: value for key, value in meta.get("annotations", {}).items() if key != _APPLIED}
    if task.get("onError") == "continue":
        annotations["pipeline.tekton.dev/pipeline-task-on-error"] = "continue"
    metadata: Obj = {
        "name": task_run_name(meta["name"], task["name"]),
        "namespace": meta["namespace"],
        "labels": _labels(run, facts, task),
        "ownerReferences": [owner_reference(run)],
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "TaskRun",
        "metadata": metadata | ({"annotations": annotations} if annotations else {}),
        "spec": _spec(run["spec"], facts, task),
    }


def _labels(run: Obj, facts: Facts, task: Obj) -> Obj:
    meta = run["metadata"]
    return {
        **meta.get("labels", {}),
        "app.kubernetes.io/managed-by": "tekton-pipelines",
        "tekton.dev/memberOf": "finally" if task in facts.finals else "tasks",
        "tekton.dev/pipelineRun": meta["name"],
        "tekton.dev/pipelineRunUID": meta["uid"],
        "tekton.dev/pipelineTask": task["name"],
    }


def _spec(run_spec: Obj, facts: Facts, task: Obj) -> Obj:
    results = facts.results()
    variables: dict[str, Value] = {**results, **(facts.statuses() if task in facts.finals else {})}
    spec: Obj = {"serviceAccountName": _service_account(run_spec, task["name"]), "timeout": task.get("timeout", _DEFAULT_TIMEOUT)}
    if "taskRef" in task:
        spec["taskRef"] = _with_kind(expand(task["taskRef"], variables))
    else:
        spec["taskSpec"] = _task_spec(expand(task["taskSpec"], results))
    if task.get("params"):
        spec["params"] = expand(task["params"], variables)
    if task.get("retries"):
        spec["retries"] = task["retries"]
    if bindings := _workspaces(run_spec, facts.spec, task):
        spec["workspaces"] = bindings
    return spec


def _with_kind(ref: Obj) -> Obj:
    return ref if "resolver" in ref else {"kind": "Task", **ref}


def _task_spec(spec: Obj) -> Obj:
    typed = [{"type": "string", **result} for result in spec.get("results") or []]
    steps = [{"computeResources": {}, **step} for step in spec["steps"]]
    body = {key: value for key, value in spec.items() if key not in ("metadata", "spec")}
    return {**body, "steps": steps, **({"results": typed} if typed else {})}


def _service_account(run_spec: Obj, task: str) -> str:
    own: Obj = next((entry for entry in run_spec.get("taskRunSpecs") or [] if entry.get("pipelineTaskName") == task), {})
    return str(own.get("serviceAccountName") or (run_spec.get("taskRunTemplate") or {}).get("serviceAccountName") or "default")


def _workspaces(run_spec: Obj, spec: Obj, task: Obj) -> list[Obj]:
    bound = {entry["name"]: entry for entry in run_spec.get("workspaces") or []}
    wanted = task.get("workspaces") or [
        entry for entry in task.get("taskSpec", {}).get("workspaces") or [] if entry["name"] in _names(spec)
    ]
    return [_binding(entry, bound[source]) for entry in wanted if (source := entry.get("workspace") or entry["name"]) in bound]


def _names(spec: Obj) -> set[str]:
    return {entry["name"] for entry in spec.get("workspaces") or []}


def _binding(entry: Obj, bound: Obj) -> Obj:
    path = "/".join(part for part in (bound.get("subPath", ""), entry.get("subPath", "")) if part)
    return {**bound, "name": entry["name"], **({"subPath": path} if path else {})}

"""A Task's spec made ready to run: parameters, context, paths and workspaces put in, as `status.taskSpec` shows it."""

from collections.abc import Iterator

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.pipelines import params
from kubernaut.localcluster.pipelines.documents import task_faults
from kubernaut.localcluster.pipelines.faults import RunFailed, Unsupported
from kubernaut.localcluster.pipelines.resolver import reference_name
from kubernaut.localcluster.pipelines.variables import Value, Variables, expand, expand_fields

INVALID = "TaskRunValidationFailed"
_DECLARED = frozenset({"params", "results", "workspaces", "description", "displayName"})


def prepared(run: Obj, spec: Obj, attempt: int) -> Obj:
    """Return the spec with everything put in; raise RunFailed where TaskRun and Task do not fit."""
    if fault := task_faults(spec):
        raise RunFailed(INVALID, f"invalid taskspec: {fault}", fault)
    values = params.given(run["spec"].get("params") or [])
    declared = spec.get("params") or []
    if names := params.missing(declared, values):
        raise _user_error(f"missing values for these params which have no default values: [{' '.join(names)}]")
    if names := params.mismatched(declared, values):
        raise _user_error(f"param types don't match the user-specified type: [{' '.join(names)}]")
    _check_workspaces(run, spec)
    variables = {**params.resolved(declared, values), **_context(run, attempt), **dict(_paths(run, spec))}
    placed = expand_fields(spec, variables, keep=_DECLARED | {"steps"})
    return {**placed, "steps": [_step(step, position, variables) for position, step in enumerate(spec["steps"])]}


def _user_error(text: str) -> RunFailed:
    return RunFailed(INVALID, f"[User error] {text}", text)


def _step(step: Obj, position: int, variables: Variables) -> Obj:
    name = step.get("name") or f"unnamed-{position}"
    own: dict[str, Value] = {
        f"step.results.{result['name']}.path": f"/tekton/steps/step-{name}/results/{result['name']}" for result in step.get("results", [])
    }
    placed: Obj = expand({"computeResources": {}, **step, "name": name}, {**variables, **own})
    return placed


def _context(run: Obj, attempt: int) -> Variables:
    meta = run["metadata"]
    own = {f"context.taskRun.{key}": str(meta[key]) for key in ("name", "namespace", "uid")}
    ref = run["spec"].get("taskRef")
    task = {"context.task.name": reference_name(ref) if ref else "", "context.task.retry-count": str(attempt)}
    return {**own, **task, "credentials.path": "/tekton/creds"}


def _paths(run: Obj, spec: Obj) -> Iterator[tuple[str, Value]]:
    for result in spec.get("results") or []:
        yield f"results.{result['name']}.path", f"/tekton/results/{result['name']}"
    bound = {entry["name"]: entry for entry in run["spec"].get("workspaces") or []}
    for declared in spec.get("workspaces") or []:
        name = declared["name"]
        yield f"workspaces.{name}.bound", str(name in bound).lower()
        yield f"workspaces.{name}.path", mount_path(declared) if name in bound else ""
        yield f"workspaces.{name}.claim", bound.get(name, {}).get("persistentVolumeClaim", {}).get("claimName", "")
        yield f"workspaces.{name}.volume", f"ws-{name}" if name in bound else ""


def mount_path(workspace: Obj) -> str:
    """Return where a declared workspace is seen by steps."""
    return str(workspace.get("mountPath") or f"/workspace/{workspace['name']}")


def _check_workspaces(run: Obj, spec: Obj) -> None:
    bound = {entry["name"] for entry in run["spec"].get("workspaces") or []}
    for declared in spec.get("workspaces") or []:
        if declared["name"] not in bound and not declared.get("optional"):
            why = f'declared workspace "{declared["name"]}" is required but has not been bound'
            text = f"bound workspaces did not match declared workspaces: {why}"
            raise RunFailed(INVALID, text, text)


def check_supported(spec: Obj) -> None:
    """Raise Unsupported for what a local process cannot stand in for."""
    if spec.get("sidecars"):
        raise Unsupported("sidecars are not supported by the embedded runner")
    if any("ref" in step for step in spec["steps"]):
        raise Unsupported("step actions are not supported by the embedded runner")
    if odd := [volume["name"] for volume in spec.get("volumes") or [] if "emptyDir" not in volume]:
        raise Unsupported(f'volume "{odd[0]}": only emptyDir volumes are supported by the embedded runner')


def with_template(step: Obj, spec: Obj) -> Obj:
    """Return a step with the fields of stepTemplate it does not set itself; environments are joined by name."""
    template = spec.get("stepTemplate") or {}
    env = {entry["name"]: entry for entry in [*template.get("env", []), *step.get("env", [])]}
    mounts = [*template.get("volumeMounts", []), *step.get("volumeMounts", [])]
    return {**template, **step, "env": list(env.values()), "volumeMounts": mounts}

"""Whether a resolved pipeline and its run fit together: schema, parameters, workspaces; and the parameters put in their places."""

from functools import cache

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.pipelines import params
from kubernaut.localcluster.pipelines.crds import tekton_crds
from kubernaut.localcluster.pipelines.faults import RunFailed
from kubernaut.localcluster.pipelines.variables import Value, Variables, expand_fields
from kubernaut.localcluster.schema import Schema

_FIXED = frozenset({"name", "runAfter", "taskSpec"})


@cache
def _schema(kind: str) -> Schema:
    found = next(crd for crd in tekton_crds() if crd["spec"]["names"]["kind"] == kind)
    return Schema(found["spec"]["versions"][0]["schema"]["openAPIV3Schema"])


def checked_spec(kind: str, obj: Obj) -> str:
    """Return the first fault of an object against its kind's schema, or an empty string."""
    return next((f"{fault.field}: {fault.message}" for fault in _schema(kind).validate(obj)), "")


def task_refs(spec: Obj) -> list[Obj]:
    """Return all references to Tasks of a pipeline."""
    return [task["taskRef"] for task in [*spec.get("tasks", []), *spec.get("finally", [])] if "taskRef" in task]


def place_parameters(run: Obj, pipeline: str, spec: Obj) -> Obj:
    """Return the pipeline's spec with parameters and context put in; raise RunFailed where the run does not fit it."""
    _Check(run, pipeline, spec).all()
    declared = spec.get("params") or []
    values = params.given(run["spec"].get("params") or [])
    variables = {**params.resolved(declared, values), **_context(run, pipeline)}
    placed: Obj = {part: [_placed(task, variables) for task in spec[part]] for part in ("tasks", "finally") if part in spec}
    return {**spec, **placed}


def _placed(task: Obj, variables: Variables) -> Obj:
    own: dict[str, Value] = {"context.pipelineTask.retries": str(task.get("retries", 0))}
    known = {**variables, **own}
    placed = expand_fields(task, known, keep=_FIXED)
    return (
        {**placed, "taskSpec": expand_fields(task["taskSpec"], _outer(task, known), keep=frozenset({"params"}))}
        if "taskSpec" in task
        else placed
    )


def _outer(task: Obj, variables: Variables) -> Variables:
    inner = {f"params.{param['name']}" for param in [*task.get("params", []), *task["taskSpec"].get("params", [])]}
    return {name: value for name, value in variables.items() if name not in inner}


def _context(run: Obj, pipeline: str) -> Variables:
    meta = run["metadata"]
    own = {f"context.pipelineRun.{key}": str(meta[key]) for key in ("name", "namespace", "uid")}
    return {**own, "context.pipeline.name": pipeline}


class _Check:
    """The checks of a run against its pipeline, in Tekton's order."""

    def __init__(self, run: Obj, pipeline: str, spec: Obj) -> None:
        meta = run["metadata"]
        self._run = f"PipelineRun {meta['namespace']}/{meta['name']}"
        self._pipeline = f"Pipeline {meta['namespace']}/{pipeline}"
        self._spec = spec
        self._run_spec: Obj = run["spec"]

    def all(self) -> None:
        self._parameters()
        self._workspaces()
        self._task_run_specs()

    def _parameters(self) -> None:
        declared = self._spec.get("params") or []
        values = params.given(self._run_spec.get("params") or [])
        if names := params.missing(declared, values):
            error = f"pipelineRun missing parameters: [{' '.join(names)}]"
            raise self._user_error("ParameterMissing", f"is missing some parameters required by {self._pipeline}", error)
        if names := params.mismatched(declared, values):
            error = f"parameters have inconsistent types : [{' '.join(names)}]"
            raise self._user_error("ParameterTypeMismatch", f"parameters have mismatching types with {self._pipeline}'s parameters", error)
        if keys := params.missing_keys(declared, values):
            shown = " ".join(f"{name}:[{' '.join(lacking)}]" for name, lacking in keys.items())
            error = f"pipelineRun missing object keys for parameters: map[{shown}]"
            raise self._user_error(
                "ObjectParameterMissKeys", f"parameters is missing object keys required by {self._pipeline}'s parameters", error
            )

    def _workspaces(self) -> None:
        bound = {entry["name"] for entry in self._run_spec.get("workspaces") or []}
        for declared in self._spec.get("workspaces") or []:
            if declared["name"] not in bound and not declared.get("optional"):
                error = f'pipeline requires workspace with name "{declared["name"]}" be provided by pipelinerun'
                raise self._user_error("InvalidWorkspaceBindings", f"doesn't bind {self._pipeline}'s Workspaces correctly", error)

    def _task_run_specs(self) -> None:
        known = {task["name"] for task in [*self._spec.get("tasks", []), *self._spec.get("finally", [])]}
        for entry in self._run_spec.get("taskRunSpecs") or []:
            if entry.get("pipelineTaskName") not in known:
                error = f'pipelineRun\'s taskrunSpecs defined wrong taskName: "{entry.get("pipelineTaskName")}", does not exist in Pipeline'
                raise self._user_error("InvalidTaskRunSpecs", "doesn't define taskRunSpecs correctly", error)

    def _user_error(self, reason: str, what: str, error: str) -> RunFailed:
        return RunFailed(reason, f"[User error] {self._run} {what}: {error}", error)

"""The engine of catalogue mode: one tekton.dev/v1 PipelineRun an execution, whose pipeline comes from the workflow's bundle."""

from datetime import datetime

from kubernaut.api.base import Obj
from kubernaut.api.core import PIPELINE_RUN, TASK_RUN
from kubernaut.api.durations import go_duration
from kubernaut.api.workflow import FailureDetails, WorkflowExecution
from kubernaut.kube.errors import ApiError
from kubernaut.workflow import failure
from kubernaut.workflow.decide import RunState
from kubernaut.workflow.engines.base import Run
from kubernaut.workflow.engines.marks import allowed_time, metadata, moment, reference, subject
from kubernaut.workflow.engines.single import SingleObjectEngine
from kubernaut.workflow.settings import WorkflowSettings
from kubernaut.workflow.stuck import note

PIPELINE = "workflow"
"""The name of the pipeline inside every bundle."""
CANCELLED = "Cancelled"


class TektonEngine(SingleObjectEngine):
    """Creates the PipelineRun of an execution, reads it, cancels it, deletes it."""

    kind = PIPELINE_RUN
    watches = (PIPELINE_RUN, TASK_RUN)

    def _wanted(self, execution: WorkflowExecution) -> Obj:
        return pipeline_run(execution, self._settings)

    def _goes_on(self, found: Obj) -> bool:
        return run_state(found) is RunState.RUNNING

    async def cancel(self, execution: WorkflowExecution) -> None:
        """Set spec.status to Cancelled; a run that has ended meanwhile refuses it, which is as well."""
        name, namespace = execution.metadata.name, self._settings.execution_namespace
        found = self._cluster.read(PIPELINE_RUN, namespace, name)
        if found is not None and found["spec"].get("status") == CANCELLED:
            return
        try:
            await self._cluster.client.patch(PIPELINE_RUN, name, namespace, {"spec": {"status": CANCELLED}})
        except ApiError as fault:
            if fault.status not in {400, 404}:
                raise

    async def _told(self, execution: WorkflowExecution, found: Obj) -> Run:
        state = run_state(found)
        failed = state in {RunState.FAILED, RunState.SPOILED}
        task_runs = await self._task_runs(found, settled=failed and execution.status.completion_time is None)
        settles_at = self._settles_at(found, task_runs) if failed else None
        return Run(
            state=state if settles_at is None else RunState.RUNNING,
            reference=reference(PIPELINE_RUN, found),
            started_at=moment(found["metadata"].get("creationTimestamp")),
            ended_at=moment((found.get("status") or {}).get("completionTime")),
            progress=failure.progress(found),
            steps_ran=failure.steps_ran(task_runs.values()),
            note=note(found, task_runs),
            settles_at=settles_at,
            failure=self._explained(execution, found, task_runs) if failed and settles_at is None else None,
        )

    def _settles_at(self, found: Obj, task_runs: dict[str, Obj]) -> datetime | None:
        """Tell until when TaskRuns of a failed run may still say how they ended: a run that is stopped ends before they do."""
        ended = moment((found.get("status") or {}).get("completionTime"))
        if ended is None or all(failure.succeeded(each).get("status") in {"True", "False"} for each in task_runs.values()):
            return None
        until = ended + self._settings.task_grace
        return until if self._cluster.clock.now() < until else None

    def _explained(self, execution: WorkflowExecution, found: Obj, task_runs: dict[str, Obj]) -> FailureDetails:
        started, now = moment(found["metadata"].get("creationTimestamp")), self._cluster.clock.now()
        about = subject(execution, started, steps_ran=failure.steps_ran(task_runs.values()))
        out_of_time = started is not None and now >= started + allowed_time(execution, self._settings)
        return failure.details(found, task_runs, about, now, out_of_time=out_of_time)

    async def _task_runs(self, found: Obj, *, settled: bool) -> dict[str, Obj]:
        """Return the TaskRuns of a PipelineRun by name; where an end is to be explained, those the cache shows unfinished are read anew."""
        task_runs = {}
        for name, _ in failure.children(found):
            task_run = self._cluster.read(TASK_RUN, found["metadata"]["namespace"], name)
            if settled and failure.succeeded(task_run).get("status") not in {"True", "False"}:
                task_run = await self._live(TASK_RUN, name) or task_run
            if task_run is not None:
                task_runs[name] = task_run
        return task_runs


def run_state(found: Obj) -> RunState:
    """Map the condition `Succeeded` (section 3 of the WorkflowExecution document): True, False, and anything else, which goes on."""
    match failure.succeeded(found).get("status"):
        case "True":
            return RunState.SUCCEEDED
        case "False":
            return RunState.SPOILED if failure.spoiled(found) else RunState.FAILED
        case _:
            return RunState.RUNNING


def pipeline_run(execution: WorkflowExecution, settings: WorkflowSettings) -> Obj:
    """Return the PipelineRun of an execution as section 2 of the WorkflowExecution document says, in the forms Kubernetes accepts."""
    spec = execution.spec
    return {
        "apiVersion": PIPELINE_RUN.api_version,
        "kind": PIPELINE_RUN.kind,
        "metadata": metadata(execution, settings),
        "spec": {
            "pipelineRef": {"resolver": "bundles", "params": _bundle_params(execution)},
            "params": [{"name": name, "value": value} for name, value in sorted(spec.parameters.items())],
            "taskRunTemplate": {"serviceAccountName": spec.execution_config.service_account_name or settings.service_account},
            "timeouts": {"pipeline": go_duration(allowed_time(execution, settings))},
        },
    }


def _bundle_params(execution: WorkflowExecution) -> list[Obj]:
    image = execution.spec.workflow_ref.container_image if execution.spec.workflow_ref else ""
    return [{"name": "bundle", "value": image}, {"name": "name", "value": PIPELINE}, {"name": "kind", "value": "pipeline"}]

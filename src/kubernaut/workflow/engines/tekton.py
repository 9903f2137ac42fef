"""The engine of catalogue mode: one tekton.dev/v1 PipelineRun an execution, whose pipeline comes from the workflow's bundle."""

from datetime import datetime, timedelta

from kubernaut.api.base import Obj, ObjectReference, OwnerReference
from kubernaut.api.core import PIPELINE_RUN, TASK_RUN
from kubernaut.api.durations import go_duration, parse_duration
from kubernaut.api.workflow import (
    SOURCE_NAMESPACE_LABEL,
    TARGET_RESOURCE_ANNOTATION,
    TARGET_RESOURCE_LABEL,
    WORKFLOW_EXECUTION_LABEL,
    WORKFLOW_ID_LABEL,
    FailureCategory,
    FailureDetails,
    WorkflowExecution,
)
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError
from kubernaut.workflow import failure
from kubernaut.workflow.decide import RunState
from kubernaut.workflow.engines.base import ABSENT, Run
from kubernaut.workflow.settings import WorkflowSettings
from kubernaut.workflow.target import label_value

UID_ANNOTATION = "kubernaut.ai/workflow-execution-uid"
PIPELINE = "workflow"
"""The name of the pipeline inside every bundle."""
CANCELLED = "Cancelled"


class TektonEngine:
    """Creates the PipelineRun of an execution, reads it, cancels it, deletes it."""

    def __init__(self, cluster: Cluster, settings: WorkflowSettings) -> None:
        self._cluster = cluster
        self._settings = settings

    async def observe(self, execution: WorkflowExecution) -> Run:
        """Read the PipelineRun from the cache; one that is missed is looked for at the API server before it is called gone."""
        name, namespace = execution.metadata.name, self._settings.execution_namespace
        found = self._cluster.read(PIPELINE_RUN, namespace, name)
        if found is None and _is_missed(execution):
            found = await self._live(name)
        return ABSENT if found is None else await self._read(execution, found)

    async def start(self, execution: WorkflowExecution) -> Run:
        """Create the PipelineRun; what Tekton's webhook refuses has failed, for it would be refused again."""
        wanted = pipeline_run(execution, self._settings)
        try:
            made = await self._cluster.client.create(PIPELINE_RUN, wanted)
        except ApiError as fault:
            if fault.already_exists:
                return await self._existing(execution)
            if fault.status in {400, 422}:
                return self._refused(execution, fault)
            raise
        self._cluster.observe(PIPELINE_RUN, made)
        return await self._read(execution, made)

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

    async def cleanup(self, execution: WorkflowExecution) -> bool:
        """Delete the PipelineRun, with its TaskRuns and Pods; return whether it is gone. A foreign one is left alone."""
        found = await self._live(execution.metadata.name)
        if found is None or not is_ours(found, execution):
            return True
        if "deletionTimestamp" not in found["metadata"]:
            await self._delete(found)
        return await self._live(execution.metadata.name) is None

    async def _delete(self, found: Obj) -> None:
        meta = found["metadata"]
        try:
            await self._cluster.client.delete(PIPELINE_RUN, meta["name"], meta["namespace"], uid=meta["uid"], propagation="Background")
        except ApiError as fault:
            if not fault.not_found and not fault.conflict:
                raise

    async def _live(self, name: str) -> Obj | None:
        try:
            return await self._cluster.client.get(PIPELINE_RUN, name, self._settings.execution_namespace)
        except ApiError as fault:
            if fault.not_found:
                return None
            raise

    async def _existing(self, execution: WorkflowExecution) -> Run:
        found = await self._live(execution.metadata.name)
        if found is None:
            return ABSENT
        self._cluster.observe(PIPELINE_RUN, found)
        return await self._read(execution, found)

    async def _read(self, execution: WorkflowExecution, found: Obj) -> Run:
        if not is_ours(found, execution):
            return Run(RunState.FOREIGN, _reference(found))
        state = run_state(found)
        failed = state in {RunState.FAILED, RunState.SPOILED}
        task_runs = await self._task_runs(found, settled=failed and execution.status.completion_time is None)
        return Run(
            state=state,
            reference=_reference(found),
            started_at=_time(found["metadata"].get("creationTimestamp")),
            ended_at=_time((found.get("status") or {}).get("completionTime")),
            progress=failure.progress(found),
            steps_ran=failure.steps_ran(task_runs.values()),
            failure=self._explained(execution, found, task_runs) if failed else None,
        )

    def _explained(self, execution: WorkflowExecution, found: Obj, task_runs: dict[str, Obj]) -> FailureDetails:
        started, now = _time(found["metadata"].get("creationTimestamp")), self._cluster.clock.now()
        about = subject(execution, started, steps_ran=failure.steps_ran(task_runs.values()))
        out_of_time = started is not None and now >= started + allowed_time(execution, self._settings)
        return failure.details(found, task_runs, about, now, out_of_time=out_of_time)

    async def _task_runs(self, found: Obj, *, settled: bool) -> dict[str, Obj]:
        """Return the TaskRuns of a PipelineRun by name; where an end is to be explained, those the cache shows unfinished are read anew."""
        task_runs = {}
        for name, _ in failure.children(found):
            task_run = self._cluster.read(TASK_RUN, found["metadata"]["namespace"], name)
            if settled and failure.succeeded(task_run).get("status") not in {"True", "False"}:
                task_run = await self._live_task_run(name) or task_run
            if task_run is not None:
                task_runs[name] = task_run
        return task_runs

    async def _live_task_run(self, name: str) -> Obj | None:
        try:
            return await self._cluster.client.get(TASK_RUN, name, self._settings.execution_namespace)
        except ApiError as fault:
            if fault.not_found:
                return None
            raise

    def _refused(self, execution: WorkflowExecution, fault: ApiError) -> Run:
        now = self._cluster.clock.now()
        told = FailureDetails(
            reason=fault.reason or "Refused",
            category=FailureCategory.CONFIGURATION_ERROR,
            message=failure.cut(fault.message),
            failed_at=now,
        )
        return Run(RunState.FAILED, ended_at=now, failure=failure.explained(told, subject(execution, None, steps_ran=False)))


def run_state(found: Obj) -> RunState:
    """Map the condition `Succeeded` (section 3 of the WorkflowExecution document): True, False, and anything else, which goes on."""
    match failure.succeeded(found).get("status"):
        case "True":
            return RunState.SUCCEEDED
        case "False":
            return RunState.SPOILED if failure.spoiled(found) else RunState.FAILED
        case _:
            return RunState.RUNNING


def is_ours(found: Obj, execution: WorkflowExecution) -> bool:
    """Tell whether a PipelineRun was made for this very execution, not for an earlier one of its name."""
    annotations = found["metadata"].get("annotations") or {}
    return bool(annotations.get(UID_ANNOTATION) == execution.metadata.uid)


def subject(execution: WorkflowExecution, started: datetime | None, *, steps_ran: bool) -> failure.Subject:
    """Return what failed, for the summary; that steps ran may also be on record from earlier."""
    ref = execution.spec.workflow_ref
    known = any(condition.type == STEPS_STARTED and condition.status == "True" for condition in execution.status.conditions)
    return failure.Subject(ref.workflow_id if ref else "", execution.spec.target_resource, steps_ran or known, started)


STEPS_STARTED = "StepsStarted"


def pipeline_run(execution: WorkflowExecution, settings: WorkflowSettings) -> Obj:
    """Return the PipelineRun of an execution as section 2 of the WorkflowExecution document says, in the forms Kubernetes accepts."""
    spec = execution.spec
    return {
        "apiVersion": PIPELINE_RUN.api_version,
        "kind": PIPELINE_RUN.kind,
        "metadata": _metadata(execution, settings),
        "spec": {
            "pipelineRef": {"resolver": "bundles", "params": _bundle_params(execution)},
            "params": [{"name": name, "value": value} for name, value in sorted(spec.parameters.items())],
            "taskRunTemplate": {"serviceAccountName": spec.execution_config.service_account_name or settings.service_account},
            "timeouts": {"pipeline": go_duration(allowed_time(execution, settings))},
        },
    }


def _metadata(execution: WorkflowExecution, settings: WorkflowSettings) -> Obj:
    meta, spec = execution.metadata, execution.spec
    metadata: Obj = {
        "name": meta.name,
        "namespace": settings.execution_namespace,
        "labels": {
            WORKFLOW_EXECUTION_LABEL: label_value(meta.name),
            SOURCE_NAMESPACE_LABEL: label_value(meta.namespace),
            WORKFLOW_ID_LABEL: label_value(spec.workflow_ref.workflow_id if spec.workflow_ref else ""),
            TARGET_RESOURCE_LABEL: label_value(spec.target_resource),
        },
        "annotations": {TARGET_RESOURCE_ANNOTATION: spec.target_resource, UID_ANNOTATION: meta.uid},
    }
    if settings.execution_namespace == meta.namespace:  # an owner reference cannot cross namespaces: the dependant would be collected
        metadata["ownerReferences"] = [_owner(execution).wire()]
    return metadata


def _owner(execution: WorkflowExecution) -> OwnerReference:
    card, meta = execution.card, execution.metadata
    return OwnerReference(
        api_version=card.api_version, kind=card.kind, name=meta.name, uid=meta.uid, controller=True, block_owner_deletion=True
    )


def _bundle_params(execution: WorkflowExecution) -> list[Obj]:
    image = execution.spec.workflow_ref.container_image if execution.spec.workflow_ref else ""
    return [{"name": "bundle", "value": image}, {"name": "name", "value": PIPELINE}, {"name": "kind", "value": "pipeline"}]


def allowed_time(execution: WorkflowExecution, settings: WorkflowSettings) -> timedelta:
    """Return how long the run may take: its timeout, and never longer than from its creation to `timesOutAt`.

    Time spent waiting for the target does not count, so the end is measured from the start of the run.
    """
    written, created = execution.spec.execution_config.timeout, execution.metadata.creation_timestamp
    timeout = parse_duration(written) if written else settings.default_timeout
    if execution.spec.times_out_at is None or created is None:
        return timeout
    return max(min(timeout, execution.spec.times_out_at - created), timedelta(seconds=1))


def _is_missed(execution: WorkflowExecution) -> bool:
    return execution.status.pipeline_run_ref is not None and execution.status.completion_time is None


def _reference(found: Obj) -> ObjectReference:
    meta = found["metadata"]
    return ObjectReference(
        api_version=PIPELINE_RUN.api_version, kind=PIPELINE_RUN.kind, name=meta["name"], namespace=meta["namespace"], uid=meta["uid"]
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

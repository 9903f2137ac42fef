"""What the runs of all engines share: their name and marks, whose they are, how long they may take, what is said of their failure."""

from datetime import datetime, timedelta

from kubernaut.api.base import Kind, Obj, ObjectReference, OwnerReference
from kubernaut.api.durations import parse_duration
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
from kubernaut.kube.errors import ApiError
from kubernaut.workflow import failure
from kubernaut.workflow.decide import RunState
from kubernaut.workflow.engines.base import Run
from kubernaut.workflow.settings import WorkflowSettings
from kubernaut.workflow.target import label_value

UID_ANNOTATION = "kubernaut.ai/workflow-execution-uid"
RUN_FINALIZER = "kubernaut.ai/run-on-record"
"""On a run until the execution's status names it: one that is deleted before stays to be seen, and is not made again."""
STEPS_STARTED = "StepsStarted"
"""The condition that puts on record that a step was at work."""


def labels(execution: WorkflowExecution) -> dict[str, str]:
    """Return the four labels of a run (section 2 of the WorkflowExecution document), in forms that Kubernetes accepts."""
    meta, spec = execution.metadata, execution.spec
    return {
        WORKFLOW_EXECUTION_LABEL: label_value(meta.name),
        SOURCE_NAMESPACE_LABEL: label_value(meta.namespace),
        WORKFLOW_ID_LABEL: label_value(spec.workflow_ref.workflow_id if spec.workflow_ref else ""),
        TARGET_RESOURCE_LABEL: label_value(spec.target_resource),
    }


def metadata(execution: WorkflowExecution, settings: WorkflowSettings) -> Obj:
    """Return the metadata of a run; within one namespace the execution owns it."""
    meta = execution.metadata
    made: Obj = {
        "name": meta.name,
        "namespace": settings.execution_namespace,
        "labels": labels(execution),
        "annotations": {TARGET_RESOURCE_ANNOTATION: execution.spec.target_resource, UID_ANNOTATION: meta.uid},
        "finalizers": [RUN_FINALIZER],
    }
    if settings.execution_namespace == meta.namespace:  # an owner reference cannot cross namespaces: the dependant would be collected
        made["ownerReferences"] = [_owner(execution).wire()]
    return made


def _owner(execution: WorkflowExecution) -> OwnerReference:
    card, meta = execution.card, execution.metadata
    return OwnerReference(
        api_version=card.api_version, kind=card.kind, name=meta.name, uid=meta.uid, controller=True, block_owner_deletion=True
    )


def is_ours(found: Obj, execution: WorkflowExecution) -> bool:
    """Tell whether a run was made for this very execution, not for an earlier one of its name."""
    return made_for(found, execution.metadata.uid)


def made_for(found: Obj, uid: str) -> bool:
    """Tell whether a run was made for the execution of a uid."""
    return bool((found["metadata"].get("annotations") or {}).get(UID_ANNOTATION) == uid)


def is_on_record(found: Obj, execution: WorkflowExecution) -> bool:
    """Tell whether the execution's status names a run, as it was read."""
    known = execution.status.pipeline_run_ref
    return known is not None and known.uid == found["metadata"]["uid"]


def reference(kind: Kind, found: Obj) -> ObjectReference:
    """Return a reference to a run."""
    meta = found["metadata"]
    return ObjectReference(api_version=kind.api_version, kind=kind.kind, name=meta["name"], namespace=meta["namespace"], uid=meta["uid"])


def subject(execution: WorkflowExecution, started: datetime | None, *, steps_ran: bool) -> failure.Subject:
    """Return what failed, for the summary; that steps ran may also be on record from earlier."""
    ref = execution.spec.workflow_ref
    known = any(condition.type == STEPS_STARTED and condition.status == "True" for condition in execution.status.conditions)
    return failure.Subject(ref.workflow_id if ref else "", execution.spec.target_resource, steps_ran or known, started)


def refused(execution: WorkflowExecution, fault: ApiError, now: datetime) -> Run:
    """Return the failed run of an execution whose run the API server does not take: it would be refused again."""
    told = FailureDetails(
        reason=fault.reason or "Refused", category=FailureCategory.CONFIGURATION_ERROR, message=failure.cut(fault.message), failed_at=now
    )
    return Run(RunState.FAILED, ended_at=now, failure=failure.explained(told, subject(execution, None, steps_ran=False)))


def allowed_time(execution: WorkflowExecution, settings: WorkflowSettings) -> timedelta:
    """Return how long the run may take: its timeout, and never longer than from its creation to `timesOutAt`.

    Time spent waiting for the target does not count, so the end is measured from the start of the run.
    """
    written, created = execution.spec.execution_config.timeout, execution.metadata.creation_timestamp
    timeout = parse_duration(written) if written else settings.default_timeout
    if execution.spec.times_out_at is None or created is None:
        return timeout
    return max(min(timeout, execution.spec.times_out_at - created), timedelta(seconds=1))


def is_missed(execution: WorkflowExecution) -> bool:
    """Tell whether a run is on record and its end is not: then it must be somewhere."""
    return execution.status.pipeline_run_ref is not None and execution.status.completion_time is None


def moment(text: str | None) -> datetime | None:
    """Return a time of an object; None where there is none."""
    return datetime.fromisoformat(text) if text else None

"""The engine for clusters without Tekton: one plain Kubernetes Job an execution, from the workflow's image, its parameters as environment.

A Job is tried once (backoffLimit 0). It is stopped by letting its time run out, so that its end is told like any other.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from kubernaut.api.base import CANCEL_ANNOTATION, Obj
from kubernaut.api.core import JOB, POD
from kubernaut.api.workflow import ExecutionProgress, FailureCategory, FailureDetails, WorkflowExecution
from kubernaut.kube.cluster import OWNER_INDEX
from kubernaut.workflow import failure
from kubernaut.workflow.decide import RunState
from kubernaut.workflow.engines.base import Run
from kubernaut.workflow.engines.marks import allowed_time, is_ours, labels, metadata, moment, reference, subject
from kubernaut.workflow.engines.single import SingleObjectEngine
from kubernaut.workflow.failure import Culprit
from kubernaut.workflow.settings import WorkflowSettings

CONTAINER: Final = "workflow"
CANCELLED: Final = "Cancelled"
_ENDS = {"Complete": RunState.SUCCEEDED, "Failed": RunState.FAILED}
_WAITS: dict[str, FailureCategory] = {
    "ErrImagePull": FailureCategory.IMAGE_PULL_BACK_OFF,
    "ImagePullBackOff": FailureCategory.IMAGE_PULL_BACK_OFF,
    "InvalidImageName": FailureCategory.IMAGE_PULL_BACK_OFF,
    "CreateContainerConfigError": FailureCategory.CONFIGURATION_ERROR,
    "CreateContainerError": FailureCategory.CONFIGURATION_ERROR,
    "Unschedulable": FailureCategory.RESOURCE_EXHAUSTED,
}
"""What keeps a container from beginning, and what the failure is called if that lasts."""


class JobEngine(SingleObjectEngine):
    """Creates the Job of an execution, reads it and its pod, stops it, deletes it."""

    kind = JOB
    watches = (JOB, POD)

    def _wanted(self, execution: WorkflowExecution) -> Obj:
        return job(execution, self._settings)

    def _goes_on(self, found: Obj) -> bool:
        return not _end(found)

    async def cancel(self, execution: WorkflowExecution) -> None:
        """Let its time run out, and mark why; a Job that has ended takes no notice."""
        name, namespace = execution.metadata.name, self._settings.execution_namespace
        found = await self._live(JOB, name)
        if found is None or _is_stopped(found) or _end(found) or not is_ours(found, execution):
            return
        body = {"metadata": {"annotations": {CANCEL_ANNOTATION: CANCELLED}}, "spec": {"activeDeadlineSeconds": 1}}
        self._cluster.observe(JOB, await self._cluster.client.patch(JOB, name, namespace, body))

    async def _told(self, execution: WorkflowExecution, found: Obj) -> Run:
        end, pods = _end(found), self._cluster.select(POD, OWNER_INDEX, found["metadata"]["uid"])
        state = _ENDS.get(str(end.get("type")), RunState.RUNNING)
        return Run(
            state=state,
            reference=reference(JOB, found),
            started_at=moment(found["metadata"].get("creationTimestamp")),
            ended_at=moment((found.get("status") or {}).get("completionTime") or end.get("lastTransitionTime")),
            progress=_progress(found, end, _waiting(pods)),
            steps_ran=_ran(pods),
            failure=self._explained(execution, found, end, pods) if state is RunState.FAILED else None,
        )

    def _explained(self, execution: WorkflowExecution, found: Obj, end: Obj, pods: Sequence[Obj]) -> FailureDetails:
        started, now = moment(found["metadata"].get("creationTimestamp")), self._cluster.clock.now()
        about = subject(execution, started, steps_ran=_ran(pods))
        ended_at = moment(end.get("lastTransitionTime")) or now
        out_of_time = started is not None and now >= started + allowed_time(execution, self._settings)
        known = execution.status.progress.reason if execution.status.progress else ""
        told = details(found, pods, ended_at, waited_for=_waiting(pods)[0] or known, cancelled=_is_stopped(found) and not out_of_time)
        told = told.model_copy(
            update={
                "was_execution_failure": about.steps_ran,
                "execution_time_before_failure": failure.spent(started, ended_at),
            }
        )
        return failure.explained(told, about)


def job(execution: WorkflowExecution, settings: WorkflowSettings) -> Obj:
    """Return the Job of an execution: one try, its time limited, its parameters as environment in a stable order."""
    spec = execution.spec
    container: Obj = {
        "name": CONTAINER,
        "image": spec.workflow_ref.container_image if spec.workflow_ref else "",
        "env": [{"name": name, "value": value} for name, value in sorted(spec.parameters.items())],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    pod: Obj = {
        "restartPolicy": "Never",
        "serviceAccountName": spec.execution_config.service_account_name or settings.service_account,
        "containers": [container],
    }
    limit = max(1, int(allowed_time(execution, settings).total_seconds()))
    return {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "metadata": metadata(execution, settings),
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": limit,
            "template": {"metadata": {"labels": labels(execution)}, "spec": pod},
        },
    }


def details(found: Obj, pods: Sequence[Obj], ended_at: datetime, *, waited_for: str, cancelled: bool) -> FailureDetails:
    """Return what went wrong with a failed Job, from its condition and its pod's container; pure."""
    end, step = _end(found), _terminated(pods)
    reason, said = (CANCELLED, "the run was cancelled") if cancelled else (str(end.get("reason") or ""), str(end.get("message") or ""))
    ended = step.get("exitCode") is not None
    return FailureDetails(
        failed_task_name=CONTAINER,
        failed_step_name=CONTAINER if ended else "",
        reason=reason,
        category=FailureCategory.UNKNOWN if cancelled else _category(step, reason, waited_for),
        message=failure.cut(said),
        exit_code=step.get("exitCode"),
        termination_message=failure.cut(str(step.get("message") or "").strip()),
        failed_at=ended_at,
    )


def _category(step: Obj, reason: str, waited_for: str) -> FailureCategory:
    if step.get("exitCode") is None and waited_for in _WAITS:
        return _WAITS[waited_for]
    if reason == "DeadlineExceeded":
        return FailureCategory.DEADLINE_EXCEEDED
    blamed = Culprit(step_reason=str(step.get("reason") or ""), message=str(step.get("message") or ""))
    return failure.category(blamed, "Failed" if blamed.step_reason or reason == "BackoffLimitExceeded" else reason, "")


def _end(found: Obj) -> Obj:
    """Return the condition that ends a Job; those that only announce it do not."""
    conditions: list[Obj] = (found.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each.get("type") in _ENDS and each.get("status") == "True"), {})


def _is_stopped(found: Obj) -> bool:
    return CANCEL_ANNOTATION in (found["metadata"].get("annotations") or {})


def _containers(pods: Iterable[Obj]) -> list[Obj]:
    return [row for pod in pods for row in (pod.get("status") or {}).get("containerStatuses") or ()]


def _terminated(pods: Iterable[Obj]) -> Obj:
    """Return how the container ended, if it failed."""
    ends = [row["state"]["terminated"] for row in _containers(pods) if "terminated" in (row.get("state") or {})]
    return next((end for end in ends if end.get("exitCode")), {})


def _ran(pods: Iterable[Obj]) -> bool:
    states = [row.get("state") or {} for row in _containers(pods)]
    return any("running" in state or (state.get("terminated") or {}).get("startedAt") for state in states)


def _waiting(pods: Sequence[Obj]) -> tuple[str, str]:
    """Return why the container does not begin, in a word and a sentence."""
    for row in _containers(pods):
        waiting = (row.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in _WAITS:
            return str(waiting["reason"]), str(waiting.get("message") or "")
    for pod in pods:
        for each in (pod.get("status") or {}).get("conditions") or ():
            if (each.get("type"), each.get("status"), each.get("reason")) == ("PodScheduled", "False", "Unschedulable"):
                return "Unschedulable", str(each.get("message") or "")
    return "", ""


def _progress(found: Obj, end: Obj, waiting: tuple[str, str]) -> ExecutionProgress:
    status = found.get("status") or {}
    reason, message = waiting
    return ExecutionProgress(
        status={"Complete": "True", "Failed": "False"}.get(str(end.get("type")), "Unknown"),
        reason=str(end.get("reason") or end.get("type") or reason or "Running"),
        message=failure.cut(str(end.get("message") or message)),
        completed_tasks=int(bool(status.get("succeeded"))),
        total_tasks=1,
    )

"""Why a PipelineRun failed, read from its status and its TaskRuns as Tekton writes them; pure.

The way to a failed step: `childReferences` of the PipelineRun, the first TaskRun that really failed, its first step that did.
Exact tables give the category, from the step's reason, then the TaskRun's, then the PipelineRun's; words in texts come last.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubernaut.api.base import Obj
from kubernaut.api.durations import go_duration
from kubernaut.api.workflow import ExecutionProgress, FailureCategory, FailureDetails

TEXT_LIMIT = 1024
_RESULT = 1
"""The type of an entry of a termination message that is a task result, not the entrypoint's bookkeeping."""

_OOM, _DEADLINE, _FORBIDDEN, _RESOURCES, _CONFIG, _IMAGE, _TASK, _UNKNOWN = (
    FailureCategory.OOM_KILLED, FailureCategory.DEADLINE_EXCEEDED, FailureCategory.FORBIDDEN, FailureCategory.RESOURCE_EXHAUSTED,
    FailureCategory.CONFIGURATION_ERROR, FailureCategory.IMAGE_PULL_BACK_OFF, FailureCategory.TASK_FAILED, FailureCategory.UNKNOWN,
)  # fmt: skip

STEP_CATEGORIES: Mapping[str, FailureCategory] = {
    "OOMKilled": _OOM,
    "DeadlineExceeded": _DEADLINE,
    "TaskRunTimeout": _DEADLINE,
    "TaskRunImagePullFailed": _IMAGE,
    "Evicted": _RESOURCES,
    "StartError": _CONFIG,
    "ContainerCannotRun": _CONFIG,
    "CreateContainerConfigError": _CONFIG,
}
TASK_CATEGORIES: Mapping[str, FailureCategory] = {
    "StepOOM": _OOM,
    "TaskRunTimeout": _DEADLINE,
    "TaskRunImagePullFailed": _IMAGE,
    "PullImageFailed": _IMAGE,
    "PodAdmissionFailed": _FORBIDDEN,
    "ResourceVerificationFailed": _FORBIDDEN,
    "ExceededResourceQuota": _RESOURCES,
    "ExceededNodeResources": _RESOURCES,
    "PodCreationFailed": _CONFIG,
    "CreateContainerConfigError": _CONFIG,
    "TaskRunResolutionFailed": _CONFIG,
    "TaskRunValidationFailed": _CONFIG,
    "TaskValidationFailed": _CONFIG,
    "CouldntGetTask": _CONFIG,
    "InvalidParamValue": _CONFIG,
    "StepFailed": _TASK,
    "Failed": _TASK,
    "TaskRunResultLargerThanAllowedLimit": _TASK,
    "TaskRunStopSidecarFailed": _TASK,
    "SidecarFailed": _TASK,
    "PodEvicted": _RESOURCES,
    "InitContainerFailed": _UNKNOWN,
    "TaskRunResultsVerificationFailed": _FORBIDDEN,
}
RUN_CATEGORIES: Mapping[str, FailureCategory] = {
    "PipelineRunTimeout": _DEADLINE,
    "ResourceVerificationFailed": _FORBIDDEN,
    "CouldntGetPipeline": _CONFIG,
    "CouldntGetTask": _CONFIG,
    "CouldntGetPipelineResult": _CONFIG,
    "PipelineValidationFailed": _CONFIG,
    "PipelineInvalidGraph": _CONFIG,
    "ParameterMissing": _CONFIG,
    "ParameterTypeMismatch": _CONFIG,
    "ObjectParameterMissKeys": _CONFIG,
    "ParamArrayIndexingInvalid": _CONFIG,
    "InvalidParamValue": _CONFIG,
    "InvalidWorkspaceBindings": _CONFIG,
    "InvalidTaskRunSpecs": _CONFIG,
    "InvalidPipelineResourceBindings": _CONFIG,
    "InvalidMatrixParameterTypes": _CONFIG,
    "InvalidTaskResultReference": _CONFIG,
    "InvalidPipelineResultReference": _CONFIG,
    "RequiredWorkspaceMarkedOptional": _CONFIG,
    "CELEvaluationFailed": _CONFIG,
    "CreateRunFailed": _UNKNOWN,
    "Cancelled": _UNKNOWN,
    "PipelineRunCouldntCancel": _UNKNOWN,
    "PipelineRunCouldntTimeOut": _DEADLINE,
    "Failed": _TASK,
}
WORDS: tuple[tuple[FailureCategory, tuple[str, ...]], ...] = (
    (_OOM, ("oom",)),
    (_DEADLINE, ("timeout", "timed out", "deadline")),
    (_FORBIDDEN, ("forbidden", "rbac", "permission denied")),
    (_RESOURCES, ("quota", "resource exhausted", "insufficient")),
    (_IMAGE, ("imagepull", "pull the image", "pulling image")),
    (_CONFIG, ("invalid", "configuration")),
)
NEVER_RAN = frozenset(
    {"TaskRunImagePullFailed", "PodCreationFailed", "PodAdmissionFailed", "TaskRunValidationFailed", "TaskRunResolutionFailed"}
)
"""TaskRun reasons with which steps may look ended although none ran."""
NOT_AT_FAULT = frozenset({"TaskRunCancelled", "FailureIgnored"})
NOT_A_FAILURE = frozenset({"Skipped", "Continued"})

ADVICE: Mapping[FailureCategory, str] = {
    _OOM: "Give the failing step more memory, or let it work on less at a time.",
    _DEADLINE: "Look what the run was waiting for; if it only needs longer, raise its timeout.",
    _FORBIDDEN: "Grant the workflow's service account what it was refused, or relax the admission rule.",
    _RESOURCES: "Free capacity or raise the quota of the execution namespace, then try again.",
    _CONFIG: "Correct the workflow, its parameters or its service account; trying again will not help.",
    _IMAGE: "Make the step's image available to the cluster: check its name, the registry and the pull secret.",
    _TASK: "Read the step's log for the cause, and check the target before trying again.",
    _UNKNOWN: "Look at the PipelineRun and its events for the cause.",
}

REASON_ADVICE: Mapping[str, str] = {
    "CouldntGetPipeline": "Check that the bundle is there under its digest, that its registry answers, and that Tekton's resolvers run.",
    "CouldntGetTask": "Check that the bundles of its tasks are there, that their registry answers, and that Tekton's resolvers run.",
    "PipelineRunDeleted": "Find out who deleted it, and look at the target before trying again.",
    "PostconditionsNotMet": "Look at the target: take the run back (kubernaut undo) or leave it so, then clear it (kubernaut clear).",
    "Cancelled": "Somebody stopped it: ask them before it is tried again.",
    "NotStartedInTime": "Look what held the target back; it may simply be tried again.",
    "PreviousExecutionFailed": "Look at the target, then clear it (kubernaut clear) and let it be tried again.",
    "ExhaustedRetries": "Find out why it cannot begin, then clear the target (kubernaut clear) and let it be tried again.",
}
"""What to do where the reason says more than the category."""
_FORBIDDEN_TEXT = re.compile(r"Error from server \(Forbidden\)|\bis forbidden: User |\bcannot \w+ resource \"")
"""What kubectl and the API server say to a step that may not do what it tries."""
_QUOTED = re.compile(r'"[^"]*"')
_COUNTS = re.compile(r"Tasks Completed: (\d+) .*?(?:, Incomplete: (\d+))?, Skipped: (\d+)")
_SPOILED = re.compile(r"invalid resource request .*: missing required (?:cluster|git|hub|http) resolver params", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Culprit:
    """The TaskRun and step to blame; empty where none is."""

    task: str = ""
    task_reason: str = ""
    task_message: str = ""
    step: str = ""
    step_reason: str = ""
    exit_code: int | None = None
    message: str = ""


def succeeded(obj: Obj | None) -> Obj:
    """Return the one condition that counts, `Succeeded`; empty when there is none yet."""
    conditions: list[Obj] = _status(obj).get("conditions") or []
    return next((condition for condition in conditions if condition.get("type") == "Succeeded"), {})


def children(pipeline_run: Obj) -> list[tuple[str, str]]:
    """Return TaskRun name and pipeline task name of all children, in Tekton's order; other kinds of run are passed over."""
    references: list[Obj] = _status(pipeline_run).get("childReferences") or []
    return [
        (str(ref["name"]), str(ref.get("pipelineTaskName") or "")) for ref in references if ref.get("kind") == "TaskRun" and ref.get("name")
    ]


def progress(pipeline_run: Obj) -> ExecutionProgress:
    """Return what a PipelineRun says of itself, with tasks done of total where it counts them."""
    condition = succeeded(pipeline_run)
    message = str(condition.get("message") or "")
    found = _COUNTS.search(message)
    done, incomplete, skipped = (int(number or 0) for number in found.groups()) if found else (0, 0, 0)
    return ExecutionProgress(
        status=str(condition.get("status") or ""),
        reason=str(condition.get("reason") or ""),
        message=cut(message),
        completed_tasks=done,
        total_tasks=done + incomplete + skipped,
    )


def spoiled(pipeline_run: Obj) -> bool:
    """Tell whether a restarting resolver took the request of another: nothing is wrong with the run, and a new one works."""
    condition = succeeded(pipeline_run)
    return condition.get("reason") == "CouldntGetPipeline" and _SPOILED.search(str(condition.get("message"))) is not None


def steps_ran(task_runs: Iterable[Obj]) -> bool:
    """Tell whether a step of any TaskRun is running or ended after it ran; earlier tries count. `startedAt` alone proves nothing."""
    return any(_attempt_ran(_status(task_run)) for task_run in task_runs)


def _attempt_ran(status: Obj) -> bool:
    earlier: list[Obj] = status.get("retriesStatus") or []
    if any(map(_attempt_ran, earlier)):
        return True
    steps: list[Obj] = status.get("steps") or []
    if any("running" in step for step in steps):
        return True
    return succeeded({"status": status}).get("reason") not in NEVER_RAN and any("terminated" in step for step in steps)


def culprit(pipeline_run: Obj, task_runs: Mapping[str, Obj]) -> Culprit:
    """Return the first TaskRun that failed by itself; of a run that was stopped, the first that was stopped with it."""
    failed = [(task, task_runs[name]) for name, task in children(pipeline_run) if _failed(task_runs.get(name))]
    guilty = [pair for pair in failed if succeeded(pair[1]).get("reason") not in NOT_AT_FAULT]
    stopped = [pair for pair in failed if succeeded(pair[1]).get("reason") == "TaskRunCancelled"]
    chosen = next(iter(guilty or stopped), None)
    return _blame(*chosen) if chosen else Culprit()


def _failed(task_run: Obj | None) -> bool:
    return succeeded(task_run).get("status") == "False"


def _blame(task: str, task_run: Obj) -> Culprit:
    condition = succeeded(task_run)
    step = _failed_step(task_run)
    ended = step.get("terminated") or {}
    return Culprit(
        task=task or _task_label(task_run),
        task_reason=str(condition.get("reason") or ""),
        task_message=str(condition.get("message") or ""),
        step=str(step.get("name") or ""),
        step_reason=str(ended.get("reason") or ""),
        exit_code=ended.get("exitCode"),
        message=termination_message(str(ended.get("message") or "")),
    )


def _task_label(task_run: Obj) -> str:
    """A TaskRun of an embedded spec has no taskRef; its pipeline task is on a label."""
    labels: Mapping[str, str] = task_run["metadata"].get("labels") or {}
    return labels.get("tekton.dev/pipelineTask", "")


def _failed_step(task_run: Obj) -> Obj:
    """Return the first step that failed by itself: those after it also show exit code 1, but as Skipped."""
    steps: list[Obj] = _status(task_run).get("steps") or []
    for step in steps:
        if (step.get("terminated") or {}).get("exitCode") and step.get("terminationReason") not in NOT_A_FAILURE:
            return step
    return {}


def termination_message(text: str) -> str:
    """Return a step's termination message for people: its results as `name: value`, or the text as it stands."""
    try:
        entries: Any = json.loads(text)
    except ValueError:
        return cut(text.strip())
    if not isinstance(entries, list):
        return cut(text.strip())
    results = [entry for entry in entries if isinstance(entry, dict) and entry.get("type", _RESULT) == _RESULT]
    return cut("; ".join(f"{entry.get('key')}: {entry.get('value')}" for entry in results))


def category(blamed: Culprit, run_reason: str, run_message: str, names: Iterable[str] = ()) -> FailureCategory:
    """Return the category: exact tables first, then words in reasons and messages, never in `names` or in quotes."""
    found = STEP_CATEGORIES.get(blamed.step_reason) or TASK_CATEGORIES.get(blamed.task_reason) or RUN_CATEGORIES.get(run_reason)
    if found is _TASK and _FORBIDDEN_TEXT.search(blamed.message):
        return _FORBIDDEN
    if found is not None:
        return found
    text = f"{blamed.step_reason} {blamed.task_reason} {run_reason} {blamed.task_message} {run_message}"
    for name in sorted(filter(None, names), key=len, reverse=True):
        text = text.replace(name, "")
    return _by_words(_QUOTED.sub("", text).lower())


def _by_words(text: str) -> FailureCategory:
    return next((found for found, words in WORDS if any(word in text for word in words)), _UNKNOWN)


@dataclass(frozen=True, slots=True)
class Subject:
    """What failed, for the summary."""

    workflow: str
    target: str
    steps_ran: bool
    started_at: datetime | None = None


def details(
    pipeline_run: Obj, task_runs: Mapping[str, Obj], subject: Subject, now: datetime, *, out_of_time: bool = False
) -> FailureDetails:
    """Return what went wrong with a failed PipelineRun, exactly and in plain words (section 3 of the WorkflowExecution document).

    A run that was cancelled when it was `out_of_time` was cancelled by us.
    """
    condition = succeeded(pipeline_run)
    reason, message = str(condition.get("reason") or ""), str(condition.get("message") or "")
    blamed = culprit(pipeline_run, task_runs)
    names = [pipeline_run["metadata"]["name"], subject.workflow, *subject.target.split("/"), *task_runs, blamed.task, blamed.step]
    ended = _time(_status(pipeline_run).get("completionTime")) or now
    return explained(
        FailureDetails(
            failed_task_name=blamed.task,
            failed_step_name=blamed.step,
            reason=reason,
            category=_DEADLINE if reason == "Cancelled" and out_of_time else category(blamed, reason, message, names),
            message=cut(message),
            exit_code=blamed.exit_code,
            termination_message=blamed.message,
            failed_at=ended,
            execution_time_before_failure=spent(subject.started_at, ended),
            was_execution_failure=subject.steps_ran,
        ),
        subject,
        because=blamed.task_message,
    )


def explained(failure: FailureDetails, subject: Subject, because: str = "") -> FailureDetails:
    """Return the details with their summary: what failed, where, why, whether something was changed, and what to do."""
    parts = [
        f"Workflow {subject.workflow} on {subject.target} failed{_after(failure)}: {_what(failure, because)}.",
        "Steps had run: the cluster may have been changed." if failure.was_execution_failure else "No step had run: nothing was changed.",
        REASON_ADVICE.get(failure.reason, ADVICE[failure.category]),
    ]
    return failure.model_copy(update={"natural_language_summary": cut(" ".join(parts))})


def spent(started: datetime | None, ended: datetime) -> str:
    """Return how long something ran until it failed; empty where it never began."""
    return go_duration(ended - started) if started else ""


def _after(failure: FailureDetails) -> str:
    return f" after {failure.execution_time_before_failure}" if failure.execution_time_before_failure else ""


def _what(failure: FailureDetails, because: str) -> str:
    text = (because or failure.message).rstrip(". ")
    if failure.failed_step_name and failure.exit_code is not None:
        said = f" ({failure.termination_message})" if failure.termination_message else ""
        where = f"step {failure.failed_step_name} of task {failure.failed_task_name}"
        return f"{where} ended with exit code {failure.exit_code}{said}; {failure.reason}: {text}"
    where = f"task {failure.failed_task_name}; " if failure.failed_task_name else ""
    return f"{where}{failure.reason}: {text}"


def cut(text: str) -> str:
    """Return text that fits a status field; what is longer ends in an ellipsis."""
    return text if len(text) <= TEXT_LIMIT else f"{text[: TEXT_LIMIT - 1]}…"


def _status(obj: Obj | None) -> Obj:
    return (obj or {}).get("status") or {}


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

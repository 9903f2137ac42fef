"""Why a PipelineRun that goes on does not move, in words for the message; read from what Tekton writes; pure."""

import re
from collections.abc import Iterator, Mapping

from kubernaut.api.base import Obj
from kubernaut.workflow.failure import children, succeeded

WORDS: Mapping[str, str] = {
    "PipelineRunPending": "somebody holds it back: nothing begins until its spec.status PipelineRunPending is taken away",
    "ResolvingPipelineRef": "Tekton fetches the workflow's bundle",
    "ResolvingTaskRef": "Tekton fetches a task of the workflow",
    "PipelineRunStopping": "a task failed, and the others are being stopped",
    "CancelledRunningFinally": "it was cancelled, and its finally tasks run",
    "StoppedRunningFinally": "it was stopped, and its finally tasks run",
    "PipelineRunTimeoutRunningFinally": "it ran out of time, and its finally tasks run",
}
"""What a reason of a run that goes on means, where the word alone does not say it."""
_UNPLACED = re.compile(r'"PodScheduled":"False"; message: "(.*)"', re.DOTALL)
_NOTE_LIMIT = 600


def note(pipeline_run: Obj, task_runs: Mapping[str, Obj]) -> str:
    """Return why the run does not move, or what it is doing; empty where nothing is to be said."""
    reason = str(succeeded(pipeline_run).get("reason") or "")
    if "deletionTimestamp" in pipeline_run["metadata"]:
        return "somebody is deleting it: Tekton no longer looks after it, and nobody will say how it ended"
    return WORDS.get(reason) or next(_tasks(pipeline_run, task_runs), "")[:_NOTE_LIMIT]


def _tasks(pipeline_run: Obj, task_runs: Mapping[str, Obj]) -> Iterator[str]:
    for name, task in children(pipeline_run):
        condition = succeeded(task_runs.get(name))
        if condition.get("status") == "Unknown" and (said := _task(task or name, condition)):
            yield said


def _task(task: str, condition: Obj) -> str:
    reason, message = str(condition.get("reason") or ""), str(condition.get("message") or "").strip()
    if unplaced := _UNPLACED.search(message):
        return f"task {task} waits for a node: {unplaced.group(1)}"
    if reason == "ExceededResourceQuota":
        return f"task {task} waits for quota of the execution namespace: {message}"
    if reason == "PullImageFailed":
        return f"the image of task {task} cannot be pulled so far: {message}"
    if reason == "ToBeRetried":
        return f"task {task} failed and is tried again"
    return ""

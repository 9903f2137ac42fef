"""The output of steps, by the Pod and container that their TaskRun's status names."""

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.pipelines.environment import work_directory
from kubernaut.localcluster.pipelines.settings import PipelineSettings


def step_log(settings: PipelineSettings, run: Obj, pod: str, container: str) -> bytes | None:
    """Return the kept end of a step's output, or None where the TaskRun has no such step."""
    status = run.get("status") or {}
    for attempt, past in enumerate([*status.get("retriesStatus", []), status]):
        if past.get("podName") == pod:
            return _read(settings, run, past, attempt, container)
    return None


def _read(settings: PipelineSettings, run: Obj, status: Obj, attempt: int, container: str) -> bytes | None:
    names = [f"step-{step['name']}" for step in status["taskSpec"]["steps"]]
    if container not in names:
        return None
    path = work_directory(settings, run, status["taskSpec"], attempt).process(names.index(container)).log
    return path.read_bytes()[-settings.log_bytes :] if path.exists() else b""

"""The output of steps, for `kubectl logs` of the Pods that TaskRuns name."""

from kubernaut.localcluster.api import Api
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.pipelines.environment import work_directory
from kubernaut.localcluster.pipelines.settings import PipelineSettings


async def step_log(api: Api, settings: PipelineSettings, namespace: str, pod: str, container: str) -> bytes | None:  # noqa: PLR0913, PLR0917 - what names a log
    """Return the kept end of a step's output by the Pod and container its TaskRun's status names, or None where there is no such step."""
    for run in await api.list(api.kind("tekton.dev", "taskruns"), namespace):
        status = run.get("status") or {}
        for attempt, past in enumerate([*status.get("retriesStatus", []), status]):
            if past.get("podName") == pod:
                return _read(settings, run, past, attempt, container)
    return None


def _read(settings: PipelineSettings, run: Obj, status: Obj, attempt: int, container: str) -> bytes | None:  # noqa: PLR0913, PLR0917
    names = [f"step-{step['name']}" for step in status["taskSpec"]["steps"]]
    if container not in names:
        return None
    path = work_directory(settings, run, status["taskSpec"], attempt).process(names.index(container)).log
    return path.read_bytes()[-settings.log_bytes :] if path.exists() else b""

"""The stand-in for Tekton: PipelineRuns of tekton.dev/v1, resolved from bundles in local image layouts, their steps run as local processes.

Way of a run: `runner` (watches) -> `pipelinerun` (resolve with `resolver`, check with `admission`, order with `plan`)
-> `taskrun` (one attempt after the other) -> `steps` -> `processes` -> `supervise` (a process of its own for each step).
"""

from collections.abc import Awaitable, Callable
from functools import partial

from kubernaut.localcluster.api import Api
from kubernaut.localcluster.pipelines.crds import tekton_crds
from kubernaut.localcluster.pipelines.runner import run_pipelines
from kubernaut.localcluster.pipelines.settings import PipelineSettings, Program
from kubernaut.localcluster.pipelines.webhook import TektonWebhook

__all__ = ["PipelineSettings", "Program", "TektonWebhook", "pipeline_runner", "tekton_crds"]


def pipeline_runner(api: Api, settings: PipelineSettings) -> Callable[[], Awaitable[None]]:
    """Return the coroutine function that runs pipelines until cancelled; Tekton's definitions must be installed before it is called."""
    return partial(run_pipelines, api, settings)

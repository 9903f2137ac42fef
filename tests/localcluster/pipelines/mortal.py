"""A process with a cluster on disk and the runner, which kills itself by SIGKILL after a number of API writes, or lives to the end of the run.

The pipeline is in `pipeline.json` under its root; the PipelineRun and its TaskRuns are written to `outcome.json` there at the end.
"""

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path

from kubernaut.localcluster.api import Api, ResourceKind
from kubernaut.localcluster.errors import ApiError
from kubernaut.localcluster.pipelines import pipeline_runner
from kubernaut.localcluster.server import ClusterSettings, LocalCluster
from tests.localcluster.pipelines.stage import NAMESPACE, Obj, condition, furnish, settings_of


class MortalApi:
    """The API, until death."""

    def __init__(self, api: Api, writes: int) -> None:
        self._api = api
        self._left = writes

    def __getattr__(self, name):
        return getattr(self._api, name)

    def acting_as(self, manager: str) -> "MortalApi":
        self._api = self._api.acting_as(manager)
        return self

    async def create(self, kind: ResourceKind, obj: Obj) -> Obj:
        return self._spend(await self._api.create(kind, obj))

    async def update(self, kind: ResourceKind, obj: Obj, subresource: str = "") -> Obj:
        return self._spend(await self._api.update(kind, obj, subresource))

    async def patch(self, kind: ResourceKind, name: str, namespace: str, patch: Obj, subresource: str = "") -> Obj:
        return self._spend(await self._api.patch(kind, name, namespace, patch, subresource))

    def _spend(self, result: Obj) -> Obj:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


async def live(root: Path, writes: int) -> None:
    """Take up the run, or begin it."""
    cluster = LocalCluster(ClusterSettings(database=str(root / "cluster.db")))
    await begin(cluster.api, json.loads((root / "pipeline.json").read_text()))
    runner = asyncio.ensure_future(pipeline_runner(MortalApi(cluster.api, writes), settings_of(root))())
    runs = cluster.api.kind("tekton.dev", "pipelineruns")
    async for event in cluster.api.watch(runs):
        if event.type != "BOOKMARK" and condition(event.object)[0] in ("True", "False"):
            break
    runner.cancel()
    await asyncio.gather(runner, return_exceptions=True)
    tasks = await cluster.api.list(cluster.api.kind("tekton.dev", "taskruns"), NAMESPACE)
    (root / "outcome.json").write_text(json.dumps({"run": event.object, "tasks": tasks}))
    await cluster.stop()


async def begin(api: Api, spec: Obj) -> None:
    """Furnish the cluster and create the run, where a life before this one did not."""
    try:
        runs = api.kind("tekton.dev", "pipelineruns")
    except ApiError:
        await furnish(api)
        runs = api.kind("tekton.dev", "pipelineruns")
    if not await api.list(runs, NAMESPACE):
        await api.create(runs, {"metadata": {"name": "run", "namespace": NAMESPACE}, "spec": {"pipelineSpec": spec}})


def main(root: Path, writes: int) -> None:
    """Live in a process of its own; 0 writes is without number."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(live(root, writes))

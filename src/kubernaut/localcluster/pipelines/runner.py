"""The runner: watches PipelineRuns and TaskRuns, calls the reconciler of the former, keeps one coroutine for each of the latter."""

import asyncio
import random
from collections.abc import Iterable

import structlog

from kubernaut.localcluster.api import Api
from kubernaut.localcluster.controllers.loop import NOT_FOUND, Key, Loop, Store
from kubernaut.localcluster.controllers.meta import controller_of, dying, own_key
from kubernaut.localcluster.errors import ApiError, Obj
from kubernaut.localcluster.pipelines.environment import attempt_directories
from kubernaut.localcluster.pipelines.interrupt import Interrupt
from kubernaut.localcluster.pipelines.pipelinerun import PipelineRuns
from kubernaut.localcluster.pipelines.pods import TaskRunPods
from kubernaut.localcluster.pipelines.settings import PipelineSettings
from kubernaut.localcluster.pipelines.status import ended
from kubernaut.localcluster.pipelines.taskrun import run_task
from kubernaut.localcluster.pipelines.workdir import discard
from kubernaut.localcluster.pipelines.world import World

log = structlog.get_logger(__name__)


async def run_pipelines(api: Api, settings: PipelineSettings) -> None:
    """Run pipelines until cancelled; steps under way are ended then, and told of at the next start."""
    world = World(api, settings)
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with asyncio.TaskGroup() as group:
        group.create_task(_PipelineRunLoop(world).run(), name="pipelineruns")
        task_runs = _TaskRunLoop(world, group)
        group.create_task(task_runs.run(), name="taskruns")
        group.create_task(TaskRunPods(world, task_runs.evict).run(), name="taskrun-pods")


class _PipelineRunLoop:
    """PipelineRuns by key; a change of a TaskRun is one of its owner."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._runs = PipelineRuns(world)
        self._loop = Loop(world.api, "pipelineruns", self._reconcile, random.Random())  # noqa: S311 - jitter of retries
        self._loop.store(world.pipeline_runs, own_key)
        self._loop.store(world.task_runs, _owner_key)

    async def run(self) -> None:
        await self._loop.run()

    async def _reconcile(self, key: Key) -> float | None:
        due = await self._runs.reconcile(key.namespace, key.name)
        return None if due is None else max((due - self._world.now()).total_seconds(), 0.0)


def _owner_key(run: Obj) -> Iterable[Key]:
    owner = controller_of(run)
    return (Key(run["metadata"]["namespace"], owner["name"]),) if owner and owner["kind"] == "PipelineRun" else ()


class _TaskRunLoop:
    """One coroutine a TaskRun that has not ended, told of what happens to it."""

    def __init__(self, world: World, group: asyncio.TaskGroup) -> None:
        self._world = world
        self._group = group
        self._interrupts: dict[str, Interrupt] = {}
        self._names: dict[Key, str] = {}
        self._loop = Loop(world.api, "taskruns", self._reconcile, random.Random())  # noqa: S311 - jitter of retries
        self._store: Store = self._loop.store(world.task_runs, own_key)
        self._swept = False

    async def run(self) -> None:
        await self._loop.run()

    def evict(self, uid: str) -> None:
        """End the step under way of a TaskRun whose Pod is being deleted."""
        if interrupt := self._interrupts.get(uid):
            interrupt.evict()

    async def _reconcile(self, key: Key) -> float | None:
        await self._sweep()
        run = self._store.get(key)
        uid = run["metadata"]["uid"] if run else ""
        if self._names.get(key, uid) != uid:
            await self._forget(self._names.pop(key))
        if run is not None:
            self._take_up(key, run)
        return None

    def _take_up(self, key: Key, run: Obj) -> None:
        uid = run["metadata"]["uid"]
        self._names[key] = uid
        known = self._interrupts.get(uid)
        if dying(run) and known:
            known.delete()
        if known is None and not ended(run) and not dying(run):
            known = self._interrupts[uid] = Interrupt()
            self._group.create_task(self._work(key, run, known), name=f"taskrun {key.namespace}/{key.name}")
        if known and run["spec"].get("status") == "TaskRunCancelled":
            known.cancel(run["spec"].get("statusMessage", ""))

    async def _work(self, key: Key, run: Obj, interrupt: Interrupt) -> None:
        uid = run["metadata"]["uid"]
        try:
            await run_task(self._world, run, interrupt)
        except ApiError as error:
            log.info("task run not reported", task_run=key.name, error=error.message)
            if error.code != NOT_FOUND:
                self._loop.queue.add_after(key, 1.0)
        finally:
            self._interrupts.pop(uid, None)
        if interrupt.deleted:
            await self._remove(uid)

    async def _forget(self, uid: str) -> None:
        if interrupt := self._interrupts.get(uid):
            interrupt.delete()
        else:
            await self._remove(uid)

    async def _remove(self, uid: str) -> None:
        for directory in attempt_directories(self._world.settings, uid):
            await discard(directory)

    async def _sweep(self) -> None:
        # once, with the store filled: what belonged to TaskRuns that were deleted while nobody looked
        if self._swept:
            return
        self._swept = True
        uids = {run["metadata"]["uid"] for run in self._store.all()}
        for directory in attempt_directories(self._world.settings, "*"):
            if directory.name.rpartition("-")[0] not in uids:
                await discard(directory)

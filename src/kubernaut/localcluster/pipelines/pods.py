"""The Pods of TaskRuns: what `kubectl get pods` and `kubectl logs` show of local processes, following the TaskRuns' statuses.

A Pod stands on a node that no other stand-in knows, so nobody else plays its kubelet. Deleting one under way ends its step.
"""

import random
from collections.abc import Callable, Iterable
from datetime import datetime

from kubernaut.localcluster.controllers.loop import Key, Loop
from kubernaut.localcluster.controllers.meta import by_controller, controller_of, dying, own_key
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.pipelines.environment import service_account
from kubernaut.localcluster.pipelines.logs import step_log
from kubernaut.localcluster.pipelines.resolver import owner_reference
from kubernaut.localcluster.pipelines.status import ended, succeeded
from kubernaut.localcluster.pipelines.times import moment
from kubernaut.localcluster.pipelines.world import World

NODE = "local-processes"
_REMOVED = frozenset({"TaskRunCancelled", "TaskRunTimeout", "TaskRunImagePullFailed"})
_STATES = ("waiting", "running", "terminated")
_TERMINATED = ("exitCode", "reason", "message", "startedAt", "finishedAt", "containerID")


class TaskRunPods:
    """Makes and updates Pods; keys are those of TaskRuns."""

    def __init__(self, world: World, evict: Callable[[str], None]) -> None:
        """Take what ends the step of a TaskRun by uid."""
        self._world = world
        self._evict = evict
        self._since: datetime = world.now().replace(microsecond=0)
        self._made: set[str] = set()
        self._loop = Loop(world.api, "taskrun-pods", self._reconcile, random.Random())  # noqa: S311 - jitter of retries
        self._runs = self._loop.store(world.task_runs, own_key, pod=_pods_of)
        self._pods = self._loop.store(world.api.kind("", "pods"), _owner_key, controller=by_controller)

    async def run(self) -> None:
        """Work until cancelled, publishing logs meanwhile."""
        logs = self._world.settings.logs
        withdraw = logs.publish(self._log) if logs else None
        try:
            await self._loop.run()
        finally:
            if withdraw:
                withdraw()

    def _log(self, namespace: str, pod: str, container: str, *, previous: bool = False) -> str | None:
        if previous:
            # a step runs once
            return None
        texts = (step_log(self._world.settings, run, pod, container) for run in self._runs.by("pod", (namespace, pod)))
        return next((text.decode(errors="replace") for text in texts if text is not None), None)

    async def _reconcile(self, key: Key) -> float | None:
        run = self._runs.get(key)
        for pod in self._pods.all() if run is None else self._pods.by("controller", run["metadata"]["uid"]):
            if _owner_key(pod) == (key,):
                await self._tend(pod, run)
        if run is not None:
            await self._create(run)
        return None

    async def _tend(self, pod: Obj, run: Obj | None) -> None:
        if run is None or not _stands_for(pod, run):
            if dying(pod):
                await self._pods.delete(pod, grace_seconds=0)
        elif dying(pod) and not ended(run):
            self._evict(run["metadata"]["uid"])
        elif dying(pod) or succeeded(run).get("reason") in _REMOVED:
            await self._pods.delete(pod, grace_seconds=0)
        elif (status := _status(run)) != pod.get("status"):
            await self._pods.update({**pod, "status": {**pod.get("status", {}), **status}}, "status")

    async def _create(self, run: Obj) -> None:
        name = (run.get("status") or {}).get("podName")
        if not name or f"{run['metadata']['uid']}/{name}" in self._made or dying(run):
            return
        self._made.add(f"{run['metadata']['uid']}/{name}")
        over = ended(run) and moment(run["status"]["completionTime"]) < self._since
        known = any(pod["metadata"]["name"] == name for pod in self._pods.by("controller", run["metadata"]["uid"]))
        if not (over or known or succeeded(run).get("reason") in _REMOVED):
            pod = await self._pods.create(_pod(run))
            await self._tend(pod, run)


def _pods_of(run: Obj) -> Iterable[tuple[str, str]]:
    status, namespace = run.get("status") or {}, run["metadata"]["namespace"]
    return [(namespace, part["podName"]) for part in (*status.get("retriesStatus", ()), status) if part.get("podName")]


def _owner_key(pod: Obj) -> tuple[Key, ...]:
    owner = controller_of(pod)
    return (Key(pod["metadata"]["namespace"], owner["name"]),) if owner and owner["kind"] == "TaskRun" else ()


def _stands_for(pod: Obj, run: Obj) -> bool:
    return bool((run.get("status") or {}).get("podName") == pod["metadata"]["name"])


def _pod(run: Obj) -> Obj:
    meta, status = run["metadata"], run["status"]
    own = {"tekton.dev/taskRun": meta["name"], "tekton.dev/taskRunUID": meta["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": status["podName"],
            "namespace": meta["namespace"],
            "labels": {**meta.get("labels", {}), **own},
            "ownerReferences": [owner_reference(run)],
        },
        "spec": {
            "nodeName": NODE,
            "restartPolicy": "Never",
            "serviceAccountName": service_account(run),
            "automountServiceAccountToken": False,
            "containers": [{"name": f"step-{step['name']}", "image": step["image"]} for step in status["taskSpec"]["steps"]],
        },
    }


def _status(run: Obj) -> Obj:
    steps = run["status"]["steps"]
    phase = {"True": "Succeeded", "False": "Failed"}.get(succeeded(run)["status"]) or ("Running" if _any_run(steps) else "Pending")
    images = {step["name"]: step["image"] for step in run["status"]["taskSpec"]["steps"]}
    return {
        "phase": phase,
        "startTime": run["status"].get("startTime"),
        "containerStatuses": [_container(step, images[step["name"]]) for step in steps],
    }


def _any_run(steps: Iterable[Obj]) -> bool:
    return any("running" in step or "terminated" in step for step in steps)


def _container(step: Obj, image: str) -> Obj:
    name = next((state for state in _STATES if state in step), "waiting")
    state = {
        key: value for key, value in step.get(name, {"reason": "PodInitializing"}).items() if name != "terminated" or key in _TERMINATED
    }
    common = {"name": f"step-{step['name']}", "image": image, "imageID": step.get("imageID", ""), "restartCount": 0}
    return {**common, "ready": name == "running", "started": name == "running", "state": {name: state}, "lastState": {}}

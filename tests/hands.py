"""Hands: they do by plain API writes what nodes, controllers and Tekton do elsewhere, where nobody else does it.

So that a journey runs over a bare API server too. They roll out Deployments (unless a controller does), report pods as a kubelet would
(killed for memory at a limit under what is needed, else ready), and carry PipelineRuns to their end, changing the cluster as the step would.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from kubernaut.api import core
from kubernaut.api.base import Kind, Obj
from kubernaut.api.quantity import parse_quantity
from kubernaut.kube.client import STRATEGIC_PATCH, Client
from kubernaut.kube.errors import ApiError
from kubernaut.kube.informer import Informer
from tests.world import World, eventually

GRACE_SECONDS = 3.0
"""How long a Deployment may lie untouched until the hands take it."""
HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
RUN_LABEL = "tekton.dev/pipelineRun"
KINDS = (core.DEPLOYMENT, core.REPLICA_SET, core.POD)


def now() -> str:
    """Return the time as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def taken(client: Client, deployment: Obj) -> bool:
    """Say whether a controller takes a new Deployment up."""
    meta = deployment["metadata"]

    async def observed() -> object:
        return ((await client.get(core.DEPLOYMENT, meta["name"], meta["namespace"])).get("status") or {}).get("observedGeneration")

    try:
        return bool(await eventually(observed, seconds=GRACE_SECONDS))
    except TimeoutError:
        return False


async def rolled_out(world: World, deployment: Obj) -> bool:
    """Say whether a controller rolls a new Deployment out; on the embedded cluster of `world` none does."""
    return world.external and await taken(world.client, deployment)


@dataclass
class Hands:
    """They hold one namespace of workloads and one of runs."""

    client: Client
    namespace: str
    workflows: str
    needs: str
    """The memory that containers need."""
    tekton: bool = True
    """Whether they run PipelineRuns."""
    _rolls_out: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _caches: dict[str, Informer] = field(default_factory=dict)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Work while the context lasts."""
        for kind in (*KINDS, core.PIPELINE_RUN, core.TASK_RUN):
            informer = Informer(self.client, kind, self.namespace if kind in KINDS else self.workflows)
            informer.on_change(lambda _old, _new: self._changed.set())
            self._caches[kind.kind] = informer
        tasks = [asyncio.create_task(informer.run()) for informer in self._caches.values()]
        await asyncio.gather(*(informer.synced.wait() for informer in self._caches.values()))
        work = asyncio.create_task(self._run())
        try:
            yield
        finally:
            fault = work.exception() if work.done() else None
            for task in (*tasks, work):
                task.cancel()
            await asyncio.gather(*tasks, work, return_exceptions=True)
            if fault:
                raise fault

    async def deploy(self, deployment: Obj) -> Obj:
        """Create a Deployment; where nobody takes it up, the hands do so from now on."""
        with suppress(ApiError):  # without it no pod is admitted; its controller makes it, where there is one
            await self.client.create(core.SERVICE_ACCOUNT, {"metadata": {"name": "default", "namespace": self.namespace}})
        made = await self.client.create(core.DEPLOYMENT, deployment)

        if not await taken(self.client, made):
            self._rolls_out = True
            self._changed.set()
        return made

    def _all(self, kind: Kind) -> list[Obj]:
        return list(self._caches[kind.kind].store.all())

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            try:
                await self._pass()
            except ApiError as error:
                if not (error.conflict or error.not_found or error.already_exists):
                    raise
                self._changed.set()  # the caches are behind: look again
                await asyncio.sleep(0)
                continue
            await self._changed.wait()

    async def _pass(self) -> None:
        if self._rolls_out:
            for deployment in self._all(core.DEPLOYMENT):
                await self._roll_out(deployment)
        for pod in self._all(core.POD):
            await self._report(pod)
        for run in self._all(core.PIPELINE_RUN) if self.tekton else ():
            await self._work_on(run)

    # The Deployment controller's part

    async def _roll_out(self, deployment: Obj) -> None:
        """Make the template's ReplicaSet and pods, take away those of others, and say so."""
        sets = [each for each in self._all(core.REPLICA_SET) if owner_uid(each) == deployment["metadata"]["uid"]]
        digest = template_hash(deployment)
        current = next((each for each in sets if each["metadata"]["labels"][HASH] == digest), None)
        if current is None:
            current = await self._write(core.REPLICA_SET, replica_set(deployment, digest, revision=len(sets) + 1))
        await self._fill(current)
        for old in sets:
            if old["metadata"]["uid"] != current["metadata"]["uid"]:
                await self._empty(old)
        await self._say(deployment, current, len(sets))

    async def _fill(self, owner: Obj) -> None:
        have = {pod["metadata"]["name"] for pod in self._pods_of(owner)}
        for number in range(owner["spec"]["replicas"]):
            name = f"{owner['metadata']['name']}-{number}"
            if name not in have:
                await self._write(core.POD, pod_of(owner, name))

    async def _empty(self, owner: Obj) -> None:
        meta = owner["metadata"]
        if owner["spec"]["replicas"]:
            await self._patch(core.REPLICA_SET, meta, {"spec": {"replicas": 0}})
        for pod in self._pods_of(owner):
            await self.client.delete(core.POD, pod["metadata"]["name"], self.namespace, grace_seconds=0)

    async def _say(self, deployment: Obj, current: Obj, sets: int) -> None:
        replicas, pods = deployment["spec"]["replicas"], self._pods_of(current)
        ready, others = sum(map(is_ready, pods)), len(self._all(core.POD)) - len(pods)
        own = {
            "observedGeneration": current["metadata"]["generation"],
            "replicas": len(pods),
            "readyReplicas": ready,
            "availableReplicas": ready,
        }
        await self._status(core.REPLICA_SET, current, own)
        meta = deployment["metadata"]
        if meta.get("annotations", {}).get(REVISION) != str(max(sets, 1)):
            await self._patch(core.DEPLOYMENT, meta, {"metadata": {"annotations": {REVISION: str(max(sets, 1))}}})
        told = {"observedGeneration": meta["generation"], "replicas": len(pods) + others, "updatedReplicas": len(pods)}
        told |= {"readyReplicas": ready, "availableReplicas": ready, "unavailableReplicas": replicas - ready}
        await self._status(core.DEPLOYMENT, deployment, told)

    def _pods_of(self, owner: Obj) -> list[Obj]:
        return [pod for pod in self._all(core.POD) if owner_uid(pod) == owner["metadata"]["uid"]]

    # The kubelet's part

    async def _report(self, pod: Obj) -> None:
        """Report a pod once: its containers are killed at a limit that is too low, or they are ready."""
        if (pod.get("status") or {}).get("containerStatuses") or "deletionTimestamp" in pod["metadata"]:
            return
        starved = parse_quantity(pod["spec"]["containers"][0]["resources"]["limits"]["memory"]) < parse_quantity(self.needs)
        await self._status(core.POD, pod, killed(pod) if starved else served(pod))

    # Tekton's part

    async def _work_on(self, run: Obj) -> None:
        """Carry a run one step on: begin it, do what its step does, end it when the roll-out is complete."""
        condition = next(iter((run.get("status") or {}).get("conditions") or ()), None)
        if condition is None:
            task = await self._write(core.TASK_RUN, task_run(run))
            at_work = {"podName": f"{task['metadata']['name']}-pod", "steps": [{"name": "kubectl", "running": {"startedAt": now()}}]}
            await self._status(core.TASK_RUN, task, running("Running") | at_work)
            child = {"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": task["metadata"]["name"], "pipelineTaskName": "apply"}
            await self._status(core.PIPELINE_RUN, run, running("Running") | {"childReferences": [child]})
            await self._raise_limit({each["name"]: each["value"] for each in run["spec"]["params"]})
        elif condition["status"] == "Unknown" and all(map(self._complete, self._all(core.DEPLOYMENT))):
            for task in self._all(core.TASK_RUN):
                await self._status(core.TASK_RUN, task, over("Succeeded"))
            await self._status(core.PIPELINE_RUN, run, over("Completed"))

    async def _raise_limit(self, given: dict[str, str]) -> None:
        container = {"name": given["CONTAINER_NAME"], "resources": {"limits": {"memory": given["MEMORY_LIMIT"]}}}
        body = {"spec": {"template": {"spec": {"containers": [container]}}}}
        await self.client.patch(core.DEPLOYMENT, given["DEPLOYMENT_NAME"], given["NAMESPACE"], body, content_type=STRATEGIC_PATCH)

    def _complete(self, deployment: Obj) -> bool:
        status, wanted = deployment.get("status") or {}, deployment["spec"]["replicas"]
        current = status.get("observedGeneration") == deployment["metadata"]["generation"]
        return bool(current and status.get("updatedReplicas") == status.get("replicas") == status.get("availableReplicas") == wanted)

    # Writes, seen by the caches at once

    async def _write(self, kind: Kind, obj: Obj) -> Obj:
        made = await self.client.create(kind, obj)
        self._caches[kind.kind].observe(made)
        return made

    async def _patch(self, kind: Kind, meta: Obj, body: Obj) -> None:
        self._caches[kind.kind].observe(await self.client.patch(kind, meta["name"], meta["namespace"], body))

    async def _status(self, kind: Kind, obj: Obj, status: Obj) -> None:
        """Write a status where it differs."""
        held, meta = obj.get("status") or {}, obj["metadata"]
        if any(held.get(name, 0) != value for name, value in status.items()):
            made = await self.client.patch(kind, meta["name"], meta["namespace"], {"status": status}, subresource="status")
            self._caches[kind.kind].observe(made)


def owner_uid(obj: Obj) -> str:
    """Return the uid of who controls an object."""
    return next((each["uid"] for each in obj["metadata"].get("ownerReferences") or () if each.get("controller")), "")


def owned_by(owner: Obj, kind: Kind) -> list[Obj]:
    """Return the references of a dependant."""
    meta = owner["metadata"]
    return [{"apiVersion": kind.api_version, "kind": kind.kind, "name": meta["name"], "uid": meta["uid"], "controller": True}]


def template_hash(deployment: Obj) -> str:
    """Return what tells the ReplicaSets of a Deployment apart."""
    return hashlib.sha256(json.dumps(deployment["spec"]["template"], sort_keys=True).encode()).hexdigest()[:9]


def replica_set(deployment: Obj, digest: str, *, revision: int) -> Obj:
    """Return the ReplicaSet of a Deployment's template."""
    meta, spec = deployment["metadata"], deployment["spec"]
    template = {**spec["template"], "metadata": {"labels": spec["template"]["metadata"]["labels"] | {HASH: digest}}}
    return {
        "metadata": {
            "name": f"{meta['name']}-{digest}",
            "namespace": meta["namespace"],
            "labels": template["metadata"]["labels"],
            "annotations": {REVISION: str(revision)},
            "ownerReferences": owned_by(deployment, core.DEPLOYMENT),
        },
        "spec": {
            "replicas": spec["replicas"],
            "selector": {"matchLabels": spec["selector"]["matchLabels"] | {HASH: digest}},
            "template": template,
        },
    }


def pod_of(owner: Obj, name: str) -> Obj:
    """Return a pod of a ReplicaSet."""
    template = owner["spec"]["template"]
    meta = {"name": name, "namespace": owner["metadata"]["namespace"], "labels": template["metadata"]["labels"]}
    return {"metadata": meta | {"ownerReferences": owned_by(owner, core.REPLICA_SET)}, "spec": template["spec"]}


def is_ready(pod: Obj) -> bool:
    """Tell whether a pod is ready."""
    return any(each["type"] == "Ready" and each["status"] == "True" for each in (pod.get("status") or {}).get("conditions") or ())


def killed(pod: Obj) -> Obj:
    """Return the status of a pod whose container the kernel kills again and again."""
    begun, ended = (datetime.now(UTC) - timedelta(seconds=back) for back in (60, 30))
    last = {"exitCode": 137, "reason": "OOMKilled", "startedAt": f"{begun:%FT%TZ}", "finishedAt": f"{ended:%FT%TZ}"}
    name = pod["spec"]["containers"][0]["name"]
    waiting = {"reason": "CrashLoopBackOff", "message": f"back-off 40s restarting failed container={name} pod={pod['metadata']['name']}"}
    row = {"ready": False, "started": False, "restartCount": 3, "state": {"waiting": waiting}, "lastState": {"terminated": last}}
    return _pod_status(pod, row, ready="False")


def served(pod: Obj) -> Obj:
    """Return the status of a pod that is well."""
    row = {"ready": True, "started": True, "restartCount": 0, "state": {"running": {"startedAt": now()}}}
    return _pod_status(pod, row, ready="True")


def _pod_status(pod: Obj, row: Obj, *, ready: str) -> Obj:
    container = pod["spec"]["containers"][0]
    at = {"lastTransitionTime": now()}
    return {
        "phase": "Running",
        "startTime": now(),
        "conditions": list(_conditions(at, ready)),
        "containerStatuses": [{"name": container["name"], "image": container["image"], "imageID": "", **row}],
    }


def _conditions(at: Obj, ready: str) -> Iterator[Obj]:
    for name, status in (("PodScheduled", "True"), ("Initialized", "True"), ("ContainersReady", ready), ("Ready", ready)):
        yield {"type": name, "status": status} | at


def task_run(run: Obj) -> Obj:
    """Return the TaskRun of a PipelineRun's one task."""
    meta = run["metadata"]
    labels = (meta.get("labels") or {}) | {RUN_LABEL: meta["name"], "tekton.dev/pipelineTask": "apply"}
    return {
        "metadata": {
            "name": f"{meta['name']}-apply",
            "namespace": meta["namespace"],
            "labels": labels,
            "ownerReferences": owned_by(run, core.PIPELINE_RUN),
        },
        "spec": {
            "taskSpec": {"steps": [{"name": "kubectl", "image": "registry.example.com/kubectl:1", "script": "kubectl set resources"}]}
        },
    }


def running(reason: str) -> Obj:
    """Return the status of a run that has begun."""
    condition = {
        "type": "Succeeded",
        "status": "Unknown",
        "reason": reason,
        "message": "Not all Tasks in the Pipeline have finished executing",
    }
    return {"startTime": now(), "conditions": [condition | {"lastTransitionTime": now()}]}


def over(reason: str) -> Obj:
    """Return the status of a run that has ended well."""
    condition = {
        "type": "Succeeded",
        "status": "True",
        "reason": reason,
        "message": "Tasks Completed: 1 (Failed: 0, Cancelled 0), Skipped: 0",
    }
    return {"completionTime": now(), "conditions": [condition | {"lastTransitionTime": now()}]}

"""The rest of the world by script: roll-outs and kubelets, Tekton, people. They write through the API, without faults of their own."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from kubernaut.api import core
from kubernaut.api.approval import AIApprovalRequest, Decision
from kubernaut.api.base import Kind, Obj
from kubernaut.api.quantity import parse_quantity
from kubernaut.cli.approving import CannotDecide, answer
from kubernaut.kube.client import STRATEGIC_PATCH, Client
from kubernaut.kube.errors import ApiError
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.store import Record
from kubernaut.manifests import WORKFLOW_NAMESPACE
from tests.hands import HASH, REVISION, owner_uid, pod_of, replica_set, task_run, template_hash
from tests.simulation.cluster import Target
from tests.simulation.loop import spawn
from tests.simulation.replica import SimulatedClock

TRIES = 20


class Course(StrEnum):
    """How a PipelineRun goes."""

    WELL = "succeeds"
    FAILS = "fails in its step"
    NO_IMAGE = "cannot pull its image"
    HANGS = "never ends by itself"
    DELETED = "is deleted by somebody"
    USELESS = "succeeds and changes nothing"


COURSES = ((Course.WELL, 12), (Course.FAILS, 3), (Course.NO_IMAGE, 1), (Course.HANGS, 2), (Course.DELETED, 1), (Course.USELESS, 1))


@dataclass
class Hands:
    """They watch what the store writes and act on it a while later."""

    client: Client
    people: tuple[Client, ...]
    """Who may decide, in the order in which they look."""
    clock: SimulatedClock
    seed: int
    targets: dict[tuple[str, str], Target]
    rng: random.Random = field(init=False)
    faults: list[str] = field(default_factory=list)
    _busy: set[tuple[str, ...]] = field(default_factory=set)
    _work: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Take up the seed."""
        self.rng = random.Random(f"hands {self.seed}")

    def written(self, kind: ResourceKind, record: Record) -> None:
        """Hear of a write to the store."""
        if record.type == "DELETED":
            return
        match kind.plural:
            case "deployments":
                self._once(("roll-out", *record.key), lambda: self._roll_out(*record.key), self.rng.uniform(0.5, 3))
            case "pipelineruns" if record.type == "ADDED":
                self._once(("run", *record.key, str(record.revision)), lambda: self._run(record.key[1]), self.rng.uniform(0.1, 2))
            case "pipelineruns" if record.obj["spec"].get("status"):
                self._once(("cancel", *record.key), lambda: self._cancelled(record.key[1]), self.rng.uniform(0.5, 20))
            case "aiapprovalrequests" if record.type == "ADDED":
                self._once(("ask", *record.key, str(record.revision)), lambda: self._decide(record.key), self.rng.expovariate(1 / 60))
            case _:
                pass

    def _once(self, what: tuple[str, ...], work: Callable[[], Coroutine[Any, Any, None]], seconds: float) -> None:
        """Do something after a while, unless it is going to be done already."""
        if what in self._busy:
            return
        self._busy.add(what)

        async def later() -> None:
            await asyncio.sleep(seconds)
            self._busy.discard(what)
            await self._tried(work)

        task = spawn(later())
        task.add_done_callback(self._tell)
        self._work.append(task)

    def _tell(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (fault := task.exception()):
            self.faults.append(f"hands: {fault!r}")

    async def _tried(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        for _ in range(TRIES):
            try:
                await work()
            except ApiError as fault:
                if fault.not_found:
                    return
                if not (fault.conflict or fault.already_exists):
                    raise
                await asyncio.sleep(0.5)
            else:
                return

    # The controllers' and the kubelet's part

    async def _roll_out(self, namespace: str, name: str) -> None:
        """Replace the pod of a Deployment whose template changed, and say so."""
        found = await self.client.get(core.DEPLOYMENT, name, namespace)
        generation = found["metadata"]["generation"]
        if (found.get("status") or {}).get("observedGeneration") == generation:
            return
        sets = [each for each in (await self.client.list(core.REPLICA_SET, namespace)).items if owner_uid(each) == found["metadata"]["uid"]]
        digest = template_hash(found)
        current = next((each for each in sets if each["metadata"]["labels"][HASH] == digest), None)
        if current is None:
            current = await self.client.create(core.REPLICA_SET, replica_set(found, digest, revision=len(sets) + 1))
        for old in sets:
            if old["metadata"]["name"] != current["metadata"]["name"]:
                await self._empty(old)
        ready = await self._pod(current, self.targets[namespace, name])
        await self._status(core.REPLICA_SET, current, _counts(current["metadata"]["generation"], ready))
        if not found["metadata"].get("annotations", {}).get(REVISION):
            body = {"metadata": {"annotations": {REVISION: "1"}}}
            await self.client.patch(core.DEPLOYMENT, name, namespace, body)
        await self._status(core.DEPLOYMENT, found, {**_counts(generation, ready), "updatedReplicas": 1, "unavailableReplicas": 1 - ready})

    async def _empty(self, owner: Obj) -> None:
        meta = owner["metadata"]
        for pod in (await self.client.list(core.POD, meta["namespace"])).items:
            if owner_uid(pod) == meta["uid"]:
                await self.client.delete(core.POD, pod["metadata"]["name"], meta["namespace"], grace_seconds=0)

    async def _pod(self, owner: Obj, target: Target) -> int:
        """Make the pod of a ReplicaSet as its node would report it; return how many are ready."""
        name = f"{owner['metadata']['name']}-0"
        try:
            pod = await self.client.create(core.POD, pod_of(owner, name))
        except ApiError as fault:
            if not fault.already_exists:
                raise
            pod = await self.client.get(core.POD, name, target.namespace)
        limit = pod["spec"]["containers"][0]["resources"]["limits"]["memory"]
        starved = parse_quantity(limit) < parse_quantity(target.needs)
        await self._status(core.POD, pod, self._reported(pod, starved=starved))
        return int(not starved)

    def _reported(self, pod: Obj, *, starved: bool) -> Obj:
        container, name = pod["spec"]["containers"][0], pod["metadata"]["name"]
        row: Obj = {"ready": True, "started": True, "restartCount": 0, "state": {"running": {"startedAt": self._time()}}}
        if starved:
            last = {"exitCode": 137, "reason": "OOMKilled", "startedAt": self._time(-60), "finishedAt": self._time(-30)}
            why = f"back-off 40s restarting failed container={container['name']} pod={name}"
            state = {"waiting": {"reason": "CrashLoopBackOff", "message": why}}
            row = {"ready": False, "started": False, "restartCount": 3, "state": state, "lastState": {"terminated": last}}
        ready = "False" if starved else "True"
        rows = (("PodScheduled", "True"), ("Initialized", "True"), ("ContainersReady", ready), ("Ready", ready))
        return {
            "phase": "Running",
            "startTime": self._time(),
            "conditions": [{"type": type_, "status": status, "lastTransitionTime": self._time()} for type_, status in rows],
            "containerStatuses": [{"name": container["name"], "image": container["image"], "imageID": "", **row}],
        }

    def _time(self, seconds: float = 0) -> str:
        return (self.clock.now() + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")

    # Tekton's part

    async def _run(self, name: str) -> None:
        """Take a PipelineRun to its end, whichever that is."""
        course = self.rng.choices([each for each, _ in COURSES], [weight for _, weight in COURSES])[0]
        run = await self.client.get(core.PIPELINE_RUN, name, WORKFLOW_NAMESPACE)
        if _over(run):
            return
        task = await self.client.create(core.TASK_RUN, task_run(run))
        begun = self._running("Running")
        at_work: Obj = (
            {"podName": ""}
            if course is Course.NO_IMAGE
            else {"podName": f"{name}-pod", "steps": [{"name": "kubectl", "running": {"startedAt": self._time()}}]}
        )
        await self._status(core.TASK_RUN, task, begun | at_work)
        child = {"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": task["metadata"]["name"], "pipelineTaskName": "apply"}
        await self._status(core.PIPELINE_RUN, run, begun | {"childReferences": [child]})
        await asyncio.sleep(self.rng.uniform(1, 60))
        await self._tried(lambda: self._finish(name, task, course))

    async def _finish(self, name: str, task: Obj, course: Course) -> None:
        run = await self.client.get(core.PIPELINE_RUN, name, WORKFLOW_NAMESPACE)
        if _over(run) or run["spec"].get("status") or course is Course.HANGS:
            return
        if course is Course.DELETED:
            await self.client.delete(core.PIPELINE_RUN, name, WORKFLOW_NAMESPACE, propagation="Background")
            return
        if course is Course.WELL:
            await self._apply({each["name"]: each["value"] for each in run["spec"].get("params", ())})
            await asyncio.sleep(self.rng.uniform(1, 15))
            run = await self.client.get(core.PIPELINE_RUN, name, WORKFLOW_NAMESPACE)
        good = course in {Course.WELL, Course.USELESS}
        await self._status(core.TASK_RUN, task, self._over(course))
        if not _over(run):
            await self._status(core.PIPELINE_RUN, run, self._ended("True" if good else "False", "Completed" if good else "Failed"))

    async def _apply(self, given: dict[str, str]) -> None:
        """Do what the step of a catalogue workflow does."""
        namespace, name = given.get("NAMESPACE", ""), given.get("DEPLOYMENT_NAME", "")
        if "MEMORY_LIMIT" in given:
            container = {"name": given["CONTAINER_NAME"], "resources": {"limits": {"memory": given["MEMORY_LIMIT"]}}}
            template: Obj = {"spec": {"containers": [container]}}
        else:
            template = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": self._time()}}}
        body = {"spec": {"template": template}}
        await self.client.patch(core.DEPLOYMENT, name, namespace, body, content_type=STRATEGIC_PATCH)

    async def _cancelled(self, name: str) -> None:
        run = await self.client.get(core.PIPELINE_RUN, name, WORKFLOW_NAMESPACE)
        if not _over(run):
            await self._status(core.PIPELINE_RUN, run, self._ended("False", "Cancelled"))

    def _running(self, reason: str) -> Obj:
        condition = {"type": "Succeeded", "status": "Unknown", "reason": reason, "lastTransitionTime": self._time()}
        return {"startTime": self._time(), "conditions": [condition]}

    def _ended(self, status: str, reason: str) -> Obj:
        message = (
            "Tasks Completed: 1 (Failed: 0, Cancelled 0), Skipped: 0" if status == "True" else "Tasks Completed: 1 (Failed: 1), Skipped: 0"
        )
        condition = {"type": "Succeeded", "status": status, "reason": reason, "message": message, "lastTransitionTime": self._time()}
        return {"completionTime": self._time(), "conditions": [condition]}

    def _over(self, course: Course) -> Obj:
        if course is Course.NO_IMAGE:
            return self._ended("False", "TaskRunImagePullFailed")
        good = course in {Course.WELL, Course.USELESS}
        ended = {"exitCode": 0 if good else 1, "reason": "Completed" if good else "Error", "finishedAt": self._time()}
        return self._ended(str(good), "Succeeded" if good else "Failed") | {"steps": [{"name": "kubectl", "terminated": ended}]}

    # People

    async def _decide(self, key: tuple[str, str]) -> None:
        """Answer a question, or leave it unanswered."""
        mood = self.rng.random()
        if mood < 0.15:
            return
        found = AIApprovalRequest.model_validate(await self.client.get(AIApprovalRequest.card, key[1], key[0]))
        decision = Decision.REJECTED if mood < 0.25 else Decision.APPROVED
        for person in self.people[: found.spec.policy_evaluation.min_approvers]:
            try:
                await answer(person, found, decision, "by script", self.clock.now())
            except CannotDecide:
                return
            await asyncio.sleep(self.rng.expovariate(1 / 20))

    async def _status(self, kind: Kind, obj: Obj, status: Obj) -> None:
        meta = obj["metadata"]
        await self.client.patch(kind, meta["name"], meta["namespace"], {"status": status}, subresource="status")


def _counts(generation: int, ready: int) -> Obj:
    return {"observedGeneration": generation, "replicas": 1, "readyReplicas": ready, "availableReplicas": ready}


def _over(run: Obj) -> bool:
    """Whether Tekton touches a run no more: it has ended, or is being deleted."""
    if "deletionTimestamp" in run["metadata"]:
        return True
    conditions = (run.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Succeeded" and each["status"] in {"True", "False"} for each in conditions)

"""The scheduler: gives each pod a node, or says why none will do."""

from collections.abc import Iterable
from typing import Final

from kubernaut.localcluster.api import Api, Obj
from kubernaut.localcluster.controllers.loop import Key, Loop, key_of
from kubernaut.localcluster.controllers.meta import condition, with_status
from kubernaut.localcluster.controllers.moments import stamp
from kubernaut.localcluster.controllers.placement import NodeLoad, place, unplaceable
from kubernaut.localcluster.controllers.podstate import ended
from kubernaut.localcluster.controllers.recorder import NORMAL, WARNING, Recorder
from kubernaut.localcluster.controllers.settings import StandInSettings

__all__ = ["Scheduler"]

NAME: Final = "default-scheduler"
_NO_NODE: Final = ""


def _by_node(pod: Obj) -> Iterable[str]:
    return () if ended(pod) else (pod["spec"].get("nodeName", _NO_NODE),)


class Scheduler:
    """The stand-in for kube-scheduler; one pod after the other, so that no node is given twice."""

    def __init__(self, api: Api, settings: StandInSettings) -> None:
        """Set up watches; `run` starts the work."""
        api = api.acting_as("kube-scheduler")
        self._clock = settings.clock
        self._loop = Loop(api, "scheduler", self._reconcile, settings.rng, workers=1)
        self._events = Recorder(api, NAME, settings.clock)
        self._pods = self._loop.store(api.kind("", "pods"), self._keys_of_pod, node=_by_node)
        self._nodes = self._loop.store(api.kind("", "nodes"), self._everyone_waiting)
        self._claims = self._loop.store(api.kind("", "persistentvolumeclaims"), self._everyone_waiting)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._loop.run()

    def _keys_of_pod(self, pod: Obj) -> Iterable[Key]:
        # a pod without a node concerns itself; one with a node may have made room for all that wait
        return self._everyone_waiting(pod) if pod["spec"].get("nodeName") else (key_of(pod),)

    def _everyone_waiting(self, _obj: Obj) -> Iterable[Key]:
        return [key_of(pod) for pod in self._pods.by("node", _NO_NODE)]

    async def _reconcile(self, key: Key) -> float | None:
        pod = self._pods.get(key)
        if pod is None or not _is_ours(pod):
            return None
        loads = [NodeLoad(node, self._pods.by("node", node["metadata"]["name"])) for node in self._nodes.all()]
        why = self._claim_fault(pod)
        node, message = ("", unplaceable(len(loads), why)) if why else place(pod, loads)
        if node:
            await self._bind(pod, node)
        else:
            await self._refuse(pod, message)
        return None

    def _claim_fault(self, pod: Obj) -> str:
        for volume in pod["spec"].get("volumes") or ():
            name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            claim = self._claims.get(Key(pod["metadata"]["namespace"], name)) if name else None
            if name and claim is None:
                return f'persistentvolumeclaim "{name}" not found'
            if claim is not None and (claim.get("status") or {}).get("phase") != "Bound":
                return "pod has unbound immediate PersistentVolumeClaims"
        return ""

    async def _bind(self, pod: Obj, node: str) -> None:
        status = pod.get("status") or {}
        rows = [row for row in status.get("conditions") or () if row["type"] != "PodScheduled"]
        scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": stamp(self._clock())}
        wanted = with_status(pod, {**status, "conditions": [*rows, scheduled]})
        bound = await self._pods.update({**wanted, "spec": {**pod["spec"], "nodeName": node}}, "binding")
        message = f"Successfully assigned {pod['metadata']['namespace']}/{pod['metadata']['name']} to {node}"
        await self._events.scheduling(self._pods.kind, bound, NORMAL, "Scheduled", message)

    async def _refuse(self, pod: Obj, message: str) -> None:
        held = condition(pod, "PodScheduled")
        if held is not None and (held["status"], held.get("message")) == ("False", message):
            return
        since = held["lastTransitionTime"] if held and held["status"] == "False" else stamp(self._clock())
        row = {
            "type": "PodScheduled",
            "observedGeneration": pod["metadata"].get("generation", 1),
            "status": "False",
            "lastProbeTime": None,
            "lastTransitionTime": since,
            "reason": "Unschedulable",
            "message": message,
        }
        rows = [other for other in (pod.get("status") or {}).get("conditions") or () if other["type"] != "PodScheduled"]
        await self._pods.patch(pod, {"status": {"conditions": [*rows, row]}}, "status")
        await self._events.scheduling(self._pods.kind, pod, WARNING, "FailedScheduling", message)


def _is_ours(pod: Obj) -> bool:
    spec = pod["spec"]
    waiting = not spec.get("nodeName") and not ended(pod) and "deletionTimestamp" not in pod["metadata"]
    return waiting and spec.get("schedulerName", NAME) == NAME and not spec.get("schedulingGates")

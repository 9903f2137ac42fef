"""ReplicaSets: as many pods of a template as wanted, made and removed a burst at a time."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from kubernaut.localcluster.api import Api, Obj
from kubernaut.localcluster.controllers.claims import claimed, claiming_keys
from kubernaut.localcluster.controllers.loop import Key, Loop
from kubernaut.localcluster.controllers.meta import (
    by_controller,
    by_namespace,
    condition,
    dying,
    labels_of,
    own_key,
    owner_reference,
    replaced,
    with_status,
)
from kubernaut.localcluster.controllers.moments import stamp
from kubernaut.localcluster.controllers.podstate import active, available, available_in, ended, ready, removal_order
from kubernaut.localcluster.controllers.recorder import NORMAL, WARNING, Recorder
from kubernaut.localcluster.controllers.settings import StandInSettings
from kubernaut.localcluster.errors import ApiError

__all__ = ["PodControl", "ReplicaSets", "pod_from"]

BURST: Final = 500


def pod_from(template: Obj, owner: Obj, namespace: str, **names: str) -> Obj:
    """Build a pod from a template; `names` gives name or generateName."""
    meta = template.get("metadata") or {}
    kept = {field: dict(meta[field]) for field in ("labels", "annotations") if meta.get(field)}
    finalizers = {"finalizers": list(meta["finalizers"])} if meta.get("finalizers") else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**kept, **finalizers, **names, "namespace": namespace, "ownerReferences": [owner]},
        "spec": template["spec"],
    }


class PodControl:
    """Makes and removes pods in the name of a workload, and tells so in events."""

    def __init__(self, loop: Loop, api: Api, component: str, settings: StandInSettings, kind: str) -> None:
        """Watch pods for `loop`; `kind` is that of the owners."""
        self.events = Recorder(api, component, settings.clock)
        self.owners = loop.store(api.kind("batch" if kind == "Job" else "apps", f"{kind.lower()}s"), own_key, namespace=by_namespace)
        self.pods = loop.store(api.kind("", "pods"), claiming_keys(lambda: self.owners, kind), controller=by_controller)

    async def claimed(self, owner: Obj) -> list[Obj]:
        """Return the pods of an owner, adoption and release done."""
        return await claimed(self.pods, owner, self.owners.kind)

    def reference(self, owner: Obj) -> Obj:
        """Return the reference by which the owner controls its pods."""
        return owner_reference(owner, self.owners.kind)

    async def create(self, owner: Obj, pod: Obj) -> Obj:
        """Create a pod; a refusal is told as FailedCreate and raised."""
        try:
            made = await self.pods.create(pod)
        except ApiError as error:
            if not _is_terminating(error):
                await self.events.tell(self.owners.kind, owner, WARNING, "FailedCreate", f"Error creating: {error.message}")
            raise
        await self.events.tell(self.owners.kind, owner, NORMAL, "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")
        return made

    async def delete(self, owner: Obj, pod: Obj) -> None:
        """Delete a pod."""
        await self.pods.delete(pod)
        await self.events.tell(self.owners.kind, owner, NORMAL, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")


def _is_terminating(error: ApiError) -> bool:
    causes = error.details.get("causes") or ()
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)


class ReplicaSets:
    """The stand-in for kube-controller-manager's replicaset controller."""

    def __init__(self, api: Api, settings: StandInSettings) -> None:
        """Set up watches; `run` starts the work."""
        api = api.acting_as("kube-controller-manager")
        self._clock = settings.clock
        self._loop = Loop(api, "replicasets", self._reconcile, settings.rng)
        self._control = PodControl(self._loop, api, "replicaset-controller", settings, "ReplicaSet")

    async def run(self) -> None:
        """Work until cancelled."""
        await self._loop.run()

    async def _reconcile(self, key: Key) -> float | None:
        rs = self._control.owners.get(key)
        if rs is None:
            return None
        pods = await self._control.claimed(rs)
        failure: ApiError | None = None
        if not dying(rs):
            failure = await self._manage(rs, [pod for pod in pods if active(pod)])
        again = await self._report(rs, failure)
        if failure is not None and not _is_terminating(failure):
            raise failure
        return again

    async def _manage(self, rs: Obj, pods: Sequence[Obj]) -> ApiError | None:
        missing = rs["spec"].get("replicas", 1) - len(pods)
        try:
            for _ in range(min(missing, BURST)):
                await self._control.create(rs, self._pod(rs))
            for pod in removal_order(pods)[: min(max(0, -missing), BURST)]:
                await self._control.delete(rs, pod)
        except ApiError as error:
            return error
        return None

    def _pod(self, rs: Obj) -> Obj:
        meta = rs["metadata"]
        return pod_from(rs["spec"]["template"], self._control.reference(rs), meta["namespace"], generateName=f"{meta['name']}-")

    async def _report(self, rs: Obj, failure: ApiError | None) -> float | None:
        owners, now = self._control.owners, self._clock()
        pods = self._control.pods.by("controller", rs["metadata"]["uid"])
        held = owners.get(Key(rs["metadata"]["namespace"], rs["metadata"]["name"])) or rs
        status = status_of(held, pods, failure, now)
        if status != held.get("status"):
            await owners.update(with_status(held, status), "status")
        minimum = rs["spec"].get("minReadySeconds", 0)
        waits = [wait for pod in pods if 0 < (wait := available_in(pod, minimum, now)) < float("inf")]
        return min(waits, default=None)


def status_of(rs: Obj, pods: Sequence[Obj], failure: ApiError | None, now: datetime) -> Obj:
    """Return the status that the pods tell, a failure to make or remove them included."""
    alive, minimum = [pod for pod in pods if active(pod)], rs["spec"].get("minReadySeconds", 0)
    labels = (rs["spec"]["template"].get("metadata") or {}).get("labels") or {}
    counts = {
        "fullyLabeledReplicas": sum(labels.items() <= labels_of(pod).items() for pod in alive),
        "readyReplicas": sum(ready(pod) for pod in alive),
        "availableReplicas": sum(available(pod, minimum, now) for pod in alive),
        "observedGeneration": rs["metadata"].get("generation", 0),
    }
    status: Obj = {"replicas": len(alive)} | {name: count for name, count in counts.items() if count}
    status["terminatingReplicas"] = sum(dying(pod) and not ended(pod) for pod in pods)
    rows = _conditions(rs, len(alive), failure, now)
    return status | ({"conditions": rows} if rows else {})


def _conditions(rs: Obj, alive: int, failure: ApiError | None, now: datetime) -> list[Obj]:
    rows: list[Obj] = (rs.get("status") or {}).get("conditions") or []
    if failure is None:
        return [row for row in rows if row["type"] != "ReplicaFailure"]
    if condition(rs, "ReplicaFailure"):
        return rows
    reason = "FailedCreate" if alive < rs["spec"].get("replicas", 1) else "FailedDelete"
    return replaced(
        rows, {"type": "ReplicaFailure", "status": "True", "lastTransitionTime": stamp(now), "reason": reason, "message": failure.message}
    )

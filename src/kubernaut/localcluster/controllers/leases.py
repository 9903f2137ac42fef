"""Node leases: each ready node renews its Lease in kube-node-lease, as its kubelet would."""

from typing import Final

from kubernaut.localcluster.api import Api, Obj
from kubernaut.localcluster.controllers.loop import Key, Loop
from kubernaut.localcluster.controllers.meta import dying, own_key, uid_of
from kubernaut.localcluster.controllers.moments import micro_stamp, moment
from kubernaut.localcluster.controllers.nodes import is_ready
from kubernaut.localcluster.controllers.settings import StandInSettings

__all__ = ["NodeLeases"]

_NAMESPACE: Final = "kube-node-lease"
_DURATION: Final = 40
_EVERY: Final = 10.0


class NodeLeases:
    """The stand-in for the heartbeats of kubelets."""

    def __init__(self, api: Api, settings: StandInSettings) -> None:
        """Set up watches; `run` starts the work."""
        self._clock = settings.clock
        self._loop = Loop(api.acting_as("kubelet"), "leases", self._reconcile, settings.rng, workers=1)
        self._nodes = self._loop.store(api.kind("", "nodes"), own_key)
        self._leases = self._loop.store(api.kind("coordination.k8s.io", "leases"), lambda _: ())

    async def run(self) -> None:
        """Work until cancelled."""
        await self._loop.run()

    async def _reconcile(self, key: Key) -> float | None:
        node = self._nodes.get(key)
        if node is None or dying(node) or not is_ready(node):
            return None
        lease = self._leases.get(Key(_NAMESPACE, key.name))
        now = self._clock()
        if lease is None:
            await self._leases.create(_lease(node, micro_stamp(now)))
            return _EVERY
        passed = (now - moment(lease["spec"]["renewTime"])).total_seconds() if lease["spec"].get("renewTime") else _EVERY
        if passed < _EVERY:
            return _EVERY - passed
        await self._leases.patch(lease, {"spec": {"holderIdentity": key.name, "renewTime": micro_stamp(now)}})
        return _EVERY


def _lease(node: Obj, now: str) -> Obj:
    name = node["metadata"]["name"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid_of(node)}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": _NAMESPACE, "ownerReferences": [owner]},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": _DURATION, "renewTime": now},
    }

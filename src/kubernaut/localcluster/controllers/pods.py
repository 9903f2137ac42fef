"""The pod simulator: plays the kubelet of every node, in the statuses, reasons, messages and events a kubelet writes.

Containers do what scenario data says, weighed against the objects of the cluster; without a word from it they run for ever,
and those of a Job end well.
"""

import hashlib
from collections.abc import Iterable
from functools import partial
from typing import Final

from kubernaut.localcluster.api import Api, Obj
from kubernaut.localcluster.controllers.behaviour import Behaviour, Role, World, behaviour_of
from kubernaut.localcluster.controllers.containerlogs import container_log
from kubernaut.localcluster.controllers.images import full_name
from kubernaut.localcluster.controllers.loop import Key, Loop, key_of
from kubernaut.localcluster.controllers.meta import dying, own_key, uid_of, with_status
from kubernaut.localcluster.controllers.nodes import host_ip, is_ready
from kubernaut.localcluster.controllers.podpass import Kubelet, Memory, Outcome, look
from kubernaut.localcluster.controllers.podstate import ended
from kubernaut.localcluster.controllers.recorder import Recorder
from kubernaut.localcluster.controllers.references import mount_faults
from kubernaut.localcluster.controllers.settings import StandInSettings

__all__ = ["Pods"]

_ADDRESSES: Final = 65_000


def _images_of(pod: Obj) -> Iterable[tuple[str, str]]:
    status, node = pod.get("status") or {}, pod["spec"].get("nodeName", "")
    rows = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return [(node, row["image"]) for row in rows if row.get("imageID")]


class Pods:
    """The stand-in for the kubelets of all nodes."""

    def __init__(self, api: Api, settings: StandInSettings) -> None:
        """Set up watches; `run` starts the work."""
        api = api.acting_as("kubelet")
        self._settings = settings
        self._loop = Loop(api, "pods", self._reconcile, settings.rng)
        self._events = Recorder(api, "kubelet", settings.clock)
        self._pods = self._loop.store(
            api.kind("", "pods"),
            own_key,
            namespace=lambda pod: (pod["metadata"]["namespace"],),
            node=lambda pod: (pod["spec"].get("nodeName", ""),),
            image=_images_of,
            address=lambda pod: ((pod.get("status") or {}).get("podIP"),),
        )
        self._nodes = self._loop.store(api.kind("", "nodes"), self._pods_on)
        self._configs = self._loop.store(api.kind("", "configmaps"), self._neighbours)
        self._secrets = self._loop.store(api.kind("", "secrets"), self._neighbours)
        self._endpoints = self._loop.store(api.kind("", "endpoints"), self._clients)
        self._memory: dict[str, Memory] = {}
        settings.scenario.on_change(self._all)

    async def run(self) -> None:
        """Work until cancelled."""
        logs = self._settings.logs
        withdraw = logs.publish(self._log) if logs else None
        try:
            await self._loop.run()
        finally:
            if withdraw:
                withdraw()

    def _log(self, namespace: str, pod: str, container: str, *, previous: bool = False) -> str | None:
        held = self._pods.get(Key(namespace, pod))
        return container_log(held, container, self._settings.scenario.current, previous=previous) if held else None

    def _all(self) -> None:
        for pod in self._pods.all():
            self._loop.queue.add(key_of(pod))

    def _pods_on(self, node: Obj) -> Iterable[Key]:
        return [key_of(pod) for pod in self._pods.by("node", node["metadata"]["name"])]

    def _neighbours(self, obj: Obj) -> Iterable[Key]:
        # only pods that wait for something or may be moved by configuration; ended ones are past it
        return [key_of(pod) for pod in self._pods.by("namespace", obj["metadata"]["namespace"]) if not ended(pod)]

    def _clients(self, endpoints: Obj) -> Iterable[Key]:
        # endpoints change with every pod: they are worth a look only where some fault ends with a Service
        return self._neighbours(endpoints) if self._settings.scenario.current.asks_for_services else ()

    async def _reconcile(self, key: Key) -> float | None:
        pod = self._pods.get(key)
        node = self._nodes.get(Key("", pod["spec"].get("nodeName", ""))) if pod else None
        if pod is None or node is None or not is_ready(node):
            return None
        memory = self._memory.setdefault(uid_of(pod), Memory())
        outcome = look(pod, memory, self._kubelet(pod, node))
        if ended(pod) and not dying(pod):
            self._memory.pop(uid_of(pod), None)
        return await self._act(pod, outcome)

    async def _act(self, pod: Obj, outcome: Outcome) -> float | None:
        if outcome.status != pod.get("status"):
            pod = await self._pods.update(with_status(pod, outcome.status), "status")
        for path, told in outcome.told:
            await self._events.tell(self._pods.kind, pod, told.type, told.reason, told.message, field=path, host=pod["spec"]["nodeName"])
        if outcome.gone:
            self._memory.pop(uid_of(pod), None)
            await self._pods.delete(pod, grace_seconds=0)
            return None
        return None if outcome.wait == float("inf") else outcome.wait

    def _kubelet(self, pod: Obj, node: Obj) -> Kubelet:
        namespace, name = pod["metadata"]["namespace"], node["metadata"]["name"]
        lookup = partial(self._find, namespace)
        world = World(lookup, partial(self._service_ready, namespace))
        return Kubelet(
            now=self._settings.clock(),
            pace=self._settings.pace,
            host_ip=host_ip(node),
            pod_ip=host_ip(node) if pod["spec"].get("hostNetwork") else self._address(pod),
            mount_faults=mount_faults(pod["spec"], lookup),
            behaviours=partial(self._behaviour, pod, world),
            has_image=lambda image: bool(self._pods.by("image", (name, full_name(image)))),
        )

    def _behaviour(self, pod: Obj, world: World, container: Obj, role: Role) -> Behaviour:
        return behaviour_of(pod, container, role, self._settings.scenario.current, world)

    def _find(self, namespace: str, kind: str, name: str) -> Obj | None:
        store = self._configs if kind == "ConfigMap" else self._secrets
        return store.get(Key(namespace, name))

    def _service_ready(self, namespace: str, name: str) -> bool:
        endpoints = self._endpoints.get(Key(namespace, name)) or {}
        return any(subset.get("addresses") for subset in endpoints.get("subsets") or ())

    def _address(self, pod: Obj) -> str:
        number = int(hashlib.sha256(uid_of(pod).encode()).hexdigest(), 16) % _ADDRESSES
        while self._pods.by("address", _dotted(number)):
            number = (number + 1) % _ADDRESSES
        return _dotted(number)


def _dotted(number: int) -> str:
    return f"10.244.{number // 254}.{number % 254 + 1}"

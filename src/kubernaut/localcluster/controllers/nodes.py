"""Nodes: registered as scenario data names them, ready or not, tainted while they are not, and emptied when that lasts."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from kubernaut.localcluster.api import Api, Obj
from kubernaut.localcluster.controllers.loop import Key, Loop, key_of
from kubernaut.localcluster.controllers.meta import condition, dying, own_key
from kubernaut.localcluster.controllers.moments import moment, stamp
from kubernaut.localcluster.controllers.recorder import NORMAL, WARNING, Recorder
from kubernaut.localcluster.controllers.scenario import NodeRule
from kubernaut.localcluster.controllers.settings import StandInSettings

__all__ = ["Nodes", "host_ip", "is_ready"]

_NOT_READY: Final = "node.kubernetes.io/not-ready"
_PRESSURES: Final = (
    ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
)
_VERSION: Final = "v1.36.2"


def host_ip(node: Obj) -> str:
    """Return the node's internal address."""
    addresses = (node.get("status") or {}).get("addresses") or ()
    return next((str(row["address"]) for row in addresses if row["type"] == "InternalIP"), "")


def is_ready(node: Obj) -> bool:
    """Tell whether the node's Ready condition holds; a node that nobody reports on counts as ready."""
    row = condition(node, "Ready")
    return row is None or row["status"] == "True"


class Nodes:
    """The stand-in for the kubelets' node side and for the node lifecycle controller."""

    def __init__(self, api: Api, settings: StandInSettings) -> None:
        """Set up watches; `run` starts the work."""
        api = api.acting_as("kubelet")
        self._settings = settings
        self._loop = Loop(api, "nodes", self._reconcile, settings.rng)
        self._events = Recorder(api, "node-controller", settings.clock)
        self._evictions = Recorder(api, "taint-eviction-controller", settings.clock)
        self._nodes = self._loop.store(api.kind("", "nodes"), own_key)
        self._pods = self._loop.store(api.kind("", "pods"), _node_of, node=lambda pod: (pod["spec"].get("nodeName", ""),))
        settings.scenario.on_change(self._all)

    async def run(self) -> None:
        """Work until cancelled."""
        self._all()
        await self._loop.run()

    def _all(self) -> None:
        for rule in self._settings.scenario.current.nodes:
            self._loop.queue.add(Key("", rule.name))

    async def _reconcile(self, key: Key) -> float | None:
        rule = next((rule for rule in self._settings.scenario.current.nodes if rule.name == key.name), None)
        node = self._nodes.get(key)
        if node is None and rule is not None:
            node = await self._nodes.create(_new_node(rule))
        if node is None or dying(node):
            return None
        if rule is not None:
            node = await self._report(node, rule)
        node = await self._taint(node)
        return None if is_ready(node) else await self._empty(node)

    async def _report(self, node: Obj, rule: NodeRule) -> Obj:
        wanted = _status(node, rule, self._number(node), self._settings.clock())
        if wanted == node.get("status"):
            return node
        was_ready = is_ready(node)
        node = await self._nodes.update({**node, "status": wanted}, "status")
        if was_ready != is_ready(node):
            await self._tell_pods(node)
        return node

    def _number(self, node: Obj) -> int:
        names = sorted(other["metadata"]["name"] for other in self._nodes.all())
        return names.index(node["metadata"]["name"]) + 1

    async def _tell_pods(self, node: Obj) -> None:
        if is_ready(node):
            return
        for pod in self._pods.by("node", node["metadata"]["name"]):
            await self._events.tell(self._pods.kind, pod, WARNING, "NodeNotReady", "Node is not ready")

    async def _taint(self, node: Obj) -> Obj:
        held = node["spec"].get("taints") or []
        kept = [taint for taint in held if taint["key"] != _NOT_READY]
        if not is_ready(node):
            kept += [{"key": _NOT_READY, "effect": effect} for effect in ("NoSchedule", "NoExecute")]
        same = sorted(map(_plain, kept)) == sorted(map(_plain, held))
        return node if same else await self._nodes.patch(node, {"spec": {"taints": kept or None}})

    async def _empty(self, node: Obj) -> float | None:
        """Mark the pods of a node that is not ready, and evict those whose time is up."""
        row = condition(node, "Ready")
        since = moment(row["lastTransitionTime"]) if row else self._settings.clock()
        waits: list[float] = []
        for pod in self._pods.by("node", node["metadata"]["name"]):
            await self._mark(pod)
            wait = (since + timedelta(seconds=self._patience(pod)) - self._settings.clock()).total_seconds()
            if wait > 0:
                waits.append(wait)
            elif not dying(pod):
                await self._evict(pod)
        return min(waits, default=None)

    async def _mark(self, pod: Obj) -> None:
        row = condition(pod, "Ready")
        if row is None or row["status"] != "True":
            return
        fallen = {**row, "status": "False", "lastTransitionTime": stamp(self._settings.clock())}
        rows = [fallen if other["type"] == "Ready" else other for other in pod["status"]["conditions"]]
        await self._pods.patch(pod, {"status": {"conditions": rows}}, "status")

    def _patience(self, pod: Obj) -> float:
        told = [
            row
            for row in pod["spec"].get("tolerations") or ()
            if row.get("key") in {_NOT_READY, None} and row.get("effect") in {"NoExecute", None}
        ]
        seconds = [row["tolerationSeconds"] for row in told if "tolerationSeconds" in row]
        if seconds:
            return float(min(*seconds, self._settings.pace.node_grace))
        return 1e9 if told else 0.0

    async def _evict(self, pod: Obj) -> None:
        key = key_of(pod)
        message = f"Marking for deletion Pod {key.namespace}/{key.name}"
        await self._evictions.tell(self._pods.kind, pod, NORMAL, "TaintManagerEviction", message)
        await self._pods.delete(pod)


def _node_of(pod: Obj) -> Iterable[Key]:
    return (Key("", pod["spec"]["nodeName"]),) if pod["spec"].get("nodeName") else ()


def _plain(taint: Obj) -> tuple[str, str, str]:
    return taint["key"], taint.get("value", ""), taint["effect"]


def _new_node(rule: NodeRule) -> Obj:
    labels = {"kubernetes.io/hostname": rule.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", **rule.labels}
    spec: Obj = {"podCIDR": "10.244.0.0/16", "podCIDRs": ["10.244.0.0/16"]}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": rule.name, "labels": labels},
        "spec": spec | ({"taints": rule.taints} if rule.taints else {}),
    }


def _status(node: Obj, rule: NodeRule, number: int, now: datetime) -> Obj:
    offered = {"cpu": rule.cpu, "memory": rule.memory, "pods": str(rule.pods), "ephemeral-storage": "100Gi"}
    held = {row["type"]: row for row in (node.get("status") or {}).get("conditions") or ()}
    rows = [_row(held.get(type_), type_, "False", reason, message, now) for type_, reason, message in _PRESSURES]
    if rule.ready:
        rows.append(_row(held.get("Ready"), "Ready", "True", "KubeletReady", "kubelet is posting ready status", now))
    else:
        rows.append(_row(held.get("Ready"), "Ready", "False", rule.reason, rule.message, now))
    addresses = [{"type": "InternalIP", "address": f"10.250.0.{number}"}, {"type": "Hostname", "address": rule.name}]
    kept = {
        name: value
        for name, value in (node.get("status") or {}).items()
        if name not in {"capacity", "allocatable", "conditions", "addresses"}
    }
    return {
        **kept,
        "capacity": offered,
        "allocatable": offered,
        "conditions": rows,
        "addresses": (node.get("status") or {}).get("addresses") or addresses,
        "nodeInfo": _info(node),
    }


def _row(held: Obj | None, type_: str, status: str, reason: str, message: str, now: datetime) -> Obj:
    since = held["lastTransitionTime"] if held and held["status"] == status else stamp(now)
    beat = held["lastHeartbeatTime"] if held and held["status"] == status else stamp(now)
    return {"type": type_, "status": status, "lastHeartbeatTime": beat, "lastTransitionTime": since, "reason": reason, "message": message}


def _info(node: Obj) -> Obj:
    ident = node["metadata"]["uid"]
    return {
        "machineID": ident.replace("-", ""),
        "systemUUID": ident,
        "bootID": ident,
        "kernelVersion": "6.1.0",
        "osImage": "Simulated Linux",
        "containerRuntimeVersion": "containerd://2.0.0",
        "kubeletVersion": _VERSION,
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": "amd64",
    }

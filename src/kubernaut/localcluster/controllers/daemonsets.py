"""DaemonSets: one pod of a template on every node that takes it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from kubernaut.localcluster.api import Api, Obj
from kubernaut.localcluster.controllers.hashing import REVISION_LABEL
from kubernaut.localcluster.controllers.loop import Key, Loop, key_of
from kubernaut.localcluster.controllers.meta import by_controller, controller_keys, dying, labels_of, scaled_value, with_status
from kubernaut.localcluster.controllers.placement import selects, tolerates
from kubernaut.localcluster.controllers.podstate import active, available, available_in, ended, ready
from kubernaut.localcluster.controllers.replicasets import PodControl, pod_from
from kubernaut.localcluster.controllers.revisions import History, revision_hash, synced, truncated
from kubernaut.localcluster.controllers.settings import StandInSettings

__all__ = ["DaemonSets", "outdated", "target_node"]

_TOLERATED: Final = (
    ("not-ready", "NoExecute"),
    ("unreachable", "NoExecute"),
    ("disk-pressure", "NoSchedule"),
    ("memory-pressure", "NoSchedule"),
    ("pid-pressure", "NoSchedule"),
    ("unschedulable", "NoSchedule"),
)
_NO_EXECUTE: Final = frozenset({"NoExecute"})
_REPELLING: Final = _NO_EXECUTE | {"NoSchedule"}
_TOLERATIONS: Final = [{"key": f"node.kubernetes.io/{name}", "operator": "Exists", "effect": effect} for name, effect in _TOLERATED]


def target_node(pod: Obj) -> str:
    """Return the node that a DaemonSet's pod runs on or is meant for."""
    if pod["spec"].get("nodeName"):
        return str(pod["spec"]["nodeName"])
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    terms = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms") or ()
    fields = (row for term in terms for row in term.get("matchFields") or () if row["key"] == "metadata.name")
    return next((str(row["values"][0]) for row in fields), "")


def _bound_to(spec: Obj, node: str) -> Obj:
    """Return a pod spec that only this node may take, with the tolerations every daemon has."""
    affinity = spec.get("affinity") or {}
    node_affinity = affinity.get("nodeAffinity") or {}
    required = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    own = {"key": "metadata.name", "operator": "In", "values": [node]}
    held: Sequence[Obj] = required.get("nodeSelectorTerms") or ({},)
    terms = [{**term, "matchFields": [own]} for term in held]
    node_affinity = {**node_affinity, "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return {
        **spec,
        "affinity": {**affinity, "nodeAffinity": node_affinity},
        "tolerations": [*(spec.get("tolerations") or ()), *_TOLERATIONS],
    }


def outdated(owner: Obj, pods: Mapping[str, Obj], update: str, nodes: int) -> list[Obj]:
    """Return the pods of older templates to remove now, within maxUnavailable."""
    strategy = owner["spec"].get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return []
    allowed = max(1, scaled_value((strategy.get("rollingUpdate") or {}).get("maxUnavailable", 1), nodes, up=True))
    down = nodes - sum(active(pod) and ready(pod) for pod in pods.values())
    old = [pod for pod in pods.values() if active(pod) and labels_of(pod).get(REVISION_LABEL) != update]
    broken = [pod for pod in old if not ready(pod)]
    return broken + [pod for pod in old if ready(pod)][: max(0, allowed - down)]


class DaemonSets:
    """The stand-in for kube-controller-manager's daemonset controller."""

    def __init__(self, api: Api, settings: StandInSettings) -> None:
        """Set up watches; `run` starts the work."""
        api = api.acting_as("kube-controller-manager")
        self._clock = settings.clock
        self._loop = Loop(api, "daemonsets", self._reconcile, settings.rng)
        self._control = PodControl(self._loop, api, "daemonset-controller", settings, "DaemonSet")
        self._nodes = self._loop.store(api.kind("", "nodes"), self._everyone)
        self._revisions = self._loop.store(
            api.kind("apps", "controllerrevisions"), lambda row: controller_keys(row, "DaemonSet"), controller=by_controller
        )

    async def run(self) -> None:
        """Work until cancelled."""
        await self._loop.run()

    def _everyone(self, _node: Obj) -> Iterable[Key]:
        return [key_of(owner) for owner in self._control.owners.all()]

    async def _reconcile(self, key: Key) -> float | None:
        owner = self._control.owners.get(key)
        if owner is None or dying(owner):
            return None
        history = await synced(self._revisions, owner, self._control.owners.kind)
        pods = await self._control.claimed(owner)
        wanted = [node["metadata"]["name"] for node in self._nodes.all() if _takes(owner, node)]
        kept = {node["metadata"]["name"] for node in self._nodes.all() if _takes(owner, node, _NO_EXECUTE)}
        await self._manage(owner, wanted, [pod for pod in pods if target_node(pod) not in kept.difference(wanted)], history.update)
        return await self._report(owner, wanted, history)

    async def _manage(self, owner: Obj, wanted: Sequence[str], pods: Sequence[Obj], update: Obj) -> None:
        surplus = [pod for pod in pods if not dying(pod) and (ended(pod) or target_node(pod) not in wanted)]
        for pod in surplus:
            await self._control.delete(owner, pod)
        held = {target_node(pod): pod for pod in pods if pod not in surplus}
        for node in wanted:
            if node not in held:
                await self._control.create(owner, self._pod(owner, node, update))
        for pod in outdated(owner, held, revision_hash(update), len(wanted)):
            await self._control.delete(owner, pod)

    def _pod(self, owner: Obj, node: str, update: Obj) -> Obj:
        meta, template = owner["metadata"], owner["spec"]["template"]
        pod = pod_from(
            {**template, "spec": _bound_to(template["spec"], node)},
            self._control.reference(owner),
            meta["namespace"],
            generateName=f"{meta['name']}-",
        )
        own = {REVISION_LABEL: revision_hash(update), "pod-template-generation": str(meta.get("generation", 1))}
        pod["metadata"]["labels"] = {**pod["metadata"].get("labels", {}), **own}
        return pod

    async def _report(self, owner: Obj, wanted: Sequence[str], history: History) -> float | None:
        pods = self._control.pods.by("controller", owner["metadata"]["uid"])
        minimum, now = owner["spec"].get("minReadySeconds", 0), self._clock()
        alive = [pod for pod in pods if active(pod)]
        fit = [pod for pod in alive if target_node(pod) in wanted]
        up = sum(available(pod, minimum, now) for pod in fit)
        status: Obj = {
            "currentNumberScheduled": len({target_node(pod) for pod in fit}),
            "numberMisscheduled": len(alive) - len(fit),
            "desiredNumberScheduled": len(wanted),
            "numberReady": sum(ready(pod) for pod in fit),
            "observedGeneration": owner["metadata"].get("generation", 0),
        }
        updated = sum(labels_of(pod).get(REVISION_LABEL) == revision_hash(history.update) for pod in fit)
        optional = {"updatedNumberScheduled": updated, "numberAvailable": up, "numberUnavailable": len(wanted) - up}
        status |= {name: count for name, count in optional.items() if count}
        if status != owner.get("status"):
            await self._control.owners.update(with_status(owner, status), "status")
        used = {labels_of(pod).get(REVISION_LABEL, "") for pod in pods}
        await truncated(self._revisions, history, used, owner["spec"].get("revisionHistoryLimit", 10))
        waits = [wait for pod in fit if 0 < (wait := available_in(pod, minimum, now)) < float("inf")]
        return min(waits, default=None)


def _takes(owner: Obj, node: Obj, effects: frozenset[str] = _REPELLING) -> bool:
    """Tell whether daemons go to a node; those that run there stay unless NoExecute drives them off."""
    spec = _bound_to(owner["spec"]["template"]["spec"], node["metadata"]["name"])
    taints = node["spec"].get("taints") or ()
    repelled = any(taint["effect"] in effects and not _tolerated(spec, taint) for taint in taints)
    return not dying(node) and selects(spec, node) and not repelled


def _tolerated(spec: Obj, taint: Obj) -> bool:
    # a node that is not ready keeps its daemons, and gets new ones
    return tolerates(spec, taint) or tolerates(spec, {**taint, "effect": "NoExecute"})

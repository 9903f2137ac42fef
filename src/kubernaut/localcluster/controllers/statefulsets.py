"""StatefulSets: pods with names that stay, made in order and removed in reverse, updated from the last to the first."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from kubernaut.localcluster.api import Api, Obj
from kubernaut.localcluster.controllers.hashing import REVISION_LABEL
from kubernaut.localcluster.controllers.loop import Key, Loop
from kubernaut.localcluster.controllers.meta import by_controller, controller_keys, dying, labels_of, with_status
from kubernaut.localcluster.controllers.podstate import active, available, available_in, ended, ready
from kubernaut.localcluster.controllers.recorder import NORMAL
from kubernaut.localcluster.controllers.replicasets import PodControl, pod_from
from kubernaut.localcluster.controllers.revisions import History, synced, truncated
from kubernaut.localcluster.controllers.settings import StandInSettings

__all__ = ["Move", "StatefulSets", "next_moves"]

_ORDINAL: Final = re.compile(r"-(\d+)$")
_POD_NAME, _POD_INDEX = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"


@dataclass(frozen=True, slots=True)
class Move:
    """What to do with one ordinal."""

    do: Literal["create", "delete"]
    ordinal: int


@dataclass(frozen=True, slots=True)
class _Plan:
    first: int
    replicas: int
    partition: int
    parallel: bool
    rolling: bool
    update: str

    def wants(self, ordinal: int) -> bool:
        return self.first <= ordinal < self.first + self.replicas


def ordinal_of(pod: Obj) -> int:
    """Return the number at the end of the pod's name, -1 where there is none."""
    match = _ORDINAL.search(pod["metadata"]["name"])
    return int(match[1]) if match else -1


def _plan(owner: Obj, update: str) -> _Plan:
    spec = owner["spec"]
    strategy = spec.get("updateStrategy") or {}
    return _Plan(
        first=(spec.get("ordinals") or {}).get("start", 0),
        replicas=spec.get("replicas", 1),
        partition=(strategy.get("rollingUpdate") or {}).get("partition", 0),
        parallel=spec.get("podManagementPolicy", "OrderedReady") == "Parallel",
        rolling=strategy.get("type", "RollingUpdate") == "RollingUpdate",
        update=update,
    )


def next_moves(owner: Obj, pods: Sequence[Obj], update: str) -> list[Move]:
    """Return what to do now: at most one thing where order matters; `update` is the name of the present revision."""
    plan, held = _plan(owner, update), {ordinal_of(pod): pod for pod in pods}
    moves = _fill(plan, held)
    if moves is not None and (moves or not plan.parallel):
        return moves
    down = _shrink(plan, held)
    if down is not None:
        return down
    return _renew(plan, held) if plan.rolling else []


def _fill(plan: _Plan, held: Mapping[int, Obj]) -> list[Move] | None:
    """Return creations and replacements of ended pods; an empty list says to wait, None that all are there."""
    moves: list[Move] = []
    for ordinal in range(plan.first, plan.first + plan.replicas):
        pod = held.get(ordinal)
        move = _mend(pod, ordinal)
        if move is not None:
            moves.append(move)
        if not plan.parallel and (pod is None or dying(pod) or ended(pod) or not ready(pod)):
            return moves
    return moves or None


def _mend(pod: Obj | None, ordinal: int) -> Move | None:
    if pod is None:
        return Move("create", ordinal)
    return Move("delete", ordinal) if ended(pod) and not dying(pod) else None


def _shrink(plan: _Plan, held: Mapping[int, Obj]) -> list[Move] | None:
    extra = sorted((ordinal for ordinal in held if not plan.wants(ordinal)), reverse=True)
    if not extra:
        return None
    if plan.parallel:
        return [Move("delete", ordinal) for ordinal in extra if not dying(held[ordinal])]
    return [] if dying(held[extra[0]]) else [Move("delete", extra[0])]


def _renew(plan: _Plan, held: Mapping[int, Obj]) -> list[Move]:
    for ordinal in range(plan.first + plan.replicas - 1, plan.first + plan.partition - 1, -1):
        pod = held.get(ordinal)
        if pod is None or dying(pod):
            return []
        if labels_of(pod).get(REVISION_LABEL) != plan.update:
            return [Move("delete", ordinal)]
        if not ready(pod):
            return []
    return []


class StatefulSets:
    """The stand-in for kube-controller-manager's statefulset controller."""

    def __init__(self, api: Api, settings: StandInSettings) -> None:
        """Set up watches; `run` starts the work."""
        api = api.acting_as("kube-controller-manager")
        self._clock = settings.clock
        self._loop = Loop(api, "statefulsets", self._reconcile, settings.rng)
        self._control = PodControl(self._loop, api, "statefulset-controller", settings, "StatefulSet")
        self._revisions = self._loop.store(
            api.kind("apps", "controllerrevisions"), lambda row: controller_keys(row, "StatefulSet"), controller=by_controller
        )
        self._claims = self._loop.store(api.kind("", "persistentvolumeclaims"), lambda _: ())

    async def run(self) -> None:
        """Work until cancelled."""
        await self._loop.run()

    async def _reconcile(self, key: Key) -> float | None:
        owner = self._control.owners.get(key)
        if owner is None or dying(owner):
            return None
        history = await synced(self._revisions, owner, self._control.owners.kind)
        pods = await self._control.claimed(owner)
        current = history.named((owner.get("status") or {}).get("currentRevision", "")) or history.update
        for move in next_moves(owner, pods, history.update["metadata"]["name"]):
            await self._make(owner, move, current, history.update)
        return await self._report(owner, history, current)

    async def _make(self, owner: Obj, move: Move, current: Obj, update: Obj) -> None:
        name = f"{owner['metadata']['name']}-{move.ordinal}"
        pods = self._control.pods
        if move.do == "create":
            plan = _plan(owner, update["metadata"]["name"])
            revision = current if plan.rolling and move.ordinal < plan.first + plan.partition else update
            await self._claim(owner, move.ordinal)
            await pods.create(self._pod(owner, move.ordinal, revision))
        elif (pod := pods.get(Key(owner["metadata"]["namespace"], name))) is not None:
            await pods.delete(pod)
        message = f"{move.do} Pod {name} in StatefulSet {owner['metadata']['name']} successful"
        await self._control.events.tell(self._control.owners.kind, owner, NORMAL, f"Successful{move.do.capitalize()}", message)

    def _pod(self, owner: Obj, ordinal: int, revision: Obj) -> Obj:
        meta, template = owner["metadata"], revision["data"]["spec"]["template"]
        name = f"{meta['name']}-{ordinal}"
        pod = pod_from(template, self._control.reference(owner), meta["namespace"], name=name)
        own = {_POD_NAME: name, _POD_INDEX: str(ordinal), REVISION_LABEL: revision["metadata"]["name"]}
        pod["metadata"]["labels"] = {**pod["metadata"].get("labels", {}), **own}
        volumes = [volume for volume in template["spec"].get("volumes") or () if volume["name"] not in _templates(owner)]
        volumes += [{"name": claim, "persistentVolumeClaim": {"claimName": f"{claim}-{name}"}} for claim in _templates(owner)]
        pod["spec"] = {**template["spec"], "hostname": name, "subdomain": owner["spec"].get("serviceName", "")}
        if volumes:
            pod["spec"]["volumes"] = volumes
        return pod

    async def _claim(self, owner: Obj, ordinal: int) -> None:
        namespace = owner["metadata"]["namespace"]
        for name, template in _templates(owner).items():
            full = f"{name}-{owner['metadata']['name']}-{ordinal}"
            if self._claims.get(Key(namespace, full)) is None:
                labels = {**labels_of(template), **(owner["spec"]["selector"].get("matchLabels") or {})}
                meta = {"name": full, "namespace": namespace, "labels": labels}
                await self._claims.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": template["spec"]})

    async def _report(self, owner: Obj, history: History, current: Obj) -> float | None:
        pods = self._control.pods.by("controller", owner["metadata"]["uid"])
        minimum, now = owner["spec"].get("minReadySeconds", 0), self._clock()
        status = _status(owner, pods, current, history.update)
        status["availableReplicas"] = sum(available(pod, minimum, now) for pod in pods if active(pod))
        if status != owner.get("status"):
            await self._control.owners.update(with_status(owner, status), "status")
        used = {labels_of(pod).get(REVISION_LABEL, "") for pod in pods} | {current["metadata"]["name"]}
        await truncated(self._revisions, history, used, owner["spec"].get("revisionHistoryLimit", 10))
        waits = [wait for pod in pods if 0 < (wait := available_in(pod, minimum, now)) < float("inf")]
        return min(waits, default=None)


def _templates(owner: Obj) -> dict[str, Obj]:
    return {claim["metadata"]["name"]: claim for claim in owner["spec"].get("volumeClaimTemplates") or ()}


def _status(owner: Obj, pods: Sequence[Obj], current: Obj, update: Obj) -> Obj:
    def of(revision: Obj) -> int:
        return sum(active(pod) and labels_of(pod).get(REVISION_LABEL) == revision["metadata"]["name"] for pod in pods)

    replicas, is_ready = owner["spec"].get("replicas", 1), sum(ready(pod) for pod in pods if active(pod))
    counts = {"readyReplicas": is_ready, "currentReplicas": of(current), "updatedReplicas": of(update)}
    if of(update) == is_ready == replicas == len(pods):
        current, counts["currentReplicas"] = update, of(update)
    return {
        "observedGeneration": owner["metadata"].get("generation", 0),
        "replicas": len(pods),
        **{name: count for name, count in counts.items() if count},
        "currentRevision": current["metadata"]["name"],
        "updateRevision": update["metadata"]["name"],
        "collisionCount": 0,
    }

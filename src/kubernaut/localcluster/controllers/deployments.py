"""Deployments: one ReplicaSet a template, rolled out within the bounds of the strategy, with a history of revisions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from kubernaut.localcluster.api import Api, Obj
from kubernaut.localcluster.controllers.claims import claimed, claiming_keys
from kubernaut.localcluster.controllers.hashing import HASH_LABEL, template_hash, without_hash
from kubernaut.localcluster.controllers.loop import Key, Loop
from kubernaut.localcluster.controllers.meta import (
    by_controller,
    by_namespace,
    condition,
    controller_of,
    dying,
    own_key,
    owner_reference,
    replaced,
    uid_of,
    with_status,
)
from kubernaut.localcluster.controllers.moments import stamp
from kubernaut.localcluster.controllers.progress import complete, deadline_in, next_status, with_progress
from kubernaut.localcluster.controllers.recorder import NORMAL, WARNING, Recorder
from kubernaut.localcluster.controllers.rollout import (
    DESIRED,
    MAXIMUM,
    REVISION,
    bounds_of,
    proportional_sizes,
    revision_of,
    size_of,
    size_of_new,
    sizes_of_old,
)
from kubernaut.localcluster.controllers.settings import StandInSettings
from kubernaut.localcluster.errors import ApiError

__all__ = ["Deployments"]

HISTORY: Final = "deployment.kubernetes.io/revision-history"
_OWN_ANNOTATIONS: Final = frozenset(
    {REVISION, HISTORY, DESIRED, MAXIMUM, "kubectl.kubernetes.io/last-applied-configuration", "deprecated.deployment.rollback.to"}
)
_ENDED: Final = ("Succeeded", "Failed")
_CONFLICT: Final = 409


@dataclass(frozen=True, slots=True)
class _View:
    """A Deployment with its ReplicaSets: the one of the present template, if it exists, and the others by age."""

    deployment: Obj
    new: Obj | None
    old: Sequence[Obj]

    @property
    def sets(self) -> list[Obj]:
        return [*self.old, *([self.new] if self.new else [])]


def _view(deployment: Obj, replica_sets: Iterable[Obj]) -> _View:
    ordered = sorted(replica_sets, key=lambda rs: (rs["metadata"]["creationTimestamp"], rs["metadata"]["name"]))
    template = without_hash(deployment["spec"]["template"])
    new = next((rs for rs in ordered if without_hash(rs["spec"]["template"]) == template), None)
    return _View(deployment, new, [rs for rs in ordered if rs is not new])


class Deployments:
    """The stand-in for kube-controller-manager's deployment controller."""

    def __init__(self, api: Api, settings: StandInSettings) -> None:
        """Set up watches; `run` starts the work."""
        api = api.acting_as("kube-controller-manager")
        self._clock = settings.clock
        self._loop = Loop(api, "deployments", self._reconcile, settings.rng)
        self._events = Recorder(api, "deployment-controller", settings.clock)
        self._deployments = self._loop.store(api.kind("apps", "deployments"), own_key, namespace=by_namespace)
        keys = claiming_keys(lambda: self._deployments, "Deployment")
        self._sets = self._loop.store(api.kind("apps", "replicasets"), keys, controller=by_controller, uid=lambda rs: (uid_of(rs),))
        self._pods = self._loop.store(api.kind("", "pods"), self._keys_of_pod, controller=by_controller)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._loop.run()

    def _keys_of_pod(self, pod: Obj) -> Iterable[Key]:
        # only a Recreate waits for pods; the rest is told by ReplicaSets
        owner = controller_of(pod)
        sets = self._sets.by("uid", owner["uid"]) if owner else []
        return [key for rs in sets for key in claiming_keys(lambda: self._deployments, "Deployment")(rs)]

    async def _reconcile(self, key: Key) -> float | None:
        deployment = self._deployments.get(key)
        if deployment is None:
            return None
        await claimed(self._sets, deployment, self._deployments.kind)
        if not dying(deployment):
            await self._roll(self._look(deployment))
        return await self._report(self._look(self._deployments.get(key) or deployment))

    def _look(self, deployment: Obj) -> _View:
        held = self._deployments.get(Key(deployment["metadata"]["namespace"], deployment["metadata"]["name"])) or deployment
        return _view(held, self._sets.by("controller", uid_of(held)))

    async def _roll(self, view: _View) -> None:
        paused = view.deployment["spec"].get("paused", False)
        if paused or _was_scaled(view):
            await self._follow_scale(view)
        elif bounds_of(view.deployment).rolling:
            await self._roll_on(await self._with_new(view))
        else:
            await self._recreate(view)

    async def _follow_scale(self, view: _View) -> None:
        present = (view.deployment.get("status") or {}).get("replicas", 0)
        sizes = proportional_sizes(
            bounds_of(view.deployment), size_of(view.new) if view.new else None, [size_of(rs) for rs in view.old], present
        )
        for rs in view.sets:
            await self._scale(view.deployment, rs, sizes.get(rs["metadata"]["name"], rs["spec"].get("replicas", 1)))

    async def _roll_on(self, view: _View) -> None:
        bounds, old = bounds_of(view.deployment), [size_of(rs) for rs in view.old]
        if view.new is None:
            return
        wanted = size_of_new(bounds, size_of(view.new), old)
        new = await self._scale(view.deployment, view.new, wanted)
        down = sizes_of_old(bounds, size_of(new), old)
        for rs in view.old:
            await self._scale(view.deployment, rs, down.get(rs["metadata"]["name"], rs["spec"].get("replicas", 1)))

    async def _recreate(self, view: _View) -> None:
        for rs in view.old:
            await self._scale(view.deployment, rs, 0)
        pods = [pod for rs in view.old for pod in self._pods.by("controller", uid_of(rs))]
        if any((pod.get("status") or {}).get("phase") not in _ENDED for pod in pods):
            return
        view = await self._with_new(view)
        if view.new is not None:
            await self._scale(view.deployment, view.new, bounds_of(view.deployment).replicas)

    async def _scale(self, deployment: Obj, rs: Obj, wanted: int) -> Obj:
        bounds, held = bounds_of(deployment), rs["spec"].get("replicas", 1)
        annotations = {**(rs["metadata"].get("annotations") or {}), DESIRED: str(bounds.replicas), MAXIMUM: str(bounds.most)}
        if held == wanted and (wanted == 0 or annotations == rs["metadata"].get("annotations")):
            return rs
        scaled = await self._sets.update(
            {**rs, "metadata": {**rs["metadata"], "annotations": annotations}, "spec": {**rs["spec"], "replicas": wanted}}
        )
        if held != wanted:
            await self._tell_scaled(deployment, rs["metadata"]["name"], held, wanted)
        return scaled

    async def _tell_scaled(self, deployment: Obj, name: str, held: int, wanted: int) -> None:
        direction = "up" if wanted > held else "down"
        message = f"Scaled {direction} replica set {name} from {held} to {wanted}"
        await self._events.tell(self._deployments.kind, deployment, NORMAL, "ScalingReplicaSet", message)

    async def _with_new(self, view: _View) -> _View:
        revision = max((revision_of(rs) for rs in view.old), default=0) + 1
        new = await self._create(view, revision) if view.new is None else await self._annotated(view.deployment, view.new, revision)
        if new is not None:
            await self._say_revision(view.deployment, revision_of(new))
        return self._look(view.deployment)

    async def _annotated(self, deployment: Obj, rs: Obj, revision: int) -> Obj:
        annotations = _annotations(deployment, rs, revision)
        minimum = deployment["spec"].get("minReadySeconds", 0)
        if annotations == (rs["metadata"].get("annotations") or {}) and minimum == rs["spec"].get("minReadySeconds", 0):
            return rs
        return await self._sets.update(
            {**rs, "metadata": {**rs["metadata"], "annotations": annotations}, "spec": {**rs["spec"], "minReadySeconds": minimum}}
        )

    async def _create(self, view: _View, revision: int) -> Obj | None:
        deployment, bounds = view.deployment, bounds_of(view.deployment)
        replicas = size_of_new(bounds, None, [size_of(rs) for rs in view.old])
        wanted = _new_replica_set(deployment, owner_reference(deployment, self._deployments.kind), revision, replicas)
        try:
            made = await self._sets.create(wanted)
        except ApiError as error:
            if error.code != _CONFLICT:
                await self._events.tell(
                    self._deployments.kind,
                    deployment,
                    WARNING,
                    "ReplicaSetCreateError",
                    f"Failed to create new replica set {wanted['metadata']['name']!r}: {error}",
                )
                raise
            await self._collided(deployment, wanted["metadata"]["name"])
            return None
        if replicas:
            await self._tell_scaled(deployment, made["metadata"]["name"], 0, replicas)
        await self._say_created(deployment, made)
        return made

    async def _collided(self, deployment: Obj, name: str) -> None:
        # the name belongs to another template with the same hash: a counted collision gives another name
        held = self._sets.get(Key(deployment["metadata"]["namespace"], name))
        if held is not None and dying(held):
            return
        count = (deployment.get("status") or {}).get("collisionCount", 0) + 1
        await self._deployments.patch(deployment, {"status": {"collisionCount": count}}, "status")

    async def _say_created(self, deployment: Obj, made: Obj) -> None:
        now = stamp(self._clock())
        message = f'Created new replica set "{made["metadata"]["name"]}"'
        row = {
            "type": "Progressing",
            "status": "True",
            "lastUpdateTime": now,
            "lastTransitionTime": now,
            "reason": "NewReplicaSetCreated",
            "message": message,
        }
        rows = replaced((deployment.get("status") or {}).get("conditions") or (), row)
        await self._deployments.patch(deployment, {"status": {"conditions": rows}}, "status")

    async def _say_revision(self, deployment: Obj, revision: int) -> None:
        if revision_of(deployment) != revision:
            await self._deployments.patch(deployment, {"metadata": {"annotations": {REVISION: str(revision)}}})

    async def _report(self, view: _View) -> float | None:
        now, deployment = self._clock(), view.deployment
        status = next_status(deployment, view.new, view.sets, now)
        status = _paused(deployment, status, stamp(now)) if _paused_changes(deployment) else status
        if not deployment["spec"].get("paused", False):
            status = with_progress(deployment, status, view.new, now)
        if status != deployment.get("status"):
            deployment = await self._deployments.update(with_status(deployment, status), "status")
        if complete(deployment, status) and not dying(deployment):
            await self._forget_old(view)
        wait = deadline_in(deployment, condition(deployment, "Progressing"), now)
        return None if wait == float("inf") else max(wait, 0.0) + 1.0

    async def _forget_old(self, view: _View) -> None:
        limit = view.deployment["spec"].get("revisionHistoryLimit", 10)
        idle = [rs for rs in view.old if _is_idle(rs)]
        for rs in sorted(idle, key=revision_of)[: max(0, len(idle) - limit)]:
            await self._sets.delete(rs)


def _is_idle(rs: Obj) -> bool:
    status = rs.get("status") or {}
    seen = status.get("observedGeneration", 0) >= rs["metadata"].get("generation", 0)
    return seen and not dying(rs) and rs["spec"].get("replicas", 1) == 0 and status.get("replicas", 0) == 0


def _was_scaled(view: _View) -> bool:
    desired = str(bounds_of(view.deployment).replicas)
    active = [rs for rs in view.sets if rs["spec"].get("replicas", 1) > 0]
    told = [(rs["metadata"].get("annotations") or {}).get(DESIRED) for rs in active]
    return any(value is not None and value != desired for value in told)


def _annotations(deployment: Obj, rs: Obj | None, revision: int) -> dict[str, str]:
    given = {name: text for name, text in (deployment["metadata"].get("annotations") or {}).items() if name not in _OWN_ANNOTATIONS}
    held = (rs["metadata"].get("annotations") or {}) if rs else {}
    result = {**held, **given}
    before = int(held[REVISION]) if held.get(REVISION, "").isdigit() else 0
    if before >= revision:
        return result
    if before:
        result[HISTORY] = ",".join(filter(None, (held.get(HISTORY, ""), str(before))))
    return {**result, REVISION: str(revision)}


def _new_replica_set(deployment: Obj, owner: Obj, revision: int, replicas: int) -> Obj:
    spec, bounds = deployment["spec"], bounds_of(deployment)
    digest = template_hash(without_hash(spec["template"]), (deployment.get("status") or {}).get("collisionCount", 0))
    meta = spec["template"].get("metadata") or {}
    labels = {**(meta.get("labels") or {}), HASH_LABEL: digest}
    annotations = {**_annotations(deployment, None, revision), DESIRED: str(bounds.replicas), MAXIMUM: str(bounds.most)}
    selector = {**spec["selector"], "matchLabels": {**(spec["selector"].get("matchLabels") or {}), HASH_LABEL: digest}}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{deployment['metadata']['name']}-{digest}",
            "namespace": deployment["metadata"]["namespace"],
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [owner],
        },
        "spec": {
            "replicas": replicas,
            "minReadySeconds": spec.get("minReadySeconds", 0),
            "selector": selector,
            "template": {**spec["template"], "metadata": {**meta, "labels": labels}},
        },
    }


def _paused_changes(deployment: Obj) -> bool:
    held = condition(deployment, "Progressing")
    said = held is not None and held["reason"] == "DeploymentPaused"
    return bool(deployment["spec"].get("paused", False) != said)


def _paused(deployment: Obj, status: Obj, now: str) -> Obj:
    paused = deployment["spec"].get("paused", False)
    row = {
        "type": "Progressing",
        "status": "Unknown",
        "lastUpdateTime": now,
        "lastTransitionTime": now,
        "reason": "DeploymentPaused" if paused else "DeploymentResumed",
        "message": f"Deployment is {'paused' if paused else 'resumed'}",
    }
    return {**status, "conditions": replaced(status["conditions"], row)}

"""ResourceQuotas: how much of each is used."""

from collections.abc import Iterable

from kubernaut.localcluster.api import Api, Obj, ResourceKind
from kubernaut.localcluster.controllers.loop import Key, Loop, key_of
from kubernaut.localcluster.controllers.meta import by_namespace, own_key, with_status
from kubernaut.localcluster.controllers.settings import StandInSettings
from kubernaut.localcluster.usage import kinds_counted, spelt, used

__all__ = ["ResourceQuotas"]


class ResourceQuotas:
    """The stand-in for kube-controller-manager's resource quota controller."""

    def __init__(self, api: Api, settings: StandInSettings) -> None:
        """Set up watches; those of what is counted begin with the first quota that counts it."""
        self._api = api.acting_as("kube-controller-manager")
        self._loop = Loop(self._api, "quotas", self._reconcile, settings.rng)
        self._quotas = self._loop.store(self._api.kind("", "resourcequotas"), own_key, namespace=by_namespace)
        self._watched: set[ResourceKind] = {self._quotas.kind}

    async def run(self) -> None:
        """Work until cancelled."""
        await self._loop.run()

    def _near(self, obj: Obj) -> Iterable[Key]:
        return [key_of(quota) for quota in self._quotas.by("namespace", obj["metadata"]["namespace"])]

    async def _reconcile(self, key: Key) -> float | None:
        quota = self._quotas.get(key)
        if quota is None:
            return None
        kinds = kinds_counted(quota)
        for kind in kinds:
            if kind not in self._watched:
                self._watched.add(kind)
                self._loop.store(kind, self._near)
        found = [(kind, obj) for kind in kinds for obj in await self._api.list(kind, key.namespace)]
        hard = quota["spec"].get("hard") or {}
        status = {"hard": hard, "used": {name: spelt(value, hard[name]) for name, value in used(quota, found).items()}}
        if status != quota.get("status"):
            await self._quotas.update(with_status(quota, status), "status")
        return None

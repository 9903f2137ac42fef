"""PodDisruptionBudgets: how many pods may go by eviction now."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from kubernaut.localcluster.api import Api, Obj
from kubernaut.localcluster.controllers.loop import Key, Loop, key_of
from kubernaut.localcluster.controllers.meta import (
    by_namespace,
    controller_of,
    labels_of,
    own_key,
    replaced,
    scaled_value,
    uid_of,
    with_status,
)
from kubernaut.localcluster.controllers.moments import stamp
from kubernaut.localcluster.controllers.podstate import active, ready
from kubernaut.localcluster.controllers.settings import StandInSettings
from kubernaut.localcluster.selectors import label_selector_of

__all__ = ["Budgets", "budget_status"]


def budget_status(budget: Obj, pods: Sequence[Obj], expected: int, now: datetime) -> Obj:
    """Return the status of a budget over its living pods; `expected` is what their workloads want."""
    spec, healthy = budget["spec"], sum(ready(pod) for pod in pods)
    if "maxUnavailable" in spec:
        desired = max(0, expected - scaled_value(spec["maxUnavailable"], expected, up=True))
    else:
        minimum = spec.get("minAvailable", 0)
        expected = expected if isinstance(minimum, str) else len(pods)
        desired = scaled_value(minimum, expected, up=True)
    allowed = max(0, healthy - desired) if expected > 0 else 0
    row = {
        "type": "DisruptionAllowed",
        "status": "True" if allowed else "False",
        "observedGeneration": budget["metadata"].get("generation", 0),
        "lastTransitionTime": stamp(now),
        "reason": "SufficientPods" if allowed else "InsufficientPods",
        "message": "",
    }
    held = budget.get("status") or {}
    kept = {"disruptedPods": held["disruptedPods"]} if held.get("disruptedPods") else {}
    return kept | {
        "observedGeneration": budget["metadata"].get("generation", 0),
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": expected,
        "conditions": replaced(held.get("conditions") or (), row),
    }


class Budgets:
    """The stand-in for kube-controller-manager's disruption controller."""

    def __init__(self, api: Api, settings: StandInSettings) -> None:
        """Set up watches; `run` starts the work."""
        api = api.acting_as("kube-controller-manager")
        self._clock = settings.clock
        self._loop = Loop(api, "budgets", self._reconcile, settings.rng)
        self._budgets = self._loop.store(api.kind("policy", "poddisruptionbudgets"), own_key, namespace=by_namespace)
        self._pods = self._loop.store(api.kind("", "pods"), self._near, namespace=by_namespace)
        self._owners = [
            self._loop.store(api.kind("apps", plural), self._near, uid=lambda owner: (uid_of(owner),))
            for plural in ("replicasets", "statefulsets")
        ]

    async def run(self) -> None:
        """Work until cancelled."""
        await self._loop.run()

    def _near(self, obj: Obj) -> Iterable[Key]:
        return [key_of(budget) for budget in self._budgets.by("namespace", obj["metadata"]["namespace"])]

    async def _reconcile(self, key: Key) -> float | None:
        budget = self._budgets.get(key)
        if budget is None:
            return None
        chosen = label_selector_of(budget["spec"].get("selector"))
        pods = [pod for pod in self._pods.by("namespace", key.namespace) if active(pod) and chosen(labels_of(pod))]
        status = budget_status(budget, pods, self._expected(pods), self._clock())
        if status != budget.get("status"):
            await self._budgets.update(with_status(budget, status), "status")
        return None

    def _expected(self, pods: Sequence[Obj]) -> int:
        uids = {(controller_of(pod) or {}).get("uid", "") for pod in pods}
        owners = [owner for store in self._owners for uid in uids for owner in store.by("uid", uid)]
        return sum(owner["spec"].get("replicas", 1) for owner in owners) or len(pods)

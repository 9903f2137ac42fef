"""Holds a plan against the cluster: the target from the cache when planning and while people think, live when their answer is in."""

from collections.abc import Sequence

from kubernaut.analysis.collect import BY_NAMESPACE
from kubernaut.analysis.rollouts import under_way
from kubernaut.api import core
from kubernaut.api.analysis import AIAnalysisStatus
from kubernaut.api.base import Obj, ResourceIdentifier
from kubernaut.api.binding import Binding, bind, steps_of, still_bound
from kubernaut.api.catalog import CatalogStatus, RemediationWorkflow
from kubernaut.kube.cluster import Cluster, NotWatched
from kubernaut.kube.errors import ApiError


class Bindings:
    """Binds plans, and tells whether they still hold."""

    def __init__(self, cluster: Cluster, by_action: str) -> None:
        self._cluster = cluster
        self._by_action = by_action

    async def make(self, status: AIAnalysisStatus, seen: Sequence[Obj]) -> Binding:
        """Return what a plan is bound to: its target as it was seen when the plan was made, where it was; else as it is now."""
        target = status.remediation_target
        obj = next((each for each in seen if target and _is(each, target)), None)
        if obj is None:
            obj = self._cached(target) if self._watched(target) else await self._live(target)
        left_out = self._autoscaled(target)
        return bind(obj, target, status.selected_workflow, steps_of(status), replicas_left_out=left_out)

    def hold(self, status: AIAnalysisStatus) -> bool:
        """Tell whether a plan still holds, as far as the caches know."""
        target = status.remediation_target
        return self._offered(status) and (not self._watched(target) or still_bound(status, self._cached(target)))

    async def hold_live(self, status: AIAnalysisStatus) -> bool:
        """Tell whether a plan still holds, by the live target; the caches are shown it."""
        return self._offered(status) and still_bound(status, await self._live(status.remediation_target))

    def settling(self, status: AIAnalysisStatus) -> bool:
        """Tell whether the target's roll-out is under way, as far as the caches know."""
        named = status.remediation_target
        target = self._cached(named) if self._watched(named) else None
        return target is not None and under_way(target)

    def workflow_of(self, status: AIAnalysisStatus) -> RemediationWorkflow | None:
        """Return the workflow that was chosen, while the catalogue still offers that very one."""
        chosen = status.selected_workflow
        if chosen is None:
            return None
        wanted = (chosen.workflow_id, chosen.version, chosen.container_image)
        rows = self._cluster.where(RemediationWorkflow, self._by_action, chosen.action_type)
        return next((row for row in rows if _identity(row) == wanted and row.status.catalog_status in {None, CatalogStatus.ACTIVE}), None)

    def _watched(self, target: ResourceIdentifier | None) -> bool:
        """Tell whether the caches know the kind of an object at all."""
        try:
            self._cached(target)
        except NotWatched:
            return False
        return True

    def _offered(self, status: AIAnalysisStatus) -> bool:
        return status.selected_workflow is None or self.workflow_of(status) is not None

    def _cached(self, target: ResourceIdentifier | None) -> Obj | None:
        card = core.kind_named(target.kind) if target else None
        return self._cluster.read(card, target.namespace, target.name) if card and target else None

    async def _live(self, target: ResourceIdentifier | None) -> Obj | None:
        card = core.kind_named(target.kind) if target else None
        if card is None or target is None:
            return None
        try:
            obj = await self._cluster.client.get(card, target.name, target.namespace)
        except ApiError as fault:
            if fault.not_found:
                return None
            raise
        self._cluster.observe(card, obj)
        return obj

    def _autoscaled(self, target: ResourceIdentifier | None) -> bool:
        """Tell whether an autoscaler owns the target's replicas."""
        if target is None or not target.namespace:
            return False
        scalers = self._cluster.select(core.HORIZONTAL_POD_AUTOSCALER, BY_NAMESPACE, target.namespace)
        return any(_scales(scaler, target) for scaler in scalers)


def _is(obj: Obj, target: ResourceIdentifier) -> bool:
    meta = obj["metadata"]
    return (obj["kind"], meta.get("namespace", ""), meta["name"]) == (target.kind, target.namespace, target.name)


def _identity(row: RemediationWorkflow) -> tuple[str, str, str]:
    return row.spec.workflow_id, row.spec.version, row.spec.execution.bundle


def _scales(scaler: Obj, target: ResourceIdentifier) -> bool:
    ref = scaler["spec"].get("scaleTargetRef") or {}
    return bool(ref.get("kind") == target.kind and ref.get("name") == target.name)

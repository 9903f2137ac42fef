"""What an approval is bound to, as the cluster shows it: the target from the cache when asking, live when the answer is in."""

from kubernaut.analysis.approval import bound_hash
from kubernaut.analysis.collect import BY_NAMESPACE
from kubernaut.api import core
from kubernaut.api.analysis import AIAnalysisStatus
from kubernaut.api.base import Obj, ResourceIdentifier
from kubernaut.api.catalog import CatalogStatus, RemediationWorkflow
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError


class Binding:
    """Hashes what a person is asked about, then and now."""

    def __init__(self, cluster: Cluster, by_action: str) -> None:
        self._cluster = cluster
        self._by_action = by_action

    def then(self, status: AIAnalysisStatus) -> str:
        """Return the hash of what is asked about, with the target as the cache knows it."""
        target = status.remediation_target
        card = core.kind_named(target.kind) if target else None
        obj = self._cluster.read(card, target.namespace, target.name) if card and target else None
        return bound_hash(obj, status, scaled_by_others=self._autoscaled(target))

    async def now(self, status: AIAnalysisStatus) -> str:
        """Return the hash of the same with the live target, which the caches are shown; empty when the workflow is no longer offered."""
        if not self._offered(status):
            return ""
        target = status.remediation_target
        return bound_hash(await self._live(target) if target else None, status, scaled_by_others=self._autoscaled(target))

    async def _live(self, target: ResourceIdentifier) -> Obj | None:
        card = core.kind_named(target.kind)
        if card is None:
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

    def _offered(self, status: AIAnalysisStatus) -> bool:
        """Tell whether the catalogue still has the very workflow that was chosen."""
        chosen = status.selected_workflow
        if chosen is None:
            return True
        rows = self._cluster.where(RemediationWorkflow, self._by_action, chosen.action_type)
        return any(
            (row.spec.workflow_id, row.spec.version, row.spec.execution.bundle)
            == (chosen.workflow_id, chosen.version, chosen.container_image)
            and row.status.catalog_status in {None, CatalogStatus.ACTIVE}
            for row in rows
        )


def _scales(scaler: Obj, target: ResourceIdentifier) -> bool:
    ref = scaler["spec"].get("scaleTargetRef") or {}
    return bool(ref.get("kind") == target.kind and ref.get("name") == target.name)

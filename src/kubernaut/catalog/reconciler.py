"""Says of each RemediationWorkflow whether it may be chosen, and of one that may not, why. Part of the analysis, which chooses."""

from collections.abc import Callable, Iterable
from typing import Final

from kubernaut.api.base import Obj
from kubernaut.api.catalog import CatalogStatus, RemediationWorkflow
from kubernaut.catalog.judging import content_id, faults, status_of
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.informer import Key, Store, key_of
from kubernaut.kube.manager import Manager
from kubernaut.kube.outcome import DONE, Outcome
from kubernaut.kube.status import cut, set_condition

BY_ID: Final = "catalog.workflow"
"""RemediationWorkflows, by namespace and the id of the workflow: all its versions."""
OFFERED: Final = "Offered"
_SAYS: Final = {
    CatalogStatus.ACTIVE: "it may be chosen",
    CatalogStatus.SUPERSEDED: "a newer version is on offer",
    CatalogStatus.DISABLED: "a person disabled it",
    CatalogStatus.DEPRECATED: "a person took it off the list",
}


class Curator:
    """Looks at one workflow and its other versions."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def reconcile(self, workflow: RemediationWorkflow) -> Outcome:
        """Judge the content, and report; there is nothing to act on."""
        status, found = workflow.status, faults(workflow)
        versions = self._cluster.where(RemediationWorkflow, BY_ID, _id(workflow.metadata.namespace, workflow.spec.workflow_id))
        status.catalog_status = status_of(workflow, found, versions)
        status.content_id, status.faults = content_id(workflow), [cut(fault) for fault in found]
        status.message = cut(_SAYS.get(status.catalog_status) or "; ".join(found))
        offered, now = status.catalog_status is CatalogStatus.ACTIVE, self._cluster.clock.now()
        reason, generation = status.catalog_status.value, workflow.metadata.generation
        set_condition(status.conditions, OFFERED, offered, reason, status.message, now=now, generation=generation)
        return DONE


def setup(manager: Manager) -> None:
    """Add the curator to a manager."""
    store = manager.informer(RemediationWorkflow, indexes={BY_ID: _index}).store
    manager.controller(RemediationWorkflow, Curator(manager.cluster).reconcile).watches(RemediationWorkflow, _siblings(store))


def _index(obj: Obj) -> Iterable[str]:
    return (_id(obj["metadata"].get("namespace", ""), obj["spec"].get("workflowId", "")),)


def _id(namespace: str, workflow_id: str) -> str:
    return f"{namespace}/{workflow_id}"


def _siblings(store: Store) -> Callable[[Obj], Iterable[Key]]:
    """Return the map from a workflow to all versions of it: a newer one that comes or goes changes what they say."""

    def siblings(obj: Obj) -> Iterable[Key]:
        return [key_of(each) for name in _index(obj) for each in store.by(BY_ID, name)]

    return siblings

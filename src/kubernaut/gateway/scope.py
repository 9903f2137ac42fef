"""Which objects are ours to remediate: those that opt in by the label, or whose namespace does; or all that do not opt out."""

from kubernaut.api import core
from kubernaut.api.base import Obj, ResourceIdentifier
from kubernaut.api.remediation import opted
from kubernaut.gateway.owners import FOLLOWED
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError


async def is_managed(cluster: Cluster, target: ResourceIdentifier, *, silent: bool) -> bool:
    """Whether the target is ours: by its own label, else by its namespace's, else (both are `silent`) as told. Raises ApiError."""
    said = opted(await _read(cluster, target))
    if said is None and target.namespace:
        said = opted(cluster.read(core.NAMESPACE, "", target.namespace))
    return silent if said is None else said


async def _read(cluster: Cluster, target: ResourceIdentifier) -> Obj | None:
    """Return an object from the cache where its kind is kept there, else from the API server; None when unknown."""
    kind = core.kind_named(target.kind)
    if kind is None:
        return None
    if kind in (*FOLLOWED, core.NAMESPACE):
        return cluster.read(kind, target.namespace, target.name)
    try:
        return await cluster.client.get(kind, target.name, target.namespace)
    except ApiError as error:
        if error.not_found or error.status == 400:  # noqa: PLR2004  (a name that no object can have)
            return None
        raise

"""The gateway's claim on a fingerprint goes with the remediation it stands for, so that no name is ever given twice."""

from kubernaut.api.core import LEASE
from kubernaut.api.remediation import RemediationRequest, claim_name, claimed_name
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError


async def release(cluster: Cluster, request: RemediationRequest) -> None:
    """Delete the claim if its turn is still this remediation's; one that has moved on belongs to a later one."""
    name, namespace = claim_name(request.spec.signal_fingerprint), request.metadata.namespace
    try:
        claim = await cluster.client.get(LEASE, name, namespace)
        if claimed_name(claim) == request.metadata.name:
            meta = claim["metadata"]
            await cluster.client.delete(LEASE, name, namespace, uid=meta["uid"], resource_version=meta["resourceVersion"])
    except ApiError as fault:
        if not (fault.not_found or fault.conflict):
            raise

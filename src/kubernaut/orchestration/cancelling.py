"""Stops what a remediation has begun: withdraws what nobody has taken up, and tells what is at work to stop."""

from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.base import CANCEL_ANNOTATION, Resource
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError
from kubernaut.orchestration.family import Family, is_idle_plan

UNBEGUN = "Pending"
"""The phase of a fix that nobody has taken up, or that waits for its target."""


async def withdraw(cluster: Cluster, family: Family, *, plan: bool = False) -> None:
    """Delete a fix that has not begun, exactly as it was seen; one that began meanwhile is met as a conflict, and looked at again.

    With `plan` also the plan of steps that nobody has begun to carry out: it was made for what is not to be done any more.
    """
    for child in fixes(family):
        meta = child.metadata
        unbegun = child.status.phase.value == UNBEGUN or (plan and is_idle_plan(family) and child is family.workflow)
        if not unbegun or meta.deletion_timestamp is not None:
            continue
        try:
            await cluster.client.delete(
                child.card, meta.name, meta.namespace, uid=meta.uid, resource_version=meta.resource_version, propagation="Background"
            )
        except ApiError as fault:
            if not fault.not_found:
                raise


async def stop(cluster: Cluster, family: Family, why: str) -> None:
    """Withdraw what has not begun, and tell the rest of the fix to stop."""
    await withdraw(cluster, family)
    for child in fixes(family):
        if child.status.phase.value != UNBEGUN and child.status.completion_time is None:
            await _tell(cluster, child, why)


async def close_question(cluster: Cluster, family: Family, why: str) -> None:
    """Tell an analysis that has not ended that nobody waits for it any more: it asks nobody, or takes its question back."""
    if isinstance(family.analysis, AIAnalysis) and family.analysis.status.completed_at is None:
        await _tell(cluster, family.analysis, why)


def fixes(family: Family) -> tuple[WorkflowExecution | KubernetesExecution, ...]:
    """Return the objects of the fix that exist, of this attempt."""
    return tuple(each for each in (family.workflow, family.execution) if each is not None)


async def _tell(cluster: Cluster, child: Resource, why: str) -> None:
    if CANCEL_ANNOTATION in child.metadata.annotations:
        return
    try:
        await cluster.patch(child, {"metadata": {"uid": child.metadata.uid, "annotations": {CANCEL_ANNOTATION: why}}})
    except ApiError as fault:
        if not fault.not_found:
            raise

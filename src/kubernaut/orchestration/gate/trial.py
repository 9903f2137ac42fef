"""What a fix would change, tried without effect; and what the tool's own object says about where the target comes from."""

import re
from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue

from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.base import Kind, Obj, ObjectMeta
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.execution import ExecutionConfig, KubernetesExecution, KubernetesExecutionSpec
from kubernaut.api.gitops import keeper_of, source_hint, suspended
from kubernaut.api.plan import Operation
from kubernaut.api.remediation import RemediationRequest
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError
from kubernaut.orchestration.gate.gitops import Kept

TRIAL_TIMEOUT: Final = "1m"
_VARIABLE: Final = re.compile(r"\$\(([A-Z][A-Z0-9_]*)\)")


async def kept_by(cluster: Cluster, target: Obj) -> Kept | None:
    """Return who keeps a target, and what the tool's own object says about it; one that cannot be read says nothing."""
    keeper = keeper_of(target)
    if keeper is None:
        return None
    owner = await _read(cluster, keeper.kind, keeper.namespace, keeper.name) if keeper.kind and keeper.name else None
    if owner is None:
        return Kept(keeper, keeper.suspended)
    return Kept(keeper, keeper.suspended or suspended(keeper, owner), source_hint(owner))


async def _read(cluster: Cluster, kind: Kind, namespace: str, name: str) -> Obj | None:
    try:
        return await cluster.client.get(kind, name, namespace)
    except ApiError as fault:
        if fault.retryable:
            raise
        return None


async def operations_of(cluster: Cluster, analysis: AIAnalysis) -> list[Operation]:
    """Return a fix as typed operations: the analysis' own steps, else the workflow's declared preview with its parameters filled in."""
    status = analysis.status
    if status.recommendations and status.recommendations[0].workflow_steps:
        return list(status.recommendations[0].workflow_steps)
    chosen = status.selected_workflow
    if chosen is None:
        return []
    listing = await cluster.client.list(
        RemediationWorkflow.card, analysis.metadata.namespace, field_selector=f"spec.workflowId={chosen.workflow_id}"
    )
    rows = [RemediationWorkflow.model_validate(obj) for obj in listing.items]
    row = next((each for each in rows if each.spec.version == chosen.version), None)
    return [_filled(step, chosen.parameters) for step in row.spec.preview] if row else []


def _filled(step: Operation, values: dict[str, str]) -> Operation:
    def fill(value: JsonValue) -> JsonValue:
        return _VARIABLE.sub(lambda found: values.get(found[1], found[0]), value) if isinstance(value, str) else value

    return step.model_copy(update={"parameters": {name: fill(value) for name, value in step.parameters.items()}})


async def trial(
    cluster: Cluster, request: RemediationRequest, analysis: AIAnalysis, operations: Sequence[Operation]
) -> KubernetesExecution | None:
    """Return the trial of a fix, made where it is not there yet; None where there is nothing that could be tried.

    The analysis owns it: it is no fix of the remediation. Checks that would refuse a managed object are left out; nothing is changed.
    """
    if not operations:
        return None
    name, namespace = f"{analysis.metadata.name}-proposal", analysis.metadata.namespace
    if found := cluster.find(KubernetesExecution, namespace, name):
        return found
    spec = KubernetesExecutionSpec(
        remediation_request_ref=request.reference(),
        operations=list(operations),
        execution_config=ExecutionConfig(dry_run=True, safety_validation=False, timeout=TRIAL_TIMEOUT),
    )
    made = KubernetesExecution(metadata=ObjectMeta(name=name, namespace=namespace, labels=dict(analysis.metadata.labels)), spec=spec)
    return await cluster.create_owned(made, analysis)

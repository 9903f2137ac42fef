"""Looks at cases: the list, one in full, as objects say it."""

from datetime import datetime

from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.base import Resource
from kubernaut.api.durations import go_duration
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.processing import RemediationProcessing
from kubernaut.api.remediation import Phase, RemediationRequest
from kubernaut.api.verification import EffectivenessAssessment
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.cli.screen import phase_of
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError

CHILDREN: tuple[type[Resource], ...] = (
    RemediationProcessing,
    AIAnalysis,
    AIApprovalRequest,
    WorkflowExecution,
    KubernetesExecution,
    EffectivenessAssessment,
)
CAUSE_LIMIT = 60


async def cases(client: Client, namespace: str) -> list[RemediationRequest]:
    """Return all remediations, newest first."""
    found = await client.list(RemediationRequest.card, namespace)
    requests = [RemediationRequest.model_validate(obj) for obj in found.items]
    return sorted(requests, key=lambda each: str(each.metadata.creation_timestamp), reverse=True)


CASES = ("NAME", "PHASE", "OUTCOME", "ALERT", "TARGET", "SEEN", "FIX", "AGE")


def cases_rows(requests: list[RemediationRequest], now: datetime) -> list[tuple[str, ...]]:
    """Return the list as rows of a table."""
    return [_row(each, now) for each in requests]


def _row(request: RemediationRequest, now: datetime) -> tuple[str, ...]:
    status, age = request.status, now - (request.metadata.creation_timestamp or now)
    return (
        request.metadata.name,
        status.overall_phase.value,
        status.outcome.value if status.outcome else "",
        request.spec.signal_name,
        request.spec.target_resource,
        str(status.deduplication.occurrence_count if status.deduplication else 1),
        status.selected_workflow,
        go_duration(age - age % type(age)(seconds=1)),
    )


async def case(client: Client, namespace: str, name: str) -> RemediationRequest | None:
    """Return one remediation, or None."""
    try:
        return RemediationRequest.model_validate(await client.get(RemediationRequest.card, name, namespace))
    except ApiError as error:
        if error.not_found:
            return None
        raise


async def story_of(client: Client, request: RemediationRequest) -> list[str]:
    """Return one case in full, as lines."""
    status, spec = request.status, request.spec
    count = status.deduplication.occurrence_count if status.deduplication else 1
    lines = [
        f"{request.metadata.name}: {status.overall_phase}{f' ({status.outcome})' if status.outcome else ''}",
        f"  {status.message}",
        "",
        f"  alert       {spec.signal_name}, {spec.severity}, seen {f'{count} times' if count != 1 else 'once'}, {status.signal_state}",
        f"  target      {spec.target_resource} ({status.environment or spec.environment}, {status.priority or spec.priority})",
    ]
    lines += [f"  cause       {status.root_cause} (confidence {status.confidence:.0%})"] if status.confidence else []
    lines += [f"  fix         {status.selected_workflow} on {status.remediation_target}"] if status.selected_workflow else []
    lines += [f"  failed in   {status.failure_phase}: {status.failure_reason}"] if status.failure_phase else []
    lines += _next(request)
    lines += await _evidence(client, request)
    return [*lines, "", "  objects", *await _objects(client, request)]


def _next(request: RemediationRequest) -> list[str]:
    """Say what an open case waits for, where that is not for a stage of ours."""
    name, status = request.metadata.name, request.status
    if status.overall_phase is Phase.AWAITING_APPROVAL:
        return [f"  next        a person decides: kubernaut approve {name}, or kubernaut reject {name} -m '…'; both show the change first"]
    if status.overall_phase is Phase.BLOCKED:
        until = f", looked at again at {status.blocked_until:%H:%M:%S} UTC" if status.blocked_until else ""
        return [f"  held        {status.block_reason}: {status.block_message}{until}"]
    return []


async def _evidence(client: Client, request: RemediationRequest) -> list[str]:
    if request.status.ai_analysis_ref is None:
        return []
    ref = request.status.ai_analysis_ref
    analysis = AIAnalysis.model_validate(await client.get(AIAnalysis.card, ref.name, ref.namespace))
    evidence = [f"    {each.source} {each.field} = {each.value}: {each.says}" for each in analysis.status.evidence]
    return ["", "  evidence", *evidence] if evidence else []


async def _objects(client: Client, request: RemediationRequest) -> list[str]:
    lines = []
    for model in CHILDREN:
        for obj in (await client.list(model.card, request.metadata.namespace)).items:
            if obj["spec"]["remediationRequestRef"]["name"] == request.metadata.name:
                message = str((obj.get("status") or {}).get("message") or "")
                lines.append(f"    {model.card.kind:<24} {phase_of(obj):<12} {obj['metadata']['name']}  {message}")
    return lines

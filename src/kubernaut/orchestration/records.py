"""The remediation record that data storage keeps: one row a remediation, one a stage object."""

from datetime import datetime

import structlog

from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.audit import RemediationAudit, ServiceCRDStatus
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.processing import RemediationProcessing
from kubernaut.api.remediation import ChildStatus, RemediationRequest
from kubernaut.api.verification import EffectivenessAssessment
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.orchestration import metrics
from kubernaut.orchestration.family import Family
from kubernaut.outbound import REMEDIATION_RECORDS, Service, Undeliverable

StageObject = RemediationProcessing | AIAnalysis | AIApprovalRequest | WorkflowExecution | KubernetesExecution | EffectivenessAssessment

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


def audit_of(request: RemediationRequest, family: Family) -> RemediationAudit:
    """Make the record; what is not known is left out."""
    status = request.status
    return RemediationAudit(
        alert_fingerprint=request.spec.signal_fingerprint,
        remediation_name=request.metadata.name,
        overall_phase=status.overall_phase.value.lower(),
        start_time=status.start_time or request.spec.created_at,
        completion_time=status.completion_time,
        service_crd_statuses=[_row(child, request.spec.created_at) for child in members(family)],
        timeout_phase=status.timeout_phase or None,
        failure_reason=status.failure_reason or None,
    )


def members(family: Family) -> list[StageObject]:
    """Return the stage objects that exist, in order."""
    found = (family.processing, family.analysis, family.approval, family.workflow, family.execution, family.assessment)
    return [child for child in found if child is not None]


def state_of(child: StageObject) -> ChildStatus:
    """Return how a stage object stands: the kinds name their times differently."""
    match child:
        case AIAnalysis():
            start, end = child.status.started_at, child.status.completed_at
        case AIApprovalRequest():
            start, end = None, child.status.decided_at
        case _:
            start, end = child.status.start_time, child.status.completion_time
    return ChildStatus(phase=child.status.phase.value, start_time=start or child.metadata.creation_timestamp, completion_time=end)


async def keep(records: Service | None, request: RemediationRequest, family: Family) -> None:
    """Hand the record over; a fault is logged and counted, and harms nothing: the next change of phase sends all of it again."""
    if records is None:
        return
    try:
        await records.post(REMEDIATION_RECORDS, audit_of(request, family))
    except Undeliverable as fault:
        metrics.RECORD_FAULTS.inc()
        log.warning("remediation record not taken", namespace=request.metadata.namespace, name=request.metadata.name, fault=str(fault))


def _row(child: StageObject, fallback: datetime) -> ServiceCRDStatus:
    state = state_of(child)
    return ServiceCRDStatus(
        service_type=child.card.kind,
        crd_name=child.metadata.name,
        phase=state.phase.lower(),
        start_time=state.start_time or fallback,
        completion_time=state.completion_time,
    )

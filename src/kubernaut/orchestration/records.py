"""The remediation record that data storage keeps (one row a remediation, one a stage object), made of what the request itself remembers.

Records go where the facts go, after the status is written: a data storage that is down or hangs holds up no phase, and none is lost.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.audit import RemediationAudit, ServiceCRDStatus
from kubernaut.api.base import JournalEntry
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.processing import RemediationProcessing
from kubernaut.api.remediation import AttemptReference, ChildStatus, ExecutionAttempt, RemediationRequest, RemediationRequestStatus
from kubernaut.api.verification import EffectivenessAssessment
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.kube.reporting import TRANSITION
from kubernaut.orchestration.family import Family
from kubernaut.outbound import REMEDIATION_RECORDS, Service, post_each

StageObject = RemediationProcessing | AIAnalysis | AIApprovalRequest | WorkflowExecution | KubernetesExecution | EffectivenessAssessment

DELETED: Final = "RemediationRequestDeleted"


def records(request: RemediationRequest, entries: Iterable[JournalEntry]) -> list[RemediationAudit]:
    """Return a record for every change of phase, and for the deletion; all of them know of the stage objects what is known now."""
    status = request.status
    phases = [_phase(status, entry) for entry in entries if entry.reason in {TRANSITION, DELETED}]
    return [audit_of(request, phase) for phase in phases]


async def deliver(service: Service, request: RemediationRequest, entries: Iterable[JournalEntry]) -> None:
    """Send the records of some facts; raise Undeliverable where another try may help."""
    await post_each(service, REMEDIATION_RECORDS, records(request, entries))


def audit_of(request: RemediationRequest, phase: str = "") -> RemediationAudit:
    """Make the record as of a phase, the present one unless another is named; what is not known, or was not yet, is left out."""
    status = request.status
    now = status.overall_phase.value.lower()
    present = phase in {"", now}
    return RemediationAudit(
        alert_fingerprint=request.spec.signal_fingerprint,
        remediation_name=request.metadata.name,
        overall_phase=phase or now,
        start_time=status.start_time or request.spec.created_at,
        completion_time=status.completion_time if present else None,
        service_crd_statuses=[*_rows(status, request.spec.created_at)],
        timeout_phase=status.timeout_phase or None if present else None,
        failure_reason=status.failure_reason or None if present else None,
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
    began = start or child.metadata.creation_timestamp
    return ChildStatus(name=child.metadata.name, phase=child.status.phase.value, start_time=began, completion_time=end)


def _phase(status: RemediationRequestStatus, entry: JournalEntry) -> str:
    told = entry.data.get("to") if entry.reason == TRANSITION else None
    return str(told or status.overall_phase.value).lower()


def _rows(status: RemediationRequestStatus, fallback: datetime) -> Iterator[ServiceCRDStatus]:
    """Return a row for each stage object: those of earlier attempts as they ended, then those of the present one, in order."""
    kinds: tuple[tuple[type[StageObject], Iterable[AttemptReference]], ...] = (
        (RemediationProcessing, status.remediation_processing_refs),
        (AIAnalysis, status.ai_analysis_refs),
        (AIApprovalRequest, ()),
        (WorkflowExecution, status.workflow_execution_refs),
        (KubernetesExecution, status.kubernetes_execution_refs),
        (EffectivenessAssessment, ()),
    )
    present = {model.card.kind: status.children.get(model.card.kind, ChildStatus()) for model, _ in kinds}
    earlier = [(each, model.card.kind) for model, known in kinds for each in known if each.name != present[model.card.kind].name]
    for each, kind in sorted(earlier, key=lambda pair: pair[0].attempt_number):
        yield _row(kind, _state(each), fallback)
    for kind, state in present.items():
        if state.name:
            yield _row(kind, state, fallback)


def _state(each: AttemptReference) -> ChildStatus:
    """Return how a stage object stood when it was last seen."""
    start, end = (each.start_time, each.completion_time) if isinstance(each, ExecutionAttempt) else (None, None)
    return ChildStatus(name=each.name, phase=each.phase, start_time=start or each.created_at, completion_time=end)


def _row(kind: str, state: ChildStatus, fallback: datetime) -> ServiceCRDStatus:
    return ServiceCRDStatus(
        service_type=kind,
        crd_name=state.name,
        phase=state.phase.lower(),
        start_time=state.start_time or fallback,
        completion_time=state.completion_time,
    )

"""What data storage takes and gives: the remediation record, the workflow record, and unified audit events."""

from datetime import datetime
from typing import Annotated
from uuid import UUID, uuid5

from pydantic import Field, StringConstraints

from kubernaut.api.base import AuditOutcome, FreeForm, JournalEntry, Model, Resource

_NAMESPACE = UUID("6f1c1b9e-58a5-4f0c-9d0e-2f2f0c2f7d11")


class ServiceCRDStatus(Model):
    """One stage object in a remediation record."""

    service_type: str
    crd_name: Annotated[str, Field(alias="crdName")]
    phase: str
    start_time: datetime
    completion_time: datetime | None = None


class RemediationAudit(Model):
    """Body of POST `/api/v1/audit/remediation`; repeated posts of one name update one row."""

    alert_fingerprint: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    remediation_name: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    overall_phase: Annotated[str, StringConstraints(min_length=1, max_length=50)]
    """Lower case."""
    start_time: datetime
    completion_time: datetime | None = None
    service_crd_statuses: Annotated[list[ServiceCRDStatus], Field(max_length=20)] = []
    timeout_phase: str | None = None
    failure_reason: str | None = None


class WorkflowAudit(Model):
    """Body of POST `/api/v1/audit/workflow`."""

    event_type: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    workflow_execution_id: Annotated[str, StringConstraints(min_length=1, max_length=255), Field(alias="workflowExecutionId")]
    workflow_id: Annotated[str, Field(alias="workflowId")] = ""
    target_resource: str = ""
    phase: str = ""
    outcome: str = ""
    timestamp: datetime
    correlation_id: Annotated[str, Field(alias="correlationId")] = ""
    failure_reason: str | None = None
    failure_message: str | None = None


class AuditEvent(Model):
    """One fact of the audit trail: body of POST `/api/v1/audit/events`."""

    model_config = {"alias_generator": None}

    event_id: UUID
    """Chosen by the producer, the same at every try: the store keeps one."""
    event_version: str = "1.0"
    event_timestamp: datetime
    event_type: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    """`{category}.{object}.{what}` in lower case, such as `orchestration.remediationrequest.phasetransition`."""
    event_category: Annotated[str, StringConstraints(min_length=1, max_length=50)]
    event_action: Annotated[str, StringConstraints(min_length=1, max_length=50)]
    event_outcome: AuditOutcome
    correlation_id: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    actor_type: Annotated[str, StringConstraints(max_length=50)] = "service"
    actor_id: Annotated[str, StringConstraints(max_length=255)] = ""
    resource_type: Annotated[str, StringConstraints(max_length=100)] = ""
    resource_name: Annotated[str, StringConstraints(max_length=255)] = ""
    resource_id: Annotated[str, StringConstraints(max_length=255)] = ""
    namespace: Annotated[str, StringConstraints(max_length=63)] = ""
    sequence: int = Field(default=0, ge=0)
    """The fact's ordinal in its object's life."""
    message: Annotated[str, StringConstraints(max_length=1024)] = ""
    event_data: FreeForm = {}


CATEGORIES = {
    "RemediationRequest": "orchestration",
    "RemediationProcessing": "signalprocessing",
    "AIAnalysis": "analysis",
    "AIApprovalRequest": "approval",
    "WorkflowExecution": "workflowexecution",
    "KubernetesExecution": "kubernetesexecution",
    "EffectivenessAssessment": "effectiveness",
    "NotificationRequest": "notification",
    "RemediationWorkflow": "workflow",
}


def audit_event(resource: Resource, entry: JournalEntry, *, actor: str) -> AuditEvent:
    """Make the audit event of a journal entry; the same entry always makes the same event."""
    kind = resource.card.kind
    category = CATEGORIES.get(kind, "orchestration")
    return AuditEvent(
        event_id=uuid5(_NAMESPACE, f"{resource.metadata.uid}/{entry.ordinal}"),
        event_timestamp=entry.at,
        event_type=f"{category}.{kind.lower()}.{entry.reason.lower()}",
        event_category=category,
        event_action=entry.reason[:50],
        event_outcome=entry.outcome,
        correlation_id=resource.correlation_id,
        actor_id=str(entry.data.get("actor") or actor),
        actor_type="user" if entry.data.get("actor") else "service",
        resource_type=kind,
        resource_name=resource.metadata.name,
        resource_id=resource.metadata.uid,
        namespace=resource.metadata.namespace,
        sequence=entry.ordinal,
        message=entry.message,
        event_data=entry.data,
    )

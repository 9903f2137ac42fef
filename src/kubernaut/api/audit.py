"""What data storage takes and gives: the remediation record, the workflow record, and unified audit events."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID, uuid5

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from kubernaut.api.base import AuditOutcome, FreeForm, JournalEntry, Model, Resource, ResourceIdentifier

_NAMESPACE = UUID("6f1c1b9e-58a5-4f0c-9d0e-2f2f0c2f7d11")
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_YEARS: Final = range(1969, 10_000)


def _moment(value: Any) -> Any:
    """Read a time as RFC 3339 writes it, in UTC: with a zone, and in a year that every database can hold."""
    if isinstance(value, str) and _RFC3339.fullmatch(value):
        value = datetime.fromisoformat(value.upper())
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("a time is needed as RFC 3339 writes it, with a zone: 2026-01-01T00:00:00Z")
    try:
        value = value.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is out of bounds") from None
    if value.year not in _YEARS:
        raise ValueError(f"the year must be {_YEARS.start} to {_YEARS.stop - 1}")
    return value


def _printable(value: str) -> str:
    """Put a mark where a text holds the character NUL, which PostgreSQL keeps in no text."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _whole(value: Any) -> Any:
    """Take 5.0 for 5, as JSON does."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Moment = Annotated[datetime, BeforeValidator(_moment)]
"""A point in time, in UTC."""
Text63 = Annotated[str, StringConstraints(max_length=63), AfterValidator(_printable)]
Text255 = Annotated[str, StringConstraints(max_length=255), AfterValidator(_printable)]
Text1024 = Annotated[str, StringConstraints(max_length=1024), AfterValidator(_printable)]
Text16K = Annotated[str, StringConstraints(max_length=16_384), AfterValidator(_printable)]
Word50 = Annotated[str, StringConstraints(min_length=1, max_length=50), AfterValidator(_printable)]
Word100 = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_printable)]
Word255 = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_printable)]
TargetPath = Annotated[str, StringConstraints(max_length=420), AfterValidator(_printable)]
"""`namespace/kind/name`, or `kind/name` when cluster-scoped."""


class ServiceCRDStatus(Model):
    """One stage object in a remediation record."""

    service_type: Annotated[str, StringConstraints(min_length=1, max_length=63), AfterValidator(_printable)]
    crd_name: Annotated[Word255, Field(alias="crdName")]
    phase: Annotated[str, StringConstraints(max_length=50), AfterValidator(_printable)]
    start_time: Moment
    completion_time: Moment | None = None


class RemediationAudit(Model):
    """Body of POST `/api/v1/audit/remediation`; repeated posts of one name update one row."""

    alert_fingerprint: Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_printable)]
    remediation_name: Word255
    overall_phase: Word50
    """Lower case."""
    start_time: Moment
    completion_time: Moment | None = None
    service_crd_statuses: Annotated[list[ServiceCRDStatus], Field(max_length=50)] = []
    timeout_phase: Text63 | None = None
    failure_reason: Text16K | None = None


class WorkflowAudit(Model):
    """Body of POST `/api/v1/audit/workflow`."""

    event_type: Word100
    workflow_execution_id: Annotated[Word255, Field(alias="workflowExecutionId")]
    workflow_id: Annotated[Text255, Field(alias="workflowId")] = ""
    target_resource: TargetPath = ""
    phase: Annotated[str, StringConstraints(max_length=50), AfterValidator(_printable)] = ""
    outcome: Annotated[str, StringConstraints(max_length=50), AfterValidator(_printable)] = ""
    timestamp: Moment
    correlation_id: Annotated[Text255, Field(alias="correlationId")] = ""
    failure_reason: Text1024 | None = None
    failure_message: Text16K | None = None


class AuditEvent(Model):
    """One fact of the audit trail: body of POST `/api/v1/audit/events`."""

    model_config = {"alias_generator": None}

    event_id: UUID
    """Chosen by the producer, the same at every try: the store keeps one."""
    event_version: Annotated[str, StringConstraints(max_length=20), AfterValidator(_printable)] = "1.0"
    event_timestamp: Moment
    event_type: Word100
    """`{category}.{object}.{what}` in lower case, such as `orchestration.remediationrequest.phasetransition`."""
    event_category: Word50
    event_action: Word50
    event_outcome: AuditOutcome
    correlation_id: Word255
    actor_type: Annotated[str, StringConstraints(max_length=50), AfterValidator(_printable)] = "service"
    actor_id: Text255 = ""
    resource_type: Annotated[str, StringConstraints(max_length=100), AfterValidator(_printable)] = ""
    resource_name: Text255 = ""
    resource_id: Text255 = ""
    namespace: Text63 = ""
    target: TargetPath = ""
    """What the case is about, where the object says it: `namespace/kind/name`."""
    sequence: Annotated[int, Field(ge=0, lt=2**31), BeforeValidator(_whole)] = 0
    """The fact's ordinal in its object's life."""
    message: Text1024 = ""
    event_data: FreeForm = {}


class LegalHold(Model):
    """Body of POST `/api/v1/audit/legal-hold`: the records of a case stay, however old they are."""

    model_config = {"alias_generator": None}

    correlation_id: Word255
    reason: Annotated[str, StringConstraints(min_length=1, max_length=1024), AfterValidator(_printable)]


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
    "RemediationBrake": "brake",
}


def audit_event(resource: Resource, entry: JournalEntry, *, actor: str) -> AuditEvent:
    """Make the audit event of a journal entry; the same entry always makes the same event."""
    kind = resource.card.kind
    category = CATEGORIES[kind]
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
        target=target_of(resource),
        sequence=entry.ordinal,
        message=entry.message,
        event_data=entry.data,
    )


def target_of(resource: Resource) -> str:
    """Return what a case is about, as far as one of its objects says it: the path of a workload, or nothing."""
    spec = getattr(resource, "spec", None)
    told = getattr(spec, "target_resource", "") or getattr(getattr(spec, "recommendation", None), "target_resource", "")
    named = getattr(spec, "remediation_target", None) or getattr(spec, "target", None)
    return str(told) or (named.path() if isinstance(named, ResourceIdentifier) else "")

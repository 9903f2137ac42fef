"""RemediationProcessing: what the cluster knows about a signal, and how much it matters."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from kubernaut.api.base import (
    Confidence,
    FoldedEnum,
    FreeForm,
    Kind,
    Model,
    ObjectReference,
    Resource,
    ResourceIdentifier,
    Short,
    Status,
    cel,
    immutable_spec,
)
from kubernaut.api.signal import Priority, Severity


class Phase(FoldedEnum):
    """Where the processing stands."""

    PENDING = "Pending"
    ENRICHING = "Enriching"
    CLASSIFYING = "Classifying"
    COMPLETED = "Completed"
    FAILED = "Failed"


class Alert(Model):
    """The signal as it was reported."""

    fingerprint: str
    payload: Annotated[str, StringConstraints(max_length=65_536)]
    severity: Severity
    name: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    environment: str = ""
    firing_time: datetime | None = None
    received_time: datetime | None = None


@cel(immutable_spec("RemediationProcessing"))
class RemediationProcessingSpec(Model):
    """A snapshot of the signal."""

    remediation_request_ref: ObjectReference
    alert: Alert
    target: ResourceIdentifier
    times_out_at: datetime | None = None
    """From then on the work is given up; the orchestrator is the outer limit."""
    is_recovery_attempt: bool = False
    recovery_attempt_number: int = Field(default=0, ge=0)
    failed_workflow_ref: ObjectReference | None = None
    """The fix that failed before this attempt, as are the next three."""
    failed_step: str = ""
    failure_reason: Short = ""
    original_processing_ref: ObjectReference | None = None


class EnrichedSignal(Model):
    """The signal with what the cluster knows about it: the input of the analysis."""

    fingerprint: str
    severity: Severity
    environment: str
    business_priority: Priority
    namespace: str = ""
    resource_kind: str
    resource_name: str
    kubernetes_context: FreeForm = {}
    """At most 10 KB: pod, workload, node, events, services and so on."""


class OwnerLink(Model):
    """One step from the reported object up to the one that manages it."""

    kind: str
    name: str
    namespace: str = ""
    api_version: str = ""


class EnvironmentClassification(Model):
    """Which environment, and who says so."""

    environment: str
    source: str
    """`rule` and its name, or `alert` or `none` where no rule decided."""
    policy_name: str = ""
    """Which policy the rule is in."""
    confidence: Confidence = 1.0
    classified_at: datetime | None = None


class PriorityAssignment(Model):
    """Which priority, and who says so."""

    priority: Priority
    source: str
    """`rule` and its name, or `fallback table` where no rule decided."""
    policy_name: str = ""
    """Which policy the rule is in."""
    confidence: Confidence = 1.0
    assigned_at: datetime | None = None


class SeverityClassification(Model):
    """How bad, and who says so."""

    severity: Severity
    source: str
    """`rule` and its name, or `alert` where no rule decided."""
    policy_name: str = ""
    """Which policy the rule is in."""
    confidence: Confidence = 1.0


class BusinessClassification(Model):
    """Who cares."""

    business_unit: str = ""
    service_owner: str = ""
    criticality: str = ""
    sla_requirement: str = ""
    decided_by: dict[str, str] = {}
    """By field: the rule that decided it, and its policy."""


class RemediationProcessingStatus(Status):
    """What was found."""

    phase: Phase = Phase.PENDING
    start_time: datetime | None = None
    completion_time: datetime | None = None
    enriched_signal: EnrichedSignal | None = None
    owner_chain: Annotated[list[OwnerLink], Field(max_length=8)] = []
    """From the reported object upwards."""
    detected_labels: dict[str, str] = {}
    """What was recognised; absent is not recognised: gitOpsManaged, gitOpsTool (argocd, flux), gitOpsSource, gitOpsSuspended, helmManaged,
    helmRelease, pdbProtected, hpaEnabled, stateful, serviceMesh (istio, linkerd), networkIsolated, quotaConstrained."""
    environment_classification: EnvironmentClassification | None = None
    severity_classification: SeverityClassification | None = None
    priority_assignment: PriorityAssignment | None = None
    business_classification: BusinessClassification | None = None
    degraded_mode: bool = False
    """Something of the cluster was not found or could not be read; `missing` says what."""
    missing: Annotated[list[Short], Field(max_length=40)] = []
    """What was not found or could not be read, and why."""
    warnings: Annotated[list[str], Field(max_length=20)] = []
    failure_reason: Short = ""


class RemediationProcessing(Resource):
    """What the cluster knows about a signal, and how much it matters."""

    card = Kind(
        kind="RemediationProcessing",
        plural="remediationprocessings",
        short=("rp",),
        columns=(
            ("Phase", "string", ".status.phase"),
            ("Environment", "string", ".status.enrichedSignal.environment"),
            ("Priority", "string", ".status.enrichedSignal.businessPriority"),
            ("Age", "date", ".metadata.creationTimestamp"),
        ),
        selectable=(".spec.remediationRequestRef.name",),
    )
    spec: RemediationProcessingSpec
    status: RemediationProcessingStatus = RemediationProcessingStatus()

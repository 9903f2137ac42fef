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
    confidence: Confidence = 1.0
    classified_at: datetime | None = None


class PriorityAssignment(Model):
    """Which priority, and who says so."""

    priority: Priority
    source: str
    policy_name: str = ""
    assigned_at: datetime | None = None


class BusinessClassification(Model):
    """Who cares, as labels tell."""

    business_unit: str = ""
    service_owner: str = ""
    criticality: str = ""
    sla_requirement: str = ""


class RemediationProcessingStatus(Status):
    """What was found."""

    phase: Phase = Phase.PENDING
    start_time: datetime | None = None
    completion_time: datetime | None = None
    enriched_signal: EnrichedSignal | None = None
    owner_chain: Annotated[list[OwnerLink], Field(max_length=8)] = []
    """From the reported object upwards."""
    detected_labels: dict[str, str] = {}
    """Such as gitOpsManaged, helmManaged, hpaEnabled, pdbProtected, stateful."""
    environment_classification: EnvironmentClassification | None = None
    priority_assignment: PriorityAssignment | None = None
    business_classification: BusinessClassification | None = None
    degraded_mode: bool = False
    """The cluster could not be read in time; only the alert's own words were used."""
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

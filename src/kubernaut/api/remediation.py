"""RemediationRequest: one problem, from the signal that raised it to its end."""

import base64
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from typing import Annotated

from pydantic import Field, StringConstraints

from kubernaut.api.base import (
    Confidence,
    Duration,
    FoldedEnum,
    Kind,
    Long,
    Model,
    NamedReference,
    Obj,
    Resource,
    ResourceIdentifier,
    Rule,
    Short,
    Status,
    cel,
)
from kubernaut.api.signal import Priority, Severity, SignalState, TargetType

NAME_LIMIT = 50
"""The longest RemediationRequest name: every derived name and label value must fit in 63."""
FINGERPRINT_LABEL = "signal.fingerprint"
SEVERITY_LABEL = "alert.severity"
ENVIRONMENT_LABEL = "alert.environment"
DRY_RUN_ANNOTATION = "kubernaut.ai/dry-run"
"""`"true"` on a remediation: it stops after the analysis, and tells what would have been done."""
MANAGED_LABEL = "kubernaut.ai/managed"
"""On an object or its namespace: `true` opts in, anything else opts out; the object's own word wins."""
RETENTION_FINALIZER = "kubernaut.ai/remediation-retention"


def claim_name(fingerprint: str) -> str:
    """Return the name of the Lease that says which remediation a fingerprint's signals belong to."""
    return f"signal-{fingerprint[:40]}"


def claimed_name(claim: Obj) -> str:
    """Return the name of the remediation that a claim's turn stands for: the same for everybody who reads the claim."""
    turn = int((claim.get("spec") or {}).get("leaseTransitions") or 0)
    digest = sha256(f"{claim['metadata']['uid']}/{turn}".encode()).digest()
    return f"remediation-{base64.b32encode(digest).decode().lower()[:10]}"


BY_REMEDIATION = "remediation"
"""The index that files objects under `namespace/name` of the remediation they name."""


def opted(obj: Obj | None) -> bool | None:
    """Return whether an object's own label opts in or out; None where it says nothing."""
    label = (((obj or {}).get("metadata") or {}).get("labels") or {}).get(MANAGED_LABEL)
    return None if label is None or label == "" else str(label).casefold() == "true"


def remediation_of(obj: Obj) -> Iterable[str]:
    """File an object under the remediation it names; a reference without namespace means the object's own."""
    reference = (obj.get("spec") or {}).get("remediationRequestRef") or {}
    if reference.get("name"):
        yield f"{reference.get('namespace') or obj['metadata'].get('namespace') or ''}/{reference['name']}"


Fingerprint = Annotated[str, StringConstraints(pattern=r"^[a-f0-9]{64}$", max_length=64)]


class Phase(FoldedEnum):
    """Where a remediation stands."""

    PENDING = "Pending"
    PROCESSING = "Processing"
    ANALYZING = "Analyzing"
    AWAITING_APPROVAL = "AwaitingApproval"
    EXECUTING = "Executing"
    RECOVERING = "Recovering"
    VERIFYING = "Verifying"
    BLOCKED = "Blocked"
    COMPLETED = "Completed"
    FAILED = "Failed"
    TIMED_OUT = "TimedOut"
    SKIPPED = "Skipped"
    CANCELLED = "Cancelled"

    @property
    def terminal(self) -> bool:
        """Whether nothing more will be done."""
        return self in TERMINAL


TERMINAL = frozenset({Phase.COMPLETED, Phase.FAILED, Phase.TIMED_OUT, Phase.SKIPPED, Phase.CANCELLED})


class Outcome(FoldedEnum):
    """What came of it, once it has ended."""

    REMEDIATED = "Remediated"
    NO_ACTION_REQUIRED = "NoActionRequired"
    SELF_RESOLVED = "SelfResolved"
    MANUAL_REVIEW_REQUIRED = "ManualReviewRequired"
    VERIFICATION_TIMED_OUT = "VerificationTimedOut"
    INCONCLUSIVE = "Inconclusive"
    ROLLED_BACK = "RolledBack"
    DRY_RUN = "DryRun"


class TimeoutConfig(Model):
    """Limits for this remediation alone; absent ones follow the settings."""

    remediation_processing_timeout: Duration | None = None
    """Default 5m."""
    ai_analysis_timeout: Duration | None = None
    """Default 10m."""
    approval_timeout: Duration | None = None
    """Default 15m."""
    workflow_execution_timeout: Duration | None = None
    """Default 30m in catalogue mode, 20m in step mode."""
    kubernetes_execution_timeout: Duration | None = None
    """Default 10m."""
    verification_timeout: Duration | None = None
    """Default 30m."""
    overall_workflow_timeout: Duration | None = None
    """Default 1h; waiting for a person does not count."""


class KubernetesProviderData(Model):
    """What a Kubernetes signal carries besides the common fields; stored as JSON text in `spec.providerData`."""

    namespace: Annotated[str, StringConstraints(min_length=1)]
    resource: ResourceIdentifier
    alertmanager_url: Annotated[str | None, Field(alias="alertmanagerURL")] = None
    grafana_url: Annotated[str | None, Field(alias="grafanaURL")] = None
    prometheus_query: str | None = None


@cel(
    Rule(
        "self.signalFingerprint == oldSelf.signalFingerprint && self.signalName == oldSelf.signalName && self.target == oldSelf.target"
        " && self.originalPayload == oldSelf.originalPayload",
        "what was reported cannot be changed: only timeoutConfig may",
    )
)
class RemediationRequestSpec(Model):
    """What was reported."""

    signal_fingerprint: Fingerprint
    """Equal for repeats of the same problem: SHA-256, hex."""
    signal_name: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    """The alert's name or the event's reason."""
    severity: Severity
    environment: Annotated[str, StringConstraints(min_length=1, max_length=63)] = "unknown"
    """As the alert says; processing classifies it anew."""
    priority: Priority = Priority.P2
    signal_type: Annotated[str, StringConstraints(max_length=63)] = "prometheus"
    """Such as `prometheus` or `kubernetes-event`."""
    signal_source: Annotated[str, StringConstraints(max_length=63)] = ""
    target_type: TargetType = TargetType.KUBERNETES
    target_resource: Annotated[str, StringConstraints(min_length=3, max_length=420)]
    """`namespace/kind/name`, or `kind/name` when cluster-scoped."""
    target: ResourceIdentifier
    """The same, in parts."""
    firing_time: datetime
    received_time: datetime
    created_at: datetime
    signal_labels: Annotated[dict[str, str], Field(max_length=64)] = {}
    signal_annotations: Annotated[dict[str, str], Field(max_length=64)] = {}
    provider_data: Annotated[str, StringConstraints(max_length=16_384)] = ""
    """JSON text, by target type; see KubernetesProviderData."""
    original_payload: Annotated[str, StringConstraints(max_length=65_536)]
    """JSON text: that one alert with its group's envelope."""
    original_payload_sha256: Annotated[str, StringConstraints(max_length=64)] = ""
    """Of the whole webhook body as it came."""
    original_payload_cut: list[str] = []
    """Fields shortened or left out of `originalPayload` to keep it in bounds."""
    fingerprint_form: Annotated[str, StringConstraints(max_length=16)] = "owner"
    """`owner` or `alert`: what the fingerprint was made of."""
    timeout_config: TimeoutConfig = TimeoutConfig()

    @property
    def alert_fingerprint(self) -> str:
        """The older name of `signal_fingerprint`."""
        return self.signal_fingerprint

    @property
    def alert_name(self) -> str:
        """The older name of `signal_name`."""
        return self.signal_name


class Deduplication(Model):
    """Repeats of the signal while this remediation is open; written by the gateway alone."""

    first_seen_at: datetime | None = None
    last_seen_at: datetime | None = None
    occurrence_count: int = Field(default=1, ge=1)
    resources: Annotated[list[str], Field(max_length=20)] = []
    """Objects the signals were about, newest last."""
    firing: Annotated[list[str], Field(max_length=200)] = []
    """Keys of the signals that still fire: the problem is over when none does."""
    highest_severity: Severity | None = None


class ChildStatus(Model):
    """A stage object as it was last seen."""

    name: str = ""
    phase: str = ""
    start_time: datetime | None = None
    completion_time: datetime | None = None


class Ending(Model):
    """How it is about to end: decided and written down before anybody is told, so that nobody is told two ends of one case."""

    phase: Phase
    stage: str
    """Where it ended."""
    reason: str
    """One CamelCase word."""
    message: Short = ""
    notice: str
    """How people hear of it."""
    outcome: Outcome | None = None
    escalation: str = ""
    """Why people are called, where they are."""
    failure_phase: str = ""
    verdict: str = ""
    duplicate_of: str = ""
    proposal: Long = ""
    """The change that people are to make themselves, as Markdown."""


class AttemptReference(Model):
    """A stage object that was opened, in whichever attempt."""

    name: str
    namespace: str = ""
    type: str = "initial"
    """`initial`, or `recovery` from the second attempt on."""
    attempt_number: int = Field(default=0, ge=0)
    phase: str = ""
    created_at: datetime | None = None


class ExecutionAttempt(AttemptReference):
    """A fix that was begun, and what came of it; kept here, so that deleting the object does not have it done again."""

    fix: str = ""
    """The workflow, or the first recommended action."""
    planned: bool = False
    """Whether it was step mode's plan, which changes nothing by itself."""
    outcome: str = "in-progress"
    """in-progress, completed or failed."""
    failed_step: str = ""
    error_type: str = ""
    failure_reason: Short = ""
    parameters: dict[str, str] = {}
    plan_hash: str = ""
    """Of the fix with its parameters: the same is not tried twice in one case."""
    start_time: datetime | None = None
    completion_time: datetime | None = None


Attempts = Annotated[list[AttemptReference], Field(max_length=10)]
ExecutionAttempts = Annotated[list[ExecutionAttempt], Field(max_length=10)]


class RemediationRequestStatus(Status):
    """What has come of it."""

    written_by_others = frozenset({"deduplication", "duplicateCount", "lastDuplicateTime", "signalState", "signalResolvedAt"})
    decided_in = "ending"
    overall_phase: Phase = Phase.PENDING
    outcome: Outcome | None = None
    start_time: datetime | None = None
    completion_time: datetime | None = None
    """Set once. From then on nothing touches the object but its cleanup."""
    ending: Ending | None = None
    """How it is about to end; empty again once people were told and the end is recorded."""
    remediation_processing_ref: NamedReference | None = None
    ai_analysis_ref: NamedReference | None = None
    workflow_execution_ref: NamedReference | None = None
    kubernetes_execution_ref: NamedReference | None = None
    effectiveness_assessment_ref: NamedReference | None = None
    remediation_processing_refs: Attempts = []
    """Of all attempts, as are the next ones."""
    ai_analysis_refs: Attempts = []
    workflow_execution_refs: ExecutionAttempts = []
    kubernetes_execution_refs: ExecutionAttempts = []
    notification_request_refs: Annotated[list[NamedReference], Field(max_length=20)] = []
    children: dict[str, ChildStatus] = {}
    """The stage objects by kind, as last seen."""
    retry_count: int = Field(default=0, ge=0)
    """Attempts of the current phase's child plus recovery attempts."""
    recovery_attempts: int = Field(default=0, ge=0)
    max_recovery_attempts: int = Field(default=3, ge=0)
    recovery_reason: Short = ""
    """Why the last attempt was followed by another, or was not."""
    last_failure_time: datetime | None = None
    escalated_to_manual_review: bool = False
    timeout_phase: str = ""
    timeout_time: datetime | None = None
    failure_phase: str = ""
    failure_reason: Short = ""
    escalation_sent_for: Annotated[list[str], Field(max_length=20)] = []
    """Escalations that were made, by phase and reason: a crash does not page twice."""
    retention_expiry_time: datetime | None = None
    approval_notification_sent: bool = False
    approval_notified_for: str = ""
    """The approval request that people were told of; another one is told of anew."""
    block_reason: str = ""
    block_message: Short = ""
    blocked_until: datetime | None = None
    """When it is looked at again, at the latest."""
    blocked_since: datetime | None = None
    blocked_from: Phase | None = None
    """The phase it goes back to."""
    held_seconds: int = Field(default=0, ge=0)
    """Time it was held before a stage could be opened, which the overall limit leaves out."""
    next_allowed_execution: datetime | None = None
    consecutive_failure_count: int = Field(default=0, ge=0)
    """Failed remediations of this problem right before this one."""
    duplicate_of: str = ""
    """The remediation of the same target that goes first, and whose end is this one's."""
    evidence_hash: str = ""
    """Of what processing saw, without times and counts: equal evidence needs no second analysis when nothing was to be done."""
    cancel_requested_at: datetime | None = None
    cancel_reason: Short = ""
    dry_run: bool = False
    deduplication: Deduplication | None = None
    duplicate_count: int = Field(default=0, ge=0)
    last_duplicate_time: datetime | None = None
    signal_state: SignalState = SignalState.FIRING
    signal_resolved_at: datetime | None = None
    environment: str = ""
    """As classified."""
    priority: Priority | None = None
    """As classified."""
    confidence: Confidence | None = None
    root_cause: Short = ""
    remediation_target: str = ""
    """What is acted on: `namespace/kind/name`."""
    selected_workflow: str = ""
    phase_start_time: datetime | None = None
    """When the current phase began."""
    waited_seconds: int = Field(default=0, ge=0)
    """Time spent waiting for people, which the overall limit leaves out."""

    @property
    def phase(self) -> Phase:
        """The phase under the name that all kinds share."""
        return self.overall_phase


class RemediationRequest(Resource):
    """One problem, from the signal that raised it to its end."""

    card = Kind(
        kind="RemediationRequest",
        plural="remediationrequests",
        short=("rr",),
        columns=(
            ("Phase", "string", ".status.overallPhase"),
            ("Outcome", "string", ".status.outcome"),
            ("Alert", "string", ".spec.signalName"),
            ("Target", "string", ".spec.targetResource"),
            ("Workflow", "string", ".status.selectedWorkflow"),
            ("Confidence", "number", ".status.confidence"),
            ("Age", "date", ".metadata.creationTimestamp"),
        ),
        selectable=(".spec.signalFingerprint", ".spec.targetResource"),
    )
    spec: RemediationRequestSpec
    status: RemediationRequestStatus = RemediationRequestStatus()

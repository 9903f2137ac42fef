"""AIAnalysis: why the problem is there, and what would fix it."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from kubernaut.api.base import (
    Confidence,
    FoldedEnum,
    FreeForm,
    Kind,
    Long,
    Model,
    ObjectReference,
    Resource,
    ResourceIdentifier,
    Short,
    Status,
    cel,
    immutable_spec,
)
from kubernaut.api.binding import Binding
from kubernaut.api.plan import Operation, SelectedWorkflow
from kubernaut.api.signal import Priority, RiskLevel, Severity


class Phase(FoldedEnum):
    """Where the analysis stands."""

    PENDING = "Pending"
    INVESTIGATING = "Investigating"
    ANALYZING = "Analyzing"
    RECOMMENDING = "Recommending"
    APPROVING = "Approving"
    COMPLETED = "Completed"
    FAILED = "Failed"
    REJECTED = "Rejected"


class ScopeItem(Model):
    """One object the investigation starts from."""

    kind: str
    namespace: str = ""
    name: str


class InvestigationScope(Model):
    """How far the investigation may look."""

    time_window: str = "24h"
    resource_scope: Annotated[list[ScopeItem], Field(max_length=10)] = []
    correlation_depth: str = "detailed"
    include_historical_patterns: bool = True


class AlertContext(Model):
    """Targeting data and the enriched context; never logs or metrics, which investigators fetch themselves."""

    fingerprint: str
    severity: Severity
    environment: str
    business_priority: Priority
    namespace: str = ""
    resource_kind: str
    resource_name: str
    kubernetes_context: FreeForm = {}


class AnalysisRequest(Model):
    """What is asked."""

    alert_context: AlertContext
    analysis_types: list[str] = ["investigation", "root-cause", "recovery-analysis"]
    investigation_scope: InvestigationScope = InvestigationScope()


class PreviousExecution(Model):
    """A fix that was tried in this case and did not work."""

    workflow_id: str = ""
    parameters: dict[str, str] = {}
    failed_step: str = ""
    reason: str = ""
    category: str = ""
    message: Short = ""


@cel(immutable_spec("AIAnalysis"))
class AIAnalysisSpec(Model):
    """A snapshot of the enriched signal."""

    remediation_request_ref: ObjectReference
    analysis_request: AnalysisRequest
    is_recovery_attempt: bool = False
    recovery_attempt_number: int = Field(default=0, ge=0)
    previous_executions: Annotated[list[PreviousExecution], Field(max_length=10)] = []
    approval_timeout: str = ""
    """How long a person has; empty follows the settings."""
    times_out_at: datetime | None = None
    """The analysis gives up then; waiting for a person does not count."""


class Evidence(Model):
    """One thing that was read, and what it says."""

    source: str
    """The object: `kind/namespace/name`."""
    field: str = ""
    """Where in the object."""
    value: Short = ""
    """What stood there."""
    says: Short
    """What follows from it, for a person."""


class RootCauseAnalysis(Model):
    """What is wrong, and where."""

    summary: Short
    cause: str = ""
    """The rule's name for it, such as `OOMKilled`."""
    severity: Severity = Severity.UNKNOWN
    contributing_factors: Annotated[list[Short], Field(max_length=10)] = []


class Recommendation(Model):
    """One way to fix it."""

    id: str
    action: str
    target_resource: str = ""
    parameters: FreeForm = {}
    effectiveness_probability: Confidence = 0.0
    risk_level: RiskLevel = RiskLevel.MEDIUM
    explanation: Short = ""
    supporting_evidence: Annotated[list[Short], Field(max_length=10)] = []
    dependencies: list[str] = []
    workflow_steps: Annotated[list[Operation], Field(max_length=50)] = []


class AlternativeConsidered(Model):
    """Another explanation or fix, and why it lost."""

    approach: str
    pros_cons: Short


class RecommendedAction(Model):
    """What should be done, and why."""

    action: str
    rationale: Short = ""


class PolicyEvaluation(Model):
    """What the approval policy said."""

    policy_name: str = ""
    matched_rules: list[str] = []
    decision: str = ""
    """Approved, ManualReviewRequired, Denied or DegradedMode."""
    policy_hash: str = ""
    approver_groups: Annotated[list[str], Field(max_length=20)] = []
    """Only members of one of them decide; empty: all who may by RBAC."""
    min_approvers: int = Field(default=1, ge=1, le=5)
    """How many different people must say yes; one no is enough."""
    approval_timeout: str = ""
    """How long people have, where the deciding rule says so; a Go duration."""


class ApprovalContext(Model):
    """What a person needs to decide."""

    reason: Short
    confidence_score: Confidence
    confidence_level: str
    """low below 0.6, medium below 0.8, else high."""
    investigation_summary: Long
    evidence_collected: Annotated[list[Short], Field(max_length=30)] = []
    recommended_actions: Annotated[list[RecommendedAction], Field(max_length=10)] = []
    alternatives_considered: Annotated[list[AlternativeConsidered], Field(max_length=10)] = []
    why_approval_required: Short
    policy_evaluation: PolicyEvaluation = PolicyEvaluation()


class ApprovalStatus(FoldedEnum):
    """What came of asking a person."""

    PENDING = "Pending"
    APPROVED = "Approved"
    REJECTED = "Rejected"
    EXPIRED = "Expired"


class AIAnalysisStatus(Status):
    """What was found."""

    phase: Phase = Phase.PENDING
    reason: str = ""
    """AnalysisCompleted, WorkflowNotNeeded, NoWorkflowSelected, WorkflowResolutionFailed, APIError, …"""
    sub_reason: str = ""
    """Such as NoMatchingWorkflows, LowConfidence, InvestigationInconclusive, ProblemResolved."""
    started_at: datetime | None = None
    completed_at: datetime | None = None
    investigator: str = ""
    """Who found it: `rules` or `holmesgpt`."""
    root_cause: Short = ""
    confidence: Confidence = 0.0
    root_cause_analysis: RootCauseAnalysis | None = None
    evidence: Annotated[list[Evidence], Field(max_length=30)] = []
    remediation_target: ResourceIdentifier | None = None
    """The object to be acted on; absent: the signal's own."""
    recommended_action: str = ""
    recommendations: Annotated[list[Recommendation], Field(max_length=5)] = []
    selected_workflow: SelectedWorkflow | None = None
    alternatives: Annotated[list[AlternativeConsidered], Field(max_length=10)] = []
    action_required: bool = True
    """False: healthy, recovered or unrelated; nothing is to be done."""
    needs_human_review: bool = False
    human_review_reason: str = ""
    """Such as no_matching_workflows, low_confidence, investigation_inconclusive."""
    warnings: Annotated[list[Short], Field(max_length=20)] = []
    degraded_mode: bool = False
    requires_approval: bool = False
    approval_required: bool = False
    holmes_gpt_retry_attempts: int = Field(default=0, ge=0, alias="holmesGPTRetryAttempts")
    """How often its model was tried again; of HolmesGPT, where it was asked. After ADR-019."""
    holmes_gpt_last_error: Annotated[Short, Field(alias="holmesGPTLastError")] = ""
    holmes_gpt_last_attempt_time: datetime | None = Field(default=None, alias="holmesGPTLastAttemptTime")
    """When a try failed last."""
    holmes_gpt_next_retry_time: datetime | None = Field(default=None, alias="holmesGPTNextRetryTime")
    holmes_gpt_total_retry_duration: str = Field(default="", alias="holmesGPTTotalRetryDuration")
    """How long was waited for retries; a Go duration."""
    binding: Binding | None = None
    """What the plan is for; it is carried out only while its target still is that."""
    approvals_void: int = Field(default=0, ge=0)
    """How many approval requests became void because the target or the workflow changed."""
    approval_request_name: str = ""
    approval_requested_at: datetime | None = None
    approval_context: ApprovalContext | None = None
    approval_status: ApprovalStatus | None = None
    approved_by: str = ""
    rejected_by: str = ""
    rejection_reason: Short = ""
    approval_method: str = ""
    approval_justification: Short = ""
    approval_time: datetime | None = None
    approval_duration: str = ""


class AIAnalysis(Resource):
    """Why the problem is there, and what would fix it."""

    card = Kind(
        kind="AIAnalysis",
        plural="aianalyses",
        short=("aia",),
        columns=(
            ("Phase", "string", ".status.phase"),
            ("Cause", "string", ".status.rootCauseAnalysis.cause"),
            ("Confidence", "number", ".status.confidence"),
            ("Workflow", "string", ".status.selectedWorkflow.workflowId"),
            ("Age", "date", ".metadata.creationTimestamp"),
        ),
        selectable=(".spec.remediationRequestRef.name",),
    )
    spec: AIAnalysisSpec
    status: AIAnalysisStatus = AIAnalysisStatus()

"""AIApprovalRequest: a person is asked, and answers once."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from kubernaut.api.analysis import AlternativeConsidered, PolicyEvaluation, RecommendedAction
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
    Rule,
    Short,
    Status,
    cel,
    immutable_spec,
)
from kubernaut.api.execution import UndoKind
from kubernaut.api.plan import SelectedWorkflow
from kubernaut.api.signal import RiskLevel


class Phase(FoldedEnum):
    """Where the question stands."""

    PENDING = "Pending"
    APPROVED = "Approved"
    REJECTED = "Rejected"
    EXPIRED = "Expired"
    VOID = "Void"


class Decision(FoldedEnum):
    """The answer."""

    APPROVED = "Approved"
    REJECTED = "Rejected"
    EXPIRED = "Expired"


class ApprovalRecommendation(Model):
    """What is to be allowed."""

    action: str
    target_resource: str
    parameters: FreeForm = {}
    risk_level: RiskLevel = RiskLevel.MEDIUM
    effectiveness_probability: Confidence = 0.0


class PlannedChange(Model):
    """One step of the fix, tried without effect."""

    step_number: int = Field(ge=1)
    action: str
    says: Short
    """What it does, in a sentence."""
    diff: Long = ""
    """What the API server says would change, as a unified diff."""
    undo: UndoKind | None = None
    """How well it can be taken back; absent where nobody knows."""
    refused: Short = ""
    """Why the trial did not pass; carried out as it stands, the step would fail."""


@cel(immutable_spec("AIApprovalRequest"))
class AIApprovalRequestSpec(Model):
    """The question, with everything needed to answer it."""

    ai_analysis_ref: ObjectReference
    remediation_request_ref: ObjectReference
    recommendation: ApprovalRecommendation
    recommended_workflow: SelectedWorkflow | None = None
    reason: Short
    confidence: Confidence
    confidence_level: str
    investigation_summary: Long
    evidence_collected: Annotated[list[Short], Field(max_length=30)] = []
    recommended_actions: Annotated[list[RecommendedAction], Field(max_length=10)] = []
    alternatives_considered: Annotated[list[AlternativeConsidered], Field(max_length=10)] = []
    why_approval_required: Short
    what_will_change: Long = ""
    """In words: the steps, or a sentence saying that the effect cannot be previewed."""
    previewed: bool = False
    """Whether the API server tried the change (a dry run); its answer is in plannedChanges."""
    planned_changes: Annotated[list[PlannedChange], Field(max_length=20)] = []
    """The fix, step by step."""
    objects_touched: Annotated[list[ResourceIdentifier], Field(max_length=20)] = []
    """What is changed or deleted."""
    pods_touched: Annotated[list[str], Field(max_length=20)] = []
    """The first of the pods that are replaced or deleted, as `namespace/name`."""
    pods_touched_count: int = Field(default=0, ge=0)
    """How many they are."""
    undo: UndoKind | None = None
    """How well the fix as a whole can be taken back: as well as its worst step; absent where nobody knows."""
    policy_evaluation: PolicyEvaluation = PolicyEvaluation()
    bound_to: str = ""
    """Hash of the target's spec, the workflow digest and the parameters: the approval is for exactly that."""
    required_by: datetime
    """Nobody answering by then is a no."""


class Approval(Model):
    """What one person said. Each person adds their own entry, once."""

    approver: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    """The authenticated caller."""
    decision: Decision
    at: datetime | None = None
    groups: Annotated[list[str], Field(max_length=20)] = []
    """The groups by which they may decide; each is a group of the caller."""
    via: str = ""
    message: Short = ""


Approvals = Annotated[
    list[Approval],
    Field(max_length=10, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["approver"]}),
]


@cel(
    Rule(
        "!has(oldSelf.decision) || (has(self.decision) && self.decision == oldSelf.decision && self.decidedBy == oldSelf.decidedBy)",
        "a decision is final",
    ),
    Rule("!has(self.decision) || (has(self.decidedBy) && self.decidedBy != '')", "decidedBy must say who decided"),
)
class AIApprovalRequestStatus(Status):
    """The answer. Where one yes is enough, a person writes decision and decidedBy, once; else each adds an entry to approvals."""

    phase: Phase = Phase.PENDING
    decision: Decision | None = None
    decided_by: str = ""
    """The authenticated caller; `system` when nobody answered in time."""
    decided_via: str = ""
    """kubectl, console, slack-button, email-link or api."""
    decided_at: datetime | None = None
    decision_message: Short = ""
    approvals: Approvals = []
    """Who said what; the decision follows when enough people said yes, or one said no."""
    voided_at: datetime | None = None
    """From then on this question and its answer count for nothing."""
    void_reason: Short = ""


class AIApprovalRequest(Resource):
    """A person is asked, and answers once."""

    card = Kind(
        kind="AIApprovalRequest",
        plural="aiapprovalrequests",
        short=("aar",),
        columns=(
            ("Phase", "string", ".status.phase"),
            ("Decision", "string", ".status.decision"),
            ("By", "string", ".status.decidedBy"),
            ("Action", "string", ".spec.recommendation.action"),
            ("Target", "string", ".spec.recommendation.targetResource"),
            ("Confidence", "number", ".spec.confidence"),
            ("Required By", "string", ".spec.requiredBy"),
            ("Age", "date", ".metadata.creationTimestamp"),
        ),
        selectable=(".spec.remediationRequestRef.name",),
    )
    spec: AIApprovalRequestSpec
    status: AIApprovalRequestStatus = AIApprovalRequestStatus()

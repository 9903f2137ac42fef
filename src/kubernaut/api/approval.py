"""AIApprovalRequest: a person is asked, and answers once."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

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
    Rule,
    Short,
    Status,
    cel,
    immutable_spec,
)
from kubernaut.api.plan import SelectedWorkflow
from kubernaut.api.signal import RiskLevel


class Phase(FoldedEnum):
    """Where the question stands."""

    PENDING = "Pending"
    APPROVED = "Approved"
    REJECTED = "Rejected"
    EXPIRED = "Expired"


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
    """The dry-run difference where it can be computed, or a sentence saying that it cannot."""
    policy_evaluation: PolicyEvaluation = PolicyEvaluation()
    bound_to: str = ""
    """Hash of the target's spec, the workflow digest and the parameters: the approval is for exactly that."""
    required_by: datetime
    """Nobody answering by then is a no."""


@cel(
    Rule(
        "!has(oldSelf.decision) || (has(self.decision) && self.decision == oldSelf.decision && self.decidedBy == oldSelf.decidedBy)",
        "a decision is final",
    ),
    Rule("!has(self.decision) || (has(self.decidedBy) && self.decidedBy != '')", "decidedBy must say who decided"),
)
class AIApprovalRequestStatus(Status):
    """The answer. A person writes decision, decidedBy, decidedVia and decisionMessage, once."""

    phase: Phase = Phase.PENDING
    decision: Decision | None = None
    decided_by: str = ""
    """The authenticated caller; `system` when nobody answered in time."""
    decided_via: str = ""
    """kubectl, console, slack-button, email-link or api."""
    decided_at: datetime | None = None
    decision_message: Short = ""


class AIApprovalRequest(Resource):
    """A person is asked, and answers once."""

    card = Kind(
        kind="AIApprovalRequest",
        plural="aiapprovalrequests",
        short=("aar",),
        columns=(
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

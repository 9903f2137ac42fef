"""What the analysis stage is told at its start: how fixes are chosen, who is asked, and the approval policy as data."""

from datetime import timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from kubernaut.analysis.investigators.holmesgpt.settings import HolmesGPTSettings
from kubernaut.analysis.policy import ApprovalPolicy, PolicyDecision, PolicyRule


class PlanMode(StrEnum):
    """What a fix is made of."""

    CATALOGUE = "catalogue"
    """A workflow of the catalogue; without one that fits, a person is asked to act."""
    STEPS = "steps"
    """Typed steps."""


_PRODUCTION = "['production', 'prod', 'prd', 'live']"
_APPROVERS = ("system:kubernaut:production-approvers", "platform-admin")
DEFAULT_RULES = (
    PolicyRule(
        name="low-confidence",
        expression="confidence < 0.60",
        decision=PolicyDecision.DENIED,
        why="the cause is too uncertain to act on (below 60 %)",
    ),
    PolicyRule(
        name="degraded",
        expression="degraded",
        decision=PolicyDecision.MANUAL_REVIEW,
        why="parts of the cluster could not be read",
    ),
    PolicyRule(
        name="production",
        expression=f"environment in {_PRODUCTION}",
        decision=PolicyDecision.MANUAL_REVIEW,
        why="changes in production are approved by a person",
        groups=_APPROVERS,
    ),
    PolicyRule(
        name="unknown-environment",
        expression="environment in ['', 'unknown']",
        decision=PolicyDecision.MANUAL_REVIEW,
        why="nobody said which environment this is, so it may be production",
    ),
    PolicyRule(
        name="sensitive-kind",
        expression="target.kind in ['Node', 'StatefulSet']",
        decision=PolicyDecision.MANUAL_REVIEW,
        why="nodes and stateful workloads are changed only with a person's approval",
    ),
    PolicyRule(
        name="outside-the-signal",
        expression="outside",
        decision=PolicyDecision.MANUAL_REVIEW,
        why="the target is not in the namespace and owner chain of the signal",
    ),
    PolicyRule(
        name="many-steps",
        expression="steps > 10",
        decision=PolicyDecision.MANUAL_REVIEW,
        why="the plan has more than 10 steps",
    ),
    PolicyRule(
        name="medium-confidence",
        expression="confidence < 0.80",
        decision=PolicyDecision.MANUAL_REVIEW,
        why="the cause is likely, but not certain (60 to 79 %)",
    ),
    PolicyRule(
        name="high-confidence",
        expression="confidence >= 0.80",
        decision=PolicyDecision.APPROVED,
        why="the cause is certain enough (80 % or more) outside production",
    ),
)
"""The documented policy: confidence decides outside production; production, sensitive kinds and unusual targets always ask."""


DEFAULT_POLICY = ApprovalPolicy(name="default", rules=DEFAULT_RULES)


class AnalysisSettings(BaseModel):
    """Settings of the analysis stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: PlanMode = PlanMode.CATALOGUE
    policy: ApprovalPolicy = DEFAULT_POLICY
    approval_timeout: timedelta = Field(default=timedelta(minutes=15), gt=timedelta())
    """How long a person has where the analysis does not say."""
    approval_rounds: int = Field(default=3, ge=1, le=10)
    """How often a person is asked again because the target changed after a yes."""
    preview_timeout: timedelta = Field(default=timedelta(seconds=15), gt=timedelta())
    """How long the trial of a fix, whose difference people are shown, may take; then they are asked without it."""
    settling_limit: timedelta = Field(default=timedelta(seconds=60), ge=timedelta())
    """How long a target that changed after people were asked may take to end its roll-out before it is looked at anew."""
    time_limit: timedelta = Field(default=timedelta(minutes=10), gt=timedelta())
    """How long an analysis may take where its spec does not say; waiting for a person does not count."""
    time_window_limit: timedelta = Field(default=timedelta(days=7), gt=timedelta())
    """How far back a scope may look."""
    holmesgpt: HolmesGPTSettings = HolmesGPTSettings()
    """When HolmesGPT is asked, and what it may cost."""

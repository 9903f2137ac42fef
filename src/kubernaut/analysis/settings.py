"""What the analysis stage is told at its start: how fixes are chosen, where the approval policy is, and how long things may take."""

from datetime import timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from kubernaut.analysis.investigators.holmesgpt.settings import HolmesGPTSettings
from kubernaut.api.durations import Length
from kubernaut.policy.settings import PolicySource


class PlanMode(StrEnum):
    """What a fix is made of."""

    CATALOGUE = "catalogue"
    """A workflow of the catalogue; without one that fits, a person is asked to act."""
    STEPS = "steps"
    """Typed steps."""


class AnalysisSettings(BaseModel):
    """Settings of the analysis stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: PlanMode = PlanMode.CATALOGUE
    policy: PolicySource = PolicySource(config_map="ai-approval-policies")
    """Where the approval policy is."""
    approval_timeout: Length = Field(default=timedelta(minutes=15), gt=timedelta())
    """How long a person has where the analysis does not say."""
    approval_rounds: int = Field(default=3, ge=1, le=10)
    """How often a person is asked again because the target changed after a yes."""
    preview_timeout: Length = Field(default=timedelta(seconds=15), gt=timedelta())
    """How long the trial of a fix, whose difference people are shown, may take; then they are asked without it."""
    settling_limit: Length = Field(default=timedelta(seconds=60), ge=timedelta())
    """How long a target that changed after people were asked may take to end its roll-out before it is looked at anew."""
    time_limit: Length = Field(default=timedelta(minutes=10), gt=timedelta())
    """How long an analysis may take where its spec does not say; waiting for a person does not count."""
    time_window_limit: Length = Field(default=timedelta(days=7), gt=timedelta())
    """How far back a scope may look."""
    holmesgpt: HolmesGPTSettings = HolmesGPTSettings()
    """When HolmesGPT is asked, and what it may cost."""

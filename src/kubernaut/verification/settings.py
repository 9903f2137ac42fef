"""How verification looks: how often, and how much each thing counts. The window and the patience come with each assessment."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field


class VerificationSettings(BaseModel):
    """Settings of the verification stage."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    look_every: timedelta = Field(default=timedelta(seconds=5), gt=timedelta())
    """How often the target is looked at; a change of the alert is noticed at once."""
    health_weight: float = Field(default=0.40, ge=0, le=1)
    alert_weight: float = Field(default=0.35, ge=0, le=1)
    metrics_weight: float = Field(default=0.25, ge=0, le=1)

"""What an operator may set about processing."""

from pydantic import BaseModel, ConfigDict, Field


class ProcessingSettings(BaseModel):
    """The processing part of the settings tree."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment_labels: tuple[str, ...] = ("kubernaut.ai/environment", "environment", "env")
    """Namespace labels that say the environment, in order."""
    context_limit: int = Field(default=10_000, ge=1000, le=10_240)
    """Bytes of JSON the context may have."""

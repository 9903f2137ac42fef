"""What an operator may set about processing."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from kubernaut.api.durations import Length
from kubernaut.policy.settings import PolicySource


class ProcessingSettings(BaseModel):
    """The processing part of the settings tree."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: PolicySource = PolicySource(config_map="kubernaut-classification")
    """Where the classification policy is."""
    enrichment_limit: Length = Field(default=timedelta(seconds=5), ge=timedelta(), le=timedelta(minutes=5))
    """How long a signal waits for what cannot be read just now; then it goes on without, and says so."""
    source_timeout: Length = Field(default=timedelta(seconds=2), gt=timedelta(), le=timedelta(seconds=30))
    """How long reading the Application, Kustomization or HelmRelease of a workload may take."""
    context_limit: int = Field(default=10_000, ge=1000, le=10_240)
    """Bytes of JSON the context may have."""

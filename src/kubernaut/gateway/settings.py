"""What an operator may set about the gateway."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class FingerprintStrategy(StrEnum):
    """What makes two alerts the same problem."""

    OWNER = "owner"
    """The same top-level owner: all alerts on one Deployment collapse."""
    ALERT = "alert"
    """The same alert name on the same object."""


class GatewaySettings(BaseModel):
    """The gateway's part of the settings tree."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65_535)
    namespace: str = "kubernaut-system"
    """Where RemediationRequests are made."""
    body_limit: int = Field(default=5 * 1024 * 1024, ge=1024, le=64 * 1024 * 1024)
    """Bytes."""
    max_concurrent_requests: int = Field(default=100, ge=1, le=10_000)
    fingerprint: FingerprintStrategy = FingerprintStrategy.OWNER
    count_flush_seconds: float = Field(default=0.05, ge=0, le=5)
    """How long repeats are gathered before one write counts them all."""
    store_timeout_seconds: float = Field(default=15, gt=0, le=120)
    """How long storing one alert may take before the answer is 503."""

"""What an operator may set about the gateway."""

from datetime import timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from kubernaut.api.durations import Length
from kubernaut.service import AccessSettings, RateSettings


class FingerprintStrategy(StrEnum):
    """What makes two alerts the same problem."""

    OWNER = "owner"
    """The same top-level owner: all alerts on one Deployment collapse."""
    ALERT = "alert"
    """The same alert name on the same object."""


EVENT_REASONS = (
    "BackOff",
    "Failed",
    "FailedCreate",
    "FailedScheduling",
    "FailedMount",
    "FailedAttachVolume",
    "Evicted",
    "OOMKilling",
    "SystemOOM",
    "NodeNotReady",
    "BackoffLimitExceeded",
    "DeadlineExceeded",
    "ProvisioningFailed",
)
"""What the event watch takes for a problem unless told otherwise: a single failed probe (Unhealthy) is none."""


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
    store_attempts: int = Field(default=3, ge=1, le=10)
    """How often storing is tried when the API server is overloaded or cannot be reached."""
    store_retry_seconds: float = Field(default=1, ge=0, le=5)
    """How long to wait before the second try; doubled each time."""
    store_timeout_seconds: float = Field(default=15, gt=0, le=120)
    """How long storing one alert may take before the answer is 503."""
    start_wait_seconds: float = Field(default=5, ge=0, le=60)
    """How long a webhook that comes while the caches are still being filled waits for them before the answer is 503."""
    managed_only: bool = True
    """Whether cases are opened only for objects that opt in by the label kubernaut.ai/managed=true, on them or on their namespace; off: for
    all that do not opt out by false. `orchestration.managed_only` is the same for carrying out."""
    replay_window: Length = timedelta(minutes=5)
    """How old a report may be by the header X-Timestamp, or by an Event's last time; 0 takes all. An alert's startsAt does not count."""
    watch_events: bool = False
    """Whether Warning Events of the cluster are signals, without anybody who posts them."""
    event_reasons: tuple[str, ...] = EVENT_REASONS
    """Which reasons the event watch takes; empty takes all. What is posted is not filtered."""
    access: AccessSettings = Field(default_factory=AccessSettings)
    """Who may send."""
    rate: RateSettings = Field(default_factory=RateSettings)
    """How often."""

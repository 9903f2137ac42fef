"""NotificationRequest: a message to people; and EscalationRequest, the form it comes in over HTTP."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from kubernaut.api.base import (
    Confidence,
    FoldedEnum,
    FreeForm,
    Kind,
    Model,
    Name,
    Namespace,
    ObjectReference,
    Resource,
    ResourceIdentifier,
    Short,
    Status,
    cel,
    immutable_spec,
)
from kubernaut.api.durations import parse_duration
from kubernaut.api.signal import Priority as RemediationPriority
from kubernaut.api.signal import RiskLevel


class NotificationType(FoldedEnum):
    """What the message is for."""

    ESCALATION = "Escalation"
    SIMPLE = "Simple"
    STATUS_UPDATE = "StatusUpdate"
    APPROVAL = "Approval"
    MANUAL_REVIEW = "ManualReview"
    COMPLETION = "Completion"


class Priority(FoldedEnum):
    """How loud."""

    CRITICAL = "Critical"
    HIGH = "High"
    MEDIUM = "Medium"
    LOW = "Low"


class ChannelName(FoldedEnum):
    """The ways to reach people."""

    CONSOLE = "console"
    SLACK = "slack"
    EMAIL = "email"
    PAGERDUTY = "pagerduty"
    MSTEAMS = "msteams"
    WEBHOOK = "webhook"
    FILE = "file"


class Phase(FoldedEnum):
    """Where the delivery stands."""

    PENDING = "Pending"
    SENDING = "Sending"
    RETRYING = "Retrying"
    SENT = "Sent"
    PARTIALLY_SENT = "PartiallySent"
    FAILED = "Failed"


class DeliveryEvent(FoldedEnum):
    """What readers are told of a message: itself, that somebody answered, that it is over."""

    TOLD = "told"
    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"


class Recipient(Model):
    """Where on a channel: a Slack channel, a mail address, the name of a PagerDuty service; empty is the channel's own place."""

    channel: ChannelName
    address: Annotated[str, StringConstraints(max_length=500)] = ""


class RetryPolicy(Model):
    """How often, and how long apart."""

    max_attempts: int = Field(default=5, ge=1, le=10)
    initial_backoff_seconds: int = Field(default=30, ge=1, le=300)
    backoff_multiplier: int = Field(default=2, ge=1, le=10)
    max_backoff_seconds: int = Field(default=480, ge=60, le=3600)


@cel(immutable_spec("NotificationRequest"))
class NotificationRequestSpec(Model):
    """The message. Deleting the object cancels it."""

    remediation_request_ref: ObjectReference | None = None
    type: NotificationType
    priority: Priority = Priority.MEDIUM
    subject: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    body: Annotated[str, StringConstraints(min_length=1, max_length=40_000)]
    """Markdown."""
    channels: Annotated[list[ChannelName], Field(max_length=8)]
    recipients: Annotated[list[Recipient], Field(max_length=20)] = []
    metadata: Annotated[dict[str, str], Field(max_length=40)] = {}
    details: FreeForm = {}
    """The structured form, for channels that take one."""
    retry_policy: RetryPolicy = RetryPolicy()
    retention_days: int = Field(default=7, ge=1, le=90)


class DeliveryAttempt(Model):
    """One try on one channel."""

    channel: ChannelName
    address: Annotated[str, StringConstraints(max_length=500)] = ""
    event: DeliveryEvent = DeliveryEvent.TOLD
    attempt: int = Field(ge=1)
    timestamp: datetime
    status: str
    """success, failed, timeout or invalid."""
    channel_down: bool = False
    """Nobody got through there: this try does not count, and the message waits until somebody does."""
    error: Short = ""
    receipt: Short = ""
    """How the channel calls what it took."""
    duration_seconds: float = Field(default=0, ge=0)


class NotificationRequestStatus(Status):
    """What was delivered."""

    phase: Phase = Phase.PENDING
    reason: str = ""
    receivers: Annotated[list[str], Field(max_length=20)] = []
    """Who it goes to by the routing, decided when it is first looked at."""
    targets: Annotated[list[Recipient], Field(max_length=20)] = []
    """Where it goes, decided with the receivers; later edits of the routing do not change it."""
    delivery_attempts: Annotated[list[DeliveryAttempt], Field(max_length=240)] = []
    """The newest; of each place and event the last one is always there."""
    total_attempts: int = Field(default=0, ge=0)
    successful_deliveries: int = Field(default=0, ge=0)
    failed_deliveries: int = Field(default=0, ge=0)
    queued_at: datetime | None = None
    processing_started_at: datetime | None = None
    expires_at: datetime | None = None
    """What could not be delivered by then is given up."""
    completion_time: datetime | None = None
    closed_at: datetime | None = None
    """When those who were told were told that it is over."""


class NotificationRequest(Resource):
    """A message to people."""

    card = Kind(
        kind="NotificationRequest",
        plural="notificationrequests",
        short=("notif", "notifs"),
        columns=(
            ("Type", "string", ".spec.type"),
            ("Priority", "string", ".spec.priority"),
            ("Phase", "string", ".status.phase"),
            ("Subject", "string", ".spec.subject"),
            ("Age", "date", ".metadata.creationTimestamp"),
        ),
        selectable=(".spec.remediationRequestRef.name",),
    )
    spec: NotificationRequestSpec
    status: NotificationRequestStatus = NotificationRequestStatus()


class EscalationReason(FoldedEnum):
    """Why people are called."""

    TIMEOUT = "timeout"
    REJECTED = "rejected"
    FAILED = "failed"
    VALIDATION_ERROR = "validation-error"


class Urgency(FoldedEnum):
    """How soon."""

    CRITICAL = "critical"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class EscalationSeverity(FoldedEnum):
    """Severity as receivers of escalations know it."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class EscalationAnalysis(Model):
    """What the analysis found; left out for timeouts."""

    root_cause: str
    confidence: Confidence
    top_recommendation: str
    justification: str = ""
    alternative_hypotheses: list[str] = []


class EscalationAction(Model):
    """Something a person might do."""

    action: str
    category: Annotated[str, StringConstraints(pattern=r"^(investigate|remediate|escalate|rollback)$")]
    estimated_time: str = ""
    risk_level: RiskLevel
    confidence: Confidence | None = None


_Required = Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class EscalationRequest(Model):
    """Body of POST `/api/v1/notify/escalation`."""

    remediation_request_name: Name
    remediation_request_namespace: Namespace
    escalating_controller: _Required
    alert_fingerprint: _Required
    alert_name: _Required
    severity: EscalationSeverity
    environment: _Required
    priority: RemediationPriority
    signal_type: _Required
    namespace: str
    resource: ResourceIdentifier
    escalation_reason: EscalationReason
    escalation_phase: _Required
    escalation_time: datetime
    escalation_details: FreeForm = {}
    alert_firing_time: datetime
    alert_received_time: datetime
    remediation_duration: _Required
    ai_analysis: EscalationAnalysis | None = None
    recommended_actions: Annotated[list[EscalationAction], Field(max_length=10)] = []
    channels: Annotated[list[ChannelName], Field(min_length=1, max_length=8)]
    urgency: Urgency
    alertmanager_url: Annotated[str | None, Field(alias="alertmanagerURL", max_length=2048)] = None
    grafana_url: Annotated[str | None, Field(alias="grafanaURL", max_length=2048)] = None
    kubernetes_ui_url: Annotated[str | None, Field(alias="kubernetesUIURL", max_length=2048)] = None

    @field_validator("remediation_duration")
    @classmethod
    def _readable(cls, text: str) -> str:
        parse_duration(text)
        return text

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.escalation_time < self.alert_firing_time:
            raise ValueError("escalationTime must not be before alertFiringTime")
        return self


class SimpleSeverity(FoldedEnum):
    """How bad a simple message is."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class SimpleRequest(Model):
    """Body of POST `/api/v1/notify/simple`."""

    recipient: Annotated[str, StringConstraints(max_length=500)] = ""
    """Where on the channels; empty is each channel's own place."""
    channels: Annotated[list[ChannelName], Field(min_length=1, max_length=8)]
    subject: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    message: Annotated[str, StringConstraints(min_length=1, max_length=40_000)]
    severity: SimpleSeverity = SimpleSeverity.INFO
    metadata: Annotated[dict[str, str], Field(max_length=40)] = {}


class EscalationResponse(Model):
    """Answer to an escalation or a simple message."""

    notification_id: str
    status: str
    """queued, sent or failed."""
    channels_notified: list[ChannelName] = []
    channels_failed: list[FreeForm] = []
    processed_at: datetime

"""What an operator may set about notifications."""

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr

from kubernaut.api.notification import ChannelName


class WebhookSettings(BaseModel):
    """A receiver of our messages as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: HttpUrl
    secret: SecretStr | None = None
    """When given, bodies are signed: `X-Kubernaut-Signature: sha256=…` (HMAC)."""


class NotificationSettings(BaseModel):
    """The notification part of the settings tree."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=8086, ge=0, le=65_535)
    body_limit: int = Field(default=1024 * 1024, ge=1024)
    """Bytes."""
    max_concurrent_requests: int = Field(default=100, ge=1, le=10_000)
    send_timeout_seconds: float = Field(default=10, gt=0, le=60)
    """Of one try on one channel."""
    webhook: WebhookSettings | None = None
    stand_in: ChannelName | None = ChannelName.CONSOLE
    """Where messages go whose channel is not configured, so that somebody is told."""

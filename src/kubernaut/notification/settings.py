"""What an operator may set about notifications: the channels and their secrets, where the routing is, how long to try."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr, StringConstraints, model_validator

from kubernaut.api.durations import Length
from kubernaut.api.notification import ChannelName
from kubernaut.notification.answering.settings import AnswerSettings
from kubernaut.policy.settings import PolicySource
from kubernaut.service import AccessSettings, RateSettings

PlaceName = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class WebhookPlace(BaseModel):
    """A receiver of our messages as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: HttpUrl
    secret: SecretStr | None = None
    """When given, time and body are signed: `X-Kubernaut-Signature: v1=…` (HMAC-SHA256)."""
    secret_file: Path | None = None
    """A file that holds the secret, such as a mounted Secret's key; read for each message."""


class WebhookSettings(WebhookPlace):
    """Receivers of our messages as JSON."""

    places: Annotated[dict[PlaceName, WebhookPlace], Field(max_length=50)] = {}
    """Other receivers, by the names that the routing gives as addresses."""


class SlackSettings(BaseModel):
    """Slack, by a bot's token or by an incoming webhook."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: SecretStr | None = None
    """Of a bot that may `chat:write`: it answers in the thread of its case."""
    token_file: Path | None = None
    """A file that holds the token; read for each message."""
    webhook_url: SecretStr | None = None
    """An incoming webhook's URL, which is a secret: it posts into one channel, without threads."""
    webhook_url_file: Path | None = None
    """A file that holds the URL; read for each message."""
    signing_secret: SecretStr | None = None
    """Of the bot's app: with it, and with `answers`, approval messages have buttons."""
    signing_secret_file: Path | None = None
    """A file that holds the signing secret; read for each press of a button."""
    channel: str = Field(default="#kubernaut", min_length=1, max_length=100)
    """Where the bot posts what names no channel."""
    api_url: HttpUrl = HttpUrl("https://slack.com/api/")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if not any((self.token, self.token_file, self.webhook_url, self.webhook_url_file)):
            raise ValueError("give token, token_file, webhook_url or webhook_url_file")
        return self

    @property
    def by_bot(self) -> bool:
        """Whether messages go by the bot's token."""
        return bool(self.token or self.token_file)

    @property
    def hears(self) -> bool:
        """Whether presses of buttons can be believed, and buttons are shown."""
        return self.by_bot and bool(self.signing_secret or self.signing_secret_file)


class PagerDutyPlace(BaseModel):
    """A service of PagerDuty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    routing_key: SecretStr | None = None
    """The integration key of an Events API v2 integration."""
    routing_key_file: Path | None = None
    """A file that holds the key; read for each event."""

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if not (self.routing_key or self.routing_key_file):
            raise ValueError("give routing_key or routing_key_file")
        return self


class PagerDutySettings(PagerDutyPlace):
    """PagerDuty, by its Events API v2."""

    url: HttpUrl = HttpUrl("https://events.pagerduty.com/v2/enqueue")
    places: Annotated[dict[PlaceName, PagerDutyPlace], Field(max_length=50)] = {}
    """Other services, by the names that the routing gives as addresses."""


class TeamsPlace(BaseModel):
    """A workflow of Microsoft Teams that posts cards."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: SecretStr | None = None
    """The URL of the workflow \"when a Teams webhook request is received\", which is a secret."""
    url_file: Path | None = None
    """A file that holds the URL; read for each message."""

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        if not (self.url or self.url_file):
            raise ValueError("give url or url_file")
        return self


class TeamsSettings(TeamsPlace):
    """Microsoft Teams, by workflow webhooks."""

    places: Annotated[dict[PlaceName, TeamsPlace], Field(max_length=50)] = {}
    """Other workflows, by the names that the routing gives as addresses."""


class EmailSettings(BaseModel):
    """A mail server that takes our messages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(min_length=1, max_length=253)
    port: int = Field(default=587, ge=1, le=65_535)
    tls: Literal["starttls", "tls", "none"] = "starttls"
    """starttls refuses a server that does not offer it; none is for a relay on this machine."""
    ca_file: Path | None = None
    """Certificates to trust besides the system's, in PEM."""
    username: str = ""
    """Empty: no login."""
    password: SecretStr | None = None
    password_file: Path | None = None
    """A file that holds the password; read for each message."""
    sender: str = Field(default="kubernaut@localhost", pattern=r"^[^@\s<>]+@[^@\s<>]+$", max_length=254)
    to: Annotated[str, StringConstraints(pattern=r"^[^@\s<>]+@[^@\s<>]+$", max_length=254)]
    """Who is told by what names no address."""

    @model_validator(mode="after")
    def _whole_login(self) -> Self:
        if self.username and not (self.password or self.password_file):
            raise ValueError("a username needs password or password_file")
        if self.username and self.tls == "none":
            raise ValueError("a password is not sent without TLS: set tls to starttls or tls")
        return self


class FileSettings(BaseModel):
    """A file that messages are written to, one a line."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    max_bytes: int = Field(default=10 * 1024 * 1024, ge=64 * 1024)
    """Beyond it the file is moved to PATH.1, in place of the one there."""


class BreakerSettings(BaseModel):
    """When a channel counts as down: nothing is tried there then but one message at a time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    failures: int = Field(default=5, ge=1, le=100)
    """So many in a row."""
    open_seconds: float = Field(default=60, gt=0, le=3600)
    """How long nothing is tried."""


class NotificationSettings(BaseModel):
    """The notification part of the settings tree."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=8086, ge=0, le=65_535)
    namespace: str = "kubernaut-system"
    """Where simple messages are kept, and where the role is that callers need, with access.authorize."""
    body_limit: int = Field(default=1024 * 1024, ge=1024)
    """Bytes."""
    max_concurrent_requests: int = Field(default=100, ge=1, le=10_000)
    access: AccessSettings = Field(default_factory=AccessSettings)
    """Who may ask for messages."""
    rate: RateSettings = Field(default_factory=RateSettings)
    """How often."""
    routing: PolicySource = PolicySource(config_map="kubernaut-notification-routing", key="routing.yaml")
    """Where it is written who is told what; neither there: messages go where they ask to go."""
    send_timeout_seconds: float = Field(default=10, gt=0, le=60)
    """Of one try on one channel."""
    expires_after: Length = Field(default=timedelta(hours=24), ge=timedelta(minutes=1), le=timedelta(days=90))
    """How long a message waits for a channel that is down."""
    breaker: BreakerSettings = BreakerSettings()
    console_url: str = Field(default="", max_length=500, pattern=r"^(https?://\S+)?$")
    """Where people read a case in full, with {name} and {namespace} in it; empty: messages name the command instead."""
    webhook: WebhookSettings | None = None
    slack: SlackSettings | None = None
    pagerduty: PagerDutySettings | None = None
    email: EmailSettings | None = None
    msteams: TeamsSettings | None = None
    file: FileSettings | None = None
    answers: AnswerSettings | None = None
    """Approvals answered by link or button; absent: only by command."""
    stand_in: ChannelName | None = ChannelName.CONSOLE
    """Where messages go whose channel is not configured, so that somebody is told."""

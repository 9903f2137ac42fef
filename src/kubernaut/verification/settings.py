"""How verification looks: how often, whom it asks, how much each thing counts. The window and the patience come with each assessment."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from kubernaut.api.durations import Length


class EndpointSettings(BaseModel):
    """An HTTP API that is asked; without a URL it is not."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    url: Annotated[str, StringConstraints(pattern=r"^(https?://\S+)?$", max_length=2048)] = ""
    """Such as `http://prometheus.monitoring:9090`; empty: it is not asked."""
    token_file: str = ""
    """File of the bearer token that is shown to it; read anew for each question."""
    ca_file: str = ""
    """File of the certificates that its own is checked against; empty: the system's."""
    timeout: Length = Field(default=timedelta(seconds=2), gt=timedelta(), le=timedelta(seconds=30))
    """How long an answer is waited for."""
    rest: Length = Field(default=timedelta(seconds=15), ge=timedelta())
    """How long it is left alone after it did not answer."""


class MetricQuery(BaseModel):
    """A question to Prometheus, asked of the moment before the fix and of now."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    """What it measures, in words for people."""
    query: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    """PromQL; `$namespace`, `$kind` and `$name` are the target's. Of several series the worst counts."""
    better: Literal["lower", "higher"] = "lower"
    margin: float = Field(default=0.1, ge=0, lt=1)
    """The share by which it must have changed to count as a change."""
    alerts: frozenset[str] = frozenset()
    """Alert names that it is asked for; none: all."""


class VerificationSettings(BaseModel):
    """Settings of the verification stage."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    look_every: Length = Field(default=timedelta(seconds=5), gt=timedelta())
    """How often the target is looked at; a change of the alert is noticed at once."""
    health_weight: float = Field(default=0.40, ge=0, le=1)
    alert_weight: float = Field(default=0.35, ge=0, le=1)
    metrics_weight: float = Field(default=0.25, ge=0, le=1)
    alertmanager: EndpointSettings = EndpointSettings()
    """Alertmanager, API v2: whether the alert still fires. Without it, or while it does not answer, what the gateway heard counts."""
    prometheus: EndpointSettings = EndpointSettings()
    """Prometheus' HTTP API: whether the alert's own expression still holds, and the queries below."""
    queries: Annotated[tuple[MetricQuery, ...], Field(max_length=20)] = ()
    metrics_every: Length = Field(default=timedelta(seconds=15), ge=timedelta())
    """How often Prometheus is asked about one fix at most."""
    metrics_patience: Length = Field(default=timedelta(minutes=1), ge=timedelta())
    """How long metrics are waited for once all else is well; then the verdict is given without them."""

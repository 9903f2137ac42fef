"""What a source of signals must do: read a request body into signals, each judged alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from kubernaut.api.base import Obj, ResourceIdentifier
from kubernaut.api.signal import Severity, SignalState


@dataclass(frozen=True, slots=True)
class Signal:
    """One report of one problem, normalised."""

    name: str
    severity: Severity
    state: SignalState
    resource: ResourceIdentifier
    """The object that the report is about, as its labels name it."""
    fired_at: datetime
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    envelope: Obj
    """That one report with what surrounded it, ready to be stored as it came."""
    links: Mapping[str, str] = field(default_factory=dict)
    """alertmanagerURL, grafanaURL, prometheusQuery, where known."""
    seen_at: datetime | None = None
    """When it was last observed, where the source says so for each report: an old one is a replay. Alertmanager repeats an
    alert for as long as it fires under its first time, which says nothing."""


@dataclass(frozen=True, slots=True)
class Refused:
    """One report that cannot be handled, and what would make it so."""

    reason: str
    """One CamelCase word."""
    message: str


class BadBody(ValueError):  # noqa: N818  (says what the body is)
    """The whole body cannot be read; nothing in it was judged."""


class Source(Protocol):
    """Reads one kind of webhook."""

    name: str
    """Stored as the signal's type."""
    path: str
    """Where its webhook is served, below `/api/v1/signals/`."""
    schema: Obj
    """JSON Schema of a body that is not refused as a whole, with an `example`; for the OpenAPI document."""

    def read(self, body: bytes) -> Sequence[Signal | Refused]:
        """Return one entry for each report, in order; raise BadBody when there is no telling them apart."""

"""What the gateway counts, under the names of both ages: dashboards made for either go on working."""

from collections.abc import Collection
from http import HTTPStatus
from typing import Final

from fastapi import Request
from prometheus_client import Counter, Gauge, Histogram

from kubernaut.api.remediation import RemediationRequest
from kubernaut.api.signal import is_production
from kubernaut.gateway.sources.base import Signal
from kubernaut.service import Observe

ENVIRONMENTS: Final = ("staging", "stage", "development", "dev", "test", "unknown")
GENERIC: Final = "/api/v1/signals"

_received = Counter("gateway_signals_received_total", "Signals that came in", ["source_type", "severity"])
_alerts_received = Counter("gateway_alerts_received_total", "The same, by environment", ["source", "severity", "environment"])
_deduplicated = Counter("gateway_signals_deduplicated_total", "Signals counted on an open remediation", ["source_type"])
_alerts_deduplicated = Counter("gateway_alerts_deduplicated_total", "The same", ["source"])
_rate = Gauge("gateway_deduplication_rate", "Part of the signals since the start that were counted on an open remediation")
_rejected = Counter("gateway_signals_rejected_total", "Signals that cannot be handled", ["source_type", "reason"])
_dropped = Counter("gateway_signals_parse_dropped_total", "Signals that could not be read", ["source_type"])
_created = Counter("gateway_crds_created_total", "RemediationRequests made", ["environment", "priority"])
_requests_created = Counter("gateway_remediationrequest_created_total", "The same", ["environment", "priority"])
_failed = Counter("gateway_crd_creation_errors_total", "Signals that could not be stored", ["error_type"])
_requests_failed = Counter("gateway_remediationrequest_creation_failures_total", "The same", ["error_type"])
_retries = Counter("gateway_error_retries_total", "Tries to store that were made again", ["error_type"])
_owners = Counter("gateway_owner_resolution_total", "Signals whose object's owner was looked up", ["result"])
_limited = Counter("gateway_rate_limit_exceeded_total", "Webhooks refused because a sender sends too often")
_seconds = Histogram("gateway_http_request_duration_seconds", "Time to answer a webhook", ["endpoint", "method", "status"])


class _Seen:
    """What the deduplication rate is made of."""

    received = 0
    counted = 0


def received(source: str, signal: Signal, environment: str, *, owned: bool) -> None:
    """Count a signal that can be handled."""
    _received.labels(source, signal.severity.value).inc()
    _alerts_received.labels(source, signal.severity.value, bounded(environment)).inc()
    _owners.labels("resolved" if owned else "unknown").inc()
    _Seen.received += 1
    _rate.set(_Seen.counted / _Seen.received)


def deduplicated(source: str) -> None:
    """Count a signal that was counted on an open remediation."""
    _deduplicated.labels(source).inc()
    _alerts_deduplicated.labels(source).inc()
    _Seen.counted += 1
    _rate.set(_Seen.counted / max(1, _Seen.received))


def unreadable(source: str, reason: str) -> None:
    """Count a report that could not be read as a signal."""
    _dropped.labels(source).inc()
    _rejected.labels(source, reason).inc()


def rejected(source: str, reason: str) -> None:
    """Count a signal that is not to be handled."""
    _rejected.labels(source, reason).inc()


def created(request: RemediationRequest) -> None:
    """Count a RemediationRequest that was made."""
    for metric in (_created, _requests_created):
        metric.labels(bounded(request.spec.environment), request.spec.priority.value).inc()


def failed(reason: str) -> None:
    """Count a signal that could not be stored."""
    for metric in (_failed, _requests_failed):
        metric.labels(reason).inc()


def retried(reason: str) -> None:
    """Count one more try to store."""
    _retries.labels(reason).inc()


def answering(paths: Collection[str]) -> Observe:
    """Return what counts the answers to webhooks; other paths below theirs count as one, since anybody may ask for any."""

    def answered(request: Request, status: int, seconds: float) -> None:
        path = request.url.path
        if not path.startswith(GENERIC):
            return
        _seconds.labels(path if path in paths else GENERIC, request.method, str(status)).observe(seconds)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            _limited.inc()

    return answered


def bounded(environment: str) -> str:
    """Return an environment as a metric's label: one of a few, since alerts may name any."""
    name = environment.casefold()
    if is_production(name):
        return "production"
    return name if name in ENVIRONMENTS else "other"

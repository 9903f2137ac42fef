"""How a fix is to be judged: against which state, after which delays, with how much patience. Pure; the assessment is made from it."""

from datetime import timedelta
from typing import Final

from pydantic import ValidationError

from kubernaut.api.base import ResourceIdentifier
from kubernaut.api.durations import go_duration
from kubernaut.api.remediation import KubernetesProviderData, RemediationRequest
from kubernaut.api.verification import AssessmentConfig, Baseline
from kubernaut.orchestration.baseline import baseline_of
from kubernaut.orchestration.family import Family
from kubernaut.orchestration.settings import OrchestrationSettings

PROVING: Final = 5 / 6
"""How much of the verification's limit may pass before it says what it saw; the rest is for being heard."""
FORECASTS: Final = ("predict_linear(", "deriv(", "double_exponential_smoothing(", "holt_winters(")
"""PromQL functions by which an alert speaks of what is to come."""


def baseline_before(family: Family, target: ResourceIdentifier) -> Baseline | None:
    """Return the target as enrichment saw it before the fix, where it did."""
    if family.processing is None:
        return None
    status = family.processing.status
    return baseline_of(status.enriched_signal, target, status.completion_time)


def changed_something(family: Family) -> bool:
    """Tell whether a fix touched the cluster at all, as far as it says; of a run from the catalogue nobody knows."""
    return family.execution is None or any(result.resources_affected for result in family.execution.status.operation_results)


def patience(request: RemediationRequest, family: Family, settings: OrchestrationSettings, limit: timedelta) -> AssessmentConfig:
    """Return how patiently to look; `limit` is the verification's own. A delay never eats up what the window needs."""
    validity = min(settings.validity, limit * PROVING)
    room = max(timedelta(), (validity - settings.stabilization_window) / 2)
    forecast = settings.forecast_delay if forecasts(request) else timedelta()
    return AssessmentConfig(
        stabilization_window=go_duration(settings.stabilization_window),
        validity=go_duration(validity),
        hash_compute_delay=go_duration(min(room, settings.gitops_sync_delay if _synced(family) else timedelta())),
        alert_check_delay=go_duration(min(validity, forecast)),
    )


def _synced(family: Family) -> bool:
    """Tell whether a tool at work keeps the target as a repository says."""
    detected = family.processing.status.detected_labels if family.processing else {}
    return detected.get("gitOpsManaged") == "true" and detected.get("gitOpsSuspended") != "true"


def forecasts(request: RemediationRequest) -> bool:
    """Tell from an alert's own expression whether it speaks of what is to come."""
    try:
        query = KubernetesProviderData.model_validate_json(request.spec.provider_data).prometheus_query or ""
    except ValidationError:
        return False
    return any(function in query for function in FORECASTS)

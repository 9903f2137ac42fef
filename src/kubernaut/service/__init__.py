"""An HTTP service of ours: one error body, health, limits, access and metrics, shared by gateway, notification and data storage."""

from kubernaut.service.access import Access, AccessSettings
from kubernaut.service.app import ServiceApp, create_app
from kubernaut.service.health import Check
from kubernaut.service.limits import Guard, Observe
from kubernaut.service.problem import OVERLOAD_RETRY_SECONDS, Json, Problem
from kubernaut.service.rates import Rates, RateSettings
from kubernaut.service.serving import serving

__all__ = [
    "OVERLOAD_RETRY_SECONDS",
    "Access",
    "AccessSettings",
    "Check",
    "Guard",
    "Json",
    "Observe",
    "Problem",
    "RateSettings",
    "Rates",
    "ServiceApp",
    "create_app",
    "serving",
]

"""Verification's metrics, by the names that its dashboards know."""

from typing import Final

from prometheus_client import Counter, Histogram

ASSESSMENTS: Final = Counter("kubernaut_effectivenessmonitor_assessments_completed_total", "Verdicts given.", ["verdict", "reason"])
COMPONENTS: Final = Counter(
    "kubernaut_effectivenessmonitor_component_assessments_total", "Components at the time of a verdict.", ["component", "assessed"]
)
SCORES: Final = Histogram(
    "kubernaut_effectivenessmonitor_component_scores", "Their scores.", ["component"], buckets=(0, 0.25, 0.5, 0.75, 1)
)
FAULTS: Final = Counter("kubernaut_effectivenessmonitor_external_call_errors_total", "Questions that were not answered.", ["source"])
EXPIRATIONS: Final = Counter("kubernaut_effectivenessmonitor_validity_expirations_total", "Assessments that ran out of time.")

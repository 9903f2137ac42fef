"""Metrics of policies."""

from typing import Final

from prometheus_client import Counter, Gauge

LOADS: Final = Counter(
    "kubernaut_policy_loads_total", "Texts of a policy that were read, and whether they could be used.", ["policy", "result"]
)
REJECTED: Final = Gauge(
    "kubernaut_policy_rejected", "1 while the newest text of a policy cannot be used and an older one holds.", ["policy"]
)
FAULTS: Final = Counter("kubernaut_policy_faults_total", "Rules that could not be evaluated for a case, and did not count.", ["policy"])

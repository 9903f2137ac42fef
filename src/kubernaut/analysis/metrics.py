"""The metrics of asking people."""

from typing import Final

from prometheus_client import Counter, Histogram

APPROVALS: Final = Counter("aianalysis_approval_total", "Approval requests by what came of them.", ["decision", "policy"])
APPROVAL_SECONDS: Final = Histogram(
    "aianalysis_approval_duration_seconds",
    "From the question to the answer.",
    ["decision"],
    buckets=(5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 86400),
)

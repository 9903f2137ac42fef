"""The kernel's metrics; served by whoever serves the process' default registry."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

RECONCILES: Final = Counter("kubernaut_reconcile_total", "Passes by controller and how they ended.", ["controller", "result"])
RECONCILE_SECONDS: Final = Histogram("kubernaut_reconcile_duration_seconds", "How long a pass took.", ["controller"])
QUEUE_DEPTH: Final = Gauge("kubernaut_workqueue_depth", "Keys that wait for a worker.", ["controller"])
JOURNAL_PENDING: Final = Gauge("kubernaut_journal_pending", "Facts that data storage has not acknowledged.", ["kind"])
EVENTS_DROPPED: Final = Counter("kubernaut_events_dropped_total", "Kubernetes Events that were not sent.", ["reason"])
RELISTS: Final = Counter("kubernaut_informer_relists_total", "Full lists an informer had to make.", ["kind"])
LEADING: Final = Gauge("kubernaut_leader", "Whether this process leads.", ["name"])

"""What data storage counts."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

STORED: Final = Counter("datastorage_events_stored_total", "Audit events put on record.")
DUPLICATES: Final = Counter("datastorage_events_duplicate_total", "Audit events that were on record already.")
REFUSED: Final = Counter("datastorage_validation_failures_total", "Records that were not taken, for what is wrong with them.", ["kind"])
WRITE_SECONDS: Final = Histogram("datastorage_write_duration_seconds", "How long a group of writes took to be safe.")
GROUP_SIZE: Final = Histogram(
    "datastorage_write_group_size", "Events and records written in one transaction.", buckets=(1, 2, 5, 10, 50, 100, 500, 2000)
)
LAG_SECONDS: Final = Histogram(
    "datastorage_audit_lag_seconds", "From a fact to its record.", buckets=(0.1, 0.5, 1, 5, 30, 60, 300, 3600, 86_400)
)
WAITING: Final = Gauge("datastorage_writes_waiting", "Events and records that wait to be written.")
FAULTS: Final = Counter("datastorage_write_faults_total", "Groups of writes that the database did not take.")
PURGED: Final = Counter("datastorage_retention_purge_total", "Months of records that retention has taken out.")
HELD: Final = Gauge("datastorage_retention_held_months", "Expired months that a legal hold keeps.")

"""Words that every part uses of a signal: severity, priority, where it came from."""

from enum import StrEnum

from kubernaut.api.base import FoldedEnum


class Severity(FoldedEnum):
    """How bad, as sources of all ages say it."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    WARNING = "warning"
    LOW = "low"
    INFO = "info"
    UNKNOWN = "unknown"

    @property
    def rank(self) -> int:
        """Higher is worse; unknown counts as warning."""
        order = (Severity.INFO, Severity.LOW, Severity.WARNING, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL)
        return order.index(Severity.WARNING if self is Severity.UNKNOWN else self)


class Priority(StrEnum):
    """How soon a person must care; P0 is at once."""

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"


class TargetType(StrEnum):
    """What kind of platform the target lives on; only Kubernetes is handled."""

    KUBERNETES = "kubernetes"
    AWS = "aws"
    AZURE = "azure"
    GCP = "gcp"
    DATADOG = "datadog"


class SignalState(StrEnum):
    """Whether the source still reports the problem."""

    FIRING = "firing"
    RESOLVED = "resolved"


class RiskLevel(FoldedEnum):
    """What a change may cost when it goes wrong."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


PRODUCTION_NAMES = ("production", "prod", "prd", "live")


def is_production(environment: str) -> bool:
    """Whether an environment's name says that customers depend on it."""
    name = environment.casefold()
    return name.startswith("production") or name in PRODUCTION_NAMES


def fallback_priority(severity: Severity, environment: str) -> Priority:
    """Return the priority where no policy decides: by severity and environment (domain section 1.7)."""
    if severity is Severity.INFO:
        return Priority.P3
    rank = _SEVERE.get(severity)
    if rank is None:
        return Priority.P2
    if is_production(environment):
        return (Priority.P0, Priority.P1)[rank]
    if environment.casefold() == "staging":
        return (Priority.P1, Priority.P2)[rank]
    unknown = environment.casefold() in ("", "unknown")
    return Priority.P1 if rank == 0 and unknown else Priority.P2


_SEVERE = {Severity.CRITICAL: 0, Severity.HIGH: 1, Severity.WARNING: 1, Severity.MEDIUM: 1}

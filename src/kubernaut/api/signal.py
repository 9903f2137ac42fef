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

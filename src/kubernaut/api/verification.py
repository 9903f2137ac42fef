"""EffectivenessAssessment: did the fix help?"""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from kubernaut.api.base import (
    Confidence,
    Duration,
    FoldedEnum,
    Kind,
    Model,
    ObjectReference,
    Resource,
    ResourceIdentifier,
    Short,
    Status,
    cel,
    immutable_spec,
)


class Phase(FoldedEnum):
    """Where the assessment stands."""

    PENDING = "Pending"
    WAITING_FOR_PROPAGATION = "WaitingForPropagation"
    STABILIZING = "Stabilizing"
    ASSESSING = "Assessing"
    COMPLETED = "Completed"
    FAILED = "Failed"


class Verdict(FoldedEnum):
    """What the assessment says."""

    EFFECTIVE = "Effective"
    INEFFECTIVE = "Ineffective"
    WORSE = "Worse"
    UNKNOWN = "Unknown"


class AssessmentConfig(Model):
    """How patiently to look."""

    stabilization_window: Duration = "5m"
    """How long the target must stay healthy before it counts."""
    validity: Duration = "25m"
    """How long to wait for it at most."""
    hash_compute_delay: Duration = "0s"
    """How long after the fix what keeps the target may need to follow; the window begins after it, and drift counts from then on."""
    alert_check_delay: Duration = "0s"
    """How long after the fix a resolved alert proves nothing: for alerts that forecast."""


class Baseline(Model):
    """The pods of a target in figures."""

    ready: int = 0
    desired: int = 0
    restarts: int = 0
    crash_reasons: Annotated[list[str], Field(max_length=10)] = []
    steady: int | None = None
    """How many of the ready had not restarted shortly before: a pod between two crashes is ready, too. Absent: not known."""


@cel(immutable_spec("EffectivenessAssessment"))
class EffectivenessAssessmentSpec(Model):
    """What to look at."""

    remediation_request_ref: ObjectReference
    signal_target: ResourceIdentifier
    remediation_target: ResourceIdentifier
    signal_fingerprint: str
    signal_name: str
    fix_started_at: datetime
    fix_completed_at: datetime
    baseline: Baseline | None = None
    """What the target looked like before, where it is known."""
    executed: bool = True
    """Whether the fix changed anything."""
    config: AssessmentConfig = AssessmentConfig()
    times_out_at: datetime | None = None


class ComponentScore(Model):
    """One thing that was looked at."""

    name: str
    """health, alert, metrics or spec (is the target still what the fix made of it)."""
    score: Confidence | None = None
    """Absent: could not be assessed."""
    message: Short = ""


class EffectivenessAssessmentStatus(Status):
    """What was seen."""

    phase: Phase = Phase.PENDING
    verdict: Verdict | None = None
    reason: str = ""
    """Such as Full, Partial, NoExecution, MetricsTimedOut, SpecDrift, WorseThanBefore, Unrecoverable, AlertDecayTimeout, Expired."""
    score: Confidence | None = None
    components: Annotated[list[ComponentScore], Field(max_length=10)] = []
    healthy_since: datetime | None = None
    worse_since: datetime | None = None
    """Since when the target has been seen worse than before the fix, without a break."""
    observed: Baseline | None = None
    """The target as last seen, to be held against `spec.baseline`."""
    spec_hash: str = ""
    """SHA-256 of the target's spec, its replicas aside, as the fix left it."""
    spec_replicas: int | None = None
    start_time: datetime | None = None
    completion_time: datetime | None = None


class EffectivenessAssessment(Resource):
    """Did the fix help?"""

    card = Kind(
        kind="EffectivenessAssessment",
        plural="effectivenessassessments",
        short=("ea",),
        columns=(
            ("Phase", "string", ".status.phase"),
            ("Verdict", "string", ".status.verdict"),
            ("Score", "number", ".status.score"),
            ("Age", "date", ".metadata.creationTimestamp"),
        ),
        selectable=(".spec.remediationRequestRef.name",),
    )
    spec: EffectivenessAssessmentSpec
    status: EffectivenessAssessmentStatus = EffectivenessAssessmentStatus()

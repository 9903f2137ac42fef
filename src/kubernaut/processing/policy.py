"""What a classification policy may ask and say, and the one that is shipped."""

from importlib.resources import files
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from kubernaut.api.signal import Priority, Severity
from kubernaut.policy.language import Language, Result, Type, Variable

Word = Annotated[str, StringConstraints(max_length=63)]
Line = Annotated[str, StringConstraints(max_length=253)]


class Classified(Result):
    """What a rule of the classification policy may set."""

    environment: Word | None = None
    """Which environment, such as `production`; small letters are made of it."""
    severity: Severity | None = None
    """How bad, where the alert's own word is not to count."""
    priority: Priority | None = None
    """How soon a person must care: P0, P1, P2 or P3."""
    business_unit: Line | None = None
    """Which part of the business it is."""
    service_owner: Line | None = None
    """Who owns the service."""
    criticality: Line | None = None
    """How critical the service is, in your own words."""
    sla_requirement: Line | None = None
    """What was promised for it, in your own words."""
    confidence: float = Field(default=1.0, ge=0, le=1)
    """How sure the rule is of what it sets, from 0 to 1; shown in the status."""


VARIABLES: Final = {
    "alert.name": Variable(Type.TEXT, "the alert's name"),
    "alert.severity": Variable(Type.TEXT, "the severity as the alert has it"),
    "alert.environment": Variable(Type.TEXT, "the environment as the alert has it; may be empty or `unknown`"),
    "alert.labels": Variable(Type.TEXTS, "the alert's labels"),
    "alert.annotations": Variable(Type.TEXTS, "the alert's annotations"),
    "target.kind": Variable(Type.TEXT, "kind of the object that the alert is about, such as `Pod`"),
    "target.name": Variable(Type.TEXT, "its name"),
    "target.namespace": Variable(Type.TEXT, "its namespace; empty for nodes"),
    "target.labels": Variable(Type.TEXTS, "its labels"),
    "target.annotations": Variable(Type.TEXTS, "its annotations"),
    "workload.kind": Variable(Type.TEXT, "kind of the top of its owner chain, such as `Deployment`"),
    "workload.name": Variable(Type.TEXT, "name of that"),
    "workload.labels": Variable(Type.TEXTS, "labels of that"),
    "workload.annotations": Variable(Type.TEXTS, "annotations of that"),
    "namespaceLabels": Variable(Type.TEXTS, "labels of the namespace"),
    "namespaceAnnotations": Variable(Type.TEXTS, "annotations of the namespace"),
    "detected": Variable(Type.TEXTS, "what was recognised, as in `status.detectedLabels`: `'gitOpsTool' in detected`"),
    "pods": Variable(Type.WHOLE, "how many pods the workload has"),
    "unreadyPods": Variable(Type.WHOLE, "how many of them are not ready"),
    "degraded": Variable(Type.BOOL, "whether something of the cluster was not found or could not be read"),
    "hour": Variable(Type.WHOLE, "the hour of the day, UTC, 0 to 23"),
    "weekday": Variable(Type.WHOLE, "the day of the week, UTC, 0 is Monday"),
    "environment": Variable(Type.TEXT, "the environment that was decided; empty in rules that set it"),
    "severity": Variable(Type.TEXT, "the severity that was decided; the alert's in rules that set the environment or the severity"),
    "priority": Variable(Type.TEXT, "the priority that was decided; empty in rules that set one of these three"),
}
CLASSIFICATION: Final = Language("classification", VARIABLES, Classified)


def shipped() -> str:
    """Return the text of the policy that holds where a user's own decides nothing."""
    return files("kubernaut.processing").joinpath("classification.yaml").read_text(encoding="utf-8")

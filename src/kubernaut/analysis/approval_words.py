"""What an approval policy may ask and say, and the one that is shipped."""

from enum import StrEnum
from importlib.resources import files
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from kubernaut.api.base import Duration
from kubernaut.policy.language import Language, Result, Type, Variable


class PolicyDecision(StrEnum):
    """What a rule of the policy says; the words of the approval policy's documentation."""

    APPROVED = "Approved"
    """It may run by itself."""
    MANUAL_REVIEW = "ManualReviewRequired"
    """A person is asked, and it runs when they say yes."""
    DENIED = "Denied"
    """It is not run; a person takes over."""


Group = Annotated[str, StringConstraints(min_length=1, max_length=253)]


class Approval(Result):
    """What a rule of the approval policy may set."""

    decision: PolicyDecision | None = None
    """What becomes of the fix; a rule without it adds to the decision of another."""
    why: Annotated[str, StringConstraints(min_length=1, max_length=300)] | None = None
    """The reason in words, for the one who is asked."""
    approvers: Annotated[int, Field(ge=1, le=5)] | None = None
    """How many different people must say yes."""
    groups: Annotated[list[Group], Field(max_length=20)] | None = None
    """Groups whose members may decide; without them all who may by RBAC."""
    timeout: Duration | None = None
    """How long people have, such as `30m`; without it `analysis.approval_timeout`."""


VARIABLES: Final = {
    "confidence": Variable(Type.REAL, "how certain the cause is, from 0 to 1"),
    "environment": Variable(Type.TEXT, "the environment of what is acted on, in small letters; empty or `unknown` where nobody said"),
    "severity": Variable(Type.TEXT, "the severity of the case, such as `critical`"),
    "priority": Variable(Type.TEXT, "its priority: P0 to P3"),
    "cause": Variable(Type.TEXT, "the cause that was found, such as `OOMKilled`; `kubernaut rules` lists them"),
    "action": Variable(Type.TEXT, "the action type that the cause asks for, such as `IncreaseMemoryLimits`"),
    "workflow": Variable(Type.TEXT, "the id of the workflow that was chosen; empty where typed steps are used"),
    "risk": Variable(Type.TEXT, "the workflow's own risk: `low`, `medium` or `high`"),
    "steps": Variable(Type.WHOLE, "how many steps the fix has"),
    "target.kind": Variable(Type.TEXT, "kind of the object that the fix acts on, such as `Deployment`"),
    "target.name": Variable(Type.TEXT, "its name"),
    "target.namespace": Variable(Type.TEXT, "its namespace; empty for nodes"),
    "labels": Variable(Type.TEXTS, "its labels"),
    "annotations": Variable(Type.TEXTS, "its annotations"),
    "namespaceLabels": Variable(Type.TEXTS, "labels of its namespace"),
    "outside": Variable(Type.BOOL, "whether it is beyond the namespace or the owner chain of what the alert is about"),
    "degraded": Variable(Type.BOOL, "whether parts of the cluster could not be read"),
    "recovery": Variable(Type.BOOL, "whether another fix was tried before in this case"),
    "hour": Variable(Type.WHOLE, "the hour of the day, UTC, 0 to 23"),
    "weekday": Variable(Type.WHOLE, "the day of the week, UTC, 0 is Monday"),
}
APPROVAL: Final = Language("approval", VARIABLES, Approval)


def shipped() -> str:
    """Return the text of the policy that decides where a user's own does not."""
    return files("kubernaut.analysis").joinpath("approval.yaml").read_text(encoding="utf-8")

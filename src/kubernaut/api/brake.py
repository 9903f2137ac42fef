"""RemediationBrake: whether fixes may be started at all. People pause and resume in its spec; the status says what else holds them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from kubernaut.api.base import FoldedEnum, Kind, Model, Resource, Short, Status

BRAKE: Final = "kubernaut"
"""The name of the one brake that counts; it stands in the namespace of all objects of ours."""
EVERYWHERE: Final = "*"
PAUSED: Final = "Paused"
"""The condition of whatever is held by a pause."""

Scope = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$")]


class Phase(FoldedEnum):
    """What the brake does."""

    RELEASED = "Released"
    """Fixes are started, within the limits."""
    STORM = "Storm"
    """Too many cases at once: nothing new is started for a while."""
    PAUSED = "Paused"
    """A person paused everything, or some namespaces."""


class Pause(Model):
    """Nothing new is started, by the word of a person."""

    namespace: Scope = EVERYWHERE
    """The namespace of what is acted on; `*` is all of them, and what has none."""
    reason: Short = ""
    """Why, for those who find their fix waiting."""
    by: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    """The authenticated caller."""
    at: datetime
    """When, by the caller's clock."""
    cancel: bool = False
    """Whether what is at work is to be cancelled too."""


class RemediationBrakeSpec(Model):
    """What people have decided."""

    pauses: Annotated[
        list[Pause], Field(max_length=100, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["namespace"]})
    ] = []
    """Each namespace at most once."""
    changed_by: Annotated[str, StringConstraints(max_length=512)] = ""
    """The authenticated caller who changed this last."""
    change_reason: Short = ""
    """Why, as far as a pause that was lifted does not say it itself."""


class Storm(Model):
    """More new cases than anybody should answer by machine."""

    since: datetime
    until: datetime
    """Unless more come."""
    cases: int = Field(default=0, ge=0)
    """How many came within the window when it was at its worst."""


class BrakeLimits(Model):
    """The limits in force; absent ones are not set."""

    concurrent: int | None = None
    concurrent_per_namespace: int | None = None
    hourly: int | None = None
    hourly_per_namespace: int | None = None


class RemediationBrakeStatus(Status):
    """What holds fixes now."""

    phase: Phase = Phase.RELEASED
    pauses: Annotated[list[Pause], Field(max_length=100)] = []
    """The pauses that are on record; facts follow from the difference to the spec."""
    storm: Storm | None = None
    limits: BrakeLimits = BrakeLimits()


class RemediationBrake(Resource):
    """Whether fixes may be started at all."""

    card = Kind(
        kind="RemediationBrake",
        plural="remediationbrakes",
        short=("brake",),
        columns=(
            ("Phase", "string", ".status.phase"),
            ("Message", "string", ".status.message"),
            ("Changed By", "string", ".spec.changedBy"),
            ("Age", "date", ".metadata.creationTimestamp"),
        ),
    )
    spec: RemediationBrakeSpec = RemediationBrakeSpec()
    status: RemediationBrakeStatus = RemediationBrakeStatus()


def pause_over(pauses: Sequence[Pause], namespace: str) -> Pause | None:
    """Return the pause that holds what is acted on in a namespace ("" for what has none): everybody's first, else its own."""
    return next((pause for scope in (EVERYWHERE, namespace) for pause in pauses if pause.namespace == scope), None)


def told(pause: Pause) -> str:
    """Say who paused what, since when and why, for a person whose fix waits."""
    where = "everywhere" if pause.namespace == EVERYWHERE else f"in namespace {pause.namespace}"
    why = f": {pause.reason}" if pause.reason else ""
    return f"paused {where} by {pause.by} since {pause.at:%Y-%m-%d %H:%M} UTC{why}"


def namespace_of(path: str) -> str:
    """Read the namespace off `namespace/kind/name`, the form in which targets are written; `kind/name` has none."""
    first, *rest = path.split("/")
    return first if len(rest) > 1 else ""

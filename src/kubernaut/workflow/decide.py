"""What a WorkflowExecution needs next, told from what exists. Reads nothing, writes nothing."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from kubernaut.api.base import Resource
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.workflow.target import LABEL_LIMIT, is_target

PARAMETERS_LIMIT = 65_536
_PINNED = re.compile(r"^[^@\s]+@sha256:[a-f0-9]{64}$")
_PARAMETER = re.compile(r"^[a-zA-Z_][a-zA-Z0-9_-]{0,62}$")


class RunState(StrEnum):
    """How far the engine has come with an execution."""

    ABSENT = "absent"
    FOREIGN = "foreign"
    """Something of that name is there, and it is not ours."""
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SPOILED = "spoiled"
    """Failed through no fault of its own before anything ran: a new one may do."""


class LockState(StrEnum):
    """How the target's lock stands to us."""

    FREE = "free"
    """Nobody's, or of a holder that is gone or has ended."""
    OURS = "ours"
    HELD = "held"


class Cause(StrEnum):
    """Why an execution fails, other than by its run."""

    RUN = "RunFailed"
    NAME_TAKEN = "NameTaken"
    VANISHED = "PipelineRunDeleted"
    UNSTOPPABLE = "CancelNotConfirmed"
    NEVER_STARTED = "NotStartedInTime"


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a decision may look at."""

    run: RunState
    lock: LockState
    waits_until: datetime
    """When waiting for the target is over."""
    runs_until: datetime | None = None
    """When a started run is to be stopped."""
    stopped_until: datetime | None = None
    """When a stopped run is given up."""
    faults: tuple[str, ...] = ()
    """What is wrong with the spec."""
    ended: bool = False
    """An end was recorded."""
    recorded: bool = False
    """A run was created and recorded."""
    retried: bool = False
    """A spoiled run was already replaced."""
    holder: str = ""
    """Who has the target, in words."""
    cooldown_until: datetime | None = None
    cooldown_after: str = ""


@dataclass(frozen=True, slots=True)
class Finish:
    """It has ended: let go of the target."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The spec can never run."""

    message: str


@dataclass(frozen=True, slots=True)
class CoolDown:
    """The same fix was applied a moment ago; wait."""

    until: datetime
    after: str


@dataclass(frozen=True, slots=True)
class Queue:
    """Somebody else works on the target; wait."""

    holder: str


@dataclass(frozen=True, slots=True)
class TakeLock:
    """The target is free: take it."""


@dataclass(frozen=True, slots=True)
class Start:
    """The target is ours: start the run."""


@dataclass(frozen=True, slots=True)
class Follow:
    """The run is under way."""

    until: datetime | None


@dataclass(frozen=True, slots=True)
class Stop:
    """The run is out of time: cancel it."""

    until: datetime | None


@dataclass(frozen=True, slots=True)
class Replace:
    """The run was spoiled before it began: another try."""

    announced: bool
    """The retry is on record: the spoiled run may go."""


@dataclass(frozen=True, slots=True)
class Succeed:
    """The run has succeeded."""


@dataclass(frozen=True, slots=True)
class Fail:
    """The execution has failed."""

    cause: Cause


Step = Finish | Refuse | CoolDown | Queue | TakeLock | Start | Follow | Stop | Replace | Succeed | Fail


def decide(seen: Seen, now: datetime) -> Step:
    """Choose the next step. An end is final; a run that exists outweighs all else."""
    if seen.ended:
        return Finish()
    match seen.run:
        case RunState.FOREIGN:
            return Fail(Cause.NAME_TAKEN)
        case RunState.SUCCEEDED:
            return Succeed()
        case RunState.FAILED:
            return Fail(Cause.RUN)
        case RunState.SPOILED:
            return _spoiled(seen)
        case RunState.RUNNING:
            return _running(seen, now)
        case RunState.ABSENT:
            return Fail(Cause.VANISHED) if seen.recorded else _pending(seen, now)


def _spoiled(seen: Seen) -> Step:
    """One retry: first it is put on record, then the spoiled run goes; a second one spoiled is a failure."""
    if not seen.retried:
        return Replace(announced=False)
    return Fail(Cause.RUN) if seen.recorded else Replace(announced=True)


def _running(seen: Seen, now: datetime) -> Step:
    if seen.runs_until is None or now < seen.runs_until:
        return Follow(seen.runs_until)
    if seen.stopped_until is not None and now >= seen.stopped_until:
        return Fail(Cause.UNSTOPPABLE)
    return Stop(seen.stopped_until)


def _pending(seen: Seen, now: datetime) -> Step:
    if seen.faults:
        return Refuse("; ".join(seen.faults))
    if now >= seen.waits_until:
        return Fail(Cause.NEVER_STARTED)
    if seen.lock is LockState.OURS:
        return Start()
    if seen.cooldown_until is not None and now < seen.cooldown_until:
        return CoolDown(seen.cooldown_until, seen.cooldown_after)
    return Queue(seen.holder) if seen.lock is LockState.HELD else TakeLock()


def faults(execution: WorkflowExecution) -> tuple[str, ...]:
    """Return what forbids to run an execution at all, each a sentence; Tekton would refuse it, or worse, take it."""
    spec = execution.spec
    found = []
    if not is_target(spec.target_resource):
        found.append(f"targetResource {spec.target_resource!r} is not namespace/kind/name")
    if spec.workflow_ref is not None:
        found += _catalogue_faults(execution)
    return tuple(found)


def _catalogue_faults(execution: WorkflowExecution) -> list[str]:
    spec = execution.spec
    image = spec.workflow_ref.container_image if spec.workflow_ref else ""
    found = [] if _PINNED.match(image) else [f"containerImage {image!r} is not pinned by digest (repository@sha256:…)"]
    if len(execution.metadata.name) > LABEL_LIMIT:
        found.append(f"the name is longer than {LABEL_LIMIT} characters, which no PipelineRun may be")
    if sum(map(len, spec.parameters.values())) > PARAMETERS_LIMIT:
        found.append(f"the parameters are longer than {PARAMETERS_LIMIT} characters together")
    return found + [fault for name, value in sorted(spec.parameters.items()) for fault in _parameter_faults(name, value)]


def _parameter_faults(name: str, value: str) -> list[str]:
    """Refuse what the engine would read as an instruction: `$(…)` in a value is a variable to Tekton and to the kubelet."""
    found = [] if _PARAMETER.match(name) else [f"parameter name {name[:80]!r} is not letters, digits, _ and -"]
    if "$(" in value:
        found.append(f"parameter {name[:80]} contains $(, which would be taken for a variable")
    if "\x00" in value:
        found.append(f"parameter {name[:80]} contains a NUL character")
    return found


def older(one: Resource, other: Resource) -> bool:
    """Tell whether one was created before the other: by time, then by uid, so that of two exactly one is older."""
    return _age(one) < _age(other)


def _age(resource: Resource) -> tuple[str, str]:
    created = resource.metadata.creation_timestamp
    return (created.isoformat() if created else "~", resource.metadata.uid)

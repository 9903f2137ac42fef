"""What a WorkflowExecution needs next, told from what exists. Reads nothing, writes nothing."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from kubernaut.api.base import Resource


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
    CANCELLED = "Cancelled"
    STOPPED = "PreviousExecutionFailed"
    EXHAUSTED = "ExhaustedRetries"


@dataclass(frozen=True, slots=True)
class Bar:
    """What the past of a target has against an execution."""

    reason: str = ""
    """Empty: nothing."""
    message: str = ""
    until: datetime | None = None
    """None: until a person clears it."""

    def holds(self, now: datetime) -> bool:
        """Tell whether it still keeps the execution from its target."""
        return bool(self.reason) and (self.until is None or now < self.until)


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
    bar: Bar = Bar()
    paused: str = ""
    """Who paused, and why: nothing is begun."""
    cancelled: bool = False
    """A person wants it to stop."""


@dataclass(frozen=True, slots=True)
class Finish:
    """It has ended: let go of the target."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The spec can never run."""

    message: str


@dataclass(frozen=True, slots=True)
class Halted:
    """People have paused: wait until they resume."""

    why: str


@dataclass(frozen=True, slots=True)
class CoolDown:
    """The same fix was applied a moment ago; wait."""

    until: datetime
    after: str


@dataclass(frozen=True, slots=True)
class Barred:
    """What ran on the target before failed; wait, for a while or for a person."""

    bar: Bar


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
class Unready:
    """What users demand before a run is not so yet: wait."""

    waits: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Prove:
    """The run has succeeded, and what users demand after it is not so yet: wait."""

    waits: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Unmet:
    """The run has succeeded, and what users demand after it is not so."""

    message: str


@dataclass(frozen=True, slots=True)
class Follow:
    """The run is under way."""

    until: datetime | None


@dataclass(frozen=True, slots=True)
class Stop:
    """The run is out of time, or a person wants it to stop: cancel it."""

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


Waiting = Halted | CoolDown | Barred | Queue | Unready
Ending = Succeed | Fail | Refuse | Unmet
Step = Finish | Waiting | TakeLock | Start | Follow | Prove | Stop | Replace | Ending


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
    if not seen.cancelled and (seen.runs_until is None or now < seen.runs_until):
        return Follow(seen.runs_until)
    if seen.stopped_until is not None and now >= seen.stopped_until:
        return Fail(Cause.UNSTOPPABLE)
    return Stop(seen.stopped_until)


def _pending(seen: Seen, now: datetime) -> Step:
    if seen.faults:
        return Refuse("; ".join(seen.faults))
    if seen.cancelled:
        return Fail(Cause.CANCELLED)
    if seen.paused:
        return Halted(seen.paused)
    if now >= seen.waits_until:
        return Fail(_waited_for(seen.bar, now))
    if seen.bar.holds(now):
        return Barred(seen.bar)
    if seen.lock is LockState.OURS:
        return Start()
    if seen.cooldown_until is not None and now < seen.cooldown_until:
        return CoolDown(seen.cooldown_until, seen.cooldown_after)
    return Queue(seen.holder) if seen.lock is LockState.HELD else TakeLock()


def _waited_for(bar: Bar, now: datetime) -> Cause:
    """Say what an execution has waited for in vain."""
    return Cause(bar.reason) if bar.holds(now) and bar.reason in set(Cause) else Cause.NEVER_STARTED


def older(one: Resource, other: Resource) -> bool:
    """Tell whether one was created before the other: by time, then by uid, so that of two exactly one is older."""
    return _age(one) < _age(other)


def _age(resource: Resource) -> tuple[str, str]:
    created = resource.metadata.creation_timestamp
    return (created.isoformat() if created else "~", resource.metadata.uid)

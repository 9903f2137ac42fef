"""One execution a target: a Lease named from the target's hash, made atomically, taken over only from who is gone or has ended."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from kubernaut.api.base import Obj
from kubernaut.api.core import LEASE
from kubernaut.api.workflow import TARGET_RESOURCE_ANNOTATION, Phase, WorkflowExecution
from kubernaut.workflow.decide import Cause, LockState, older
from kubernaut.workflow.target import lock_name

COOLDOWN = "Cooldown"
RESOURCE_LOCKED = "ResourceLocked"
_CLEARED_BY_PEOPLE = frozenset({Cause.STOPPED.value, Cause.EXHAUSTED.value})


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a lock: an execution by name and uid."""

    name: str
    uid: str

    @classmethod
    def of(cls, execution: WorkflowExecution) -> "Holder":
        """Return the execution as a holder."""
        return cls(execution.metadata.name, execution.metadata.uid)

    def __str__(self) -> str:
        return f"{self.name}/{self.uid}"


def holder_of(lease: Obj | None) -> Holder | None:
    """Return who a Lease names; None for no Lease, or one that names nobody."""
    identity = str(((lease or {}).get("spec") or {}).get("holderIdentity") or "")
    name, _, uid = identity.partition("/")
    return Holder(name, uid) if identity else None


def judge(lease: Obj | None, me: Holder, *, holder_ended: bool) -> LockState:
    """Tell how a Lease stands to us; `holder_ended` says that its holder is certainly gone, or ended with nothing at work."""
    holder = holder_of(lease)
    if holder == me:
        return LockState.OURS
    return LockState.FREE if holder is None or holder_ended else LockState.HELD


def claim(lease: Obj | None, execution: WorkflowExecution, now: datetime) -> Obj:
    """Return the Lease that makes us the holder: to be created, or to replace the one read (its resourceVersion is the precondition)."""
    spec = {} if lease is None else dict(lease.get("spec") or {})
    metadata = {"name": lock_name(execution.spec.target_resource), "namespace": execution.metadata.namespace}
    if lease is not None:
        metadata |= {"resourceVersion": lease["metadata"]["resourceVersion"], "uid": lease["metadata"]["uid"]}
    return {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.kind,
        "metadata": metadata | {"annotations": {TARGET_RESOURCE_ANNOTATION: execution.spec.target_resource}},
        "spec": {
            "holderIdentity": str(Holder.of(execution)),
            "acquireTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "leaseTransitions": int(spec.get("leaseTransitions") or 0) + (lease is not None),
        },
    }


def blocker(execution: WorkflowExecution, others: Iterable[WorkflowExecution]) -> WorkflowExecution | None:
    """Return the execution on the same target that goes first: one that runs, else the oldest that waits and is older.

    After the scan of the WorkflowExecution document (Running or Pending blocks, self does not); a Pending one counts only when
    older, or two would wait for one another for ever, and not while it cools down, for that is no use of the target.
    """
    rivals = [other for other in others if _is_rival(execution, other)]
    return min(
        rivals,
        key=lambda other: (other.status.phase is not Phase.RUNNING, other.metadata.creation_timestamp, other.metadata.uid),
        default=None,
    )


def _is_rival(execution: WorkflowExecution, other: WorkflowExecution) -> bool:
    if other.metadata.uid == execution.metadata.uid or other.spec.target_resource != execution.spec.target_resource:
        return False
    if other.status.phase is Phase.RUNNING:
        return True
    waiting = other.status.phase is Phase.PENDING and other.metadata.deletion_timestamp is None
    return waiting and not _cools_down(other) and older(other, execution)


def _cools_down(execution: WorkflowExecution) -> bool:
    """Tell whether it waits for time to pass or for a person, not for the target."""
    held = [condition for condition in execution.status.conditions if condition.status == "True"]
    return any(each.type == COOLDOWN or (each.type == RESOURCE_LOCKED and each.reason in _CLEARED_BY_PEOPLE) for each in held)

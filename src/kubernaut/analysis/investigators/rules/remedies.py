"""Remedies that several causes share: going back to the revision that worked."""

from collections.abc import Callable
from dataclasses import dataclass

from kubernaut.analysis.containers import Container
from kubernaut.analysis.investigators.base import Evidence
from kubernaut.analysis.investigators.rules.judging import evidence, place
from kubernaut.analysis.rollouts import HASH, REVISION, Change, Rollout, last_rollout
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Obj

ROLLBACK = "RollbackDeployment"
SERVING_WEIGHT = 0.15
STOOD_WEIGHT = 0.1


@dataclass(frozen=True, slots=True)
class Regression:
    """A recent roll-out that brought the fault, with a revision before it that worked."""

    rollout: Rollout
    changes: tuple[Change, ...]
    """The changes that can have brought it."""

    @property
    def weight(self) -> float:
        """How much surer it makes a cause that came with the roll-out."""
        return SERVING_WEIGHT if self.rollout.previous_serves else STOOD_WEIGHT

    def facts(self, snapshot: Snapshot) -> dict[str, str]:
        """Return what a rollback needs."""
        numbers = {
            "rollout.revision.previous": str(self.rollout.previous.number),
            "rollout.revision.current": str(self.rollout.current.number),
        }
        return place(snapshot) | numbers

    def evidence(self) -> tuple[Evidence, ...]:
        """Return what was read of both revisions."""
        now, before = self.rollout.current, self.rollout.previous
        changed = "; ".join(change.told() for change in self.changes[:3])
        works = f"{before.serving} of its pods are ready now" if before.serving else "it stood for over an hour before it was replaced"
        annotation = f"metadata.annotations[{REVISION}]"
        return (
            evidence(now.replica_set, annotation, now.number, f"the fault came with this revision: {changed}"),
            evidence(before.replica_set, annotation, before.number, f"the revision before worked: {works}"),
        )

    def sentence(self) -> str:
        """Say it in a sentence."""
        return (
            f"Revision {self.rollout.current.number} brought it ({self.changes[0].told()}); revision {self.rollout.previous.number} worked."
        )


def regression(snapshot: Snapshot, failing: list[Obj], about: Callable[[Change], bool] = lambda _: True) -> Regression | None:
    """Tell whether a recent roll-out brought a fault of these pods: all of the new revision, by a change that the fault is about."""
    rollout = last_rollout(snapshot)
    if rollout is None or not rollout.recent or not (rollout.previous_serves or rollout.previous_stood):
        return None
    changes = tuple(change for change in rollout.changes if about(change))
    if not changes or any(not _made_by(pod, rollout.current.replica_set) for pod in failing):
        return None
    return Regression(rollout, changes)


def in_container(failing: Container, *fields: str) -> Callable[[Change], bool]:
    """Return a test: is a change about a container's fields (any, where none is named)?"""
    kind = "initContainers" if failing.init else "containers"
    prefix = f"spec.{kind}[{failing.name}]"
    starts = tuple(f"{prefix}.{field}" for field in fields) or (prefix,)
    return lambda change: change.path.startswith(starts)


def _made_by(pod: Obj, replica_set: Obj) -> bool:
    wanted = (replica_set["metadata"].get("labels") or {}).get(HASH)
    return bool(wanted) and (pod["metadata"].get("labels") or {}).get(HASH) == wanted

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
UNPROVEN_WEIGHT = -0.1


@dataclass(frozen=True, slots=True)
class Regression:
    """A recent roll-out that brought the fault, with a revision before it that worked."""

    rollout: Rollout
    changes: tuple[Change, ...]
    """The changes that can have brought it."""

    @property
    def weight(self) -> float:
        """How much surer it makes a cause that came with the roll-out."""
        if self.rollout.previous_serves:
            return SERVING_WEIGHT
        return STOOD_WEIGHT if self.rollout.previous_stood else UNPROVEN_WEIGHT

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
        annotation = f"metadata.annotations[{REVISION}]"
        return (
            evidence(now.replica_set, annotation, now.number, f"the fault came with this revision: {changed}"),
            evidence(before.replica_set, annotation, before.number, self._before()),
        )

    def _before(self) -> str:
        if self.rollout.previous_serves:
            return f"the revision before works: {self.rollout.previous.serving} of its pods are ready now"
        if self.rollout.previous_stood:
            return "the revision before worked: it stood for over an hour before it was replaced"
        return "speaks against it: the revision before was replaced within an hour, so nobody knows whether it worked"

    def sentence(self) -> str:
        """Say it in a sentence."""
        now, before = self.rollout.current.number, self.rollout.previous.number
        known = "worked" if self.rollout.previous_proven else "may have worked"
        return f"Revision {now} brought it ({self.changes[0].told()}); revision {before} {known}."


def regression(
    snapshot: Snapshot, failing: list[Obj], about: Callable[[Change], bool] = lambda _: True, *, unproven: bool = False
) -> Regression | None:
    """Tell whether a recent roll-out brought a fault of these pods: all of the new revision, by a change that the fault is about.

    The revision before must have proved itself, unless `unproven` allows it: where pods get ready before they fail, a roll-out replaces
    the pods that worked, and nothing is left to tell.
    Labels and annotations are no such change: a restart or another ConfigMap's checksum is not undone by going back.
    """
    rollout = last_rollout(snapshot)
    if rollout is None or not rollout.recent or not (rollout.previous_proven or unproven):
        return None
    changes = tuple(change for change in rollout.changes if change.path.startswith("spec.") and about(change))
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

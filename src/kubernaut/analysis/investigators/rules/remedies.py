"""Remedies that several causes share: going back to the revision that worked."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from kubernaut.analysis.containers import Container
from kubernaut.analysis.investigators.base import Evidence
from kubernaut.analysis.investigators.rules.judging import Candidate, evidence, place_of, pod_key, sure
from kubernaut.analysis.rollouts import REVISION, Change, Revision, Rollout, last_rollout
from kubernaut.analysis.snapshot import Snapshot, identity
from kubernaut.api.base import Obj

SERVING_WEIGHT = 0.15
STOOD_WEIGHT = 0.1
UNPROVEN_WEIGHT = -0.1


@dataclass(frozen=True, slots=True)
class Regression:
    """A recent roll-out that brought the fault, with a revision before it that worked."""

    rollout: Rollout
    changes: tuple[Change, ...]
    """The changes that can have brought it."""
    action: str = ""
    """What goes back, such as RollbackDeployment."""

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
        return place_of(snapshot.target) | numbers

    def evidence(self) -> tuple[Evidence, ...]:
        """Return what was read of both revisions."""
        now, before = self.rollout.current, self.rollout.previous
        changed = "; ".join(change.told() for change in self.changes[:3])
        return (
            evidence(now.maker, _number_field(now), now.number, f"the fault came with this revision: {changed}"),
            evidence(before.maker, _number_field(before), before.number, self._before()),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What is to be done about a cause, where going back is not the remedy."""

    advice: str
    action: str = ""
    target: Obj | None = None
    """What is acted on; the workload itself where it is not named."""
    facts: Mapping[str, str] = field(default_factory=dict)


def concluded(
    snapshot: Snapshot,
    cause: str,
    summary: str,
    confidence: float,
    said: Iterable[Evidence],
    remedy: Remedy,
    *,
    pods: Sequence[Obj] = (),
    back: Regression | None = None,
    factors: tuple[str, ...] = (),
    since: datetime | None = None,
) -> Candidate:
    """Return a candidate about these pods (all, where none is named), with the way back where a roll-out brought it, else the remedy."""
    target = identity(remedy.target) if remedy.target and not back else snapshot.target
    return Candidate(
        cause=cause,
        summary=f"{summary} {back.sentence()}" if back else summary,
        confidence=sure(confidence, back.weight if back else 0.0),
        target=target,
        evidence=(*said, *(back.evidence() if back else ())),
        factors=factors,
        action=back.action if back else remedy.action,
        advice="" if back else remedy.advice,
        facts={**(back.facts(snapshot) if back else place_of(target)), **remedy.facts},
        subjects=frozenset(pod_key(pod) for pod in pods),
        since=since,
    )


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
    if not changes or not all(rollout.current.made(pod) for pod in failing):
        return None
    return Regression(rollout, changes, f"Rollback{snapshot.target.kind}")


def _number_field(revision: Revision) -> str:
    return f"metadata.annotations[{REVISION}]" if revision.maker["kind"] == "ReplicaSet" else "revision"


def in_container(failing: Container, *fields: str) -> Callable[[Change], bool]:
    """Return a test: is a change about a container's fields (any, where none is named)?"""
    kind = "initContainers" if failing.init else "containers"
    prefix = f"spec.{kind}[{failing.name}]"
    starts = tuple(f"{prefix}.{field}" for field in fields) or (prefix,)
    return lambda change: change.path.startswith(starts)

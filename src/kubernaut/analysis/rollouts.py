"""The last roll-out of a workload, by its ReplicaSets or ControllerRevisions: what changed, and whether what was before it served."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from kubernaut.analysis.containers import live_pods, pod_ready
from kubernaut.analysis.snapshot import Snapshot, moment
from kubernaut.api.base import Obj

REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"
CONTROLLER_HASH = "controller-revision-hash"
PROVEN = timedelta(hours=1)
"""A revision that stood for this long before it was replaced is believed to have worked."""
_NAMED = frozenset({"containers", "initContainers", "env", "volumes", "volumeMounts", "imagePullSecrets"})
"""Lists whose items are told apart by name; others are compared whole."""


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs between two pod templates; a missing side is None."""

    path: str
    old: Any
    new: Any

    def told(self) -> str:
        """Say it in words, values cut short."""
        if self.old is None:
            return f"{self.path} was added"
        if self.new is None:
            return f"{self.path} was removed"
        return f"{self.path} changed from {_short(self.old)} to {_short(self.new)}"


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision of a workload."""

    number: int
    maker: Obj
    """The ReplicaSet or ControllerRevision that holds it."""
    created: datetime | None
    serving: int
    """Pods of it that are ready now."""

    def made(self, pod: Obj) -> bool:
        """Tell whether a pod is of this revision."""
        mine, theirs = self.maker["metadata"].get("labels") or {}, pod["metadata"].get("labels") or {}
        if self.maker["kind"] == "ReplicaSet":
            return bool(mine.get(HASH)) and theirs.get(HASH) == mine.get(HASH)
        return theirs.get(CONTROLLER_HASH) in {self.maker["metadata"]["name"], mine.get(CONTROLLER_HASH) or "-"}


@dataclass(frozen=True, slots=True)
class Rollout:
    """The change from one revision to the next."""

    current: Revision
    previous: Revision
    changes: tuple[Change, ...]
    recent: bool
    """Whether the current revision was made within the time window."""

    @property
    def previous_serves(self) -> bool:
        """Whether pods of the previous revision are ready now: the strongest sign that it works."""
        return self.previous.serving > 0

    @property
    def previous_proven(self) -> bool:
        """Whether anything says that the previous revision works."""
        return self.previous_serves or self.previous_stood

    @property
    def previous_stood(self) -> bool:
        """Whether the previous revision stood long enough to be believed."""
        before, after = self.previous.created, self.current.created
        return before is not None and after is not None and after - before >= PROVEN


def last_rollout(snapshot: Snapshot) -> Rollout | None:
    """Return the roll-out that led to the present revision; None where no earlier revision is kept."""
    revisions = revisions_of(snapshot)
    if len(revisions) < 2 or revisions[1].number < 1:  # noqa: PLR2004  (a change has two sides)
        return None
    current, previous = revisions[:2]
    changes = tuple(template_changes(previous.maker, current.maker))
    recent = current.created is not None and current.created >= snapshot.since
    return Rollout(current, previous, changes, recent)


def revisions_of(snapshot: Snapshot) -> list[Revision]:
    """Return the revisions that are kept, the present one first."""
    if snapshot.top is None:
        return []
    makers = snapshot.replica_sets if snapshot.top["kind"] == "Deployment" else snapshot.revisions
    return sorted((_revision(obj, snapshot) for obj in makers), key=lambda row: row.number, reverse=True)


def under_way(obj: Obj) -> bool:
    """Tell whether an object that has pods is still being changed into what its spec says, by its own report; False for other kinds."""
    status, wanted = obj.get("status") or {}, (obj.get("spec") or {}).get("replicas")
    if wanted is None or "template" not in obj["spec"]:
        return False
    updated = int(status.get("updatedReplicas") or 0)
    seen = int(status.get("observedGeneration") or 0) >= int(obj["metadata"].get("generation") or 0)
    return not seen or updated < int(wanted) or int(status.get("replicas") or 0) > updated


def current_pods(snapshot: Snapshot) -> list[Obj]:
    """Return the live pods of the present revision, or all live pods where there are no revisions."""
    pods, revisions = live_pods(snapshot), revisions_of(snapshot)
    return ([pod for pod in pods if revisions[0].made(pod)] if revisions else []) or pods


def _revision(maker: Obj, snapshot: Snapshot) -> Revision:
    meta = maker["metadata"]
    created = moment(meta.get("creationTimestamp"))
    if maker["kind"] == "ReplicaSet":
        text = (meta.get("annotations") or {}).get(REVISION, "0")
        serving = int((maker.get("status") or {}).get("readyReplicas") or 0)
        return Revision(int(text) if text.isdecimal() else 0, maker, created, serving)
    bare = Revision(int(maker.get("revision") or 0), maker, created, 0)
    return replace(bare, serving=sum(bare.made(pod) and pod_ready(pod) for pod in live_pods(snapshot)))


def template_changes(old: Obj, new: Obj) -> Iterator[Change]:
    """Yield the fields in which the pod templates of two objects differ, in order of their paths."""
    before, after = (dict(_leaves("", _template(obj))) for obj in (old, new))
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path) and HASH not in path:
            yield Change(path.lstrip("."), before.get(path), after.get(path))


def _template(maker: Obj) -> Obj:
    spec = (maker.get("data") or maker).get("spec") or {}
    return {key: value for key, value in (spec.get("template") or {}).items() if key != "$patch"}


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(f"{path}.{key}", item)
    elif isinstance(value, list) and path.rpartition(".")[2] in _NAMED and all(isinstance(item, dict) and "name" in item for item in value):
        for item in value:
            yield from _leaves(f"{path}[{item['name']}]", {key: inner for key, inner in item.items() if key != "name"} or True)
    else:
        yield path, value


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 80 else f"{text[:79]}…"  # noqa: PLR2004  (a line's worth)

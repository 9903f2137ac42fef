"""The arithmetic of a Deployment's roll-out: how many pods each ReplicaSet should have next.

Follows kube-controller-manager's deployment controller.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kubernaut.localcluster.api import Obj
from kubernaut.localcluster.controllers.meta import scaled_value

__all__ = [
    "DESIRED",
    "MAXIMUM",
    "REVISION",
    "Bounds",
    "Size",
    "bounds_of",
    "proportional_sizes",
    "revision_of",
    "size_of",
    "size_of_new",
    "sizes_of_old",
]

REVISION = "deployment.kubernetes.io/revision"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a Deployment allows: wanted pods, extra pods, missing pods."""

    replicas: int
    surge: int
    unavailable: int
    rolling: bool = True

    @property
    def most(self) -> int:
        """Return the greatest number of pods at any time."""
        return self.replicas + self.surge

    @property
    def least(self) -> int:
        """Return the smallest number of available pods at any time."""
        return self.replicas - self.unavailable


@dataclass(frozen=True, slots=True)
class Size:
    """A ReplicaSet as the arithmetic sees it."""

    name: str
    wanted: int
    available: int = 0
    created: str = ""
    maximum: int = 0
    """The Deployment's `most` when this one was last scaled; 0 where not known."""


def bounds_of(deployment: Obj) -> Bounds:
    """Read the strategy, percentages resolved."""
    spec = deployment["spec"]
    replicas, strategy = spec.get("replicas", 1), spec.get("strategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return Bounds(replicas, 0, 0, rolling=False)
    rolling = strategy.get("rollingUpdate") or {}
    surge = scaled_value(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = scaled_value(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1  # neither more nor fewer pods would never get anywhere
    return Bounds(replicas, surge, min(unavailable, replicas))


def revision_of(obj: Obj) -> int:
    """Return the revision that an object's annotation tells, 0 where it tells none."""
    text = (obj["metadata"].get("annotations") or {}).get(REVISION, "")
    return int(text) if text.isdigit() else 0


def size_of(replica_set: Obj) -> Size:
    """Read a ReplicaSet."""
    meta, status = replica_set["metadata"], replica_set.get("status") or {}
    maximum = (meta.get("annotations") or {}).get(MAXIMUM, "")
    return Size(
        meta["name"],
        replica_set["spec"].get("replicas", 1),
        status.get("availableReplicas", 0),
        meta["creationTimestamp"],
        int(maximum) if maximum.isdigit() else 0,
    )


def size_of_new(bounds: Bounds, new: Size | None, old: Iterable[Size]) -> int:
    """Return how many pods the ReplicaSet of the present template should have; None stands for one yet to be made."""
    held = new.wanted if new else 0
    if not bounds.rolling or held >= bounds.replicas:
        return bounds.replicas
    total = held + sum(size.wanted for size in old)
    if total >= bounds.most:
        return held
    return held + min(bounds.most - total, bounds.replicas - held)


def sizes_of_old(bounds: Bounds, new: Size, old: Sequence[Size]) -> dict[str, int]:
    """Return the old ReplicaSets to scale down, and to how many: unhealthy pods go first, then what availability allows."""
    total = new.wanted + sum(size.wanted for size in old)
    spare = total - bounds.least - max(0, new.wanted - new.available)
    if spare <= 0:
        return {}
    wanted = {size.name: size.wanted for size in old}
    ordered = sorted(old, key=lambda size: (size.created, size.name))
    _drop_unhealthy(wanted, ordered, spare)
    _drop_available(wanted, ordered, new.available + sum(size.available for size in old) - bounds.least)
    return {size.name: wanted[size.name] for size in old if wanted[size.name] != size.wanted}


def _drop_unhealthy(wanted: dict[str, int], ordered: Iterable[Size], spare: int) -> None:
    for size in ordered:
        drop = min(spare, max(0, size.wanted - size.available))
        wanted[size.name] -= drop
        spare -= drop


def _drop_available(wanted: dict[str, int], ordered: Iterable[Size], spare: int) -> None:
    for size in ordered:
        drop = min(max(0, spare), wanted[size.name])
        wanted[size.name] -= drop
        spare -= drop


def proportional_sizes(bounds: Bounds, new: Size | None, old: Sequence[Size], present: int) -> dict[str, int]:
    """Return the sizes after the Deployment was scaled, shared out as the pods are now; `present` is its status.replicas."""
    sizes = [*old, *([new] if new else [])]
    active = [size for size in sizes if size.wanted > 0]
    if len(active) <= 1:
        return _only(bounds, active[0] if active else new or _latest(old))
    if new and new.wanted == bounds.replicas == new.available:
        return {size.name: 0 for size in old if size.wanted}
    return _shared(bounds, active, present) if bounds.rolling else {}


def _latest(old: Sequence[Size]) -> Size | None:
    return max(old, key=lambda size: (size.created, size.name), default=None)


def _only(bounds: Bounds, size: Size | None) -> dict[str, int]:
    return {size.name: bounds.replicas} if size and size.wanted != bounds.replicas else {}


def _shared(bounds: Bounds, active: Sequence[Size], present: int) -> dict[str, int]:
    allowed = bounds.most if bounds.replicas > 0 else 0
    to_add, added = allowed - sum(size.wanted for size in active), 0
    ordered = sorted(active, key=lambda size: (-size.wanted, _age_order(size, newest_first=to_add > 0)))
    result: dict[str, int] = {}
    for size in ordered:
        share = _share(bounds, size, to_add - added, present)
        result[size.name] = size.wanted + share
        added += share
    first = ordered[0].name
    result[first] = max(0, result[first] + to_add - added)
    return {size.name: result[size.name] for size in active if result[size.name] != size.wanted}


def _age_order(size: Size, *, newest_first: bool) -> tuple[int, ...]:
    sign = -1 if newest_first else 1
    return tuple(sign * ord(letter) for letter in size.created)


def _share(bounds: Bounds, size: Size, left: int, present: int) -> int:
    if left == 0:
        return 0
    if bounds.replicas == 0:
        return max(-size.wanted, left)
    fair = round(size.wanted * bounds.most / (size.maximum or present or bounds.most)) - size.wanted
    return min(fair, left) if left > 0 else max(fair, left)

"""How a target is found and how many pods it wants: the workloads, a single pod, a node."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kubernaut.api.base import Kind, Obj, ResourceIdentifier
from kubernaut.api.core import DAEMON_SET, DEPLOYMENT, NODE, POD, REPLICA_SET, STATEFUL_SET, kind_named
from kubernaut.kube.cluster import OWNER_INDEX, Cluster


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a workload wants, and whether it is there yet."""

    replicas: int
    rolled_out: bool
    """Whether its controller has seen the newest spec and every pod follows it."""


READABLE: Final = (DEPLOYMENT, STATEFUL_SET, DAEMON_SET, REPLICA_SET, POD, NODE)
"""Kinds whose health can be told."""


def kind_of(target: ResourceIdentifier) -> Kind | None:
    """Return the card of a target whose health can be told, else None."""
    found = kind_named(target.kind)
    return found if found in READABLE else None


def pods_of(cluster: Cluster, obj: Obj) -> list[Obj]:
    """Return the pods that belong to an object: those it controls, or those of the ReplicaSets it controls."""
    if obj.get("kind") == POD.kind:
        return [obj]
    uid = obj["metadata"]["uid"]
    if obj.get("kind") != DEPLOYMENT.kind:
        return cluster.select(POD, OWNER_INDEX, uid)
    sets = cluster.select(REPLICA_SET, OWNER_INDEX, uid)
    return [pod for each in sets for pod in cluster.select(POD, OWNER_INDEX, each["metadata"]["uid"])]


def wanted(obj: Obj) -> Wanted:
    """Return what an object wants."""
    return _WANTED.get(obj.get("kind", ""), _one)(obj)


def _deployment(obj: Obj) -> Wanted:
    replicas, status = _replicas(obj), obj.get("status") or {}
    exact = status.get("updatedReplicas", 0) == replicas == status.get("replicas", 0)
    return Wanted(replicas, _observed(obj) and exact and status.get("availableReplicas", 0) >= replicas)


def _stateful_set(obj: Obj) -> Wanted:
    replicas, status = _replicas(obj), obj.get("status") or {}
    current = status.get("updateRevision", "") == status.get("currentRevision", "") or status.get("updatedReplicas", 0) >= replicas
    return Wanted(replicas, _observed(obj) and current and status.get("readyReplicas", 0) >= replicas)


def _daemon_set(obj: Obj) -> Wanted:
    status = obj.get("status") or {}
    desired = int(status.get("desiredNumberScheduled") or 0)
    return Wanted(desired, _observed(obj) and status.get("updatedNumberScheduled", 0) >= desired)


def _replica_set(obj: Obj) -> Wanted:
    return Wanted(_replicas(obj), _observed(obj))


def _one(_obj: Obj) -> Wanted:
    return Wanted(1, rolled_out=True)


def _replicas(obj: Obj) -> int:
    value = (obj.get("spec") or {}).get("replicas")
    return 1 if value is None else int(value)


def _observed(obj: Obj) -> bool:
    observed = (obj.get("status") or {}).get("observedGeneration") or 0
    return bool(observed >= (obj["metadata"].get("generation") or 0))


_WANTED: Final[dict[str, Callable[[Obj], Wanted]]] = {
    DEPLOYMENT.kind: _deployment,
    STATEFUL_SET.kind: _stateful_set,
    DAEMON_SET.kind: _daemon_set,
    REPLICA_SET.kind: _replica_set,
}

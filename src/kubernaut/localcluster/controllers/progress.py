"""A Deployment's status: counts, and the conditions Available and Progressing in kube-controller-manager's reasons and words."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from kubernaut.localcluster.api import Obj
from kubernaut.localcluster.controllers.meta import condition, replaced
from kubernaut.localcluster.controllers.moments import moment, stamp
from kubernaut.localcluster.controllers.rollout import bounds_of

__all__ = ["complete", "deadline_in", "next_status", "with_progress"]

_NO_DEADLINE: Final = 2**31 - 1
_USUAL_DEADLINE: Final = 600
AVAILABLE_REASON: Final = "NewReplicaSetAvailable"
TIMED_OUT: Final = "ProgressDeadlineExceeded"


def _count(replica_sets: Sequence[Obj], field: str) -> int:
    return sum((rs.get("status") or {}).get(field, 0) for rs in replica_sets)


def next_status(deployment: Obj, new: Obj | None, replica_sets: Sequence[Obj], now: datetime) -> Obj:
    """Return the status that the ReplicaSets tell; `new` is among them or None."""
    old, available = deployment.get("status") or {}, _count(replica_sets, "availableReplicas")
    counts = {
        "replicas": _count(replica_sets, "replicas"),
        "updatedReplicas": _count([new] if new else [], "replicas"),
        "readyReplicas": _count(replica_sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sum(rs["spec"].get("replicas", 1) for rs in replica_sets) - available),
    }
    status: Obj = {"observedGeneration": deployment["metadata"].get("generation", 0)}
    status |= {name: count for name, count in counts.items() if count}
    status["terminatingReplicas"] = _count(replica_sets, "terminatingReplicas")
    status["conditions"] = replaced(old.get("conditions") or (), _available(deployment, available, now))
    if "collisionCount" in old:
        status["collisionCount"] = old["collisionCount"]
    return _with_failures(status, replica_sets, now)


def _available(deployment: Obj, available: int, now: datetime) -> Obj:
    if available >= bounds_of(deployment).least:
        return _condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", now)
    return _condition("Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.", now)


def _with_failures(status: Obj, replica_sets: Sequence[Obj], now: datetime) -> Obj:
    rows = [row for row in status["conditions"] if row["type"] != "ReplicaFailure"]
    failures = (condition(rs, "ReplicaFailure") for rs in replica_sets)
    failure = next((row for row in failures if row), None)
    if failure:
        held = [row for row in status["conditions"] if row["type"] == "ReplicaFailure"]
        rows = replaced([*rows, *held], _condition("ReplicaFailure", "True", failure["reason"], failure["message"], now))
    return {**status, "conditions": rows}


def _condition(type_: str, status: str, reason: str, message: str, now: datetime) -> Obj:
    seen = stamp(now)
    return {"type": type_, "status": status, "lastUpdateTime": seen, "lastTransitionTime": seen, "reason": reason, "message": message}


def complete(deployment: Obj, status: Obj) -> bool:
    """Tell whether the roll-out is over: all pods are of the present template and available, and no others are left."""
    replicas = deployment["spec"].get("replicas", 1)
    counts = (status.get("updatedReplicas", 0), status.get("replicas", 0), status.get("availableReplicas", 0))
    return counts == (replicas, replicas, replicas)


def _moves(old: Obj, new: Obj) -> bool:
    def left_behind(status: Obj) -> int:
        return int(status.get("replicas", 0) - status.get("updatedReplicas", 0))

    grows = any(new.get(field, 0) > old.get(field, 0) for field in ("updatedReplicas", "readyReplicas", "availableReplicas"))
    return grows or left_behind(new) < left_behind(old)


def _has_deadline(deployment: Obj) -> bool:
    return bool(_deadline(deployment) != _NO_DEADLINE)


def _deadline(deployment: Obj) -> int:
    return int(deployment["spec"].get("progressDeadlineSeconds", _USUAL_DEADLINE))


def with_progress(deployment: Obj, status: Obj, new: Obj | None, now: datetime) -> Obj:
    """Return the status with the Progressing condition it deserves."""
    rows = status["conditions"]
    held = next((row for row in rows if row["type"] == "Progressing"), None)
    if not _has_deadline(deployment):
        return {**status, "conditions": [row for row in rows if row["type"] != "Progressing"]}
    if held and held["reason"] == AVAILABLE_REASON and status.get("replicas", 0) == status.get("updatedReplicas", 0):
        return status
    return {**status, "conditions": _progressing(deployment, status, held, _subject(deployment, new), now)}


def _subject(deployment: Obj, new: Obj | None) -> str:
    return f'ReplicaSet "{new["metadata"]["name"]}"' if new else f'Deployment "{deployment["metadata"]["name"]}"'


def _progressing(deployment: Obj, status: Obj, held: Obj | None, subject: str, now: datetime) -> list[Obj]:
    rows: list[Obj] = status["conditions"]
    if complete(deployment, status):
        return replaced(rows, _condition("Progressing", "True", AVAILABLE_REASON, f"{subject} has successfully progressed.", now))
    if _moves(deployment.get("status") or {}, status):
        moving = _condition("Progressing", "True", "ReplicaSetUpdated", f"{subject} is progressing.", now)
        if held and held["status"] == "True":
            moving["lastTransitionTime"] = held["lastTransitionTime"]
        return [row for row in rows if row["type"] != "Progressing"] + [moving]
    if held and deadline_in(deployment, held, now) <= 0:
        return replaced(rows, _condition("Progressing", "False", TIMED_OUT, f"{subject} has timed out progressing.", now))
    return rows


def deadline_in(deployment: Obj, held: Obj | None, now: datetime) -> float:
    """Return the seconds until the roll-out counts as stuck; infinite where it cannot become so."""
    if held is None or not _has_deadline(deployment) or held["reason"] in {AVAILABLE_REASON, TIMED_OUT} or held["status"] == "Unknown":
        return float("inf")
    until = moment(held["lastUpdateTime"]) + timedelta(seconds=_deadline(deployment))
    return (until - now).total_seconds()

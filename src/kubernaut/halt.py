"""Whether work that changes a cluster may begin: the brake is asked at the API server itself; what cannot be read counts as paused."""

from datetime import datetime, timedelta
from typing import Final

from pydantic import ValidationError

from kubernaut.api.base import Condition, ConditionStatus, Obj
from kubernaut.api.brake import BRAKE, PAUSED, RemediationBrake, pause_over, told
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError
from kubernaut.kube.status import set_condition

LOOK_AGAIN: Final = timedelta(seconds=30)
"""When to look again at what is held, watches aside."""


def known_halt(cluster: Cluster, ours: str, namespace: str) -> str:
    """Say from the cache why nothing may begin in a namespace; empty when it may. `ours` is where the brake is."""
    obj = cluster.read(RemediationBrake.card, ours, BRAKE)
    return "" if obj is None else _judged(cluster, obj, namespace)


async def halt(cluster: Cluster, ours: str, namespace: str) -> str:
    """Say why nothing may begin in a namespace, from the API server itself; empty when it may. A brake that was never pulled is none."""
    try:
        obj = await cluster.client.get(RemediationBrake.card, BRAKE, ours)
    except ApiError as fault:
        if fault.not_found:
            return ""
        return f"whether work is paused cannot be read, which counts as paused: {fault.message or fault}"
    cluster.observe(RemediationBrake.card, obj)
    return _judged(cluster, obj, namespace)


def _judged(cluster: Cluster, obj: Obj, namespace: str) -> str:
    try:
        pauses = cluster.shared(RemediationBrake, obj).spec.pauses
    except ValidationError:
        return f"RemediationBrake {BRAKE} cannot be understood, which counts as paused: look at its spec"
    found = pause_over(pauses, namespace)
    return told(found) if found else ""


def hold(conditions: list[Condition], why: str, now: datetime) -> None:
    """Put on an object that a pause holds it (`why`), or that none does any more (empty)."""
    if why:
        set_condition(conditions, PAUSED, status=True, reason="Paused", message=why, now=now)
    elif is_held(conditions):
        set_condition(conditions, PAUSED, status=False, reason="Resumed", message="", now=now)


def is_held(conditions: list[Condition]) -> bool:
    """Tell whether an object is held by a pause."""
    return any(each.type == PAUSED and each.status is ConditionStatus.TRUE for each in conditions)


def resumed_at(conditions: list[Condition]) -> datetime | None:
    """Return when the last pause of an object ended: its clocks begin anew there."""
    found = next((each for each in conditions if each.type == PAUSED and each.status is ConditionStatus.FALSE), None)
    return found.last_transition_time if found else None

"""Quotas: pods that cannot be made because the namespace's ResourceQuota is used up, and how far it would have to be raised."""

import re
from decimal import Decimal

from kubernaut.analysis.bounds import replicas_and_surge
from kubernaut.analysis.investigators.base import Evidence
from kubernaut.analysis.investigators.rules.judging import SYMPTOMS, Candidate, Rule, evidence
from kubernaut.analysis.investigators.rules.memory import memory_text
from kubernaut.analysis.investigators.rules.remedies import Remedy, concluded, regression
from kubernaut.analysis.investigators.rules.sayings import refusals
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Obj
from kubernaut.api.quantity import parse_quantity

_EXCEEDED = re.compile(r"exceeded quota: (?P<quota>[^,\s]+), requested: (?P<wanted>\S+), used: (?P<used>\S+), limited: (?P<hard>\S+?)\.?$")
_MILLI = Decimal(1000)


def quota_exceeded(snapshot: Snapshot) -> Candidate | None:
    """The namespace's quota is used up: pods that the workload lacks are refused.

    Raising it by what is missing lets them in. When a recent roll-out raised the requests, going back is the remedy.
    """
    found = next(((match, told) for message, told in refusals(snapshot) if (match := _EXCEEDED.search(message.strip()))), None)
    if found is None:
        return None
    match, told = found
    quota, short = snapshot.named("ResourceQuota", match["quota"]), _short(match)
    if short is None:
        return None
    resource, wanted, used, hard = short
    pods = [pod for pod in snapshot.pods if not pod["metadata"].get("deletionTimestamp")]
    back = regression(snapshot, [], lambda change: ".resources." in change.path)
    proposed = _proposal(snapshot, resource, wanted, used) if quota else ""
    summary = f"No more pods of {snapshot.target.path()} can be made: quota {match['quota']} allows {hard} {resource}, and {used} is used."
    return concluded(
        snapshot,
        "QuotaExceeded",
        summary,
        0.88,
        (told, *_standing(quota, resource)),
        Remedy(
            advice=f"Raise the quota's {resource}, or free some: find what else in the namespace uses it.",
            action="RaiseResourceQuota" if proposed else "",
            target=quota if proposed else None,
            facts={"quota.resource": resource, "quota.hard.current": hard, "quota.hard.proposed": proposed} if proposed else {},
        ),
        back=back,
        factors=(f"{len(pods)} pods of it are there",),
    )


def _short(match: re.Match[str]) -> tuple[str, str, str, str] | None:
    """Return the first resource that does not suffice: its name, what is wanted, used and allowed."""
    wanted, used, hard = (dict(part.split("=", 1) for part in match[name].split(",") if "=" in part) for name in ("wanted", "used", "hard"))
    for name in sorted(wanted.keys() & used.keys() & hard.keys()):
        if parse_quantity(wanted[name]) + parse_quantity(used[name]) > parse_quantity(hard[name]):
            return name, wanted[name], used[name], hard[name]
    return None


def _proposal(snapshot: Snapshot, resource: str, wanted: str, used: str) -> str:
    """Return what the quota must be for all pods that are missing, and those that a roll-out has besides."""
    replicas, surge = replicas_and_surge(snapshot.top or {})
    there = int(((snapshot.top or {}).get("status") or {}).get("replicas") or 0)
    amount = parse_quantity(used) + parse_quantity(wanted) * (max(1, replicas - there) + surge)
    if "memory" in resource or "storage" in resource:
        return memory_text(amount + 2**20 - 1)
    return str(int(amount)) if amount == int(amount) else f"{int(amount * _MILLI)}m"


def _standing(quota: Obj | None, resource: str) -> tuple[Evidence, ...]:
    if quota is None:
        return ()
    status = quota.get("status") or {}
    used, hard = (status.get("used") or {}).get(resource, "?"), (status.get("hard") or quota["spec"].get("hard") or {}).get(resource, "?")
    return (evidence(quota, f"status.used[{resource}]", f"{used} of {hard}", "how much of it is used"),)


RULES = (Rule("QuotaExceeded", quota_exceeded, explains=SYMPTOMS),)

"""Memory: a container that the kernel kills at its limit, and how far the limit may be raised."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from kubernaut.analysis.bounds import Ceiling, ceilings
from kubernaut.analysis.containers import Container, Ended, containers, names_of
from kubernaut.analysis.investigators.base import Evidence
from kubernaut.analysis.investigators.rules.crashes import NOT_STARTED
from kubernaut.analysis.investigators.rules.judging import SYMPTOMS, Candidate, Rule, evidence, keys, place, sure, told_by
from kubernaut.analysis.reading import last_seen
from kubernaut.analysis.rollouts import last_rollout
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.quantity import parse_quantity

MIB = 2**20
OOM = "OOMKilled"
_TOO_LITTLE = re.compile(r"OOM.killed|memory limit .{0,60}too low|minimum memory limit allowed", re.IGNORECASE)
"""How runtimes say that a limit does not even let the process begin."""
_AT_LIMIT = re.compile(r"Memory cgroup out of memory", re.IGNORECASE)
"""How the kernel says that a limit was reached, not the end of the node's memory."""
_SIGKILL = 137
_NEAR = timedelta(minutes=2)
"""How close an event of the node must be to the end of a container to be about it."""
GROWTH = 2
"""How much the limit grows at once."""


@dataclass(frozen=True, slots=True)
class Kill:
    """A container with its latest kill."""

    container: Container
    ended: Ended


def kills(snapshot: Snapshot) -> list[Kill]:
    """Return the containers whose process the kernel killed for memory within the window, and that have not recovered since."""
    found = []
    for container in containers(snapshot):
        ended = next((end for end in container.ends() if end.reason == OOM or _at_start(end)), None)
        ended = ended or _refused(container) or _told_by_node(snapshot, container)
        if ended and _in_window(ended, snapshot.since) and not container.recovered(snapshot.at):
            found.append(Kill(container, ended))
    return found


def _told_by_node(snapshot: Snapshot, container: Container) -> Ended | None:
    """Return the latest end by SIGKILL, where an event of the node says that the kernel killed for memory at that moment.

    Some runtimes report the kill of a child process, or of the main one, as an error with exit code 137 and no more.
    """
    ended = next(iter(container.ends()), None)
    if ended is None or ended.exit_code != _SIGKILL or ended.finished is None or not container.limit("memory"):
        return None
    node = next((each for each in snapshot.nodes if each["metadata"]["name"] == container.pod["spec"].get("nodeName")), None)
    told = (event for event in (snapshot.events_about(node, "OOMKilling") if node else ()) if _AT_LIMIT.search(str(event.get("message"))))
    near = (event for event in told if (seen := last_seen(event)) and abs(seen - ended.finished) <= _NEAR)
    event = next(near, None)
    return replace(ended, reason=OOM, message=str(event.get("message") or "")) if event else None


def _at_start(ended: Ended) -> bool:
    """Tell whether the runtime could not even start the process within the limit."""
    return ended.reason in NOT_STARTED and bool(_TOO_LITTLE.search(ended.message))


def _refused(container: Container) -> Ended | None:
    """Return the start that the runtime refused for lack of memory, where the container only waits for it."""
    message = str(container.waiting.get("message") or "")
    return Ended("state", OOM, 128, message, None, None) if _TOO_LITTLE.search(message) else None


def _in_window(ended: Ended, since: datetime) -> bool:
    return ended.finished is None or ended.finished >= since


def killed_at_limit(snapshot: Snapshot) -> Candidate | None:
    """A container is OOM-killed at its own memory limit: it needs more than it is given.

    Read from the termination reason that kubelet reports. The limit is doubled, as far as LimitRange, ResourceQuota and the largest
    node allow. A limit that was raised since (the roll-out is under way) is no case; a container that is up again while another one of its
    pod is not weighs less.
    """
    limited = [kill for kill in kills(snapshot) if kill.container.limit("memory")]
    named = _worst([kill for kill in limited if not _raised_since(snapshot, kill)])
    limit = _template_limit(snapshot, named[0].container) if named else None
    return _limit_candidate(snapshot, named, limit) if limit else None


def _raised_since(snapshot: Snapshot, kill: Kill) -> bool:
    """Tell whether the workload asks for more by now than the container had when it was killed."""
    now = _template_limit(snapshot, kill.container)
    return now is not None and parse_quantity(now) > parse_quantity(kill.container.limit("memory") or "0")


def killed_without_limit(snapshot: Snapshot) -> Candidate | None:
    """A container without a memory limit is OOM-killed: the node ran out of memory, and the container may not be the one that took it.

    No limit can be raised; a person must find who uses the node's memory, or set requests that reserve it.
    """
    found = _worst([kill for kill in kills(snapshot) if not kill.container.limit("memory")])
    if not found:
        return None
    name, rows = found[0].container.name, [kill.container for kill in found]
    return Candidate(
        cause="NodeOutOfMemory",
        summary=f"Container {name} of {names_of(rows)} was killed because its node ran out of memory; it has no memory limit of its own.",
        confidence=0.65,
        target=snapshot.target,
        evidence=tuple(_kill_evidence(kill) for kill in found[:3]),
        advice="Find what uses the node's memory; give the container a memory request and limit that fit it.",
        facts=place(snapshot) | {"container": name},
        subjects=keys(rows),
        since=_first(found),
    )


def _worst(found: list[Kill]) -> list[Kill]:
    """Return the kills of the one container (by name) that was killed most."""
    by_name: dict[str, list[Kill]] = {}
    for kill in found:
        by_name.setdefault(kill.container.name, []).append(kill)
    return max(
        by_name.values(),
        key=lambda rows: (sum(not row.container.ready for row in rows), sum(row.container.restarts for row in rows)),
        default=[],
    )


def _template_limit(snapshot: Snapshot, container: Container) -> str | None:
    """Return the limit that the workload asks for now, so that what was raised meanwhile is not raised again."""
    spec = snapshot.template.get("spec", {})
    rows = spec.get("initContainers" if container.init else "containers") or ()
    template = next((row for row in rows if row["name"] == container.name), None)
    limits = ((template or {}).get("resources") or {}).get("limits") or {}
    return str(limits["memory"]) if "memory" in limits else container.limit("memory")


def _limit_candidate(snapshot: Snapshot, found: list[Kill], limit: str) -> Candidate:
    rows = [kill.container for kill in found]
    name, current = rows[0].name, parse_quantity(limit)
    ceiling = min(ceilings(snapshot, rows[0].spec, "memory", current), key=lambda row: row.amount, default=None)
    proposed = _proposal(current, limit, ceiling)
    facts = place(snapshot) | {"container": name, "memory.limit.current": limit} | ({"memory.limit.proposed": proposed} if proposed else {})
    return Candidate(
        cause=OOM,
        summary=f"Container {name} of {names_of(rows)} needs more memory than its limit of {limit}: the kernel kills it there.",
        confidence=_confidence(found),
        target=snapshot.target,
        evidence=_evidence(snapshot, found, limit) + _ceiling_evidence(ceiling, current),
        factors=_factors(snapshot, name, found),
        action="IncreaseMemoryLimits" if proposed else "",
        advice=""
        if proposed
        else f"The limit cannot be raised: {ceiling.says if ceiling else 'nothing allows more'}. Make room, or lower what it uses.",
        facts=facts,
        subjects=keys(rows),
        since=_first(found),
    )


def _proposal(current: Decimal, written: str, ceiling: Ceiling | None) -> str:
    """Return the doubled limit, or what the ceiling leaves of it, in the unit the limit is written in; empty when there is no room."""
    wanted = current * GROWTH
    amount = wanted if ceiling is None else min(wanted, ceiling.amount)
    return memory_text(amount, decimal=_decimal(written)) if amount - amount % MIB > current or amount == wanted else ""


def _decimal(written: str) -> bool:
    return written[-1] in "kMGT" and not written.endswith("i")


def memory_text(amount: Decimal, *, decimal: bool = False) -> str:
    """Write bytes as whole Mi or Gi (M or G), rounded down, at least one: the form the action `increase_resources` takes."""
    small, large, factor = ("M", "G", 1000) if decimal else ("Mi", "Gi", 1024)
    whole = max(1, int(amount // (1_000_000 if decimal else MIB)))
    return f"{whole // factor}{large}" if whole % factor == 0 else f"{whole}{small}"


def _confidence(found: list[Kill]) -> float:
    repeated = len(found) > 1 or any(kill.container.restarts > 1 for kill in found)
    down = any(not kill.container.ready for kill in found)
    blamed_elsewhere = not down and any(_others_down(kill.container) for kill in found)
    return sure(0.8, 0.12 if repeated else 0.0, 0.04 if down else -0.05, -0.3 if blamed_elsewhere else 0.0)


def _others_down(container: Container) -> bool:
    rows = (container.pod.get("status") or {}).get("containerStatuses") or ()
    return any(not row.get("ready") for row in rows if row["name"] != container.name)


def _kill_evidence(kill: Kill) -> Evidence:
    if kill.ended.reason != OOM or kill.container.waiting.get("message") == kill.ended.message:
        where = "waiting.message" if kill.ended.reason == OOM else "terminated.message"
        return told_by(kill.container, f"{kill.ended.where}.{where}", kill.ended.message, "it does not even start within its limit")
    restarts = kill.container.restarts
    says = f"the kernel killed it for memory; kubelet has restarted it {'once' if restarts == 1 else f'{restarts} times'}"
    return told_by(kill.container, f"{kill.ended.where}.terminated.reason", f"{OOM} (exit code {kill.ended.exit_code})", says)


def _evidence(snapshot: Snapshot, found: list[Kill], limit: str) -> tuple[Evidence, ...]:
    first = found[0].container
    owner = snapshot.top or first.pod
    where = f"spec.{'template.spec.' if owner['kind'] != 'Pod' else ''}{'initContainers' if first.init else 'containers'}[{first.name}]"
    said = evidence(owner, f"{where}.resources.limits.memory", limit, "the limit at which it was killed")
    against = [kill for kill in found if kill.container.ready]
    doubt = tuple(told_by(kill.container, "ready", "true", "speaks against it: it runs again for now") for kill in against[:1])
    return (*(_kill_evidence(kill) for kill in found[:3]), said, *doubt)


def _ceiling_evidence(ceiling: Ceiling | None, current: Decimal) -> tuple[Evidence, ...]:
    if ceiling is None or ceiling.amount >= current * GROWTH:
        return ()
    return (evidence(ceiling.obj, ceiling.field, ceiling.value, ceiling.says),)


def _factors(snapshot: Snapshot, name: str, found: list[Kill]) -> tuple[str, ...]:
    rollout = last_rollout(snapshot)
    recent = rollout.changes if rollout and rollout.recent else ()
    lowered = [change.told() for change in recent if change.path == f"spec.containers[{name}].resources.limits.memory"]
    spread = [f"{len(found)} of {len(snapshot.pods)} pods are affected"] if len(snapshot.pods) > 1 else []
    return tuple(f"The last roll-out changed the limit: {text}" for text in lowered) + tuple(spread)


def _first(found: list[Kill]) -> datetime | None:
    return min((kill.ended.finished for kill in found if kill.ended.finished), default=None)


RULES = (
    Rule(OOM, killed_at_limit, explains=SYMPTOMS | {"CommandNotFound"}),
    Rule("NodeOutOfMemory", killed_without_limit, explains=SYMPTOMS),
)

"""What is broken in a namespace, or everywhere, worst first: workloads that lack pods, and what stands alone and does not work.

Who is broken is told by states alone, which is cheap; only those are then diagnosed. What has one cause is one row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from kubernaut.analysis.containers import condition, containers_of, pod_ready
from kubernaut.analysis.investigators.base import Verdict
from kubernaut.analysis.plan import Next
from kubernaut.analysis.snapshot import identity
from kubernaut.api import core
from kubernaut.api.base import Kind, Obj, ResourceIdentifier
from kubernaut.cli import tables
from kubernaut.cli.findings import HOLMESGPT
from kubernaut.cli.material import Material
from kubernaut.cli.playing import Played, Theatre, signal_about
from kubernaut.kube.informer import controller_owner

LIMIT: Final = 40
"""Broken objects that are diagnosed."""
_WORKLOADS: Final = (core.DEPLOYMENT, core.STATEFUL_SET, core.DAEMON_SET)
_ALONE: Final = (core.JOB, core.POD, core.PERSISTENT_VOLUME_CLAIM, core.NODE)
_HAPPENS: Final = {
    Next.RUN: "runs by itself",
    Next.ASK: "a person is asked",
    Next.PERSON: "a person must act",
    Next.NOTHING: "",
}


@dataclass(frozen=True, slots=True)
class Broken:
    """An object that does not work, by its own report."""

    resource: ResourceIdentifier
    missing: float
    """Which part of it does not serve: 1 is all of it."""
    shows: str
    """What it shows, such as `1/3 ready`."""


@dataclass(slots=True)
class Row:
    """A cause, and all that is broken by it."""

    played: Played
    broken: list[Broken] = field(default_factory=list)


def broken(material: Material, namespace: str) -> list[Broken]:
    """Return what is broken in a namespace (everywhere, where none is given), the worst first."""
    found = [*_workloads(material, namespace), *_alone(material, namespace)]
    return sorted(found, key=lambda each: (-each.missing, each.resource.path()))


def _workloads(material: Material, namespace: str) -> Iterator[Broken]:
    restless = _restless(material)
    for kind in _WORKLOADS:
        for obj in _of(material, kind, namespace):
            ready, wanted = _counts(obj)
            uneasy = obj["metadata"].get("uid") in restless
            if wanted and (ready < wanted or uneasy):
                told = f"{ready}/{wanted} ready{', restarts' if uneasy else ''}"
                yield Broken(identity(obj), (wanted - min(ready, wanted)) / wanted, told)


def _restless(material: Material) -> set[str]:
    """Return the uids of workloads of whose pods a container ended badly and has not been up for long since."""
    found = set()
    for pod in material.cluster.objects(core.POD):
        if any(_restarting(row.status) for row in containers_of(pod)):
            found.add(_workload_of(material, pod))
    return found


def _workload_of(material: Material, pod: Obj) -> str:
    """Return the uid of what made a pod: of a ReplicaSet's, the Deployment's."""
    owner = controller_owner(pod)
    if owner.get("kind") == core.REPLICA_SET.kind:
        replica_set = material.cluster.read(core.REPLICA_SET, pod["metadata"].get("namespace", ""), str(owner.get("name")))
        owner = (controller_owner(replica_set) if replica_set else {}) or owner
    return str(owner.get("uid"))


def _restarting(status: Obj) -> bool:
    state = status.get("state") or {}
    return (state.get("waiting") or {}).get("reason") in {
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "ErrImagePull",
        "CreateContainerConfigError",
    }


def _counts(obj: Obj) -> tuple[int, int]:
    """Return how many pods serve, and how many should."""
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    if obj["kind"] == core.DAEMON_SET.kind:
        return int(status.get("numberReady") or 0), int(status.get("desiredNumberScheduled") or 0)
    return int(status.get("readyReplicas") or 0), int(spec.get("replicas", 1))


def _alone(material: Material, namespace: str) -> Iterator[Broken]:
    shows = {core.JOB: _job, core.POD: _pod, core.PERSISTENT_VOLUME_CLAIM: _claim, core.NODE: _node}
    for kind in _ALONE:
        for obj in _of(material, kind, namespace):
            if told := shows[kind](obj):
                yield Broken(identity(obj), 1.0, told)


def _job(job: Obj) -> str:
    return "failed" if condition(job, "Failed").get("status") == "True" else ""


def _pod(pod: Obj) -> str:
    """Tell what is wrong with a pod of nobody; what owns others is looked at itself."""
    phase = str((pod.get("status") or {}).get("phase") or "Pending")
    return "" if controller_owner(pod) or phase == "Succeeded" or pod_ready(pod) else f"{phase}, not ready"


def _claim(claim: Obj) -> str:
    phase = str((claim.get("status") or {}).get("phase") or "Pending")
    return "" if phase == "Bound" else phase


def _node(node: Obj) -> str:
    return "" if pod_ready(node) else "not ready"


def _of(material: Material, kind: Kind, namespace: str) -> list[Obj]:
    everywhere = not namespace
    return [obj for obj in material.cluster.objects(kind) if everywhere or obj["metadata"].get("namespace") == namespace]


@dataclass(frozen=True, slots=True)
class Survey:
    """What is broken, why, and how much was looked at."""

    material: Material
    namespace: str
    """The only one that was looked at; empty: all were."""
    found: Sequence[Broken]
    rows: Sequence[Row]

    def looked_at(self) -> int:
        """Return how many objects could have been broken."""
        return sum(len(_of(self.material, kind, self.namespace)) for kind in (*_WORKLOADS, *_ALONE))

    def unread(self) -> dict[str, str]:
        """Return the kinds that could not be read, each with why."""
        why = {kind.kind: self.material.cluster.unread(kind) for kind in (*_WORKLOADS, *_ALONE)}
        return {kind: each.why for kind, each in why.items() if each}


async def survey(material: Material, theatre: Theatre, namespace: str, severity: str) -> Survey:
    """Diagnose what is broken, as much as the limit allows, a row for each cause, in the order of the worst it broke."""
    found = broken(material, namespace)
    rows: dict[tuple[str, str], Row] = {}
    for each in found[:LIMIT]:
        played = await theatre.play(signal_about(each.resource, material.at, name="Investigation", severity=severity))
        key = (played.finding.cause.name, played.finding.target.path())
        rows.setdefault(key, Row(played)).broken.append(each)
    return Survey(material, namespace, found, list(rows.values()))


def document(told: Survey) -> dict[str, Any]:
    """Return a survey as plain data for JSON."""
    return {
        "at": told.material.at.isoformat(),
        "lookedAtObjects": told.looked_at(),
        "brokenObjects": len(told.found),
        "causes": [_plain(row) for row in told.rows],
        "unread": told.unread(),
        "holmesGPT": {"asked": False},
    }


def _plain(row: Row) -> dict[str, Any]:
    finding = row.played.finding
    return {
        "broken": [{"object": each.resource.wire(), "shows": each.shows} for each in row.broken],
        "verdict": finding.verdict.value,
        "cause": {"name": finding.cause.name, "summary": finding.cause.summary, "confidence": finding.cause.confidence},
        "target": finding.target.wire(),
        "action": finding.action,
        "next": row.played.plan.next.value,
    }


def show(console: Console, told: Survey) -> None:
    """Print a survey: what is broken, why, and what would be done about it."""
    where, at = f"namespace {told.namespace}" if told.namespace else "all namespaces", told.material.at
    console.print(Text.assemble((where, "bold"), (f"  as of {at:%Y-%m-%d %H:%M:%S} UTC, {told.material.origin}", "dim")))
    if told.found:
        tables.show(console, ("BROKEN", "SHOWS", "CAUSE", "CERTAIN", "FIX"), [cells for row in told.rows for cells in _cells(row)])
    for line in _after(told) if told.found else _nothing(told):
        console.print(line, soft_wrap=True)
    for kind, why in told.unread().items():
        console.print(Text(f"{kind} objects could not be read, so none of them was looked at: {why}", style="yellow"))


def _nothing(told: Survey) -> Iterator[Text]:
    """Say that nothing is broken, and how much that means."""
    count = told.looked_at()
    if not count:
        yield Text("there is nothing here that could be broken: no workload, pod, job, volume claim or node was found", style="yellow")
    elif told.unread():
        yield Text(f"nothing is broken among the {count} objects that could be read")
    else:
        yield Text.assemble(("✓ ", "bold green"), f"nothing is broken among {count} objects: every workload has the pods it should have")
    if told.namespace:
        yield Text("Only this namespace was looked at: -n names another, -A is all of them", style="dim")


def _after(told: Survey) -> Iterator[Text]:
    """Say what the table does not: how much was left out, who was not asked, and where to read on."""
    if len(told.found) > LIMIT:
        yield Text(f"{len(told.found) - LIMIT} more are broken and were not looked at: give a namespace or a name", style="yellow")
    if any(row.played.finding.verdict is Verdict.INCONCLUSIVE for row in told.rows):
        yield Text(f"{HOLMESGPT}.", style="dim")
    first = told.rows[0].broken[0].resource
    at = f" -n {first.namespace}" if first.namespace else ""
    yield Text(f"The evidence for one of them: kubernaut investigate {first.kind.casefold()}/{first.name}{at}", style="dim")


def _cells(row: Row) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield a line for each object that is broken; the cause stands at the first."""
    finding, first = row.played.finding, row.broken[0]
    elsewhere = f" in {finding.target.path()}" if finding.target.path() != first.resource.path() else ""
    known = finding.verdict is Verdict.CAUSE_FOUND
    cause = f"{finding.cause.name}{elsewhere}" if known else "no fault found" if finding.verdict is Verdict.NO_ACTION else "not known"
    fix = ", ".join(part for part in (finding.action, _HAPPENS[row.played.plan.next]) if part)
    yield first.resource.path(), first.shows, cause, f"{finding.cause.confidence:.0%}" if known else "", fix
    yield from ((each.resource.path(), each.shows, "  the same", "", "") for each in row.broken[1:])

"""Scheduling: pods that no node takes, in the scheduler's words, with requests held against what nodes have to give."""

import re
from decimal import Decimal

from kubernaut.analysis.bounds import allocatable
from kubernaut.analysis.containers import condition, judged_pods
from kubernaut.analysis.investigators.base import Evidence
from kubernaut.analysis.investigators.rules.judging import SYMPTOMS, Candidate, Rule, evidence, place, pod_key, sure
from kubernaut.analysis.investigators.rules.remedies import Regression, regression
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Obj
from kubernaut.api.quantity import parse_quantity

_LACK = re.compile(r"(\d+) Insufficient ([a-z0-9./-]*[a-z0-9])")
_COUNT = re.compile(r"^\d+/(\d+) nodes are available")


def unschedulable(snapshot: Snapshot) -> list[tuple[Obj, str]]:
    """Return the pods that wait for a node, with the scheduler's message."""
    found = []
    for pod in judged_pods(snapshot):
        row = condition(pod, "PodScheduled")
        if row.get("status") == "False" and row.get("reason") == "Unschedulable" and not pod["spec"].get("nodeName"):
            found.append((pod, str(row.get("message") or "")))
    return found


def lacking(message: str) -> dict[str, int]:
    """Return the resources that nodes lack, by name, with how many nodes lack them; what preemption says is left aside."""
    return {name: int(count) for count, name in _LACK.findall(message.partition("preemption:")[0])}


def insufficient(snapshot: Snapshot) -> Candidate | None:
    """No node has room for the pods: together the pods of the cluster ask for more than its nodes give.

    Nodes, or room on them, must be added. When a recent roll-out raised the requests and the revision before ran, going back is the remedy.
    A pod that is meant for one node, as those of DaemonSets are, is not helped by another one.
    """
    found = _lackers(snapshot)
    if not found or _too_large(snapshot, found[0][0]):
        return None
    pod, message = found[0]
    names = " and ".join(sorted(lacking(message)))
    back = _regression(snapshot, found)
    summary = (
        f"{len(found)} of {len(snapshot.pods)} pods of {snapshot.target.path()} wait for a node with enough {names}; the nodes are full."
    )
    total, only = _COUNT.match(message), _meant_for(pod)
    partial = total is not None and sum(lacking(message).values()) < int(total[1])
    beyond = _beyond(snapshot, pod, min(lacking(message)))
    advice = f"Ask for fewer replicas: {beyond}." if beyond else f"Add nodes or free {names}; or ask for less."
    return Candidate(
        cause="InsufficientResources",
        summary=f"{summary} {back.sentence()}" if back else summary,
        confidence=sure(0.85, back.weight if back else 0.0, -0.15 if partial else 0.0),
        target=snapshot.target,
        evidence=(_words(pod, message), *_requests(pod, message), *(back.evidence() if back else ())),
        factors=("Some nodes are ruled out for other reasons: " + message[:200],) if partial else (),
        action=back.action if back else "" if only or beyond else "ProvisionNode",
        advice="" if back else f"Free {names} on node {only}; or ask for less." if only else advice,
        facts=(back.facts(snapshot) if back else place(snapshot)) | {"resource": min(lacking(message))},
        subjects=frozenset(pod_key(row) for row, _ in found),
    )


def _meant_for(pod: Obj) -> str:
    """Return the one node that a pod is meant for, by name; empty where it may go elsewhere."""
    affinity = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    fields = (row for term in affinity.get("nodeSelectorTerms") or () for row in term.get("matchFields") or ())
    named = [row for row in fields if row.get("key") == "metadata.name" and row.get("operator") == "In"]
    return str((named[0].get("values") or [""])[0]) if len(named) == 1 else ""


def _beyond(snapshot: Snapshot, pod: Obj, resource: str) -> str:
    """Say what the replicas that are missing ask for where that is more than all nodes give together: no reason to add nodes."""
    top = snapshot.top
    given = [parse_quantity(text) for node in snapshot.nodes if (text := allocatable(node, resource))]
    wanted = int(((top or {}).get("spec") or {}).get("replicas") or 0) - sum(bool(row["spec"].get("nodeName")) for row in snapshot.pods)
    asked = requests_of(pod, resource) * max(wanted, 0)
    return (
        f"{wanted} more ask for {asked.normalize():f} {resource}, and all nodes give {sum(given, Decimal(0)).normalize():f}"
        if asked > sum(given, Decimal(0)) > 0
        else ""
    )


def too_large(snapshot: Snapshot) -> Candidate | None:
    """A pod asks for more than any node has in all: it can never run here, however empty the nodes are."""
    found = _lackers(snapshot)
    excess = _too_large(snapshot, found[0][0]) if found else None
    if excess is None:
        return None
    (pod, message), (resource, wanted, node, most) = found[0], excess
    back = _regression(snapshot, found)
    summary = f"Pods of {snapshot.target.path()} ask for {wanted} {resource}; no node has more than {most}."
    biggest = evidence(node, f"status.allocatable.{resource}", most, "the most that any node has to give")
    return Candidate(
        cause="RequestLargerThanNodes",
        summary=f"{summary} {back.sentence()}" if back else summary,
        confidence=sure(0.88, back.weight if back else 0.0),
        target=snapshot.target,
        evidence=(_words(pod, message), *_requests(pod, message), biggest, *(back.evidence() if back else ())),
        action=back.action if back else "",
        advice="" if back else f"Ask for less {resource}, or add a larger node.",
        facts=(back.facts(snapshot) if back else place(snapshot)) | {"resource": resource},
        subjects=frozenset(pod_key(row) for row, _ in found),
    )


def _lackers(snapshot: Snapshot) -> list[tuple[Obj, str]]:
    return [(pod, message) for pod, message in unschedulable(snapshot) if lacking(message)]


def requests_of(pod: Obj, resource: str) -> Decimal:
    """Return what a pod asks for: its containers together, or the largest init container where that is more."""
    spec = pod["spec"]
    together = sum((_request(row, resource) for row in spec.get("containers") or ()), Decimal(0))
    return max([together, *(_request(row, resource) for row in spec.get("initContainers") or ())])


def _request(container: Obj, resource: str) -> Decimal:
    resources = container.get("resources") or {}
    text = (resources.get("requests") or {}).get(resource) or (resources.get("limits") or {}).get(resource) or "0"
    return parse_quantity(str(text))


def _too_large(snapshot: Snapshot, pod: Obj) -> tuple[str, str, Obj, str] | None:
    """Return resource, request, largest node and what it gives, where no node could ever hold the pod."""
    for resource in sorted(lacking(str(condition(pod, "PodScheduled").get("message") or ""))):
        given = [
            (parse_quantity(text), node["metadata"]["name"], node, text) for node in snapshot.nodes if (text := allocatable(node, resource))
        ]
        wanted = requests_of(pod, resource)
        if given and wanted > max(given)[0]:
            _, _, node, text = max(given, key=lambda row: row[:2])
            return resource, _written(pod, resource, wanted), node, text
    return None


def _written(pod: Obj, resource: str, wanted: Decimal) -> str:
    """Return a request as it is written where one container makes it, else the sum as a number."""
    rows = [row for row in pod["spec"].get("containers") or () if _request(row, resource)]
    if len(rows) != 1:
        return str(wanted.normalize())
    resources = rows[0]["resources"]
    return str((resources.get("requests") or {}).get(resource) or resources["limits"][resource])


def _regression(snapshot: Snapshot, found: list[tuple[Obj, str]]) -> Regression | None:
    return regression(snapshot, [pod for pod, _ in found], lambda change: ".resources." in change.path)


def _words(pod: Obj, message: str) -> Evidence:
    return evidence(pod, "status.conditions[PodScheduled].message", message, "why the scheduler finds no node")


def _requests(pod: Obj, message: str) -> tuple[Evidence, ...]:
    return tuple(
        evidence(pod, f"spec.containers[*].resources.requests.{name}", _written(pod, name, requests_of(pod, name)), "what the pod asks for")
        for name in sorted(lacking(message))
    )


RULES = (
    Rule("InsufficientResources", insufficient, explains=SYMPTOMS),
    Rule("RequestLargerThanNodes", too_large, explains=SYMPTOMS),
)

"""Nodes: pods that suffer because their node does, and nodes that keep pods out."""

import re
from collections.abc import Mapping
from datetime import timedelta

from kubernaut.analysis.containers import condition, judged_pods, pod_ready
from kubernaut.analysis.investigators.base import Evidence, plain
from kubernaut.analysis.investigators.rules.judging import SYMPTOMS, Candidate, Judge, Rule, evidence
from kubernaut.analysis.investigators.rules.remedies import Remedy, concluded
from kubernaut.analysis.investigators.rules.scheduling import unschedulable
from kubernaut.analysis.snapshot import Snapshot, moment
from kubernaut.api.base import Obj

_PRESSURES: Mapping[str, tuple[str, str]] = {
    "MemoryPressure": ("NodeMemoryPressure", "Find what uses the node's memory; pods without requests are evicted first."),
    "DiskPressure": ("NodeDiskPressure", "Free disk on the node: images, logs, emptyDir volumes; or give it a larger disk."),
    "PIDPressure": ("NodePIDPressure", "Find what starts so many processes on the node, and limit it."),
    "NetworkUnavailable": ("NodeNetworkUnavailable", "Look at the network plugin and the routes of the node."),
}
_PROBLEMS = {
    "KernelDeadlock": "its kernel hangs",
    "ReadonlyFilesystem": "its disk was made read-only",
    "CorruptDockerOverlay2": "the images on its disk are broken",
    "FrequentKubeletRestart": "its kubelet does not stay up",
    "FrequentContainerdRestart": "its container runtime does not stay up",
    "FrequentDockerRestart": "its container runtime does not stay up",
    "FrequentUnregisterNetDevice": "its network devices hang",
}
"""Conditions by which the node problem detector tells of what kubelet does not notice."""
_UNWELL = re.compile(
    r"(\d+) node\(s\) had untolerated taint \{"
    r"(node\.kubernetes\.io/(?:disk-pressure|memory-pressure|pid-pressure|not-ready|unreachable|network-unavailable))\b"
)
_OF = re.compile(r"0/(\d+) nodes are available")
_FLAPS = 3
"""A node that became not ready so often within the window is failing, though it is ready now."""
_LOST = timedelta(minutes=1)


def node_not_ready(snapshot: Snapshot) -> Candidate | None:
    """A node does not report, or reports that it cannot run pods: its pods are lost until it is back or they are made anew elsewhere.

    Taking it out of use lets its pods start elsewhere, where another node is there for them.
    """
    found = [node for node in _concerned(snapshot) if condition(node, "Ready").get("status") in {"False", "Unknown"}]
    if not found:
        return None
    node, row = found[0], condition(found[0], "Ready")
    others = [each for each in snapshot.nodes if _takes_pods(each) and each is not node]
    since = moment(row.get("lastTransitionTime"))
    return concluded(
        snapshot,
        "NodeNotReady",
        f"Node {node['metadata']['name']} is not ready ({row.get('reason') or 'no reason given'}).",
        0.85 if since is None or snapshot.at - since >= _LOST else 0.7,
        (evidence(node, "status.conditions[Ready]", f"{row.get('status')}: {row.get('message') or row.get('reason')}", "it is not ready"),),
        Remedy(
            advice="Look at kubelet and the machine; take the node out of use when it does not come back.",
            action="CordonDrainNode" if others else "",
            target=node,
        ),
        pods=_pods_on(snapshot, node),
        since=since,
    )


def node_flapping(snapshot: Snapshot) -> Candidate | None:
    """A node becomes not ready again and again, though it may be ready now: taking it out of use protects its pods."""
    for node in _concerned(snapshot, all_pods=True):
        told = next(iter(snapshot.events_about(node, "NodeNotReady")), None)
        count = sum(_times(event) for event in snapshot.events_about(node, "NodeNotReady"))
        if told is None or count < _FLAPS or not _elsewhere(snapshot, node):
            continue
        return concluded(
            snapshot,
            "NodeFlapping",
            f"Node {node['metadata']['name']} became not ready {count} times lately.",
            0.8,
            (evidence(told, "count", count, "how often it became not ready within the time window"),),
            Remedy(advice="Take the node out of use and look at its kubelet, disk and network.", action="CordonDrainNode", target=node),
            pods=_pods_on(snapshot, node),
        )
    return None


def _times(event: Obj) -> int:
    """Return how often an event happened, in its old form or its new one."""
    return int(event.get("count") or (event.get("series") or {}).get("count") or 1)


def node_problem(snapshot: Snapshot) -> Candidate | None:
    """The node problem detector reports a fault of a node that kubelet calls ready: a kernel that hangs, a disk that is read-only now."""
    for node in _concerned(snapshot):
        rows = [(row, means) for type_, means in _PROBLEMS.items() if (row := condition(node, type_)).get("status") == "True"]
        if not rows:
            continue
        row, means = rows[0]
        pods = _pods_on(snapshot, node)
        said = (evidence(node, f"status.conditions[{row['type']}]", f"True: {row.get('message') or row.get('reason') or ''}", means),)
        remedy = Remedy(
            advice="Take the node out of use, and start it anew or replace it.",
            action="CordonDrainNode" if _elsewhere(snapshot, node) else "",
            target=node,
        )
        summary = f"Node {node['metadata']['name']} is broken, though kubelet calls it ready: {means} ({row['type']})."
        return concluded(snapshot, "NodeProblem", summary, 0.82, said, remedy, pods=pods, since=moment(row.get("lastTransitionTime")))
    return None


def _elsewhere(snapshot: Snapshot, node: Obj) -> bool:
    return not node.get("spec", {}).get("unschedulable") and any(_takes_pods(each) for each in snapshot.nodes if each is not node)


def _pressure(type_: str) -> Judge:
    cause, advice = _PRESSURES[type_]

    def judge(snapshot: Snapshot) -> Candidate | None:
        found = [node for node in _concerned(snapshot) if condition(node, type_).get("status") == "True"]
        if not found:
            return None
        node, row = found[0], condition(found[0], type_)
        told = evidence(node, f"status.conditions[{type_}]", f"True: {row.get('message') or row.get('reason') or ''}", "kubelet says so")
        summary = f"Node {node['metadata']['name']} is short: {type_}. Pods on it are evicted or kept out."
        pods = [*_pods_on(snapshot, node), *(pod for pod in snapshot.pods if evicted(pod))]
        remedy = Remedy(advice=advice, target=node)
        return concluded(snapshot, cause, summary, 0.83, (told, *_evictions(snapshot, node)), remedy, pods=pods)

    return judge


def _evictions(snapshot: Snapshot, node: Obj) -> tuple[Evidence, ...]:
    gone = [pod for pod in snapshot.pods if evicted(pod) and pod["spec"].get("nodeName") == node["metadata"]["name"]]
    return tuple(evidence(pod, "status.message", (pod["status"]).get("message", ""), "a pod that had to go") for pod in gone[:2])


def pods_evicted(snapshot: Snapshot) -> Candidate | None:
    """Pods that kubelet evicted still stand in lists as Failed, while what they were of is well again: they can be deleted.

    Where the node is still short, or a pod used more than it may, that is the cause.
    """
    top = snapshot.top
    if top is None or top["kind"] not in {"Deployment", "StatefulSet", "DaemonSet", "Namespace"}:
        return None
    own = [pod for pod in snapshot.pods if evicted(pod)]
    found = own or [pod for pod in snapshot.of("Pod") if evicted(pod) and not pod["metadata"].get("ownerReferences")]
    if not found or any(_overused(pod) for pod in found):
        return None
    facts = {"target.namespace": top["metadata"]["name"]} if top["kind"] == "Namespace" else {}
    remedy = Remedy(advice="Delete the evicted pods; look at the node if it happens again.", action="CleanupPods", target=top, facts=facts)
    where, said = found[0]["metadata"].get("namespace", ""), str(found[0]["status"].get("message") or "")
    return concluded(
        snapshot,
        "PodsEvicted",
        f"{len(found)} evicted pods are left behind in {where}: {plain(said, 120)}",
        0.65,
        tuple(evidence(each, "status.reason", "Evicted", "kubelet evicted it, and it stands in lists since") for each in found[:3]),
        remedy,
        pods=found,
    )


def ephemeral_storage_exceeded(snapshot: Snapshot) -> Candidate | None:
    """Kubelet evicts pods because they write more to local disk than they may: logs, emptyDir volumes, the container's own layer."""
    found = [pod for pod in snapshot.pods if evicted(pod) and _overused(pod)]
    if not found:
        return None
    said = tuple(evidence(pod, "status.message", pod["status"].get("message", ""), "why kubelet evicted it") for pod in found[:2])
    remedy = Remedy(advice="Raise the ephemeral-storage limit or the emptyDir's sizeLimit, or let the program write less.")
    summary = f"Pods of {snapshot.target.path()} are evicted because they write more to local disk than they may."
    return concluded(snapshot, "EphemeralStorageExceeded", summary, 0.85, said, remedy, pods=found)


def evicted(pod: Obj) -> bool:
    """Tell whether kubelet evicted a pod that still stands in lists."""
    status = pod.get("status") or {}
    return status.get("phase") == "Failed" and status.get("reason") == "Evicted"


def _overused(pod: Obj) -> bool:
    message = str((pod.get("status") or {}).get("message") or "")
    return "exceeds the limit" in message or "exceeds the total limit" in message or "exceeded its local ephemeral storage limit" in message


def _concerned(snapshot: Snapshot, *, all_pods: bool = False) -> list[Obj]:
    """Return the node that is the subject, else the nodes of the pods that are not well (of all pods)."""
    if snapshot.top is not None and snapshot.top["kind"] == "Node":
        return [snapshot.top]
    pods = [pod for pod in snapshot.pods if all_pods or evicted(pod) or not pod_ready(pod)]
    names, kept_out = {pod["spec"].get("nodeName") for pod in pods}, _kept_out(snapshot)
    return [node for node in snapshot.nodes if node["metadata"]["name"] in names or kept_out & _taints(node)]


def _kept_out(snapshot: Snapshot) -> set[str]:
    """Return the taints by which nodes that are unwell keep pods out, where most nodes do: Kubernetes itself sets and takes them off."""
    found: set[str] = set()
    for _, message in unschedulable(snapshot):
        told, total = _UNWELL.findall(message.partition("preemption:")[0]), _OF.match(message)
        if total and 2 * sum(int(count) for count, _ in told) >= int(total[1]):
            found |= {name for _, name in told}
    return found


def _taints(node: Obj) -> set[str]:
    return {str(row.get("key")) for row in node.get("spec", {}).get("taints") or ()}


def _pods_on(snapshot: Snapshot, node: Obj) -> list[Obj]:
    return [pod for pod in judged_pods(snapshot) if pod["spec"].get("nodeName") == node["metadata"]["name"]]


def _takes_pods(node: Obj) -> bool:
    return not node.get("spec", {}).get("unschedulable") and condition(node, "Ready").get("status") == "True"


_PRESSURE_RULES = tuple(
    Rule(
        cause,
        _pressure(type_),
        explains=SYMPTOMS | {"PodsEvicted", "NodeOutOfMemory", "UntoleratedTaint"},
        doc=f"Kubelet reports {type_} for the node that the pods are on, or were evicted from.",
    )
    for type_, (cause, _) in _PRESSURES.items()
)
RULES = (
    Rule(
        "NodeNotReady",
        node_not_ready,
        explains=SYMPTOMS
        | {"PodsEvicted", "NodeFlapping", "PodStuckTerminating", "UntoleratedTaint", "VolumeMultiAttach", "SandboxFailed"},
    ),
    Rule("NodeProblem", node_problem, explains=SYMPTOMS | {"PodStuckTerminating", "SandboxFailed", "NodeFlapping", "FileSystemReadOnly"}),
    Rule("NodeFlapping", node_flapping, explains=SYMPTOMS),
    *_PRESSURE_RULES,
    Rule("EphemeralStorageExceeded", ephemeral_storage_exceeded, explains=SYMPTOMS),
    Rule("PodsEvicted", pods_evicted),
)

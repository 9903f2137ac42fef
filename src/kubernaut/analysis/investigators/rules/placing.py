"""Placing: nodes that would have room and keep pods out: by cordon, by taint, or because selector and affinity fit none."""

import re
from collections.abc import Iterable

from kubernaut.analysis.containers import condition
from kubernaut.analysis.investigators.base import Evidence
from kubernaut.analysis.investigators.rules.judging import SYMPTOMS, Candidate, Rule, evidence
from kubernaut.analysis.investigators.rules.remedies import Remedy, concluded, regression
from kubernaut.analysis.investigators.rules.scheduling import lacking, unschedulable
from kubernaut.analysis.leads import labels_of, matches
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Obj

_EFFECTS = frozenset({"NoSchedule", "NoExecute"})
_CONTROL_PLANE = frozenset({"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"})
_KUBERNETES = re.compile(r"(^|\.)kubernetes\.io/|(^|\.)k8s\.io/")
_UNMATCHED = ("didn't match Pod's node affinity/selector", "didn't match node selector", "didn't match node affinity")
_NAMED = 4
_TOTAL = re.compile(r"^\d+/(\d+) nodes are available")


def _waiting(snapshot: Snapshot, word: str) -> list[tuple[Obj, str]]:
    """Return the pods of which the scheduler says the word, and not that nodes lack anything."""
    return [(pod, said) for pod, said in unschedulable(snapshot) if word in said.partition("preemption:")[0] and not lacking(said)]


def node_cordoned(snapshot: Snapshot) -> Candidate | None:
    """The nodes that the pods may go to are cordoned: somebody took them out of use, and perhaps forgot.

    A node that is ready and under no pressure is let take pods again; whether its maintenance is over a person knows.
    """
    found = [(pod, said) for pod, said in unschedulable(snapshot) if "node(s) were unschedulable" in said.partition("preemption:")[0]]
    if not found:
        return None
    pod, message = found[0]
    nodes = [node for node in snapshot.nodes if (node.get("spec") or {}).get("unschedulable") and _meant(pod, node)]
    well = [node for node in nodes if condition(node, "Ready").get("status") == "True" and not _repelling(pod, node)]
    others = [node for node in snapshot.nodes if node not in nodes and _meant(pod, node) and not _repelling(pod, node)]
    if not well:
        return None
    more = f" and {len(well) - _NAMED} more" if len(well) > _NAMED else ""
    names = ", ".join(node["metadata"]["name"] for node in well[:_NAMED]) + more
    said = (_words(pod, message), evidence(well[0], "spec.unschedulable", "true", "it is cordoned, and ready"))
    remedy = Remedy(advice=f"Uncordon {names} when the maintenance is over.", action="UncordonNode", target=well[0])
    are = "is" if len(well) == 1 else "are"
    summary = f"Pods of {snapshot.target.path()} wait for a node: {names} would take them, but {are} cordoned."
    return concluded(snapshot, "NodeCordoned", summary, 0.76 if others else 0.84, said, remedy, pods=[row for row, _ in found])


def untolerated_taint(snapshot: Snapshot) -> Candidate | None:
    """Nodes have taints that the pods do not tolerate, and no other node takes them.

    A taint without a value, on nodes that the pods ask for by name or label, is taken off when what it guarded against is over.
    """
    found = _waiting(snapshot, "taint")
    if not found or not _decides(snapshot, found[0], "taint"):
        return None
    pod, message = found[0]
    nodes = [node for node in snapshot.nodes if _meant(pod, node) and _repelling(pod, node)]
    forgotten = [(node, taint) for node in nodes for taint in _repelling(pod, node) if _may_go(taint)] if _asks(pod) else []
    back = regression(snapshot, [row for row, _ in found], lambda change: change.path.startswith("spec.tolerations"))
    said = (_words(pod, message), *(evidence(node, "spec.taints", _taints(node), "what keeps pods out") for node in nodes[:2]))
    node, taint = forgotten[0] if len({row[1]["key"] for row in forgotten}) == 1 and len(forgotten) == len(nodes) else (None, {})
    remedy = Remedy(
        advice="Tolerate the taint, or take it off the nodes when what it guards against is over.",
        action="RemoveTaint" if node else "",
        target=node,
        facts={"taint.key": str(taint["key"]), "taint.effect": str(taint["effect"])} if node else {},
    )
    summary = f"No node may take the pods of {snapshot.target.path()}: {'; '.join(_exclusions(message))}."
    return concluded(snapshot, "UntoleratedTaint", summary, 0.8, said, remedy, pods=[row for row, _ in found], back=back)


def no_node_matches(snapshot: Snapshot) -> Candidate | None:
    """The pods' node selector or affinity fits no node."""
    found = [row for word in _UNMATCHED for row in _waiting(snapshot, word)]
    if not found or not _decides(snapshot, found[0], "didn't match"):
        return None
    pod, message = found[0]
    fields = ("spec.nodeSelector", "spec.affinity")
    back = regression(snapshot, [row for row, _ in found], lambda change: change.path.startswith(fields))
    selector = ",".join(f"{key}={value}" for key, value in sorted((pod["spec"].get("nodeSelector") or {}).items()))
    said = (_words(pod, message), *((evidence(pod, "spec.nodeSelector", selector, "no node has these labels"),) if selector else ()))
    remedy = Remedy(advice="Compare the pods' selector and affinity with the labels of the nodes.")
    summary = f"No node may take the pods of {snapshot.target.path()}: {'; '.join(_exclusions(message))}."
    return concluded(snapshot, "NoNodeMatches", summary, 0.8, said, remedy, pods=[row for row, _ in found], back=back)


def _decides(snapshot: Snapshot, found: tuple[Obj, str], word: str) -> bool:
    """Tell whether a reason is the one that decides: where all nodes are known by what they are, else by being named first."""
    pod, message = found
    total = _TOTAL.match(message)
    if total is None or int(total[1]) != len(snapshot.nodes):
        return word in next(iter(_exclusions(message, deciding=True)), "")
    meant = [node for node in snapshot.nodes if _meant(pod, node)]
    if word == "taint":  # the taint of a control plane decides only where there is nothing else
        workers = [node for node in meant if not any(row["key"] in _CONTROL_PLANE for row in _repelling(pod, node))]
        return any(_repelling(pod, node) for node in workers or meant) or not meant
    return not meant or word in next(iter(_exclusions(message)), "")


def _exclusions(message: str, *, deciding: bool = False) -> list[str]:
    """Return the scheduler's reasons that are about taints, selectors and affinity; of a control plane's taint only where it may decide."""
    reasons = message.partition("preemption:")[0].partition(": ")[2].strip(" .")
    parts = re.split(r", (?=\d)", reasons)
    others = [part for part in parts if not any(key in part for key in _CONTROL_PLANE)]
    return [part for part in (others if deciding and others else parts) if re.search(r"taint|didn't match", part)]


def _meant(pod: Obj, node: Obj) -> bool:
    """Tell whether node selector and required affinity of a pod fit a node."""
    spec, labels = pod["spec"], labels_of(node)
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms = affinity.get("nodeSelectorTerms") or ()
    chosen = all(labels.get(key) == value for key, value in (spec.get("nodeSelector") or {}).items())
    return chosen and (not terms or any(matches({"matchExpressions": term.get("matchExpressions")}, labels) for term in terms))


def _asks(pod: Obj) -> bool:
    """Tell whether a pod asks for certain nodes."""
    spec = pod["spec"]
    return bool(spec.get("nodeSelector") or (spec.get("affinity") or {}).get("nodeAffinity"))


def _repelling(pod: Obj, node: Obj) -> list[Obj]:
    """Return a node's taints that keep a pod out; the one of a cordon aside."""
    taints: Iterable[Obj] = (node.get("spec") or {}).get("taints") or ()
    return [
        row
        for row in taints
        if row.get("effect") in _EFFECTS and row["key"] != "node.kubernetes.io/unschedulable" and not _tolerated(pod, row)
    ]


def _tolerated(pod: Obj, taint: Obj) -> bool:
    return any(_covers(row, taint) for row in pod["spec"].get("tolerations") or ())


def _covers(row: Obj, taint: Obj) -> bool:
    if row.get("effect") not in {None, "", taint["effect"]} or row.get("key") not in {None, "", taint["key"]}:
        return False
    return bool(row.get("operator", "Equal") == "Exists" or row.get("value", "") == taint.get("value", ""))


def _may_go(taint: Obj) -> bool:
    return not taint.get("value") and not _KUBERNETES.search(taint["key"])


def _taints(node: Obj) -> str:
    rows = (node.get("spec") or {}).get("taints") or ()
    return ", ".join(f"{row['key']}={row.get('value', '')}:{row.get('effect')}" for row in rows)


def _words(pod: Obj, message: str) -> Evidence:
    return evidence(pod, "status.conditions[PodScheduled].message", message, "why the scheduler finds no node")


RULES = (
    Rule("NodeCordoned", node_cordoned, explains=SYMPTOMS | {"InsufficientResources"}),
    Rule("UntoleratedTaint", untolerated_taint, explains=SYMPTOMS),
    Rule("NoNodeMatches", no_node_matches, explains=SYMPTOMS),
)

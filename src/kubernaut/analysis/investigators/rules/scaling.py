"""Scaling: autoscalers that are at their end or cannot measure, budgets that allow nothing, workloads that somebody scaled to zero."""

import re
from collections.abc import Iterator

from kubernaut.analysis.containers import condition
from kubernaut.analysis.investigators.rules.judging import SYMPTOMS, Candidate, Rule, evidence
from kubernaut.analysis.investigators.rules.remedies import Remedy, concluded
from kubernaut.analysis.leads import matches, selector_of
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Obj

_UNMEASURED = re.compile(r"missing request for (?P<what>\w+)( in container (?P<container>\S+))?")
_SCALED_DOWN = re.compile(r"[Ss]caled down replica set \S+ (?:from (?P<from>\d+) to 0|to 0 from (?P<then>\d+))")
_GROWTH, _MOST_MORE = 2, 10


def _autoscalers(snapshot: Snapshot) -> Iterator[Obj]:
    """Yield the subject if it is an autoscaler, else those that scale it."""
    top = snapshot.top
    if top is None:
        return
    if top["kind"] == "HorizontalPodAutoscaler":
        yield top
        return
    for scaler in snapshot.of("HorizontalPodAutoscaler"):
        named = (scaler.get("spec") or {}).get("scaleTargetRef") or {}
        if (named.get("kind"), named.get("name")) == (top["kind"], top["metadata"]["name"]):
            yield scaler


def at_maximum(snapshot: Snapshot) -> Candidate | None:
    """An autoscaler wants more replicas than it may have: the load is higher than its maximum carries."""
    for scaler in _autoscalers(snapshot):
        row, status, most = condition(scaler, "ScalingLimited"), scaler.get("status") or {}, int(scaler["spec"]["maxReplicas"])
        full = int(status.get("currentReplicas") or 0) >= most
        if (
            not full
            or row.get("status") != "True"
            or row.get("reason") != "TooManyReplicas"
            or condition(scaler, "ScalingActive").get("status") == "False"
        ):
            continue
        proposed = min(most * _GROWTH, most + _MOST_MORE)
        name = scaler["metadata"]["name"]
        said = (
            evidence(scaler, "status.currentReplicas", f"{status.get('currentReplicas')} of {most}", "it has as many as it may"),
            evidence(scaler, "status.conditions[ScalingLimited]", f"True: {row.get('message') or row.get('reason')}", "it wants more"),
        )
        remedy = Remedy(
            advice=f"Raise maxReplicas of {name}, if nodes and what it calls can carry more; or find what makes the load.",
            action="PatchHPA",
            target=scaler,
            facts={"hpa.maxReplicas.current": str(most), "hpa.maxReplicas.proposed": str(proposed)},
        )
        return concluded(
            snapshot, "AutoscalerAtMaximum", f"Autoscaler {name} is at its maximum of {most} and wants more.", 0.82, said, remedy
        )
    return None


def without_requests(snapshot: Snapshot) -> Candidate | None:
    """An autoscaler measures use by what pods request, and a container requests nothing: it cannot scale."""
    for scaler, message in _inactive(snapshot):
        if found := _UNMEASURED.search(message):
            name, what = scaler["metadata"]["name"], found["what"]
            said = (evidence(scaler, "status.conditions[ScalingActive].message", message, "why it cannot measure"),)
            summary = f"Autoscaler {name} cannot scale: a container does not request {what}."
            remedy = Remedy(advice=f"Give every container of the pods a {what} request, sidecars too.")
            return concluded(snapshot, "AutoscalerWithoutRequests", summary, 0.87, said, remedy)
    return None


def without_metrics(snapshot: Snapshot) -> Candidate | None:
    """An autoscaler gets no figures: the metrics service is away, or does not know the metric."""
    for scaler, message in _inactive(snapshot):
        reason = str(condition(scaler, "ScalingActive").get("reason"))
        if reason.startswith("FailedGet") and not _UNMEASURED.search(message):
            name = scaler["metadata"]["name"]
            said = (evidence(scaler, "status.conditions[ScalingActive].message", message, "why it cannot measure"),)
            remedy = Remedy(
                advice="Look at the metrics service (APIService metrics.k8s.io or custom.metrics.k8s.io) and the metric's name.",
                target=scaler,
            )
            return concluded(
                snapshot, "AutoscalerWithoutMetrics", f"Autoscaler {name} cannot scale: it gets no metrics.", 0.85, said, remedy
            )
    return None


def target_missing(snapshot: Snapshot) -> Candidate | None:
    """An autoscaler names a workload that does not exist."""
    for scaler in _autoscalers(snapshot):
        row, named = condition(scaler, "AbleToScale"), (scaler.get("spec") or {}).get("scaleTargetRef") or {}
        if row.get("status") == "False" and row.get("reason") == "FailedGetScale":
            name, aim = scaler["metadata"]["name"], f"{named.get('kind')} {named.get('name')}"
            said = (evidence(scaler, "status.conditions[AbleToScale].message", row.get("message", ""), "it does not find what it scales"),)
            remedy = Remedy(advice="Correct scaleTargetRef, or delete the autoscaler.", target=scaler)
            return concluded(
                snapshot, "AutoscalerTargetMissing", f"Autoscaler {name} scales {aim}, which is not there.", 0.87, said, remedy
            )
    return None


def _inactive(snapshot: Snapshot) -> Iterator[tuple[Obj, str]]:
    for scaler in _autoscalers(snapshot):
        row = condition(scaler, "ScalingActive")
        if row.get("status") == "False":
            yield scaler, str(row.get("message") or "")


def budget_allows_nothing(snapshot: Snapshot) -> Candidate | None:
    """A PodDisruptionBudget asks for as many healthy pods as there are, so that no node with one of them can ever be drained.

    Where pods are missing, the budget does what it should, and the cause is theirs.
    """
    top = snapshot.top
    if top is None or top["kind"] != "PodDisruptionBudget":
        return None
    status = top.get("status") or {}
    expected, healthy, wanted = (int(status.get(name) or 0) for name in ("expectedPods", "currentHealthy", "desiredHealthy"))
    if not expected or int(status.get("disruptionsAllowed") or 0) or healthy < expected or wanted < expected:
        return None
    spec = top["spec"]
    rule = f"minAvailable {spec['minAvailable']}" if "minAvailable" in spec else f"maxUnavailable {spec.get('maxUnavailable')}"
    said = (
        evidence(top, "status.disruptionsAllowed", f"0 of {expected} pods", "no pod may be evicted, though all are healthy"),
        evidence(top, "spec", rule, "what it asks for"),
    )
    remedy = Remedy(
        advice="Let it allow one disruption (maxUnavailable: 1), or run one more replica.",
        action="RelaxPDB",
        target=top,
        facts={"pdb.maxUnavailable.proposed": "1"},
    )
    summary = f"PodDisruptionBudget {top['metadata']['name']} allows no disruption at all: nodes with its pods cannot be drained."
    return concluded(snapshot, "BudgetAllowsNothing", summary, 0.84, said, remedy)


def scaled_to_zero(snapshot: Snapshot) -> Candidate | None:
    """Nothing runs because somebody asked for no replicas.

    Where an event tells how many there were, and a Service still waits for the pods, they can be had again; whether that is right a
    person knows.
    """
    top = snapshot.top
    if top is None or top["kind"] not in {"Deployment", "StatefulSet"} or top["spec"].get("replicas", 1) != 0:
        return None
    before, told = _before(snapshot)
    labels = (snapshot.template.get("metadata") or {}).get("labels")
    served = [each for each in snapshot.of("Service") if matches(selector_of(each), labels)]
    said = [evidence(top, "spec.replicas", 0, "no pods are asked for")]
    said += [evidence(told, "message", told.get("message", ""), "when that began, and how many there were")] if told else []
    said += [evidence(served[0], "spec.selector", "chooses its pods", "a Service still waits for them")] if served else []
    remedy = Remedy(
        advice="Ask who scaled it down; scale it up when that was a mistake.",
        action="ScaleReplicas" if before and top["kind"] == "Deployment" else "",
        facts={"replicas.current": "0", "replicas.proposed": str(before)} if before else {},
    )
    summary = f"{snapshot.target.path()} runs no pods because its spec asks for none." + (f" It had {before}." if before else "")
    return concluded(snapshot, "ScaledToZero", summary, 0.8, said, remedy)


def _before(snapshot: Snapshot) -> tuple[int, Obj | None]:
    """Return how many replicas there were before, and the event that says so."""
    for event in snapshot.events_of("ScalingReplicaSet"):
        if found := _SCALED_DOWN.search(str(event.get("message") or "")):
            return int(found["from"] or found["then"]), event
    return 0, None


RULES = (
    Rule("AutoscalerAtMaximum", at_maximum),
    Rule("AutoscalerWithoutRequests", without_requests, explains=frozenset({"AutoscalerWithoutMetrics"})),
    Rule("AutoscalerWithoutMetrics", without_metrics),
    Rule("AutoscalerTargetMissing", target_missing),
    Rule("BudgetAllowsNothing", budget_allows_nothing),
    Rule("ScaledToZero", scaled_to_zero, explains=SYMPTOMS),
)

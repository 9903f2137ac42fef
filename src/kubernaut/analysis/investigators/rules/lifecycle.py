"""Lifecycle: objects that are being deleted and do not go, roll-outs that somebody paused, webhooks that do not answer."""

import re
from collections.abc import Iterator
from datetime import timedelta

from kubernaut.analysis.containers import condition
from kubernaut.analysis.investigators.base import Evidence
from kubernaut.analysis.investigators.rules.admission import hooks, too_slow
from kubernaut.analysis.investigators.rules.judging import SYMPTOMS, Candidate, Rule, evidence
from kubernaut.analysis.investigators.rules.remedies import Remedy, concluded
from kubernaut.analysis.investigators.rules.sayings import refusals
from kubernaut.analysis.snapshot import Snapshot, Through, identity, moment
from kubernaut.api.base import Obj

_HANGS = timedelta(minutes=5)
_CALL = re.compile(r'failed calling webhook "(?P<hook>[^"]{1,253})"')


def _going(snapshot: Snapshot) -> Iterator[tuple[Obj, timedelta]]:
    """Yield what of the case has been on its way out for longer than it should take, with how long."""
    for obj in (*snapshot.chain, *snapshot.pods, *snapshot.of("PersistentVolumeClaim")):
        asked = moment(obj["metadata"].get("deletionTimestamp"))
        mine = obj["kind"] != "PersistentVolumeClaim" or obj in snapshot.chain
        if mine and asked is not None and snapshot.at - asked >= _HANGS:
            yield obj, snapshot.at - asked


def finalizer_hangs(snapshot: Snapshot) -> Candidate | None:
    """An object was deleted and stays, because a finalizer on it is not taken off: its controller is away or fails."""
    for obj, length in _going(snapshot):
        names = obj["metadata"].get("finalizers") or ()
        if not names or obj["kind"] == "Namespace":
            continue
        said = (
            evidence(obj, "metadata.deletionTimestamp", obj["metadata"]["deletionTimestamp"], f"deleted {_minutes(length)} minutes ago"),
            evidence(obj, "metadata.finalizers", ", ".join(names), "who has to let it go"),
        )
        protected = any(name.startswith("kubernetes.io/pv") for name in names)
        advice = (
            "A pod still uses it: end that first."
            if protected
            else f"Look at the controller of {names[0]}; take the finalizer off only when it is gone for good."
        )
        summary = f"{identity(obj).path()} was deleted {_minutes(length)} minutes ago and stays: finalizer {names[0]} is not taken off."
        return concluded(snapshot, "FinalizerHangs", summary, 0.86, said, Remedy(advice=advice, target=obj))
    return None


def namespace_stuck(snapshot: Snapshot) -> Candidate | None:
    """A namespace was deleted and stays: something in it, or an API that does not answer, keeps it."""
    obj = snapshot.top if snapshot.top is not None and snapshot.top["kind"] == "Namespace" else None
    asked = moment(obj["metadata"].get("deletionTimestamp")) if obj else None
    if obj is None or asked is None or snapshot.at - asked < _HANGS:
        return None
    rows = [row for row in (obj.get("status") or {}).get("conditions") or () if row.get("status") == "True"]
    said = [evidence(obj, f"status.conditions[{row['type']}].message", row.get("message", ""), "what keeps it") for row in rows[:4]]
    said.append(evidence(obj, "metadata.deletionTimestamp", obj["metadata"]["deletionTimestamp"], "when it was deleted"))
    summary = f"Namespace {obj['metadata']['name']} was deleted {_minutes(snapshot.at - asked)} minutes ago and stays."
    advice = "Follow the conditions: delete what remains, or repair the API service that does not answer."
    return concluded(snapshot, "NamespaceStuckTerminating", summary, 0.87, said, Remedy(advice=advice, target=obj))


def pod_stuck(snapshot: Snapshot) -> Candidate | None:
    """A pod was deleted and stays without any finalizer: its node's kubelet does not end it."""
    for obj, length in _going(snapshot):
        if obj["kind"] == "Pod" and not obj["metadata"].get("finalizers"):
            node = str(obj["spec"].get("nodeName") or "")
            said = (
                evidence(obj, "metadata.deletionTimestamp", obj["metadata"]["deletionTimestamp"], "when it should have gone"),
                evidence(obj, "spec.nodeName", node, "the node whose kubelet has to end it"),
            )
            summary = (
                f"Pod {obj['metadata']['name']} was deleted {_minutes(length)} minutes ago and stays: kubelet of {node} does not end it."
            )
            remedy = Remedy(
                advice="Look at kubelet and the runtime of the node: a process that cannot be killed, a volume that cannot be unmounted."
            )
            return concluded(snapshot, "PodStuckTerminating", summary, 0.78, said, remedy)
    return None


def rollout_paused(snapshot: Snapshot) -> Candidate | None:
    """A Deployment's roll-out is paused while its pods are not of its present template: nothing goes on until it is resumed."""
    top = snapshot.top
    if top is None or top["kind"] != "Deployment" or not top["spec"].get("paused"):
        return None
    status, wanted = top.get("status") or {}, int(top["spec"].get("replicas", 1))
    updated = int(status.get("updatedReplicas") or 0)
    if updated >= wanted:
        return None
    row = condition(top, "Progressing")
    said = (
        evidence(top, "spec.paused", "true", "somebody paused it"),
        evidence(top, "status.updatedReplicas", f"{updated} of {wanted}", "the rest is of an older template"),
        *((evidence(top, "status.conditions[Progressing].reason", row.get("reason", ""), "its controller says so"),) if row else ()),
    )
    summary = f"The roll-out of {snapshot.target.path()} is paused: {updated} of {wanted} pods are of its present template."
    return concluded(
        snapshot, "RolloutPaused", summary, 0.85, said, Remedy(advice="Resume it (kubectl rollout resume), or take the change back.")
    )


def webhook_failing(snapshot: Snapshot) -> Candidate | None:
    """An admission webhook does not answer, and no pod can be made without it: the webhook's own workload is at fault.

    Or several take longer together than the API server waits, which then names none of them.
    """
    for message, told in refusals(snapshot):
        if not (found := _CALL.search(message)):
            continue
        configuration = next(
            (obj for obj in hooks(snapshot) if any(row.get("name") == found["hook"] for row in obj.get("webhooks") or ())), None
        )
        leads = [lead for lead in snapshot.leads if lead.through is Through.ADMITS]
        behind = f" It is answered by {leads[0].snapshot.target.path()}." if leads and leads[0].snapshot else ""
        said: list[Evidence] = [told]
        if configuration is not None:
            said.append(evidence(configuration, f"webhooks[{found['hook']}].failurePolicy", "Fail", "without its answer nothing is made"))
        remedy = Remedy(
            advice="Repair the workload behind the webhook; failurePolicy Ignore lets pods through meanwhile.", target=configuration
        )
        summary = f"No pod of {snapshot.target.path()} can be made: webhook {found['hook']} does not answer.{behind}"
        return concluded(snapshot, "WebhookFailing", summary, 0.86, said, remedy)
    return too_slow(snapshot)


def _minutes(length: timedelta) -> int:
    return int(length.total_seconds() // 60)


RULES = (
    Rule("FinalizerHangs", finalizer_hangs, explains=SYMPTOMS),
    Rule("NamespaceStuckTerminating", namespace_stuck, explains=SYMPTOMS | {"NamespaceTerminating"}),
    Rule("PodStuckTerminating", pod_stuck, explains=SYMPTOMS),
    Rule("RolloutPaused", rollout_paused),
    Rule("WebhookFailing", webhook_failing, explains=SYMPTOMS),
)

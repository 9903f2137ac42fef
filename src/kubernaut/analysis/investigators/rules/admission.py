"""Admission: webhooks that take too long together, and pods that are not what their template says."""

import re

from kubernaut.analysis.containers import Container, containers
from kubernaut.analysis.investigators.base import Evidence
from kubernaut.analysis.investigators.rules.judging import SYMPTOMS, Candidate, Rule, evidence, told_by
from kubernaut.analysis.investigators.rules.remedies import Remedy, concluded
from kubernaut.analysis.investigators.rules.sayings import refusals
from kubernaut.analysis.leads import labels_of, matches
from kubernaut.analysis.rollouts import revisions_of
from kubernaut.analysis.snapshot import Snapshot, source
from kubernaut.api.base import Obj
from kubernaut.api.quantity import parse_quantity

_GAVE_UP = re.compile(r"context deadline exceeded|request did not complete within requested timeout")
_NAMED = re.compile(r'failed calling webhook "')
_TIMEOUT = 10
"""Seconds that a webhook has where its configuration does not say."""
_REPLACED = re.compile(r"definition changed")


def hooks(snapshot: Snapshot) -> tuple[Obj, ...]:
    """Return the configurations of all admission webhooks."""
    return (*snapshot.of("ValidatingWebhookConfiguration"), *snapshot.of("MutatingWebhookConfiguration"))


def too_slow(snapshot: Snapshot) -> Candidate | None:
    """Tell of webhooks that the API server waits for in vain and does not name: all that look at new pods here share its 30 seconds.

    Each may be allowed to fail (failurePolicy Ignore): its own time is waited for nevertheless.
    """
    told = next((told for message, told in refusals(snapshot) if _GAVE_UP.search(message) and not _NAMED.search(message)), None)
    rows = _asked(snapshot, "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
    if told is None or not rows:
        return None
    longest = max(rows, key=lambda row: (row[0], row[1]["metadata"]["name"]))[1]
    names = ", ".join(f"{obj['metadata']['name']} ({seconds} s)" for seconds, obj in rows[:6])
    together = sum(seconds for seconds, _ in rows)
    said = (told, evidence(longest, "webhooks[*].timeoutSeconds", together, f"seconds that all may take together: {names}"))
    advice = "Find which of them does not answer: their pods, and NetworkPolicies that keep the API server out; or give them less time."
    summary = f"No pod of {snapshot.target.path()} can be made: the webhooks that look at new pods do not answer in time ({names})."
    return concluded(snapshot, "WebhookFailing", summary, 0.76, said, Remedy(advice=advice, target=longest))


def _asked(snapshot: Snapshot, *kinds: str) -> list[tuple[int, Obj]]:
    """Return the configurations with a webhook that is asked about any new pod of the namespace, with the seconds it may take."""
    labels = {"kubernetes.io/metadata.name": snapshot.target.namespace}
    labels |= labels_of(snapshot.namespace) if snapshot.namespace else {}
    return [
        (int(row.get("timeoutSeconds") or _TIMEOUT), obj)
        for kind in kinds
        for obj in snapshot.of(kind)
        for row in obj.get("webhooks") or ()
        if matches(row.get("namespaceSelector") or {}, labels) and matches(row.get("objectSelector") or {}, {}) and _sees_new_pods(row)
    ]


def _sees_new_pods(hook: Obj) -> bool:
    for rule in hook.get("rules") or ():
        if {"pods", "*"} & set(rule.get("resources") or ()) and {"CREATE", "*"} & set(rule.get("operations") or ()):
            return True
    return False


def pods_altered(snapshot: Snapshot) -> Candidate | None:
    """Pods are not what their template says, and fail for it: a webhook gave them less memory, or somebody put another image into them.

    A change of the template would be taken back, or would change nothing. A pod whose image was exchanged after it was made is made anew.
    """
    specs = {row["name"]: row for row in (snapshot.template.get("spec") or {}).get("containers") or ()}
    revisions = revisions_of(snapshot)
    for container in containers(snapshot):
        meant = specs.get(container.name)
        if meant is None or (revisions and not revisions[0].made(container.pod)):
            continue
        if found := _starved(snapshot, container, meant) or _exchanged(snapshot, container, meant):
            return found
    return None


def _starved(snapshot: Snapshot, container: Container, meant: Obj) -> Candidate | None:
    given = ((container.spec.get("resources") or {}).get("limits") or {}).get("memory")
    asked = ((meant.get("resources") or {}).get("limits") or {}).get("memory")
    killed = any(ended.reason == "OOMKilled" for ended in container.ends()) and not container.recovered(snapshot.at)
    if not killed or not given or snapshot.of("LimitRange") or (asked and parse_quantity(given) >= parse_quantity(asked)):
        return None
    rows = [obj for _, obj in _asked(snapshot, "MutatingWebhookConfiguration")]
    names = ", ".join(obj["metadata"]["name"] for obj in rows[:4])
    said = (
        evidence(container.pod, f"spec.containers[{container.name}].resources.limits.memory", given, "the memory that the pod was given"),
        _meant(snapshot, f"spec.template.spec.containers[{container.name}].resources.limits.memory", asked or "none"),
        *(evidence(obj, "webhooks[*].rules", "pods", "it may change new pods of this namespace") for obj in rows[:2]),
    )
    summary = f"Pods of {snapshot.target.path()} are killed at {given} of memory, which their template does not say: they were made so."
    advice = f"Look at the webhooks that change new pods here ({names or 'none is known'}): the template's own limit is not what counts."
    return concluded(snapshot, "PodsAltered", summary, 0.84 if rows else 0.72, said, Remedy(advice=advice), pods=[container.pod])


def _exchanged(snapshot: Snapshot, container: Container, meant: Obj) -> Candidate | None:
    has, should = str(container.spec.get("image") or ""), str(meant.get("image") or "")
    told = next((event for event in snapshot.events_about(container.pod, "Killing") if _REPLACED.search(str(event.get("message")))), None)
    if not has or has == should or told is None:
        return None
    said = (
        evidence(container.pod, f"spec.containers[{container.name}].image", has, "the image that the pod has"),
        _meant(snapshot, f"spec.template.spec.containers[{container.name}].image", should),
        evidence(told, "message", told.get("message", ""), "it was exchanged in the running pod"),
        told_by(container, "restartCount", container.restarts, "how often kubelet started it again"),
    )
    name = container.pod["metadata"]["name"]
    remedy = Remedy(advice=f"Delete pod {name}: it is made anew with the image of its template.", action="RestartPod", target=container.pod)
    summary = f"Somebody put image {has} into pod {name}; its template says {should}."
    return concluded(snapshot, "PodsAltered", summary, 0.86, said, remedy, pods=[container.pod])


def _meant(snapshot: Snapshot, field: str, value: object) -> Evidence:
    return Evidence(source(snapshot.top) if snapshot.top else "", field, str(value), "what the template says")


RULES = (Rule("PodsAltered", pods_altered, explains=SYMPTOMS | {"OOMKilled", "ImageNotFound", "ImagePullDenied", "ImagePullFailing"}),)

"""A remediation whose fix is judged, as the caches show it, for probes that ask others."""

import json
from datetime import UTC, datetime, timedelta

from kubernaut.api.remediation import RemediationRequest
from kubernaut.api.verification import EffectivenessAssessment
from kubernaut.kube.client import Client
from kubernaut.kube.cluster import Caches, Cluster, card_of

T0 = datetime(2026, 1, 1, 12, tzinfo=UTC)
TARGET = {"kind": "Deployment", "name": "shop", "namespace": "production"}
LABELS = {"alertname": "KubePodCrashLooping", "namespace": "production", "pod": "shop-7c9b5f6d8-x2x2x", "severity": "critical"}


def at(minutes):
    return T0 + timedelta(minutes=minutes)


class Hand:
    """A clock that stands where it is put."""

    def __init__(self, moment):
        self.moment = moment

    def now(self):
        return self.moment


def looking(probe, *, now, state="firing", query="", signal_type="prometheus", labels=None):
    """Return caches that hold one remediation, over an API server that cannot be reached, and the assessment of its fix."""
    client = Client("http://127.0.0.1:1")
    caches = Caches(client)
    for watched, indexes in probe.reads().items():
        caches.ask(card_of(watched), "", indexes)
    cluster = Cluster(client, Hand(now), caches)
    cluster.observe(RemediationRequest.card, request(state, query, signal_type, labels or LABELS))
    return cluster, assessment()


async def seen(probe, **more):
    """Look once; there must be a reading."""
    reading = await probe.look(*looking(probe, **more))
    assert reading is not None
    return reading


def request(state, query, signal_type, labels):
    data = RemediationRequest.model_validate(
        {
            "metadata": {"name": "rr-1", "namespace": "kubernaut-system", "resourceVersion": "3"},
            "spec": {
                "signalName": labels["alertname"],
                "signalFingerprint": "a" * 64,
                "signalType": signal_type,
                "signalLabels": labels,
                "severity": "critical",
                "targetResource": "production/deployment/shop",
                "target": TARGET,
                **dict.fromkeys(("firingTime", "receivedTime", "createdAt"), T0),
                "originalPayload": "{}",
            },
        }
    ).wire()
    if query:
        links = {"namespace": "production", "resource": TARGET, "prometheusQuery": query}
        data["spec"]["providerData"] = json.dumps(links)
    return {**data, "status": {"signalState": state}}


def assessment():
    """The fix of the remediation, begun at noon, in a minute later."""
    spec = {
        "remediationRequestRef": {"name": "rr-1", "namespace": "kubernaut-system"},
        "signalFingerprint": "a" * 64,
        "signalName": "KubePodCrashLooping",
        "signalTarget": TARGET,
        "remediationTarget": TARGET,
        "fixStartedAt": T0,
        "fixCompletedAt": at(1),
    }
    meta = {"name": "ea-rr-1", "namespace": "kubernaut-system", "uid": "u-1"}
    return EffectivenessAssessment.model_validate({"metadata": meta, "spec": spec})

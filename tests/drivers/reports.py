"""A valid body of each source, made of reports about named pods: what the suite needs to know of a source's form. A new source adds a row."""

import json
from collections.abc import Callable, Sequence

Write = Callable[[Sequence[str], dict[str, str]], bytes]
"""Writes one body that reports on pods in order, with more labels and texts that mean nothing to us."""


def _alertmanager(pods: Sequence[str], odd: dict[str, str]) -> bytes:
    labels = {"alertname": "KubePodCrashLooping", "namespace": "shop", "severity": "critical"}
    alerts = [
        {"status": "firing", "labels": odd | labels | {"pod": pod}, "annotations": odd, "startsAt": "2026-01-01T00:00:00Z"} for pod in pods
    ]
    return json.dumps({"version": "4", "status": "firing", "receiver": "kubernaut", "alerts": alerts}).encode()


def _events(pods: Sequence[str], odd: dict[str, str]) -> bytes:
    items = [
        {
            "metadata": {"name": f"event-{number}", "namespace": "shop", "annotations": odd},
            "type": "Warning",
            "reason": "BackOff",
            "message": "".join(odd.values()),
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": pod, "namespace": "shop", "labels": odd},
            "lastTimestamp": "2026-01-01T00:00:00Z",
        }
        for number, pod in enumerate(pods)
    ]
    return json.dumps({"kind": "EventList", "apiVersion": "v1", "items": items}).encode()


BODIES: dict[str, Write] = {"prometheus": _alertmanager, "kubernetes-event": _events}
"""By the source's name."""

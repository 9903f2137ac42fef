"""Kubernetes Events, core/v1 or events.k8s.io/v1: one, or a list of them; only Warnings are signals."""

from collections.abc import Mapping, Sequence
from typing import Final

from kubernaut.api.base import GROUP, Obj, ResourceIdentifier
from kubernaut.api.signal import Severity, SignalState
from kubernaut.gateway.sources.base import BadBody, Refused, Signal
from kubernaut.gateway.sources.reading import NAME_LIMIT, decoded, fields, moment, printable, resource, texts

MAX_EVENTS: Final = 10_000
OURS: Final = (GROUP, "tekton.dev")
"""API groups of what remediations consist of: a failing remediation must not be a signal for the next one."""
CRITICAL: Final = frozenset({"NodeNotReady", "OOMKilling", "SystemOOM", "FreeDiskSpaceFailed", "EvictionThresholdMet"})
"""Reasons that say more than Warning does: a node, or what runs on it, is going."""
EXAMPLE: Final[Obj] = {
    "apiVersion": "v1",
    "kind": "Event",
    "metadata": {"name": "shop-5d8f-x2.17a9", "namespace": "shop"},
    "type": "Warning",
    "reason": "BackOff",
    "message": "Back-off restarting failed container shop",
    "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": "shop-5d8f-x2", "namespace": "shop"},
    "firstTimestamp": "2026-01-01T00:00:00Z",
    "lastTimestamp": "2026-01-01T00:05:00Z",
    "count": 5,
}
SCHEMA: Final[Obj] = {
    "title": "A Kubernetes Event, or a list of them",
    "type": "object",
    "anyOf": [
        {"required": ["involvedObject"], "properties": {"items": {"not": {"type": "array"}}}},
        {"required": ["regarding"], "properties": {"items": {"not": {"type": "array"}}}},
        {"required": ["items"], "properties": {"items": {"type": "array", "minItems": 1, "maxItems": MAX_EVENTS}}},
    ],
    "description": "Each Event is judged alone: needed are type Warning, a reason, a time, and an object with kind, name and namespace."
    " What is not so is rejected in the answer's results.",
    "example": EXAMPLE,
}


class KubernetesEvents:
    """Reads Events as the API server and the usual exporters write them."""

    name = "kubernetes-event"
    path = "/api/v1/signals/kubernetes-event"
    schema = SCHEMA

    def read(self, body: bytes) -> Sequence[Signal | Refused]:
        """Return one entry for each Event, in order."""
        return [judged(event) for event in _events(decoded(body))]


def _events(tree: Obj) -> Sequence[object]:
    """Take a list apart; raise BadBody for what is neither Event nor list."""
    items = tree.get("items")
    if not isinstance(items, list):
        if "involvedObject" not in tree and "regarding" not in tree:
            raise BadBody("the body must be a Kubernetes Event (with involvedObject or regarding), or a list of them (items)")
        return [tree]
    if not items:
        raise BadBody("items must have at least one Event")
    if len(items) > MAX_EVENTS:
        raise BadBody(f"{len(items)} Events in one body: at most {MAX_EVENTS}")
    return items


def judged(event: object) -> Signal | Refused:
    """Judge one Event."""
    if not isinstance(event, dict):
        return Refused("NotAnObject", "an Event must be a JSON object")
    name = printable(event.get("reason"))[:NAME_LIMIT]
    if not name:
        return Refused("NoReason", "the Event has no reason: nothing says what is wrong")
    if event.get("type") != "Warning":
        return Refused("NotAWarning", f"an Event of type {str(event.get('type'))[:64]!r} reports no problem: only Warnings are signals")
    reference = fields(event.get("involvedObject") or event.get("regarding"))
    about = _resource(reference, fields(event.get("metadata")))
    return about if isinstance(about, Refused) else _signal(name, event, reference, about)


def _signal(name: str, event: Obj, reference: Obj, about: ResourceIdentifier) -> Signal | Refused:
    seen = [time for time in map(moment, _times(event)) if time is not None]
    if not seen:
        return Refused("NoTime", "none of firstTimestamp, lastTimestamp, eventTime and metadata.creationTimestamp is an RFC 3339 time")
    message = event.get("message") or event.get("note")
    return Signal(
        name=name,
        severity=Severity.CRITICAL if name in CRITICAL else Severity.WARNING,
        state=SignalState.FIRING,
        resource=about,
        fired_at=min(seen),
        seen_at=max(seen),
        labels=_labels(name, event, reference, about),
        annotations={**texts(reference.get("annotations")), "message": str(message or "")},
        envelope=event,
    )


def _times(event: Obj) -> Sequence[object]:
    """Return every moment at which an Event says it was observed, in both its versions; else when it was written."""
    own = [
        event.get(key) for key in ("firstTimestamp", "lastTimestamp", "deprecatedFirstTimestamp", "deprecatedLastTimestamp", "eventTime")
    ]
    observed = [time for time in (*own, fields(event.get("series")).get("lastObservedTime")) if time]
    return observed or [fields(event.get("metadata")).get("creationTimestamp")]


def _labels(name: str, event: Obj, reference: Obj, about: ResourceIdentifier) -> Mapping[str, str]:
    """Return the object's labels, where an exporter added them, and what the Event says, in the words alerts use."""
    source = fields(event.get("source") or event.get("deprecatedSource"))
    reporter = event.get("reportingComponent") or event.get("reportingController") or source.get("component")
    said = {"reason": name, "kind": about.kind, "name": about.name, "namespace": about.namespace, "component": printable(reporter)}
    return {**texts(reference.get("labels")), **{key: value for key, value in said.items() if value}}


def _resource(reference: Obj, metadata: Obj) -> ResourceIdentifier | Refused:
    kind, name = printable(reference.get("kind")), printable(reference.get("name"))
    version = printable(reference.get("apiVersion"))
    if not kind or not name:
        return Refused("NoResource", "involvedObject must have a kind and a name")
    if version.partition("/")[0] in OURS:
        return Refused("OwnObject", f"{kind} {name!r} is part of a remediation: what goes wrong with it is told there")
    namespace = printable(reference.get("namespace")) or printable(metadata.get("namespace"))
    return resource(kind, name, namespace, said_by="involvedObject", api_version=version[:NAME_LIMIT])

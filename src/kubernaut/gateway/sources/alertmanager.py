"""Alertmanager's webhook, payload version 4: a group of alerts, each of which stands alone."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import orjson

from kubernaut.api.base import Obj, ResourceIdentifier
from kubernaut.api.signal import Severity, SignalState
from kubernaut.gateway.sources.base import BadBody, Refused, Signal

VERSION = "4"
MAX_ALERTS = 10_000
NAME_LIMIT = 253
NAMESPACE_LIMIT = 63
RESOURCE_LABELS = (
    ("horizontalpodautoscaler", "HorizontalPodAutoscaler"),
    ("poddisruptionbudget", "PodDisruptionBudget"),
    ("persistentvolumeclaim", "PersistentVolumeClaim"),
    ("deployment", "Deployment"),
    ("statefulset", "StatefulSet"),
    ("daemonset", "DaemonSet"),
    ("node", "Node"),
    ("service", "Service"),
    ("job_name", "Job"),
    ("cronjob", "CronJob"),
    ("pod", "Pod"),
    ("namespace", "Namespace"),
)
"""Labels that name the object, in the order they count. kube-state-metrics says `job_name`: `job` is the scrape's own."""
BESIDE_A_POD = ("node", "service")
"""With a `pod` label beside them these say where the pod runs or who was scraped, not what is wrong."""
CLUSTER_SCOPED = ("Node", "Namespace")
SEVERITIES = {
    "page": Severity.CRITICAL,
    "emergency": Severity.CRITICAL,
    "error": Severity.HIGH,
    "major": Severity.HIGH,
    "warn": Severity.WARNING,
    "minor": Severity.LOW,
    "information": Severity.INFO,
    "none": Severity.INFO,
}
GRAFANA_ANNOTATIONS = ("grafana_url", "dashboard_url", "__dashboardUid__")


class Alertmanager:
    """Reads Alertmanager's webhook."""

    name = "prometheus"
    path = "/api/v1/signals/prometheus"

    def read(self, body: bytes) -> Sequence[Signal | Refused]:
        """Return one entry for each alert, in order."""
        group = _group(body)
        alerts = group["alerts"]
        envelope = {key: value for key, value in group.items() if key != "alerts"}
        return [_signal(alert, envelope) for alert in alerts]


def _group(body: bytes) -> Obj:
    """Read the envelope; raise BadBody with what is wrong."""
    try:
        group = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadBody(f"the body is no JSON: {error}") from error
    if not isinstance(group, dict):
        raise BadBody("the body must be a JSON object: Alertmanager's webhook payload")
    version = group.get("version")
    if str(version) != VERSION:
        raise BadBody(f"webhook payload version {version!r} is not known: Alertmanager sends version {VERSION!r}")
    alerts = group.get("alerts")
    if not isinstance(alerts, list) or not alerts:
        raise BadBody("alerts must be a list with at least one alert")
    if len(alerts) > MAX_ALERTS:
        raise BadBody(f"{len(alerts)} alerts in one body: at most {MAX_ALERTS} (set max_alerts in Alertmanager's webhook_config)")
    return group


def _signal(alert: object, envelope: Obj) -> Signal | Refused:
    """Judge one alert."""
    if not isinstance(alert, dict):
        return Refused("NotAnObject", "an alert must be a JSON object")
    labels, annotations = _texts(alert.get("labels")), _texts(alert.get("annotations"))
    name = printable(labels.get("alertname", ""))[:NAME_LIMIT]
    if not name:
        return Refused("NoAlertName", "the alert has no label alertname: nothing says what is wrong")
    resource = _resource(labels)
    if isinstance(resource, Refused):
        return resource
    fired_at = _moment(alert.get("startsAt"))
    if fired_at is None:
        return Refused("NoStart", f"startsAt {str(alert.get('startsAt'))[:64]!r} is no RFC 3339 time")
    state = SignalState.RESOLVED if alert.get("status") == "resolved" else SignalState.FIRING
    return Signal(
        name=name,
        severity=_severity(labels.get("severity", "")),
        state=state,
        resource=resource,
        fired_at=fired_at,
        labels=labels,
        annotations=annotations,
        envelope={**envelope, "alerts": [alert]},
        links=_links(envelope, alert, annotations),
    )


def _texts(value: object) -> dict[str, str]:
    return {str(key): str(item) for key, item in value.items() if item is not None} if isinstance(value, dict) else {}


def printable(text: str) -> str:
    """Return the text without control characters and outer blanks."""
    return "".join(char for char in text if char.isprintable()).strip()


def _resource(labels: Mapping[str, str]) -> ResourceIdentifier | Refused:
    """Pick the object from the labels, in the documented order."""
    namespace = printable(labels.get("namespace", ""))
    if len(namespace) > NAMESPACE_LIMIT:
        return Refused("BadNamespace", f"the label namespace is longer than {NAMESPACE_LIMIT} characters")
    for label, kind in RESOURCE_LABELS:
        name = printable(labels.get(label, ""))
        if not name or (label in BESIDE_A_POD and labels.get("pod")):
            continue
        if len(name) > NAME_LIMIT:
            return Refused("BadResourceName", f"the label {label} is longer than {NAME_LIMIT} characters")
        if kind in CLUSTER_SCOPED:
            return ResourceIdentifier(kind=kind, name=name)
        if not namespace:
            return Refused("NoNamespace", f"the alert names {kind} {name!r} without a label namespace")
        return ResourceIdentifier(kind=kind, name=name, namespace=namespace)
    wanted = ", ".join(label for label, _ in RESOURCE_LABELS)
    return Refused("NoResource", f"no label names a Kubernetes object: one of {wanted} is needed")


def _severity(text: str) -> Severity:
    folded = text.strip().casefold()
    if folded in SEVERITIES:
        return SEVERITIES[folded]
    return Severity(folded) if folded in set(Severity) else Severity.UNKNOWN


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _links(envelope: Obj, alert: Obj, annotations: Mapping[str, str]) -> dict[str, str]:
    """Gather where a person would look on."""
    links: dict[str, str] = {}
    if external := str(envelope.get("externalURL") or ""):
        links["alertmanagerURL"] = external
    if grafana := next((annotations[key] for key in GRAFANA_ANNOTATIONS if annotations.get(key)), ""):
        links["grafanaURL"] = grafana
    query = parse_qs(urlsplit(str(alert.get("generatorURL") or "")).query).get("g0.expr")
    if query:
        links["prometheusQuery"] = query[0]
    return links

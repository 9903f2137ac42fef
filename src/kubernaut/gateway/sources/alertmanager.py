"""Alertmanager's webhook, payload version 4: a group of alerts, each of which stands alone."""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs, urlsplit

from kubernaut.api.base import Obj, ResourceIdentifier
from kubernaut.api.signal import Severity, SignalState
from kubernaut.gateway.sources.base import BadBody, Refused, Signal
from kubernaut.gateway.sources.reading import NAME_LIMIT, decoded, moment, printable, resource, texts

VERSIONS = ("4", 4)
MAX_ALERTS = 10_000
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


SCHEMA: Obj = {
    "title": "Alertmanager webhook payload",
    "type": "object",
    "required": ["version", "alerts"],
    "properties": {
        "version": {"enum": list(VERSIONS)},
        "groupKey": {"description": "kept with each alert, as are all other fields of the envelope"},
        "alerts": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_ALERTS,
            "items": {
                "description": "Alerts, each judged alone: needed are labels.alertname, startsAt (RFC 3339), and a label that names a"
                " Kubernetes object, with a label namespace unless it is a node. What is not so is rejected in the answer's results."
            },
        },
    },
    "example": {
        "version": "4",
        "status": "firing",
        "receiver": "kubernaut",
        "groupKey": '{}:{alertname="KubePodCrashLooping"}',
        "externalURL": "http://alertmanager:9093",
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": "KubePodCrashLooping", "severity": "critical", "namespace": "shop", "pod": "shop-5d8f-x2"},
                "annotations": {"summary": "the pod restarts again and again"},
                "startsAt": "2026-01-01T00:00:00Z",
            }
        ],
    },
}


class Alertmanager:
    """Reads Alertmanager's webhook."""

    name = "prometheus"
    path = "/api/v1/signals/prometheus"
    schema = SCHEMA

    def read(self, body: bytes) -> Sequence[Signal | Refused]:
        """Return one entry for each alert, in order."""
        group = _group(body)
        alerts = group["alerts"]
        envelope = {key: value for key, value in group.items() if key != "alerts"}
        return [_signal(alert, envelope) for alert in alerts]


def _group(body: bytes) -> Obj:
    """Read the envelope; raise BadBody with what is wrong."""
    group = decoded(body)
    version = group.get("version")
    if version not in VERSIONS:
        raise BadBody(f"webhook payload version {str(version)[:64]!r} is not known: Alertmanager sends version {VERSIONS[0]!r}")
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
    labels, annotations = texts(alert.get("labels")), texts(alert.get("annotations"))
    name = printable(labels.get("alertname", ""))[:NAME_LIMIT]
    if not name:
        return Refused("NoAlertName", "the alert has no label alertname: nothing says what is wrong")
    about = _resource(labels)
    if isinstance(about, Refused):
        return about
    fired_at = moment(alert.get("startsAt"))
    if fired_at is None:
        return Refused("NoStart", f"startsAt {str(alert.get('startsAt'))[:64]!r} is no RFC 3339 time")
    state = SignalState.RESOLVED if alert.get("status") == "resolved" else SignalState.FIRING
    return Signal(
        name=name,
        severity=_severity(labels.get("severity", "")),
        state=state,
        resource=about,
        fired_at=fired_at,
        labels=labels,
        annotations=annotations,
        envelope={**envelope, "alerts": [alert]},
        links=_links(envelope, alert, annotations),
    )


def _resource(labels: Mapping[str, str]) -> ResourceIdentifier | Refused:
    """Pick the object from the labels, in the documented order."""
    namespace = printable(labels.get("namespace", ""))
    for label, kind in RESOURCE_LABELS:
        name = printable(labels.get(label, ""))
        if name and not (label in BESIDE_A_POD and labels.get("pod")):
            return resource(kind, name, namespace, said_by=f"the label {label}")
    wanted = ", ".join(label for label, _ in RESOURCE_LABELS)
    return Refused("NoResource", f"no label names a Kubernetes object: one of {wanted} is needed")


def _severity(text: str) -> Severity:
    folded = text.strip().casefold()
    if folded in SEVERITIES:
        return SEVERITIES[folded]
    return Severity(folded) if folded in set(Severity) else Severity.UNKNOWN


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

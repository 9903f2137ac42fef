"""The RemediationRequest of a signal. Reads nothing, writes nothing."""

import re
from datetime import datetime

import orjson

from kubernaut.api.base import CORRELATION_LABEL, ObjectMeta
from kubernaut.api.redact import redact
from kubernaut.api.remediation import (
    ENVIRONMENT_LABEL,
    FINGERPRINT_LABEL,
    SEVERITY_LABEL,
    KubernetesProviderData,
    RemediationRequest,
    RemediationRequestSpec,
)
from kubernaut.api.signal import fallback_priority
from kubernaut.gateway.fingerprint import Identity
from kubernaut.gateway.payload import ANNOTATION_LIMIT, LABEL_LIMIT, bounded, stored
from kubernaut.gateway.sources.base import Signal

ENVIRONMENT_KEYS = ("environment", "env")
LABEL_VALUE_LIMIT = 63
URL_LIMIT = 2048


def remediation_request(
    name: str, namespace: str, signal: Signal, identity: Identity, *, environment: str, source: str, body_digest: str, now: datetime
) -> RemediationRequest:
    """Return the object to be created for a signal that no open remediation covers."""
    payload = stored(signal.envelope)
    labels = {
        FINGERPRINT_LABEL: identity.fingerprint[:LABEL_VALUE_LIMIT],
        SEVERITY_LABEL: signal.severity.value,
        ENVIRONMENT_LABEL: label_value(redact(environment)),
        CORRELATION_LABEL: name,
    }
    annotations = {FINGERPRINT_LABEL: identity.fingerprint}
    return RemediationRequest(
        metadata=ObjectMeta(name=name, namespace=namespace, labels=labels, annotations=annotations),
        spec=RemediationRequestSpec(
            signal_fingerprint=identity.fingerprint,
            signal_name=redact(signal.name),
            severity=signal.severity,
            environment=redact(environment)[:LABEL_VALUE_LIMIT] or "unknown",
            priority=fallback_priority(signal.severity, environment),
            signal_type=source,
            target_resource=identity.target.path(),
            target=identity.target,
            firing_time=signal.fired_at,
            received_time=now,
            created_at=now,
            signal_labels=bounded(signal.labels, LABEL_LIMIT),
            signal_annotations=bounded(signal.annotations, ANNOTATION_LIMIT),
            provider_data=provider_data(signal),
            original_payload=payload.text,
            original_payload_sha256=body_digest,
            original_payload_cut=list(payload.cut),
            fingerprint_form=identity.form.value,
        ),
    )


def provider_data(signal: Signal) -> str:
    """Return what a Kubernetes signal carries besides, as JSON text."""
    links = {name: redact(url)[:URL_LIMIT] for name, url in signal.links.items()}
    resource = signal.resource
    namespace = resource.namespace or resource.name
    data = KubernetesProviderData.model_validate({"namespace": namespace, "resource": resource.wire(), **links})
    return orjson.dumps(data.wire()).decode()


def label_value(text: str) -> str:
    """Return the nearest legal label value."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text)[:LABEL_VALUE_LIMIT].strip("-._") or "unknown"


def environment_of(signal: Signal, namespace_labels: dict[str, str]) -> str:
    """Return the environment as the namespace's label says, else the alert's, else `unknown`."""
    for texts in (namespace_labels, signal.labels):
        if found := next((texts[key] for key in ENVIRONMENT_KEYS if texts.get(key)), ""):
            return found
    return "unknown"

"""Messages from what is known: the text of an escalation, and what a channel is handed. Reads nothing, writes nothing."""

from datetime import timedelta

from kubernaut.api.base import ObjectMeta, ObjectReference
from kubernaut.api.durations import go_duration, parse_duration
from kubernaut.api.notification import (
    ChannelName,
    EscalationReason,
    EscalationRequest,
    NotificationRequest,
    NotificationRequestSpec,
    NotificationType,
    Priority,
    Urgency,
)
from kubernaut.api.redact import redact, redact_value
from kubernaut.kube.status import cut
from kubernaut.notification.channels.base import Message

BODY_LIMIT = 40_000
"""The bound of `NotificationRequestSpec.body`."""
PRIORITIES = {Urgency.CRITICAL: Priority.CRITICAL, Urgency.HIGH: Priority.HIGH, Urgency.NORMAL: Priority.MEDIUM, Urgency.LOW: Priority.LOW}
HAPPENED = {
    EscalationReason.TIMEOUT: "ran out of time",
    EscalationReason.REJECTED: "was not approved",
    EscalationReason.FAILED: "failed",
    EscalationReason.VALIDATION_ERROR: "could not be read",
}


def escalation_name(request: EscalationRequest) -> str:
    """Return the name that makes repeats of one escalation one message."""
    return f"{request.remediation_request_name}-escalation-{request.escalation_phase}"[:253]


def escalation(request: EscalationRequest) -> NotificationRequest:
    """Return the NotificationRequest of an escalation."""
    subject = f"🚨 {request.alert_name}: remediation {HAPPENED[request.escalation_reason]} in {request.escalation_phase}"
    return NotificationRequest(
        metadata=ObjectMeta(name=escalation_name(request), namespace=request.remediation_request_namespace),
        spec=NotificationRequestSpec(
            remediation_request_ref=ObjectReference(name=request.remediation_request_name, namespace=request.remediation_request_namespace),
            type=NotificationType.ESCALATION,
            priority=PRIORITIES[request.urgency],
            subject=subject[:500],
            body=_body(request),
            channels=request.channels,
            metadata={
                "remediationRequest": request.remediation_request_name,
                "reason": request.escalation_reason.value,
                "phase": request.escalation_phase,
                "priority": request.priority.value,
                "environment": request.environment,
                "alertFingerprint": request.alert_fingerprint,
            },
            details=redact_value(request.wire()),
        ),
    )


def _body(request: EscalationRequest) -> str:
    """Say what happened, where, what was known, and what the reader can do."""
    resource, details = request.resource, request.escalation_details
    opening = (
        f"Alert **{request.alert_name}** ({request.severity.value}, {request.environment}, {request.priority.value}) "
        f"on **{resource.path()}** needs a person: its remediation {HAPPENED[request.escalation_reason]} "
        f"in phase {request.escalation_phase} after {_rounded(request.remediation_duration)}."
    )
    lines = [opening, ""]
    lines += [f"- {name}: {value}" for name, value in details.items() if value not in (None, "", 0)]
    if request.ai_analysis is not None:
        found = request.ai_analysis
        lines += ["", f"Found so far: {found.root_cause} (confidence {found.confidence:.0%}). Recommended: {found.top_recommendation}."]
    lines += [f"- {action.action} ({action.category}, risk {action.risk_level.value})" for action in request.recommended_actions]
    lines += ["", f"Look: `kubernaut timeline {request.remediation_request_name}`"]
    lines += [f"{label}: {url}" for label, url in (("Alertmanager", request.alertmanager_url), ("Grafana", request.grafana_url)) if url]
    return cut(redact("\n".join(lines)), BODY_LIMIT)


def _rounded(duration: str) -> str:
    """Return a duration for people: whole seconds from one second on."""
    length = parse_duration(duration)
    seconds = round(length.total_seconds())
    return go_duration(timedelta(seconds=seconds)) if seconds else duration


def message(request: NotificationRequest, channel: ChannelName) -> Message:
    """Return what a channel is handed: without secrets, with its own addresses."""
    spec = request.spec
    return Message(
        id=request.metadata.uid,
        type=spec.type,
        priority=spec.priority,
        subject=redact(spec.subject),
        body=redact(spec.body),
        correlation_id=request.correlation_id,
        addresses=tuple(recipient.address for recipient in spec.recipients if recipient.channel is channel),
        metadata=redact_value(spec.metadata),
        details=redact_value(spec.details),
    )

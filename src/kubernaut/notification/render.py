"""Messages from what is known: the text of an escalation, and what a channel is handed. Reads nothing, writes nothing."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

import orjson

from kubernaut.api.base import ObjectMeta, ObjectReference
from kubernaut.api.durations import go_duration, parse_duration
from kubernaut.api.notification import (
    DeliveryEvent,
    EscalationReason,
    EscalationRequest,
    NotificationRequest,
    NotificationRequestSpec,
    NotificationType,
    Priority,
    Recipient,
    SimpleRequest,
    SimpleSeverity,
    Urgency,
)
from kubernaut.api.redact import redact, redact_value
from kubernaut.kube.status import cut
from kubernaut.notification.channels.base import Link, Message
from kubernaut.notification.decide import Target

BODY_LIMIT = 40_000
"""The bound of `NotificationRequestSpec.body`."""
PRIORITIES = {Urgency.CRITICAL: Priority.CRITICAL, Urgency.HIGH: Priority.HIGH, Urgency.NORMAL: Priority.MEDIUM, Urgency.LOW: Priority.LOW}
HAPPENED = {
    EscalationReason.TIMEOUT: "ran out of time",
    EscalationReason.REJECTED: "was not approved",
    EscalationReason.FAILED: "failed",
    EscalationReason.VALIDATION_ERROR: "could not be read",
}
DETAILS: Final = 20
DETAIL: Final = 1000
"""Characters of one detail: what can be done must not be cut off behind a log."""
SEVERITIES = {SimpleSeverity.INFO: Priority.LOW, SimpleSeverity.WARNING: Priority.MEDIUM, SimpleSeverity.ERROR: Priority.HIGH}
WHY: Final = "Why"
NEXT: Final = "What happens next"
CAN_DO: Final = "What you can do"
LATE: Final = timedelta(minutes=10)
"""From when on a message says that it comes late."""
COMING: Final = {
    NotificationType.ESCALATION: "kubernaut has stopped working on this: nothing more is changed until a person acts or it fires again.",
    NotificationType.MANUAL_REVIEW: "kubernaut changes nothing by itself here. If the alert fires again, a new case is opened.",
    NotificationType.COMPLETION: "Nothing more is done in this case. If the alert fires again, a new case is opened.",
    NotificationType.APPROVAL: "The fix waits for the answer; nothing is changed before it. Without one in time the case is escalated.",
}
ADVICE: Final = {
    NotificationType.ESCALATION: ("- See the whole case: `kubernaut timeline {name}`",),
    NotificationType.MANUAL_REVIEW: (
        "- See what was found: `kubernaut describe {name}`",
        "- Mend it by hand; the alert's end is noted by itself.",
    ),
    NotificationType.COMPLETION: ("- Nothing has to be done. To see what was: `kubernaut timeline {name}`",),
}


@dataclass(frozen=True, slots=True)
class Context:
    """What a channel is to know besides the message."""

    now: datetime
    event: DeliveryEvent = DeliveryEvent.TOLD
    note: str = ""
    receipt: str = ""
    thread: str = ""
    console_url: str = ""
    answers: tuple[Link, ...] = ()
    """Where the question can be answered with a click, if anywhere."""
    ticket: str = ""
    """What a button carries, where the channel takes answers itself."""


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
            subject=redact(subject)[:500],
            body=_body(request),
            channels=request.channels,
            metadata=redact_value(
                {
                    "remediationRequest": request.remediation_request_name,
                    "reason": request.escalation_reason.value,
                    "phase": request.escalation_phase,
                    "priority": request.priority.value,
                    "environment": request.environment,
                    "alertFingerprint": request.alert_fingerprint,
                }
            ),
            details=redact_value(request.wire()),
        ),
    )


def _body(request: EscalationRequest) -> str:
    """Say what happened, why, what will happen, and what the reader can do."""
    resource = request.resource
    opening = (
        f"Alert **{request.alert_name}** ({request.severity.value}, {request.environment}, {request.priority.value}) "
        f"on **{resource.path()}** needs a person: its remediation {HAPPENED[request.escalation_reason]} "
        f"in phase {request.escalation_phase} after {_rounded(request.remediation_duration)}."
    )
    told = [f"- {name}: {cut(str(value), DETAIL)}" for name, value in request.escalation_details.items() if value not in (None, "", 0)]
    known = [*told[:DETAILS], *(["- and more, in the case itself"] if len(told) > DETAILS else [])]
    parts = [
        _section("What happened", [opening, *known]),
        _section(WHY, _why(request)),
        _section(NEXT, [COMING[NotificationType.ESCALATION]]),
        _section(CAN_DO, _can_do(request)),
    ]
    return cut(redact("\n\n".join(parts)), BODY_LIMIT)


def _section(title: str, lines: list[str]) -> str:
    return "\n".join([f"## {title}", *lines])


def _why(request: EscalationRequest) -> list[str]:
    """Return what the analysis found, as far as it came."""
    found = request.ai_analysis
    if found is None:
        return ["No cause is known: the analysis had not come to an end."]
    lines = [f"Found so far: {found.root_cause} (confidence {found.confidence:.0%}). Recommended: {found.top_recommendation}."]
    lines += [found.justification] if found.justification else []
    return [*lines, *(f"- It may also be: {each}" for each in found.alternative_hypotheses[:5])]


def _can_do(request: EscalationRequest) -> list[str]:
    """Return the recommended actions, and where to look."""
    lines = []
    for action in request.recommended_actions:
        takes = f", takes about {action.estimated_time}" if action.estimated_time else ""
        lines.append(f"- {action.action} ({action.category}, risk {action.risk_level.value}{takes})")
    lines.append(f"- See the whole case: `kubernaut timeline {request.remediation_request_name}`")
    urls = {"Alertmanager": request.alertmanager_url, "Grafana": request.grafana_url, "Kubernetes": request.kubernetes_ui_url}
    return [*lines, *(f"- {label}: {url}" for label, url in urls.items() if url)]


def simple(request: SimpleRequest, namespace: str) -> NotificationRequest:
    """Return the NotificationRequest of a simple message; the same content is the same message."""
    mark = sha256(orjson.dumps(request.wire(), option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
    spec = NotificationRequestSpec(
        type=NotificationType.SIMPLE,
        priority=SEVERITIES[request.severity],
        subject=redact(request.subject),
        body=redact(request.message),
        channels=request.channels,
        recipients=[Recipient(channel=channel, address=request.recipient) for channel in request.channels if request.recipient],
        metadata={key: value for key, value in redact_value(request.metadata).items() if value},
    )
    return NotificationRequest(metadata=ObjectMeta(name=f"simple-{mark}", namespace=namespace), spec=spec)


def _rounded(duration: str) -> str:
    """Return a duration for people: whole seconds from one second on."""
    length = parse_duration(duration)
    seconds = round(length.total_seconds())
    return go_duration(timedelta(seconds=seconds)) if seconds else duration


def message(request: NotificationRequest, target: Target, context: Context) -> Message:
    """Return what a channel is handed: without secrets, with what it needs to know of the case."""
    spec, meta = request.spec, request.metadata
    told = context.event is DeliveryEvent.TOLD
    return Message(
        id=meta.uid,
        type=spec.type,
        priority=spec.priority,
        subject=redact(spec.subject).strip() or "(no subject)",
        body=redact(_whole_body(request, context)),
        correlation_id=request.correlation_id,
        address=target.address,
        metadata=redact_value(spec.metadata),
        details=redact_value(spec.details),
        written_at=meta.creation_timestamp or context.now,
        event=context.event,
        note=redact(context.note),
        receipt="" if told else context.receipt,
        thread=context.thread,
        whole=_whole(request, context.console_url),
        links=_links(request),
        answers=context.answers if told else (),
        ticket=context.ticket if told else "",
    )


def _whole_body(request: NotificationRequest, context: Context) -> str:
    """Return the text with what every message says: why it comes late, what will happen, what the reader can do."""
    spec = request.spec
    parts = [_late(request, context.now), spec.body]
    if spec.type in COMING and f"## {NEXT}" not in spec.body:
        parts.append(_section(NEXT, [COMING[spec.type]]))
    if spec.type in ADVICE and f"## {CAN_DO}" not in spec.body:
        name = request.correlation_id
        parts.append(_section(CAN_DO, [line.format(name=name) for line in ADVICE[spec.type]]))
    return "\n\n".join(part for part in parts if part)


def _late(request: NotificationRequest, now: datetime) -> str:
    """Say that a message comes late, because its channel was away."""
    written = request.metadata.creation_timestamp
    if written is None or now - written < LATE:
        return ""
    age = go_duration(timedelta(minutes=int((now - written).total_seconds()) // 60))
    return f"**This message is {age} late**: it was written at {written:%Y-%m-%d %H:%M} UTC and found no way before. Look before you act."


def _whole(request: NotificationRequest, console_url: str) -> str:
    """Say where the uncut text is."""
    meta = request.metadata
    if console_url:
        return console_url.replace("{name}", request.correlation_id).replace("{namespace}", meta.namespace)
    return f"kubectl get notificationrequest {meta.name} -n {meta.namespace} -o jsonpath='{{.spec.body}}'"


def _links(request: NotificationRequest) -> tuple[Link, ...]:
    """Return the links that an escalation brought."""
    details = request.spec.details
    named = {"Alertmanager": "alertmanagerURL", "Grafana": "grafanaURL", "Kubernetes": "kubernetesUIURL"}
    found = {label: details.get(key) for label, key in named.items()}
    return tuple(
        Link(label, redact(url)) for label, url in found.items() if isinstance(url, str) and url.startswith(("https://", "http://"))
    )

"""What people are told of a storm: that it began, and, in one message for all, which cases came and what was found. Pure."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from kubernaut.api.base import ObjectMeta
from kubernaut.api.brake import BRAKE, Storm
from kubernaut.api.notification import ChannelName, NotificationRequest, NotificationRequestSpec, NotificationType, Priority
from kubernaut.api.remediation import RemediationRequest

LISTED: Final = 50
CAUSE_LIMIT: Final = 160


def storm_begins(storm: Storm, requests: Sequence[RemediationRequest], namespace: str) -> NotificationRequest:
    """Make `storm-{when}`: too many cases; nothing new is started."""
    what = (
        f"{storm.cases} new cases came within minutes. They are analysed, but no new fix is started before {_clock(storm.until)}, "
        "and later if more come. What is running goes on. One message will sum them up."
    )
    help_ = "## What you can do\n- `kubernaut status` shows what is held\n- `kubernaut pause` keeps everything still until you resume"
    subject = f"🌩 Storm: {storm.cases} new cases, nothing new is started"
    return _message(f"storm-{_stamp(storm)}", subject, f"{what}\n\n{_places(requests)}\n\n{help_}", namespace, Priority.CRITICAL)


def storm_is_over(storm: Storm, requests: Sequence[RemediationRequest], namespace: str) -> NotificationRequest:
    """Make `storm-{when}-over`: what came, and what was found out about it."""
    ended = sum(request.status.completion_time is not None for request in requests)
    what = (
        f"The storm that began at {_clock(storm.since)} is over: {len(requests)} cases came, {ended} have ended, "
        f"{len(requests) - ended} are open and go on within the limits."
    )
    subject, body = f"🌤 Storm over: {len(requests)} cases", f"{what}\n\n{_places(requests)}\n\n## Cases\n{_cases(requests)}"
    return _message(f"storm-{_stamp(storm)}-over", subject, body, namespace, Priority.HIGH)


def _message(name: str, subject: str, body: str, namespace: str, priority: Priority) -> NotificationRequest:
    spec = NotificationRequestSpec(
        type=NotificationType.STATUS_UPDATE,
        priority=priority,
        subject=subject,
        body=body,
        channels=[ChannelName.CONSOLE, ChannelName.SLACK],
        metadata={"remediationBrake": BRAKE},
    )
    return NotificationRequest(metadata=ObjectMeta(name=name, namespace=namespace), spec=spec)


def _places(requests: Sequence[RemediationRequest]) -> str:
    counts = Counter(request.spec.target.namespace or request.spec.target.kind for request in requests)
    rows = [f"- {place}: {count}" for place, count in counts.most_common(10)]
    return "\n".join(["## Where", *rows])


def _cases(requests: Sequence[RemediationRequest]) -> str:
    ordered = sorted(requests, key=lambda request: ((request.status.priority or request.spec.priority).value, request.metadata.name))
    rows = [_case(request) for request in ordered[:LISTED]]
    left = len(ordered) - len(rows)
    return "\n".join([*rows, f"- and {left} more: `kubernaut get`"] if left else rows) or "- none is left in the cluster"


def _case(request: RemediationRequest) -> str:
    status = request.status
    stands = status.outcome.value if status.outcome else status.overall_phase.value
    cause = f": {status.root_cause[:CAUSE_LIMIT]}" if status.root_cause else ""
    return f"- {request.metadata.name} {request.spec.signal_name} on `{request.spec.target_resource}`, {stands}{cause}"


def _stamp(storm: Storm) -> str:
    return f"{storm.since:%Y%m%d%H%M%S}"


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S} UTC"

"""What notification's tests share: a channel that answers as told, and messages to send."""

import asyncio
from collections import deque

from kubernaut.api.notification import ChannelName, NotificationRequest, NotificationType, Priority
from kubernaut.notification.channels.base import Message, NotDelivered

ESCALATION = {
    "remediationRequestName": "remediation-abcde12345",
    "remediationRequestNamespace": "kubernaut-system",
    "escalatingController": "remediationorchestrator",
    "alertFingerprint": "a" * 64,
    "alertName": "PodOOMKilled",
    "severity": "critical",
    "environment": "production",
    "priority": "P0",
    "signalType": "prometheus",
    "namespace": "production",
    "resource": {"kind": "Deployment", "name": "shop", "namespace": "production"},
    "escalationReason": "timeout",
    "escalationPhase": "analyzing",
    "escalationTime": "2026-01-01T03:10:00Z",
    "escalationDetails": {"timeoutDuration": "10m0s"},
    "alertFiringTime": "2026-01-01T03:00:00Z",
    "alertReceivedTime": "2026-01-01T03:00:05Z",
    "remediationDuration": "10m0.25s",
    "channels": ["console"],
    "urgency": "critical",
}


def spec(**changes):
    return {"type": "Simple", "priority": "High", "subject": "Shop is down", "body": "Look at it.", "channels": ["webhook"], **changes}


def request(name="note", namespace="kubernaut-system", uid="u-1", **changes):
    meta = {"name": name, "namespace": namespace, "uid": uid, "generation": 1}
    return NotificationRequest.model_validate({"metadata": meta, "spec": spec(**changes)})


def note(**changes):
    fields = {
        "id": "u-1",
        "type": NotificationType.APPROVAL,
        "priority": Priority.HIGH,
        "subject": "Approve?",
        "body": "**yes** or no",
        "correlation_id": "remediation-abcde12345",
        "metadata": {"phase": "approval"},
        "details": {"target": "production/deployment/shop"},
    }
    return Message(**(fields | changes))


class Scripted:
    """A channel that answers its tries in order (None: taken; a fault: raised), and then takes everything."""

    def __init__(self, *answers, name=ChannelName.WEBHOOK):
        self.name = name
        self.sent = []
        self._answers = deque(answers)

    async def send(self, message):
        self.sent.append(message)
        answer = self._answers.popleft() if self._answers else None
        if answer == "hang":
            await asyncio.Event().wait()
        if answer is not None:
            raise answer


TEMPORARY = NotDelivered("the receiver answered 503", permanent=False)
PERMANENT = NotDelivered("the receiver answered 404", permanent=True)


class Later:
    """A clock that tests set."""

    def __init__(self, start):
        self.moment = start

    def now(self):
        return self.moment

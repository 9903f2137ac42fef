"""What notification's tests share: a channel that answers as told, messages to send, and a notifier on a clock that tests set."""

import asyncio
from collections import deque
from datetime import UTC, datetime
from typing import Any

from kubernaut.api.notification import ChannelName, NotificationRequest, NotificationType, Priority
from kubernaut.kube.outcome import Outcome
from kubernaut.notification.channels.base import Link, Message, NotDelivered
from kubernaut.notification.courier import Courier
from kubernaut.notification.reconciler import Notifier
from kubernaut.notification.routing import NAME, shipped
from kubernaut.notification.routing_text import read
from kubernaut.notification.settings import NotificationSettings
from kubernaut.notification.surroundings import Surroundings
from kubernaut.policy.live import Current

START = datetime(2026, 1, 1, 3, tzinfo=UTC)
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
CASE = {"remediationRequestRef": {"name": "remediation-abcde12345", "namespace": "kubernaut-system"}}
BODY = "Memory ran out.\n\n## Why\n- limit `64Mi`\n- **growing** [graph](https://grafana.example/d/1)\n\n## How to decide\n```\nkubernaut approve x\n```"


def spec(**changes):
    return {"type": "Simple", "priority": "High", "subject": "Shop is down", "body": "Look at it.", "channels": ["webhook"], **changes}


def request(name="note", namespace="kubernaut-system", uid="u-1", made=START, **changes):
    meta = {"name": name, "namespace": namespace, "uid": uid, "generation": 1, "creationTimestamp": made}
    return NotificationRequest.model_validate({"metadata": meta, "spec": spec(**changes)})


def note(**changes):
    fields: dict[str, Any] = {
        "id": "u-1",
        "type": NotificationType.APPROVAL,
        "priority": Priority.HIGH,
        "subject": "Approve?",
        "body": "**yes** or no",
        "correlation_id": "remediation-abcde12345",
        "metadata": {"phase": "approval"},
        "details": {"target": "production/deployment/shop"},
        "written_at": START,
        "whole": "https://console.example/remediation-abcde12345",
        "links": (Link("Grafana", "https://grafana.example/d/1?a=b&c=d"),),
    }
    return Message(**(fields | changes))


class Scripted:
    """A channel that answers its tries in order (None: taken; a fault: raised), and then takes everything."""

    def __init__(self, *answers, name=ChannelName.WEBHOOK, follows=()):
        self.name = name
        self.follows = frozenset(follows)
        self.sent = []
        self.away = None
        self._answers = deque(answers)

    def place(self, address):
        return address

    async def send(self, message):
        self.sent.append(message)
        answer = self._answers.popleft() if self._answers else self.away
        if answer == "hang":
            await asyncio.Event().wait()
        if answer is not None:
            raise answer
        return f"receipt-{len(self.sent)}"


TEMPORARY = NotDelivered("the receiver answered 503", permanent=False)
PERMANENT = NotDelivered("the receiver answered 404", permanent=True)
QUICK = NotificationSettings(send_timeout_seconds=0.05)


class Later:
    """A clock that tests set."""

    def __init__(self, start):
        self.moment = start

    def now(self):
        return self.moment


class Desk:
    """A notifier with what surrounds it: the messages of one case, a clock, and a list of what was removed."""

    def __init__(self, *channels, settings=QUICK, routing=None):
        self.clock = Later(START)
        self.messages: list[NotificationRequest] = []
        self.around = Surroundings()
        self.removed: list[str] = []
        self._settings = settings
        self._routing = Current(NAME, read, routing or shipped())
        self.channels = channels
        self.restart()

    def restart(self):
        """Forget everything that is not on record, as a process that starts again does."""
        courier = Courier(self.clock, self._settings, self.channels)
        self.teller = Notifier(self.clock, self._settings, courier, routing=self._routing, around=self._around, remove=self._remove)

    def _around(self, request):
        of_case = [each for each in self.messages if each.correlation_id == request.correlation_id]
        siblings = [each for each in of_case if each.metadata.name != request.metadata.name]
        return Surroundings(siblings, self.around.case, self.around.later, self.around.question)

    async def _remove(self, request):
        self.removed.append(request.metadata.name)

    async def reconcile(self, request) -> Outcome:
        return await self.teller.reconcile(request)

    async def run(self, until):
        """Let time pass, each message being looked at when it asked for it; return when nothing is due before a moment."""
        due = {each.metadata.name: self.clock.moment for each in self.messages}
        while (first := min(due.values())) <= until:
            self.clock.moment = max(self.clock.moment, first)
            for each in self.messages:
                if due[each.metadata.name] <= self.clock.moment:
                    due[each.metadata.name] = (await self.reconcile(each)).at or datetime.max.replace(tzinfo=UTC)
        self.clock.moment = until

"""What the orchestrator needs from outside the Kubernetes API: someone to escalate to, and someone who keeps its records."""

from typing import Protocol

from kubernaut.api.audit import RemediationAudit
from kubernaut.api.notification import EscalationRequest


class Undeliverable(Exception):  # noqa: N818  (says what became of a message)
    """A message was not taken; `retryable` tells whether another try may help."""

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message[:1024])
        self.retryable = retryable


class Escalations(Protocol):
    """The notification service's escalation endpoint."""

    async def escalate(self, request: EscalationRequest) -> None:
        """Hand over an escalation, one try; raise `Undeliverable`."""
        ...


class Records(Protocol):
    """Data storage's remediation records."""

    async def record(self, audit: RemediationAudit) -> None:
        """Keep the newest state of a remediation, one try; raise `Undeliverable`."""
        ...

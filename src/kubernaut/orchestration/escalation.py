"""Calls people when a remediation did not go well: the escalation as the founding document has it, and its fallback.

The POST makes a NotificationRequest `{rr}-escalation-{phase}` at the receiver; the fallback is the same object made directly. A crash
between the POST and our status repeats it, and the name keeps it one message.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import stamina
import structlog
from pydantic import JsonValue, ValidationError

from kubernaut.api.durations import go_duration
from kubernaut.api.notification import (
    ChannelName,
    EscalationAction,
    EscalationAnalysis,
    EscalationReason,
    EscalationRequest,
    EscalationSeverity,
    Urgency,
)
from kubernaut.api.redact import redact_value
from kubernaut.api.remediation import KubernetesProviderData, Phase, RemediationRequest
from kubernaut.api.signal import Priority, RiskLevel, Severity
from kubernaut.orchestration.facts import Stage
from kubernaut.orchestration.family import Family
from kubernaut.orchestration.limits import Limits
from kubernaut.orchestration.settings import OrchestrationSettings
from kubernaut.orchestration.steps import End
from kubernaut.outbound import ESCALATIONS, Service, Undeliverable

CLUSTER: Final = "cluster"
"""Stands for the namespace of what has none."""
CONTROLLER: Final = "remediation-orchestrator"
CHANNELS: Final = {
    Priority.P0: (ChannelName.PAGERDUTY, ChannelName.SLACK, ChannelName.EMAIL),
    Priority.P1: (ChannelName.SLACK, ChannelName.EMAIL),
    Priority.P2: (ChannelName.EMAIL,),
    Priority.P3: (ChannelName.EMAIL,),
}
URGENCIES: Final = {Priority.P0: Urgency.CRITICAL, Priority.P1: Urgency.HIGH, Priority.P2: Urgency.NORMAL, Priority.P3: Urgency.LOW}
SEVERITIES: Final = {
    Severity.CRITICAL: EscalationSeverity.CRITICAL,
    Severity.HIGH: EscalationSeverity.CRITICAL,
    Severity.MEDIUM: EscalationSeverity.WARNING,
    Severity.WARNING: EscalationSeverity.WARNING,
    Severity.UNKNOWN: EscalationSeverity.WARNING,
    Severity.LOW: EscalationSeverity.INFO,
    Severity.INFO: EscalationSeverity.INFO,
}

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Escalation:
    """Why people are called, with everything that is known."""

    request: RemediationRequest
    family: Family
    end: End
    now: datetime
    settings: OrchestrationSettings

    @property
    def reason(self) -> EscalationReason:
        """Why."""
        return self.end.escalation or EscalationReason.FAILED

    @property
    def name(self) -> str:
        """The name of its message, with the endpoint's help or without."""
        return f"{self.request.metadata.name}-escalation-{self.end.stage.value}"

    @property
    def mark(self) -> str:
        """What is kept in `status.escalationSentFor`."""
        return f"{self.end.stage.value}/{self.reason.value}"


def priority_of(request: RemediationRequest) -> Priority:
    """Return how soon a person must care: as classified, else as the signal said."""
    return request.status.priority or request.spec.priority


def environment_of(request: RemediationRequest) -> str:
    """Return the environment: as classified, else as the signal said."""
    return request.status.environment or request.spec.environment


def provider_data(request: RemediationRequest) -> KubernetesProviderData:
    """Decode `spec.providerData`; raise ValidationError when it is not what a Kubernetes signal carries."""
    return KubernetesProviderData.model_validate_json(request.spec.provider_data)


def body_of(escalation: Escalation) -> EscalationRequest:
    """Make the POST's body; raise ValidationError when the provider data cannot be decoded."""
    return _body(escalation, provider_data(escalation.request))


def body_without_provider(escalation: Escalation) -> EscalationRequest:
    """Make the same from what the request itself says of its target, where the provider data cannot be decoded."""
    target = escalation.request.spec.target
    return _body(escalation, KubernetesProviderData(namespace=target.namespace or CLUSTER, resource=target))


def _body(escalation: Escalation, data: KubernetesProviderData) -> EscalationRequest:
    request, spec, now = escalation.request, escalation.request.spec, escalation.now
    return EscalationRequest(
        remediation_request_name=request.metadata.name,
        remediation_request_namespace=request.metadata.namespace,
        escalating_controller=CONTROLLER,
        alert_fingerprint=spec.signal_fingerprint,
        alert_name=spec.signal_name,
        severity=SEVERITIES[spec.severity],
        environment=environment_of(request),
        priority=priority_of(request),
        signal_type=spec.signal_type,
        namespace=data.namespace,
        resource=data.resource,
        escalation_reason=escalation.reason,
        escalation_phase=escalation.end.stage.value,
        escalation_time=max(now, spec.firing_time),
        escalation_details=details_of(escalation),
        alert_firing_time=spec.firing_time,
        alert_received_time=spec.received_time,
        remediation_duration=go_duration(now - (request.metadata.creation_timestamp or spec.created_at)),
        ai_analysis=_analysis(escalation),
        recommended_actions=_actions(escalation),
        channels=list(CHANNELS[priority_of(request)]),
        urgency=URGENCIES[priority_of(request)],
        alertmanager_url=data.alertmanager_url,
        grafana_url=data.grafana_url,
    )


def message_details(escalation: Escalation) -> dict[str, JsonValue]:
    """Return the details of the message that stands in for the POST: what the endpoint would have kept of it."""
    try:
        body = body_of(escalation)
    except ValidationError:
        body = body_without_provider(escalation)
    kept: dict[str, JsonValue] = redact_value(body.wire())
    return kept


def details_of(escalation: Escalation) -> dict[str, JsonValue]:
    """Return the structured details: the limit for a timeout, who and why for a rejection, the fault for a failure."""
    stage, end = escalation.end.stage, escalation.end
    details: dict[str, JsonValue] = {"phase": stage.value, "retryCount": escalation.request.status.retry_count}
    if escalation.reason is EscalationReason.TIMEOUT:
        details["timeoutDuration"] = go_duration(_limit(escalation))
    else:
        details |= {"failureReason": f"{end.reason}: {end.message}"[:1024]}
    if escalation.reason is EscalationReason.REJECTED and escalation.family.analysis:
        status = escalation.family.analysis.status
        details |= {"rejectionReason": status.rejection_reason, "operator": status.rejected_by}
        details |= {"rejectionTime": status.approval_time.isoformat()} if status.approval_time else {}
    return details


async def deliver(escalations: Service | None, escalation: Escalation) -> bool:
    """Try to hand an escalation over, a few times in a short while; False: people must be told another way."""
    if escalations is None:
        return False
    try:
        body = body_of(escalation)
    except ValidationError as fault:
        log.warning("escalation not sent: provider data cannot be decoded", faults=fault.error_count(), **_where(escalation))
        return False
    try:
        await _send(escalations, body, escalation.settings)
    except Undeliverable as fault:
        log.warning("escalation not taken", fault=str(fault), **_where(escalation))
        return False
    return True


async def _send(escalations: Service, body: EscalationRequest, settings: OrchestrationSettings) -> None:
    """Send, with retries; their sum is bounded by tries and the time of each."""
    wait = settings.escalation_backoff.total_seconds()
    tries = stamina.retry_context(
        on=_worth_a_retry, attempts=settings.escalation_attempts, timeout=None, wait_initial=wait, wait_max=4 * wait, wait_jitter=wait
    )
    async for attempt in tries:
        with attempt:
            await escalations.post(ESCALATIONS, body)


def _worth_a_retry(fault: Exception) -> bool:
    return isinstance(fault, Undeliverable) and fault.retryable


def _where(escalation: Escalation) -> dict[str, str]:
    meta = escalation.request.metadata
    return {"namespace": meta.namespace, "name": meta.name, "phase": escalation.end.stage.value, "reason": escalation.reason.value}


def _limit(escalation: Escalation) -> timedelta:
    workflow = escalation.family.workflow
    steps = workflow is not None and workflow.spec.workflow_definition is not None
    return Limits(escalation.request, escalation.settings).of(escalation.end.stage, steps=steps)


def _analysis(escalation: Escalation) -> EscalationAnalysis | None:
    """Return what the analysis found; timeouts leave it out, as the document says."""
    found = escalation.family.analysis
    if escalation.end.phase is Phase.TIMED_OUT or found is None or not found.status.root_cause:
        return None
    status = found.status
    return EscalationAnalysis(
        root_cause=status.root_cause,
        confidence=status.confidence,
        top_recommendation=status.recommended_action or "none",
        justification=status.approval_justification,
        alternative_hypotheses=[each.approach for each in status.alternatives],
    )


def _actions(escalation: Escalation) -> list[EscalationAction]:
    failed_run = escalation.end.stage in {Stage.WORKFLOW, Stage.EXECUTION} and escalation.reason is EscalationReason.FAILED
    return [REVIEW_LOGS, RETRY] if failed_run else []


REVIEW_LOGS: Final = EscalationAction(
    action="review failed step logs", category="investigate", estimated_time="5m", risk_level=RiskLevel.LOW, confidence=0.9
)
RETRY: Final = EscalationAction(
    action="retry workflow", category="remediate", estimated_time="10m", risk_level=RiskLevel.MEDIUM, confidence=0.6
)

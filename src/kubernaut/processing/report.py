"""Fills in the status of a RemediationProcessing from what was found and decided."""

from collections.abc import Mapping
from datetime import datetime

from kubernaut.api.base import AuditOutcome
from kubernaut.api.processing import (
    BusinessClassification,
    EnrichedSignal,
    EnvironmentClassification,
    Phase,
    PriorityAssignment,
    RemediationProcessing,
    RemediationProcessingStatus,
    SeverityClassification,
)
from kubernaut.api.signal import Priority, Severity
from kubernaut.kube.journal import record
from kubernaut.kube.status import cut, set_condition
from kubernaut.processing.classify import BUSINESS, Classification
from kubernaut.processing.context import kubernetes_context
from kubernaut.processing.enrich import Surroundings

MISSING_TOLD = 20
WARNINGS_TOLD = 20
ENRICHED = "Enriched"
"""The condition that says whether all of the context could be read."""
_FIELDS = dict(zip(BUSINESS, ("business_unit", "service_owner", "criticality", "sla_requirement"), strict=True))


def report(
    processing: RemediationProcessing,
    around: Surroundings,
    detected: Mapping[str, str],
    found: Classification,
    *,
    now: datetime,
    limit: int,
    trouble: str,
) -> None:
    """Write the result; `limit` is the context's in bytes, `trouble` what is wrong with the policy, if anything."""
    status = processing.status
    status.enriched_signal = _signal(processing, around, found, limit)
    status.owner_chain = list(around.owners)
    status.detected_labels = dict(detected)
    _classification(status, found, now)
    status.missing = [cut(each) for each in around.missing[:MISSING_TOLD]]
    status.warnings = [cut(each) for each in (*((trouble,) if trouble else ()), *found.faults)][:WARNINGS_TOLD]
    status.degraded_mode = around.degraded
    status.phase, status.completion_time = Phase.COMPLETED, now
    status.message = f"{found.environment.value}, {found.priority.value}: {len(around.pods)} pods, {len(around.events)} events seen"
    _enrichment(processing, around, now)


def _signal(processing: RemediationProcessing, around: Surroundings, found: Classification, limit: int) -> EnrichedSignal:
    target = processing.spec.target
    return EnrichedSignal(
        fingerprint=processing.spec.alert.fingerprint,
        severity=Severity(found.severity.value),
        environment=found.environment.value,
        business_priority=Priority(found.priority.value),
        namespace=target.namespace,
        resource_kind=target.kind,
        resource_name=target.name,
        kubernetes_context=kubernetes_context(around, limit),
    )


def _classification(status: RemediationProcessingStatus, found: Classification, now: datetime) -> None:
    where, bad, urgent = found.environment, found.severity, found.priority
    status.environment_classification = EnvironmentClassification(
        environment=where.value, source=where.source, policy_name=where.policy, confidence=where.confidence, classified_at=now
    )
    status.severity_classification = SeverityClassification(
        severity=Severity(bad.value), source=bad.source, policy_name=bad.policy, confidence=bad.confidence
    )
    status.priority_assignment = PriorityAssignment(
        priority=Priority(urgent.value), source=urgent.source, policy_name=urgent.policy, confidence=urgent.confidence, assigned_at=now
    )
    decided_by = {name: f"{each.source} of {each.policy}" for name, each in found.business.items()}
    values = {_FIELDS[name]: each.value for name, each in found.business.items()}
    status.business_classification = BusinessClassification.model_validate({**values, "decided_by": decided_by})


def _enrichment(processing: RemediationProcessing, around: Surroundings, now: datetime) -> None:
    """Say whether all could be read, as a condition, and as a fact where not."""
    status, generation = processing.status, processing.metadata.generation
    if not around.degraded:
        set_condition(status.conditions, ENRICHED, status=True, reason="Complete", message="", now=now, generation=generation)
        return
    reason = "TargetNotFound" if around.target is None else "NotReadable"
    missing = "; ".join(around.missing)
    status.message = cut(f"{status.message}; degraded: {missing}")
    set_condition(status.conditions, ENRICHED, status=False, reason=reason, message=missing, now=now, generation=generation)
    record(processing, "Degraded", status.message, now=now, outcome=AuditOutcome.PENDING)

"""Enriches and classifies each signal, in one pass over the caches."""

from datetime import datetime
from typing import assert_never

from kubernaut.api.base import AuditOutcome
from kubernaut.api.processing import (
    EnrichedSignal,
    EnvironmentClassification,
    Phase,
    PriorityAssignment,
    RemediationProcessing,
)
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.journal import record
from kubernaut.kube.manager import Manager
from kubernaut.kube.outcome import DONE, Outcome
from kubernaut.processing import classify
from kubernaut.processing.context import kubernetes_context
from kubernaut.processing.decide import Complete, GiveUp, Rest, Seen, decide
from kubernaut.processing.detect import detected_labels
from kubernaut.processing.enrich import Surroundings, surroundings, watch
from kubernaut.processing.settings import ProcessingSettings

ENDED = (Phase.COMPLETED, Phase.FAILED)


def setup(manager: Manager, settings: ProcessingSettings) -> None:
    """Add the controller of RemediationProcessing to a manager."""
    watch(manager)
    manager.controller(RemediationProcessing, Processor(manager.cluster, settings).reconcile)


class Processor:
    """Enriches and classifies each signal."""

    def __init__(self, cluster: Cluster, settings: ProcessingSettings) -> None:
        self._cluster = cluster
        self._settings = settings

    async def reconcile(self, processing: RemediationProcessing) -> Outcome:
        """Observe, decide, report; nothing but the status is written."""
        now = self._cluster.clock.now()
        around = surroundings(self._cluster, processing.spec.target)
        status = processing.status
        seen = Seen(status.completion_time is not None, around.target is not None, processing.spec.times_out_at)
        match decide(seen, now):
            case Complete(degraded):
                self._complete(processing, around, now, degraded=degraded)
            case GiveUp(reason):
                status.phase, status.failure_reason, status.message, status.completion_time = Phase.FAILED, reason, reason, now
            case Rest():
                pass
            case step:
                assert_never(step)
        return DONE

    def _complete(self, processing: RemediationProcessing, around: Surroundings, now: datetime, *, degraded: bool) -> None:
        """Write the result."""
        alert, target, status = processing.spec.alert, processing.spec.target, processing.status
        where = classify.environment(around.namespace_labels, alert.environment, self._settings.environment_labels)
        priority = classify.priority(alert.severity, where.name)
        status.enriched_signal = EnrichedSignal(
            fingerprint=alert.fingerprint,
            severity=alert.severity,
            environment=where.name,
            business_priority=priority,
            namespace=target.namespace,
            resource_kind=target.kind,
            resource_name=target.name,
            kubernetes_context=kubernetes_context(around, self._settings.context_limit),
        )
        status.owner_chain = list(around.owners)
        status.detected_labels = detected_labels(around)
        status.environment_classification = EnvironmentClassification(
            environment=where.name, source=where.source, confidence=where.confidence, classified_at=now
        )
        status.priority_assignment = PriorityAssignment(priority=priority, source="fallback table", assigned_at=now)
        status.business_classification = classify.business(around.namespace_labels, alert.labels)
        status.degraded_mode = degraded
        status.start_time = status.start_time or processing.metadata.creation_timestamp or now
        status.phase, status.completion_time = Phase.COMPLETED, now
        status.message = f"{where.name}, {priority}: {len(around.pods)} pods, {len(around.events)} events seen"
        if degraded:
            status.message = f"{where.name}, {priority}: {target.path()} was not found in the cluster; only the alert's own words are known"
            record(processing, "Degraded", status.message, now=now, outcome=AuditOutcome.PENDING)

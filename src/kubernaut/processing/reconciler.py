"""Enriches and classifies each signal, in one pass over the caches."""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from kubernaut.api.processing import Phase, RemediationProcessing
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.manager import Manager
from kubernaut.kube.outcome import DONE, Outcome, again
from kubernaut.policy.live import CurrentPolicy, follow
from kubernaut.policy.metrics import FAULTS
from kubernaut.processing.classify import classify, values_of
from kubernaut.processing.decide import Complete, GiveUp, Rest, Seen, Wait, decide
from kubernaut.processing.detect import detected_labels
from kubernaut.processing.enrich import Surroundings, gitops_source, surroundings, watch
from kubernaut.processing.policy import CLASSIFICATION, Classified, shipped
from kubernaut.processing.report import report
from kubernaut.processing.settings import ProcessingSettings


def setup(manager: Manager, settings: ProcessingSettings) -> None:
    """Add the controller of RemediationProcessing to a manager; raise Unusable for a policy file that cannot be used."""
    watch(manager)
    policy = follow(manager, CLASSIFICATION, shipped(), settings.policy)
    manager.controller(RemediationProcessing, Processor(manager.cluster, policy, settings).reconcile)


class Processor:
    """Enriches and classifies each signal."""

    def __init__(self, cluster: Cluster, policy: CurrentPolicy[Classified], settings: ProcessingSettings) -> None:
        self._cluster = cluster
        self._policy = policy
        self._settings = settings

    async def reconcile(self, processing: RemediationProcessing) -> Outcome:
        """Observe, decide, report; nothing but the status is written."""
        now = self._cluster.clock.now()
        around = surroundings(self._cluster, processing.spec.target)
        status = processing.status
        began = status.start_time = status.start_time or processing.metadata.creation_timestamp or now
        ended = status.completion_time is not None
        seen = Seen(ended, began, around.passing, self._settings.enrichment_limit, processing.spec.times_out_at)
        match decide(seen, now):
            case Complete():
                await self._complete(processing, around, now)
            case Wait(until):
                status.phase = Phase.ENRICHING
                return again(until)
            case GiveUp(reason):
                status.phase, status.failure_reason, status.message, status.completion_time = Phase.FAILED, reason, reason, now
            case Rest():
                pass
            case step:
                assert_never(step)
        return DONE

    async def _complete(self, processing: RemediationProcessing, around: Surroundings, now: datetime) -> None:
        """Judge what was found, and write the result."""
        source, missing = await gitops_source(self._cluster, around.workload, self._settings.source_timeout.total_seconds())
        around = replace(around, source=source, missing=(*around.missing, *((missing,) if missing else ())))
        detected = detected_labels(around)
        target = processing.spec.target.model_dump(include={"kind", "name", "namespace"})
        policies = dict.fromkeys((self._policy.policy, self._policy.shipped))
        found = classify(values_of(processing.spec.alert, target, around, detected, now), tuple(policies))
        FAULTS.labels(CLASSIFICATION.name).inc(len(found.faults))
        report(processing, around, detected, found, now=now, limit=self._settings.context_limit, trouble=self._policy.trouble)

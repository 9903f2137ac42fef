"""Looks at every fixed target until it is sure whether the fix helped."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, assert_never

from pydantic import JsonValue

from kubernaut.api.base import AuditOutcome, Obj
from kubernaut.api.durations import parse_duration
from kubernaut.api.remediation import BY_REMEDIATION, RemediationRequest, remediation_of
from kubernaut.api.verification import ComponentScore, EffectivenessAssessment, Phase, Verdict
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.informer import Key, Store, key_of
from kubernaut.kube.journal import record
from kubernaut.kube.manager import Manager
from kubernaut.kube.outcome import DONE, Outcome, again
from kubernaut.kube.status import cut, set_condition
from kubernaut.verification import metrics
from kubernaut.verification.decide import Component, Conclude, Reading, Reason, Rest, Seen, Step, Wait, decide, score
from kubernaut.verification.probes.alert import AlertProbe
from kubernaut.verification.probes.base import Probe
from kubernaut.verification.probes.drift import DriftProbe, replicas_of, spec_hash, target_of
from kubernaut.verification.probes.health import HealthProbe
from kubernaut.verification.probes.metrics import MetricsProbe
from kubernaut.verification.probes.remote import Remote
from kubernaut.verification.settings import EndpointSettings, VerificationSettings

ASSESSED: Final = "Assessed"
ENDED: Final = frozenset({Phase.COMPLETED, Phase.FAILED})


class Verifier:
    """Looks at every fixed target until it is sure whether the fix helped."""

    def __init__(self, cluster: Cluster, settings: VerificationSettings, probes: Sequence[Probe]) -> None:
        self._cluster = cluster
        self._settings = settings
        self._probes = probes

    async def reconcile(self, assessment: EffectivenessAssessment) -> Outcome:
        """Observe, decide, report; there is nothing to act on. The kernel read the object and will write its status, once."""
        now, status = self._cluster.clock.now(), assessment.status
        if status.completion_time is not None:
            return DONE
        status.start_time = status.start_time or now
        looks = await asyncio.gather(*(probe.look(self._cluster, assessment) for probe in self._probes))
        readings = {reading.component: reading for reading in looks if reading is not None}
        remember(assessment, readings[Component.HEALTH], target_of(self._cluster, assessment), now)
        step = decide(_seen(assessment, readings, self._settings, now), now)
        report(assessment, list(readings.values()), step, self._weights(), now)
        return again(min(step.until, now + self._settings.look_every)) if isinstance(step, Wait) else DONE

    def _weights(self) -> Mapping[Component, float]:
        settings = self._settings
        return {
            Component.HEALTH: settings.health_weight,
            Component.ALERT: settings.alert_weight,
            Component.METRICS: settings.metrics_weight,
        }


def remember(assessment: EffectivenessAssessment, health: Reading, target: Obj | None, now: datetime) -> None:
    """Note what later looks are held against: since when it is worse, and the target's spec as the fix left it."""
    status = assessment.status
    status.worse_since = (status.worse_since or now) if health.worse else None
    status.observed = health.observed or status.observed
    if target is not None and not status.spec_hash and now >= _arrival(assessment):
        status.spec_hash, status.spec_replicas = spec_hash(target), replicas_of(target)


def _arrival(assessment: EffectivenessAssessment) -> datetime:
    """Return when the fix counts as arrived at the target."""
    return assessment.spec.fix_completed_at + parse_duration(assessment.spec.config.hash_compute_delay)


def _seen(
    assessment: EffectivenessAssessment, readings: Mapping[Component, Reading], settings: VerificationSettings, now: datetime
) -> Seen:
    spec, created = assessment.spec, assessment.metadata.creation_timestamp or now
    validity = created + parse_duration(spec.config.validity)
    return Seen(
        health=readings[Component.HEALTH],
        alert=readings[Component.ALERT],
        metrics=readings.get(Component.METRICS),
        drift=readings.get(Component.SPEC),
        fixed_at=_arrival(assessment),
        window=parse_duration(spec.config.stabilization_window),
        ends_at=min(validity, spec.times_out_at or validity),
        worse_since=assessment.status.worse_since,
        alert_from=spec.fix_completed_at + parse_duration(spec.config.alert_check_delay),
        metrics_patience=settings.metrics_patience,
        executed=spec.executed,
        ended=assessment.status.phase in ENDED,
    )


def report(
    assessment: EffectivenessAssessment, readings: Sequence[Reading], step: Step, weights: Mapping[Component, float], now: datetime
) -> None:
    """Say what was seen, and the verdict once there is one."""
    status = assessment.status
    if isinstance(step, Rest):
        return
    status.components = [ComponentScore(name=each.component.value, score=each.score, message=cut(each.message)) for each in readings]
    status.healthy_since = next((each.since for each in readings if each.component is Component.HEALTH and each.good), None)
    status.score = score(readings, weights)
    status.message = cut(step.message)
    match step:
        case Wait(phase):
            status.phase = phase
        case Conclude():
            _conclude(assessment, step, now)
        case _:
            assert_never(step)


def _conclude(assessment: EffectivenessAssessment, step: Conclude, now: datetime) -> None:
    status = assessment.status
    status.phase, status.verdict, status.reason, status.completion_time = Phase.COMPLETED, step.verdict, step.reason.value, now
    good = step.verdict is Verdict.EFFECTIVE
    generation = assessment.metadata.generation
    set_condition(status.conditions, ASSESSED, good, step.reason.value, step.message, now=now, generation=generation)
    outcome = AuditOutcome.SUCCESS if good else AuditOutcome.FAILURE
    _count(assessment)
    record(assessment, "EffectivenessAssessed", f"{step.verdict.value}: {step.message}", now=now, outcome=outcome, data=_facts(assessment))


def _count(assessment: EffectivenessAssessment) -> None:
    status = assessment.status
    metrics.ASSESSMENTS.labels(status.verdict.value if status.verdict else "", status.reason).inc()
    if status.reason == Reason.EXPIRED:
        metrics.EXPIRATIONS.inc()
    for each in status.components:
        metrics.COMPONENTS.labels(each.name, str(each.score is not None).lower()).inc()
        if each.score is not None:
            metrics.SCORES.labels(each.name).observe(each.score)


def _facts(assessment: EffectivenessAssessment) -> dict[str, JsonValue]:
    """Return what history keeps of a verdict: the next analysis of the target reads it."""
    status = assessment.status
    scores: dict[str, JsonValue] = {each.name: each.score for each in status.components}
    return {
        "verdict": status.verdict.value if status.verdict else None,
        "reason": status.reason,
        "score": status.score,
        "components": scores,
        "before": assessment.spec.baseline.wire() if assessment.spec.baseline else None,
        "after": status.observed.wire() if status.observed else None,
    }


def built(settings: VerificationSettings | None = None) -> tuple[Probe, ...]:
    """Return the built-in probes: of the target's health and spec, of the alert, and of the metrics."""
    settings = settings or VerificationSettings()
    alertmanager, prometheus = _remote("Alertmanager", settings.alertmanager), _remote("Prometheus", settings.prometheus)
    return HealthProbe(), AlertProbe(alertmanager), MetricsProbe(prometheus, settings.queries, settings.metrics_every), DriftProbe()


def _remote(title: str, settings: EndpointSettings) -> Remote | None:
    return Remote(title, settings) if settings.url else None


def setup(manager: Manager, settings: VerificationSettings | None = None) -> None:
    """Add the verifier to a manager."""
    settings = settings or VerificationSettings()
    probes = built(settings)
    for probe in probes:
        for kind, indexes in probe.reads().items():
            manager.informer(kind, indexes=indexes)
    assessments = manager.informer(EffectivenessAssessment, indexes={BY_REMEDIATION: remediation_of})
    verifier = Verifier(manager.cluster, settings, probes)
    controller = manager.controller(EffectivenessAssessment, verifier.reconcile)
    controller.watches(RemediationRequest, _assessments_of(assessments.store))


def _assessments_of(store: Store) -> Callable[[Obj], Iterable[Key]]:
    """Return the map from a remediation to its assessments, so that an alert that resolves is noticed at once."""

    def assessments(obj: Obj) -> Iterable[Key]:
        return [key_of(each) for each in store.by(BY_REMEDIATION, "/".join(key_of(obj)))]

    return assessments

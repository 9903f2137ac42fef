"""Looks at every fixed target until it is sure whether the fix helped."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, assert_never

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
from kubernaut.verification.decide import Component, Conclude, Reading, Rest, Seen, Step, Wait, decide, score
from kubernaut.verification.probes.alert import AlertProbe
from kubernaut.verification.probes.base import Probe
from kubernaut.verification.probes.health import HealthProbe
from kubernaut.verification.settings import VerificationSettings

ASSESSED: Final = "Assessed"
ENDED: Final = frozenset({Phase.COMPLETED, Phase.FAILED})


class Verifier:
    """Looks at every fixed target until it is sure whether the fix helped."""

    def __init__(self, cluster: Cluster, settings: VerificationSettings, health: Probe, alert: Probe) -> None:
        self._cluster = cluster
        self._settings = settings
        self._health = health
        self._alert = alert

    async def reconcile(self, assessment: EffectivenessAssessment) -> Outcome:
        """Observe, decide, report; there is nothing to act on. The kernel read the object and will write its status, once."""
        now, status = self._cluster.clock.now(), assessment.status
        if status.completion_time is not None:
            return DONE
        status.start_time = status.start_time or now
        readings = (self._health.look(self._cluster, assessment), self._alert.look(self._cluster, assessment))
        step = decide(_seen(assessment, *readings, now), now)
        report(assessment, readings, step, self._weights(), now)
        return again(min(step.until, now + self._settings.look_every)) if isinstance(step, Wait) else DONE

    def _weights(self) -> Mapping[Component, float]:
        settings = self._settings
        return {
            Component.HEALTH: settings.health_weight,
            Component.ALERT: settings.alert_weight,
            Component.METRICS: settings.metrics_weight,
        }


def _seen(assessment: EffectivenessAssessment, health: Reading, alert: Reading, now: datetime) -> Seen:
    spec, created = assessment.spec, assessment.metadata.creation_timestamp or now
    validity = created + parse_duration(spec.config.validity)
    return Seen(
        health=health,
        alert=alert,
        fixed_at=spec.fix_completed_at,
        window=parse_duration(spec.config.stabilization_window),
        ends_at=min(validity, spec.times_out_at or validity),
        ended=assessment.status.phase in ENDED,
    )


def report(
    assessment: EffectivenessAssessment, readings: Sequence[Reading], step: Step, weights: Mapping[Component, float], now: datetime
) -> None:
    """Say what was seen, and the verdict once there is one."""
    status = assessment.status
    if isinstance(step, Rest):
        return
    status.components = [ComponentScore(name=each.component.value, score=each.score, message=each.message) for each in readings]
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
    data = {"verdict": step.verdict.value, "reason": step.reason.value, "score": status.score}
    record(assessment, "EffectivenessAssessed", f"{step.verdict.value}: {step.message}", now=now, outcome=outcome, data=data)


def built() -> tuple[Probe, Probe]:
    """Return the built-in probes: of the target's health, and of the alert."""
    return HealthProbe(), AlertProbe()


def setup(manager: Manager, settings: VerificationSettings | None = None) -> None:
    """Add the verifier to a manager."""
    health, alert = built()
    for probe in (health, alert):
        for kind, indexes in probe.reads().items():
            manager.informer(kind, indexes=indexes)
    assessments = manager.informer(EffectivenessAssessment, indexes={BY_REMEDIATION: remediation_of})
    verifier = Verifier(manager.cluster, settings or VerificationSettings(), health, alert)
    controller = manager.controller(EffectivenessAssessment, verifier.reconcile)
    controller.watches(RemediationRequest, _assessments_of(assessments.store))


def _assessments_of(store: Store) -> Callable[[Obj], Iterable[Key]]:
    """Return the map from a remediation to its assessments, so that an alert that resolves is noticed at once."""

    def assessments(obj: Obj) -> Iterable[Key]:
        return [key_of(each) for each in store.by(BY_REMEDIATION, "/".join(key_of(obj)))]

    return assessments

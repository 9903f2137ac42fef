"""Keeps the one RemediationBrake: there is always one, its status says what holds fixes, and every move of it is a fact on record."""

from collections.abc import Iterable
from datetime import datetime

from pydantic import JsonValue

from kubernaut.api.base import CANCEL_ANNOTATION, AuditOutcome, Obj, ObjectMeta
from kubernaut.api.brake import BRAKE, EVERYWHERE, Pause, Phase, RemediationBrake, Storm, told
from kubernaut.api.remediation import RemediationRequest
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError
from kubernaut.kube.informer import Key
from kubernaut.kube.journal import record
from kubernaut.kube.manager import Manager
from kubernaut.kube.outcome import DONE, Outcome, again
from kubernaut.orchestration import metrics
from kubernaut.orchestration.gate.brake import BrakeSettings, storm_at
from kubernaut.orchestration.gate.load import at_work, came_since
from kubernaut.orchestration.gate.storm import storm_begins, storm_is_over


class BrakeKeeper:
    """Walks the brake through pauses and storms."""

    def __init__(self, cluster: Cluster, settings: BrakeSettings) -> None:
        self._cluster = cluster
        self._settings = settings

    async def reconcile(self, brake: RemediationBrake) -> Outcome:
        """Compare what people and cases say with what is on record; put the difference on record."""
        if brake.metadata.name != BRAKE:
            brake.status.message = f"only the RemediationBrake called {BRAKE} counts; this one does nothing"
            return DONE
        now, status = self._cluster.clock.now(), brake.status
        await self._cancel(brake)
        _record_pauses(brake, now)
        await self._storm(brake, now)
        status.limits, status.observed_generation = self._settings.limits(), brake.metadata.generation
        status.phase, status.message = _stands(brake)
        metrics.PAUSES.set(len(brake.spec.pauses))
        metrics.STORM.set(status.storm is not None)
        return again(status.storm.until) if status.storm else DONE

    async def make(self, key: Key) -> Outcome:
        """Make the brake where it is missing."""
        if self._cluster.read(RemediationBrake.card, *key) is None:
            try:
                await self._cluster.create(RemediationBrake(metadata=ObjectMeta(name=key.name, namespace=key.namespace)))
            except ApiError as fault:
                if not fault.already_exists:
                    raise
        return DONE

    async def _cancel(self, brake: RemediationBrake) -> None:
        """Cancel what is at work where a person said so; a remediation that is being cancelled already stays as it is."""
        for pause in brake.spec.pauses:
            if pause.cancel:
                for path in sorted(at_work(self._cluster, pause.namespace)):
                    await self._cancel_one(Key(*path.split("/", 1)), pause)

    async def _cancel_one(self, key: Key, pause: Pause) -> None:
        request = self._cluster.find(RemediationRequest, *key)
        if request is None or CANCEL_ANNOTATION in request.metadata.annotations or request.status.completion_time:
            return
        try:
            await self._cluster.patch(request, {"metadata": {"annotations": {CANCEL_ANNOTATION: told(pause)}}})
        except ApiError as fault:
            if not fault.not_found:
                raise

    async def _storm(self, brake: RemediationBrake, now: datetime) -> None:
        """Enter and leave storm mode by what the objects say; who is told, is told before it is on record, under a name of its own."""
        status, settings, namespace = brake.status, self._settings, brake.metadata.namespace
        before = status.storm
        span = settings.storm_window + settings.storm_cooldown
        found = storm_at([came for came, _ in came_since(self._cluster, now - span)], settings, now)
        storm = _gone_on(before, found)
        if storm is None and before is not None:
            await self._cluster.create_owned(storm_is_over(before, self._since(before), namespace), brake)
            record(brake, "StormEnded", f"storm mode is over: {before.cases} cases came at its worst", now=now)
        if storm is not None and (before is None or storm.since != before.since):
            await self._cluster.create_owned(storm_begins(storm, self._since(storm), namespace), brake)
            message = f"{storm.cases} new cases came within {settings.storm_window}: nothing new is started"
            record(brake, "StormBegan", message, now=now, outcome=AuditOutcome.PENDING, data={"cases": storm.cases})
        status.storm = storm

    def _since(self, storm: Storm) -> list[RemediationRequest]:
        rows = came_since(self._cluster, storm.since - self._settings.storm_window)
        return [RemediationRequest.model_validate(obj) for _, obj in rows]


def _gone_on(before: Storm | None, found: Storm | None) -> Storm | None:
    """Return a storm that is found again as the one it was: its beginning and its worst moment may be older than what is counted."""
    if before is None or found is None or found.since > before.until:
        return found
    return Storm(since=before.since, until=max(found.until, before.until), cases=max(found.cases, before.cases))


def _record_pauses(brake: RemediationBrake, now: datetime) -> None:
    """Put on record who paused and who resumed; the difference between the spec and what is on record tells."""
    spec, status = brake.spec, brake.status
    new, old = {pause.namespace: pause for pause in spec.pauses}, {pause.namespace: pause for pause in status.pauses}
    for namespace, pause in new.items():
        if old.get(namespace) != pause:
            data: dict[str, JsonValue] = {"actor": pause.by, "namespace": namespace, "reason": pause.reason, "cancel": pause.cancel}
            record(brake, "RemediationPaused", told(pause), now=now, data=data)
    for namespace in sorted(old.keys() - new.keys()):
        who, why = spec.changed_by or "somebody", f": {spec.change_reason}" if spec.change_reason else ""
        where = "everywhere" if namespace == EVERYWHERE else f"in namespace {namespace}"
        lifted: dict[str, JsonValue] = {"actor": who, "namespace": namespace, "reason": spec.change_reason}
        record(brake, "RemediationResumed", f"resumed {where} by {who}{why}", now=now, data=lifted)
    status.pauses = list(spec.pauses)


def _stands(brake: RemediationBrake) -> tuple[Phase, str]:
    if brake.spec.pauses:
        return Phase.PAUSED, "; ".join(told(pause) for pause in brake.spec.pauses)[:1024]
    if storm := brake.status.storm:
        return Phase.STORM, f"{storm.cases} new cases came within minutes: nothing new is started before {storm.until:%H:%M:%S} UTC"
    return Phase.RELEASED, "fixes are started within the limits"


def add_brake(manager: Manager, settings: BrakeSettings) -> None:
    """Keep the brake of our namespace while we lead; new cases and whatever people change make it look again."""
    keeper, key = BrakeKeeper(manager.cluster, settings), Key(manager.informer(RemediationBrake).namespace, BRAKE)
    controller = manager.controller(RemediationBrake, keeper.reconcile, workers=1)
    controller.watches(RemediationRequest, lambda obj: _if_new(obj, key))
    maker = manager.workers("brake-maker", keeper.make, lambda: (key,), count=1)

    def missing(_old: Obj | None, new: Obj | None) -> None:
        if new is None:
            maker.add(key)

    manager.informer(RemediationBrake).on_change(missing)


def _if_new(obj: Obj, key: Key) -> Iterable[Key]:
    """Look at the brake when a case comes, not at every change of one."""
    return () if (obj.get("status") or {}).get("overallPhase") else (key,)

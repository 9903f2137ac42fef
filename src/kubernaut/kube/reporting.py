"""The last step of a pass: write what it left in the status, once, if anything changed; then tell people by Events."""

from collections.abc import Sequence
from typing import Final

import structlog
from pydantic import ValidationError

from kubernaut.api.base import AuditOutcome, JournalEntry, Obj, Resource, Status
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError
from kubernaut.kube.events import NORMAL, WARNING, Recorder
from kubernaut.kube.informer import key_of
from kubernaut.kube.journal import record
from kubernaut.kube.outcome import Stalled
from kubernaut.kube.status import changes, cut, only_journal_differs, set_condition, status_of

STALLED: Final = "Stalled"
BAD_PHASES: Final = frozenset({"Failed", "TimedOut", "Rejected"})
REBASES: Final = 3

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


class Report:
    """What one pass does to one object's status."""

    def __init__(self, cluster: Cluster, recorder: Recorder, obj: Obj, resource: Resource) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._obj = obj
        self._resource = resource
        self._status = status_of(resource)
        self._phase = _phase(self._status)
        self._count = self._status.journal.count
        self._stalled: Stalled | None = None
        self._before: Obj = self._status.wire() if obj.get("status") else {}

    def stall(self, fault: Stalled) -> None:
        """Say that only a changed spec helps."""
        self._stalled = fault
        now, generation = self._cluster.clock.now(), self._resource.metadata.generation
        conditions = self._status.conditions
        set_condition(conditions, STALLED, status=True, reason=fault.reason, message=fault.message, now=now, generation=generation)

    def unstall(self) -> None:
        """Take back that only a changed spec helps."""
        self._status.conditions[:] = [condition for condition in self._status.conditions if condition.type != STALLED]

    async def write(self) -> None:
        """Write the status if it changed; raise `ApiError` with `conflict` when the object is no longer what the pass saw."""
        self._status.observed_generation = self._resource.metadata.generation
        self._note_transition()
        patch = changes(self._before, self._status.wire())
        if patch is None:
            return
        written = await self._patch(self._obj, patch)
        if written is None:
            return
        self._cluster.observe(self._resource.card, written)
        self._tell()

    def _tell(self) -> None:
        """Send an Event for each fact recorded, and for a stall that was not there before."""
        if self._stalled is not None and "conditions" in (changes(self._before, self._status.wire()) or {}):
            self._recorder.event(self._obj, WARNING, self._stalled.reason, self._stalled.message)
        for entry in self._recorded():
            type_ = WARNING if entry.outcome is AuditOutcome.FAILURE else NORMAL
            self._recorder.event(self._obj, type_, entry.reason, entry.message)

    def _recorded(self) -> Sequence[JournalEntry]:
        return [entry for entry in self._status.journal.pending if entry.ordinal >= self._count]

    def _note_transition(self) -> None:
        """Record a change of phase, whoever made it."""
        phase = _phase(self._status)
        if phase == self._phase:
            return
        outcome = AuditOutcome.FAILURE if phase in BAD_PHASES else AuditOutcome.SUCCESS
        message = f"{self._phase} → {phase}: {self._status.message}" if self._status.message else f"{self._phase} → {phase}"
        data = {"from": self._phase, "to": phase}
        record(self._resource, "PhaseTransition", message, now=self._cluster.clock.now(), outcome=outcome, data=data)

    async def _patch(self, base: Obj, patch: Obj) -> Obj | None:
        """Write under the precondition that nothing changed but the journal, which the shipper empties beside us."""
        for _ in range(REBASES):
            try:
                return await self._send(base, patch)
            except ApiError as fault:
                if fault.not_found:
                    return None
                if not fault.conflict:
                    raise
                conflict = fault
            base, patch = await self._rebased(base, patch, conflict)
        raise conflict

    async def _send(self, base: Obj, patch: Obj) -> Obj:
        key = key_of(base)
        body = {"metadata": {"resourceVersion": base["metadata"]["resourceVersion"]}, "status": patch}
        return await self._cluster.client.patch(self._resource.card, key.name, key.namespace, body, subresource="status")

    async def _rebased(self, base: Obj, patch: Obj, conflict: ApiError) -> tuple[Obj, Obj]:
        key = key_of(base)
        live = await self._cluster.client.get(self._resource.card, key.name, key.namespace)
        journal = (live.get("status") or {}).get("journal") or {}
        if not only_journal_differs(base, live) or journal.get("count", 0) != self._count:
            raise conflict
        if "journal" in patch:
            pending = [*(journal.get("pending") or ()), *(entry.wire() for entry in self._recorded())]
            patch = {**patch, "journal": {**patch["journal"], "pending": pending}}
        return live, patch


async def report_invalid(cluster: Cluster, recorder: Recorder, resource: type[Resource], obj: Obj, fault: ValidationError) -> None:
    """Mark an object that cannot be parsed, on the raw object; no retry until it changes."""
    message = cut("; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in fault.errors(include_input=False)))
    conditions = _conditions(obj)
    known = next((condition for condition in conditions if condition.get("type") == STALLED), {})
    if (known.get("status"), known.get("reason"), known.get("message")) == ("True", "InvalidObject", message):
        return
    now, generation = cluster.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"), obj["metadata"].get("generation") or 0
    stalled = {"type": STALLED, "status": "True", "reason": "InvalidObject", "message": message, "lastTransitionTime": now}
    others = [condition for condition in conditions if condition.get("type") != STALLED]
    body = {
        "metadata": {"resourceVersion": obj["metadata"]["resourceVersion"]},
        "status": {"conditions": [*others, {**stalled, "observedGeneration": generation}]},
    }
    await _mark(cluster, resource, obj, body)
    recorder.event(obj, WARNING, "InvalidObject", message)


async def _mark(cluster: Cluster, resource: type[Resource], obj: Obj, body: Obj) -> None:
    key = key_of(obj)
    try:
        cluster.observe(resource.card, await cluster.client.patch(resource.card, key.name, key.namespace, body, subresource="status"))
    except ApiError as fault:
        if not (fault.not_found or fault.invalid):
            raise
        where = {"kind": resource.card.kind, "namespace": key.namespace, "name": key.name}
        log.warning("object cannot be marked invalid", **where, fault=str(fault)[:500])


def _conditions(obj: Obj) -> list[Obj]:
    status = obj.get("status")
    conditions = status.get("conditions") if isinstance(status, dict) else None
    return [condition for condition in conditions or () if isinstance(condition, dict)] if isinstance(conditions, list) else []


def _phase(status: Status) -> str:
    return str(getattr(status, "phase", ""))

"""The last step of a pass: write what it left in the status, once, if anything changed; then tell people by Events."""

from collections.abc import Sequence
from functools import cached_property
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
TRANSITION: Final = "PhaseTransition"
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
        self._read = status_of(cluster.shared(type(resource), obj))

    @cached_property
    def _began(self) -> Obj:
        """The status as it was read, with all defaults."""
        return self._read.wire()

    @property
    def _before(self) -> Obj:
        """What a patch starts from: nothing, where nobody has written a status yet."""
        return self._began if self._obj.get("status") else {}

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
        if self._obj.get("status") and self._status == self._read:
            return
        now = self._status.wire()
        patch = self._ours(changes(self._before, now) or {}, now)
        if not patch:
            return
        written = await self._patch(self._obj, patch)
        if written is None:
            return
        self._cluster.observe(self._resource.card, written)
        self._tell()

    def _tell(self) -> None:
        """Send an Event for what is worth telling of the facts recorded, and for a stall that was not there before."""
        if self._stalled is not None and "conditions" in (changes(self._before, self._status.wire()) or {}):
            self._recorder.event(self._obj, WARNING, self._stalled.reason, self._stalled.message)
        for entry in worth_telling(self._recorded(), ended=_has_ended(self._status), owned=bool(self._resource.metadata.owner_references)):
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
        record(self._resource, TRANSITION, message, now=self._cluster.clock.now(), outcome=outcome, data=data)

    async def _patch(self, base: Obj, patch: Obj) -> Obj | None:
        """Write under the precondition that nothing changed but what others write beside us: the journal, and fields of theirs."""
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
        if not only_journal_differs(self._whole(base), self._whole(live), self._theirs(patch)) or journal.get("count", 0) != self._count:
            raise conflict
        if "journal" in patch:
            pending = [*(journal.get("pending") or ()), *(entry.wire() for entry in self._recorded())]
            patch = {**patch, "journal": {**patch["journal"], "pending": pending}}
        return live, patch

    def _whole(self, obj: Obj) -> Obj:
        """Return an object with its status as the model reads it: the first to write a status makes the server fill in all defaults."""
        return {**obj, "status": status_of(type(self._resource).model_validate(obj)).wire()}

    def _ours(self, patch: Obj, now: Obj) -> Obj:
        """Leave out others' fields that the pass did not touch: a first status holds every default, and they may have written by now."""
        untouched = {name for name in self._status.written_by_others if now.get(name) == self._began.get(name)}
        return {name: value for name, value in patch.items() if name not in untouched}

    def _theirs(self, patch: Obj) -> frozenset[str]:
        """Return the fields whose change leaves this pass standing: others', unless it writes them too; none when it decides the end."""
        if patch.get(self._status.decided_in):
            return frozenset()
        return self._status.written_by_others - patch.keys()


def worth_telling(entries: Sequence[JournalEntry], *, ended: bool, owned: bool) -> Sequence[JournalEntry]:
    """Choose the facts of a pass that people should read as Events; all of them go to the audit trail.

    Of what stands for itself, one for each change of phase: the change, and at the end what it ended with. Of what belongs to another
    object, its own facts; a change of phase alone only where it ended, or is bad news.
    """
    moves = [entry for entry in entries if entry.reason == TRANSITION]
    others = [entry for entry in entries if entry.reason != TRANSITION]
    if not moves or (others and owned):
        return others
    if owned and not ended and moves[-1].outcome is not AuditOutcome.FAILURE:
        return ()
    return others[-1:] if ended and others else moves


def _has_ended(status: Status) -> bool:
    return any(getattr(status, name, None) is not None for name in ("completion_time", "completed_at", "decided_at"))


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

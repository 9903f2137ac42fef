"""The lock at work: reads and writes the Lease of a target, and tells whether the one who holds it is still at work."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from kubernaut.api.base import Obj
from kubernaut.api.core import LEASE
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.execution import Phase as ExecutionPhase
from kubernaut.api.remediation import BY_REMEDIATION, RemediationRequest, remediation_of
from kubernaut.api.workflow import Phase, WorkflowExecution
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError
from kubernaut.workflow.decide import LockState
from kubernaut.workflow.engines.base import Engine
from kubernaut.workflow.lock import Holder, blocker, claim, holder_of, judge
from kubernaut.workflow.settings import WorkflowSettings
from kubernaut.workflow.target import lock_name

ACTIVE_INDEX = "active-target"
"""WorkflowExecutions that have not ended, by `namespace|target`."""
_ENDED = (ExecutionPhase.COMPLETED, ExecutionPhase.FAILED)


class Standing(NamedTuple):
    """How a target's lock stands, and who is in the way, in words."""

    state: LockState
    holder: str = ""


class Locks:
    """The locks of all targets."""

    def __init__(self, cluster: Cluster, settings: WorkflowSettings, engines: Collection[Engine]) -> None:
        self._cluster = cluster
        self._settings = settings
        self._engines = engines

    async def standing(self, execution: WorkflowExecution) -> Standing:
        """Tell how the lock of an execution's target stands; an older execution on the target goes first even while no Lease says so."""
        lease = self._cached(execution)
        state, holder = await self._judged(execution, lease)
        if state is LockState.OURS:
            return Standing(state)
        rival = blocker(execution, self._active(execution))
        if rival is not None:
            return Standing(LockState.HELD, _named(rival))
        return Standing(state, _told(lease) if state is LockState.HELD and holder else "")

    async def take(self, execution: WorkflowExecution) -> Standing:
        """Take the lock if it is free: an atomic create, or an update of exactly the Lease that was judged."""
        lease = self._cached(execution)
        now = self._cluster.clock.now()
        try:
            if lease is None:
                made = await self._cluster.client.create(LEASE, claim(None, execution, now))
            elif (await self._judged(execution, lease))[0] is LockState.FREE:
                made = await self._cluster.client.update(LEASE, claim(lease, execution, now))
            else:
                return await self.standing(execution)
        except ApiError as fault:
            if fault.already_exists or fault.conflict or fault.not_found:
                return await self._lost(execution)
            raise
        self._cluster.observe(LEASE, made)
        return Standing(LockState.OURS)

    async def release(self, execution: WorkflowExecution) -> bool:
        """Let go of the target, if we hold it and nothing of ours is at work on it; return whether it is let go."""
        lease = self._cached(execution)
        if holder_of(lease) != Holder.of(execution) or lease is None:
            return True
        if self.at_work(execution):
            return False
        meta = lease["metadata"]
        try:
            await self._cluster.client.delete(
                LEASE, meta["name"], meta["namespace"], uid=meta["uid"], resource_version=meta["resourceVersion"]
            )
        except ApiError as fault:
            if not fault.not_found:
                raise
        return True

    def at_work(self, execution: WorkflowExecution) -> bool:
        """Tell whether anything of an ended execution may still change its target: its PipelineRun, or the operations it planned."""
        if execution.spec.workflow_definition is None:
            return self._run_at_work(Holder.of(execution))
        return execution.status.phase is not Phase.FAILED and self._operations_at_work(execution)

    def _run_at_work(self, holder: Holder) -> bool:
        return any(engine.at_work(holder.name, holder.uid) for engine in self._engines)

    def _operations_at_work(self, execution: WorkflowExecution) -> bool:
        """A plan holds its target until it was carried out; one not taken up yet, while its remediation goes on."""
        found = self._cluster.where(KubernetesExecution, BY_REMEDIATION, remediation_key(execution))
        carried_out = [each for each in found if _carries_out(each, execution)]
        if carried_out:
            return any(each.status.phase not in _ENDED for each in carried_out)
        reference = execution.spec.remediation_request_ref
        remediation = self._cluster.find(RemediationRequest, reference.namespace or execution.metadata.namespace, reference.name)
        if remediation is not None:
            return remediation.status.completion_time is None and remediation.metadata.deletion_timestamp is None
        return self._cluster.clock.now() < self.plan_expires(execution)

    def plan_expires(self, execution: WorkflowExecution) -> datetime:
        """Return when a plan that nobody has taken up stops to hold its target, where no remediation goes on that would."""
        planned = execution.status.completion_time or self._cluster.clock.now()
        return execution.spec.times_out_at or planned + self._settings.default_timeout

    def _active(self, execution: WorkflowExecution) -> list[WorkflowExecution]:
        return self._cluster.where(WorkflowExecution, ACTIVE_INDEX, target_key(execution))

    def _cached(self, execution: WorkflowExecution) -> Obj | None:
        return self._cluster.read(LEASE, execution.metadata.namespace, lock_name(execution.spec.target_resource))

    async def _judged(self, execution: WorkflowExecution, lease: Obj | None) -> tuple[LockState, Holder | None]:
        me, holder = Holder.of(execution), holder_of(lease)
        ended = holder is not None and holder != me and await self._ended(execution.metadata.namespace, holder)
        return judge(lease, me, holder_ended=ended), holder

    async def _ended(self, namespace: str, holder: Holder) -> bool:
        """Tell whether a holder is certainly done: its end is on record, or the API server itself knows it no more."""
        found = self._cluster.find(WorkflowExecution, namespace, holder.name)
        if found is None or found.metadata.uid != holder.uid:
            found = await self._cluster.fetch(WorkflowExecution, namespace, holder.name)
        if found is None or found.metadata.uid != holder.uid:
            return not self._run_at_work(holder)
        return found.status.completion_time is not None and not self.at_work(found)

    async def _lost(self, execution: WorkflowExecution) -> Standing:
        """Somebody was faster; learn who, so that the wait can be explained."""
        name, namespace = lock_name(execution.spec.target_resource), execution.metadata.namespace
        try:
            lease = await self._cluster.client.get(LEASE, name, namespace)
        except ApiError as fault:
            if fault.not_found:
                return Standing(LockState.HELD, "another WorkflowExecution")
            raise
        self._cluster.observe(LEASE, lease)
        holder = holder_of(lease)
        if holder == Holder.of(execution):
            return Standing(LockState.OURS)
        return Standing(LockState.HELD, _told(lease))


def _named(rival: WorkflowExecution) -> str:
    """Say who goes first, and since when."""
    since = rival.status.start_time or rival.metadata.creation_timestamp
    when = f" since {since:%Y-%m-%d %H:%M:%S} UTC" if since else ""
    return f"WorkflowExecution {rival.metadata.name} ({rival.status.phase}{when})"


def _told(lease: Obj | None) -> str:
    """Say who has a Lease, and since when."""
    holder, taken = holder_of(lease), str(((lease or {}).get("spec") or {}).get("acquireTime") or "")
    when = f" (since {taken[:10]} {taken[11:19]} UTC)" if taken else ""
    return f"WorkflowExecution {holder.name}{when}" if holder else "another WorkflowExecution"


def _carries_out(found: KubernetesExecution, execution: WorkflowExecution) -> bool:
    """Tell whether operations are those of a plan; a dry run holds nothing."""
    plan = found.spec.workflow_execution_ref
    return not found.spec.execution_config.dry_run and (plan is None or plan.uid == execution.metadata.uid)


def target_key(execution: WorkflowExecution) -> str:
    """Return an execution's value in the index of targets."""
    return f"{execution.metadata.namespace}|{execution.spec.target_resource}"


def remediation_key(execution: WorkflowExecution) -> str:
    """Return an execution's value in the index of remediations."""
    return next(iter(remediation_of(execution.wire())))

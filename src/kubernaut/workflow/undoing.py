"""Takes back what a run from the catalogue changed of its target: a KubernetesExecution puts it back, with all checks of any other.

The stage that runs workflows has no right to change what they act on; the action that puts an object back has an account of its own.
"""

from datetime import datetime, timedelta
from typing import Final

from kubernaut.api.base import ObjectMeta
from kubernaut.api.execution import KubernetesExecution, KubernetesExecutionSpec, UndoOutcome, UndoRequest, UndoResult
from kubernaut.api.execution import Phase as ExecutionPhase
from kubernaut.api.plan import Operation
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.outcome import Outcome, again
from kubernaut.kube.status import cut
from kubernaut.undo import begun, ended
from kubernaut.workflow.decide import LockState
from kubernaut.workflow.holders import Locks

RESTORE: Final = "restore_object"
LOOK_AGAIN: Final = timedelta(seconds=30)
_REFUSALS: Final = frozenset({"parameters", "access", "target", "policy"})


class Undoing:
    """Answers requests for an undo of a run."""

    def __init__(self, cluster: Cluster, locks: Locks) -> None:
        self._cluster = cluster
        self._locks = locks

    async def answer(self, execution: WorkflowExecution, asked: UndoRequest, now: datetime) -> Outcome:
        """Have the target put back, follow that, or say why not."""
        status = begun(execution, asked, now)
        if refused := _refused(execution):
            return ended(execution, *refused, now)
        name, namespace = f"{execution.metadata.name}-undo-{int(asked.requested_at.timestamp()):x}", execution.metadata.namespace
        work = self._cluster.find(KubernetesExecution, namespace, name)
        if work is None:
            standing = await self._locks.standing(execution)
            if standing.state is LockState.HELD:
                status.message = cut(f"the undo waits: {standing.holder} is at work on {execution.spec.target_resource}")
                return again(now + LOOK_AGAIN)
            work = await self._cluster.create_owned(_restoring(execution, asked, name), execution)
        if work.status.completion_time is None:
            status.message = cut(f"{name} puts it back: {work.status.message or 'it has not begun'}")
            return again(now + LOOK_AGAIN)
        outcome, message = came_to(work)
        status.results = [UndoResult(step_number=1, resource=execution.spec.target_resource, outcome=outcome, message=message)]
        return ended(execution, outcome, message, now)


def came_to(work: KubernetesExecution) -> tuple[UndoOutcome, str]:
    """Return what became of putting an object back, told from its execution that has ended."""
    if work.status.phase is ExecutionPhase.COMPLETED:
        return UndoOutcome.UNDONE, "put back as it was before the run; what the run did elsewhere stays"
    result = next(iter(work.status.operation_results), None)
    failed = next((check for check in result.checks if not check.passed), None) if result else None
    if failed is None:
        return UndoOutcome.FAILED, work.status.message
    if failed.name == "preconditions":
        return UndoOutcome.CONFLICT, failed.message
    return (UndoOutcome.REFUSED if failed.name in _REFUSALS else UndoOutcome.FAILED), f"{failed.name}: {failed.message}"


def _refused(execution: WorkflowExecution) -> tuple[UndoOutcome, str] | None:
    """Return the answer where nothing is to be done."""
    if execution.spec.workflow_definition is not None:
        return UndoOutcome.REFUSED, "it only planned: ask for the undo of the KubernetesExecution that carried the plan out"
    reversal = execution.status.reversal
    if reversal is None:
        return UndoOutcome.NOT_UNDOABLE, execution.status.reversal_note or "the run never began"
    return None if reversal.patch else (UndoOutcome.NOTHING, "the run changed nothing of its target")


def _restoring(execution: WorkflowExecution, asked: UndoRequest, name: str) -> KubernetesExecution:
    changed, reversal = execution.status.changed, execution.status.reversal
    if changed is None or reversal is None:
        raise ValueError("there is nothing to put back")
    parameters = {
        "kind": changed.kind,
        "namespace": changed.namespace,
        "resource_name": changed.name,
        "uid": changed.uid,
        "before": changed.before,
        "after": changed.after,
        "patch": reversal.patch,
        "automatic": asked.automatic,
        "reason": cut(f"undo of {execution.metadata.name}, asked for by {asked.requested_by}"),
    }
    spec = KubernetesExecutionSpec(
        remediation_request_ref=execution.spec.remediation_request_ref,
        workflow_execution_ref=execution.reference(),
        operations=[Operation(step_number=1, action=RESTORE, parameters=parameters, target=execution.spec.target)],
    )
    meta = ObjectMeta(name=name, namespace=execution.metadata.namespace, labels=dict(execution.metadata.labels))
    return KubernetesExecution(metadata=meta, spec=spec)

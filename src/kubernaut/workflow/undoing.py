"""Takes a run from the catalogue back: a KubernetesExecution puts its target back, or the workflow runs that it names for that.

The stage that runs workflows has no right to change what they act on; the action that puts an object back has an account of its own.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from kubernaut.api.base import ObjectMeta
from kubernaut.api.catalog import CatalogStatus, RemediationWorkflow, version_key
from kubernaut.api.execution import (
    ChangedResource,
    KubernetesExecution,
    KubernetesExecutionSpec,
    Undo,
    UndoOutcome,
    UndoRequest,
    UndoResult,
)
from kubernaut.api.execution import Phase as ExecutionPhase
from kubernaut.api.plan import Operation, WorkflowReference
from kubernaut.api.workflow import ExecutionConfig, WorkflowExecution, WorkflowExecutionSpec
from kubernaut.api.workflow import Phase as WorkflowPhase
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.outcome import Outcome, again
from kubernaut.kube.status import cut
from kubernaut.undo import RESTORE, Undoable, begun, ended, name_of_work
from kubernaut.workflow.decide import LockState
from kubernaut.workflow.holders import Locks
from kubernaut.workflow.validity import entry

LOOK_AGAIN: Final = timedelta(seconds=30)
_REFUSALS: Final = frozenset({"parameters", "access", "target", "policy"})


class Undoing:
    """Answers requests for an undo of a run."""

    def __init__(self, cluster: Cluster, locks: Locks, catalogue: Callable[[str], Sequence[RemediationWorkflow]]) -> None:
        self._cluster = cluster
        self._locks = locks
        self._catalogue = catalogue
        """Returns what the catalogue has under the id of a workflow."""

    async def answer(self, execution: WorkflowExecution, asked: UndoRequest, now: datetime) -> Outcome:
        """Have it taken back, follow that, or say why not."""
        status = begun(execution, asked, now)
        try:
            wanted = self._wanted(execution, asked)
        except _Refused as refused:
            return ended(execution, refused.outcome, str(refused), now)
        work = self._cluster.find(type(wanted), wanted.metadata.namespace, wanted.metadata.name)
        if work is None:
            standing = await self._locks.standing(execution)
            if standing.state is LockState.HELD:
                status.message = cut(f"the undo waits: {standing.holder} is at work on {execution.spec.target_resource}")
                return again(now + LOOK_AGAIN)
            work = await self._cluster.create_owned(wanted, execution)
        if work.status.completion_time is None:
            status.message = cut(f"{work.metadata.name} takes it back: {work.status.message or 'it has not begun'}")
            return again(now + LOOK_AGAIN)
        outcome, message = came_to(work)
        status.results = [UndoResult(step_number=1, resource=execution.spec.target_resource, outcome=outcome, message=message)]
        return ended(execution, outcome, message, now)

    def _wanted(self, execution: WorkflowExecution, asked: UndoRequest) -> Undoable:
        """Return what takes a run back: the workflow that it names for that, where a person asks, else the target put back as it was."""
        if execution.spec.workflow_definition is not None:
            raise _Refused(UndoOutcome.REFUSED, "it only planned: ask for the undo of the KubernetesExecution that carried the plan out")
        ref, status = execution.spec.workflow_ref, execution.status
        ran = entry(execution, self._catalogue(ref.workflow_id)) if ref else None
        if ran is not None and ran.spec.rollback_workflow and not asked.automatic and status.start_time is not None:
            return _rolling_back(execution, asked, self._offered(ran.spec.rollback_workflow))
        if status.reversal is None:
            raise _Refused(UndoOutcome.NOT_UNDOABLE, status.reversal_note or "the run never began")
        if status.changed is None:
            raise _Refused(UndoOutcome.NOTHING, "the run changed nothing of its target")
        return _restoring(execution, asked, status.changed, status.reversal)

    def _offered(self, workflow_id: str) -> RemediationWorkflow:
        """Return the version of a workflow that is on offer."""
        active = [each for each in self._catalogue(workflow_id) if each.status.catalog_status is CatalogStatus.ACTIVE]
        if not active:
            raise _Refused(UndoOutcome.FAILED, f"the workflow {workflow_id}, which takes it back, is not on offer in the catalogue")
        return max(active, key=lambda each: version_key(each.spec.version))


class _Refused(Exception):  # noqa: N818  (says what became of it)
    """There is nothing to be done; the text says why."""

    def __init__(self, outcome: UndoOutcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


def came_to(work: Undoable) -> tuple[UndoOutcome, str]:
    """Return what became of taking a run back, told from the work on it that has ended."""
    if isinstance(work, WorkflowExecution):
        ref = work.spec.workflow_ref
        if work.status.phase is WorkflowPhase.COMPLETED:
            return UndoOutcome.UNDONE, f"the workflow {ref.workflow_id if ref else ''} was run, which takes it back"
        return UndoOutcome.FAILED, work.status.message
    if work.status.phase is ExecutionPhase.COMPLETED:
        return UndoOutcome.UNDONE, "put back as it was before the run; what the run did elsewhere stays"
    result = next(iter(work.status.operation_results), None)
    failed = next((check for check in result.checks if not check.passed), None) if result else None
    if failed is None:
        return UndoOutcome.FAILED, work.status.message
    if failed.name == "preconditions":
        return UndoOutcome.CONFLICT, failed.message
    return (UndoOutcome.REFUSED if failed.name in _REFUSALS else UndoOutcome.FAILED), f"{failed.name}: {failed.message}"


def _restoring(execution: WorkflowExecution, asked: UndoRequest, changed: ChangedResource, reversal: Undo) -> KubernetesExecution:
    parameters = {
        "kind": changed.kind,
        "namespace": changed.namespace,
        "resource_name": changed.name,
        "uid": changed.uid,
        "before": changed.before,
        "after": changed.after,
        "patch": reversal.patch,
        "automatic": asked.automatic,
        "reason": _reason(execution, asked),
    }
    spec = KubernetesExecutionSpec(
        remediation_request_ref=execution.spec.remediation_request_ref,
        workflow_execution_ref=execution.reference(),
        operations=[Operation(step_number=1, action=RESTORE, parameters=parameters, target=execution.spec.target)],
    )
    return KubernetesExecution(metadata=_metadata(execution, asked), spec=spec)


def _rolling_back(execution: WorkflowExecution, asked: UndoRequest, workflow: RemediationWorkflow) -> WorkflowExecution:
    known, run = {parameter.name for parameter in workflow.spec.parameters}, workflow.spec.execution
    reference = WorkflowReference(workflow_id=workflow.spec.workflow_id, container_image=run.bundle, version=workflow.spec.version)
    spec = WorkflowExecutionSpec(
        remediation_request_ref=execution.spec.remediation_request_ref,
        workflow_ref=reference,
        target_resource=execution.spec.target_resource,
        target=execution.spec.target,
        parameters={name: value for name, value in execution.spec.parameters.items() if name in known},
        execution_config=ExecutionConfig(service_account_name=run.service_account_name, engine=run.engine.value),
    )
    return WorkflowExecution(metadata=_metadata(execution, asked), spec=spec)


def _metadata(execution: WorkflowExecution, asked: UndoRequest) -> ObjectMeta:
    meta = execution.metadata
    return ObjectMeta(name=name_of_work(execution, asked), namespace=meta.namespace, labels=dict(meta.labels))


def _reason(execution: WorkflowExecution, asked: UndoRequest) -> str:
    return cut(f"undo of {execution.metadata.name}, asked for by {asked.requested_by}")

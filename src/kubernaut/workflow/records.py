"""The workflow record that data storage keeps (section 5 of the WorkflowExecution document), made of the facts in the journal.

Records go where the facts go, after the status is written: a data storage that is down or slow holds up no phase, and none is lost.
"""

from collections.abc import Iterable

from kubernaut.api.audit import WorkflowAudit
from kubernaut.api.base import JournalEntry
from kubernaut.api.workflow import Phase, WorkflowExecution
from kubernaut.kube.reporting import TRANSITION
from kubernaut.outbound import WORKFLOW_RECORDS, Service, post_each
from kubernaut.workflow.report import CLEARED

_WHAT = {Phase.RUNNING: "started", Phase.COMPLETED: "completed", Phase.FAILED: "failed", Phase.PENDING: "pending"}


def records(execution: WorkflowExecution, entries: Iterable[JournalEntry]) -> list[WorkflowAudit]:
    """Return a record for every change of phase, and for a target that was cleared."""
    return [_record(execution, entry) for entry in entries if entry.reason in {TRANSITION, CLEARED}]


async def deliver(service: Service, execution: WorkflowExecution, entries: Iterable[JournalEntry]) -> None:
    """Send the records of some facts; raise Undeliverable where another try may help."""
    await post_each(service, WORKFLOW_RECORDS, records(execution, entries))


def _record(execution: WorkflowExecution, entry: JournalEntry) -> WorkflowAudit:
    spec, status = execution.spec, execution.status
    phase = status.phase if entry.reason == CLEARED else Phase(str(entry.data.get("to")))
    ended = phase is status.phase and status.completion_time is not None
    details = status.failure_details if ended else None
    return WorkflowAudit(
        event_type="workflowexecution.block.cleared" if entry.reason == CLEARED else f"workflowexecution.workflow.{_WHAT[phase]}",
        workflow_execution_id=execution.metadata.name,
        workflow_id=spec.workflow_ref.workflow_id if spec.workflow_ref else "",
        target_resource=spec.target_resource,
        phase=phase.value,
        outcome=status.outcome.value if ended and status.outcome else "",
        timestamp=entry.at,
        correlation_id=execution.correlation_id,
        failure_reason=details.reason if details else None,
        failure_message=details.message if details else None,
    )

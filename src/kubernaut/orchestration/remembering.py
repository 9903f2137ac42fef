"""What a remediation remembers of its stage objects: each that was opened, and how each fix ended; the facts outlive the objects."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final, TypeVar

from kubernaut.api import execution as ke
from kubernaut.api import workflow as we
from kubernaut.api.base import AuditOutcome, NamedReference
from kubernaut.api.remediation import AttemptReference, ExecutionAttempt, RemediationRequest, RemediationRequestStatus
from kubernaut.kube.journal import record
from kubernaut.kube.status import cut
from kubernaut.orchestration import metrics
from kubernaut.orchestration.family import Family, is_idle_plan
from kubernaut.orchestration.observe import failed_step, failure_of
from kubernaut.orchestration.plans import fix_in, plan_hash
from kubernaut.orchestration.records import StageObject, state_of

IN_PROGRESS: Final = "in-progress"

A = TypeVar("A", AttemptReference, ExecutionAttempt)


def remember(request: RemediationRequest, family: Family, now: datetime) -> None:
    """Note every stage object of every attempt, and what came of the fixes; a new one is a fact to record."""
    status, before = request.status, _names(request.status)
    attempts = (*family.past, family)
    status.remediation_processing_refs = _noted(status.remediation_processing_refs, _processings(attempts))
    status.ai_analysis_refs = _noted(status.ai_analysis_refs, _analyses(attempts))
    status.workflow_execution_refs = _noted(status.workflow_execution_refs, _runs(attempts))
    status.kubernetes_execution_refs = _noted(status.kubernetes_execution_refs, _executions(attempts))
    _point(status, family)
    for child in _children(attempts):
        if child.metadata.name not in before:
            _created(request, child, now)
    _begun(request, family.attempt, now)


def forget_fix(status: RemediationRequestStatus, attempt: int) -> None:
    """Forget the fix of an attempt that was withdrawn before it began: it may be opened again."""
    for name in ("workflow_execution_refs", "kubernetes_execution_refs"):
        kept = [
            each for each in getattr(status, name) if each.attempt_number != attempt or not (each.outcome == IN_PROGRESS or each.planned)
        ]
        setattr(status, name, kept)


def _noted(known: Iterable[A], found: Iterable[A]) -> list[A]:
    """Return what is known with what is found in its place, by attempt; what is no longer found stays as it was."""
    noted = {each.attempt_number: each for each in known} | {each.attempt_number: each for each in found}
    return [noted[number] for number in sorted(noted)][-10:]


def _processings(attempts: Iterable[Family]) -> Iterator[AttemptReference]:
    return (_reference(each.processing, each.attempt) for each in attempts if each.processing)


def _analyses(attempts: Iterable[Family]) -> Iterator[AttemptReference]:
    return (_reference(each.analysis, each.attempt) for each in attempts if each.analysis)


def _runs(attempts: Iterable[Family]) -> Iterator[ExecutionAttempt]:
    return (_run(each.workflow, each) for each in attempts if each.workflow and not _withdrawn(each.workflow, each))


def _withdrawn(child: we.WorkflowExecution, family: Family) -> bool:
    return child.metadata.deletion_timestamp is not None and (child.status.phase is we.Phase.PENDING or is_idle_plan(family))


def _executions(attempts: Iterable[Family]) -> Iterator[ExecutionAttempt]:
    return (_executed(each.execution, each) for each in attempts if each.execution)


def _children(attempts: Iterable[Family]) -> Iterator[StageObject]:
    for each in attempts:
        found = (each.processing, each.analysis, each.workflow, each.execution, each.assessment)
        yield from (child for child in found if child is not None and child.metadata.deletion_timestamp is None)


def _names(status: RemediationRequestStatus) -> frozenset[str]:
    """Return the names of all stage objects that are known."""
    plain = (*status.remediation_processing_refs, *status.ai_analysis_refs)
    fixes = (*status.workflow_execution_refs, *status.kubernetes_execution_refs)
    last = status.effectiveness_assessment_ref
    return frozenset([*(each.name for each in plain), *(each.name for each in fixes), last.name if last else ""])


def _reference(child: StageObject, attempt: int) -> AttemptReference:
    meta = child.metadata
    return AttemptReference(
        name=meta.name,
        namespace=meta.namespace,
        type="recovery" if attempt else "initial",
        attempt_number=attempt,
        phase=child.status.phase.value,
        created_at=meta.creation_timestamp,
    )


def _attempt(child: StageObject, family: Family, outcome: str, failure: tuple[str, str, str]) -> ExecutionAttempt:
    state, (error_type, message, step) = state_of(child), failure
    failed = outcome == "failed"
    return ExecutionAttempt(
        **_reference(child, family.attempt).model_dump(),
        fix=fix_in(family.workflow) if family.workflow else "",
        plan_hash=plan_hash(family),
        outcome=outcome,
        failed_step=step[:253] if failed else "",
        error_type=error_type if failed else "",
        failure_reason=cut(message) if failed else "",
        start_time=getattr(child.status, "start_time", None),
        completion_time=state.completion_time,
    )


def _run(child: we.WorkflowExecution, family: Family) -> ExecutionAttempt:
    ends = {we.Phase.COMPLETED: "completed", we.Phase.FAILED: "failed"}
    made = _attempt(child, family, ends.get(child.status.phase, IN_PROGRESS), failure_of(child.status))
    planned = child.spec.workflow_definition is not None
    return made.model_copy(update={"planned": planned, "parameters": dict(child.spec.parameters)})


def _executed(child: ke.KubernetesExecution, family: Family) -> ExecutionAttempt:
    ends, status = {ke.Phase.COMPLETED: "completed", ke.Phase.FAILED: "failed"}, child.status
    failure = (status.failure_reason or "ExecutionFailed", status.message, failed_step(status))
    made = _attempt(child, family, ends.get(status.phase, IN_PROGRESS), failure)
    failed = next((each for each in child.spec.operations if each.action == made.failed_step), None)
    return made.model_copy(update={"parameters": failed.effect() if failed else {}})


def _point(status: RemediationRequestStatus, family: Family) -> None:
    """Let the plain references name the objects of the present attempt."""
    pairs = {
        "remediation_processing_ref": family.processing,
        "ai_analysis_ref": family.analysis,
        "workflow_execution_ref": family.workflow,
        "kubernetes_execution_ref": family.execution,
        "effectiveness_assessment_ref": family.assessment,
    }
    for field, child in pairs.items():
        if child is not None:
            setattr(status, field, NamedReference(name=child.metadata.name, namespace=child.metadata.namespace))


def _created(request: RemediationRequest, child: StageObject, now: datetime) -> None:
    kind, name = child.card.kind, child.metadata.name
    record(request, f"{kind}Created", f"{name} was created", now=now, data={"name": name})
    metrics.CREATIONS.labels(kind).inc()


def _begun(request: RemediationRequest, attempt: int, now: datetime) -> None:
    """Say once that another attempt has begun, and why."""
    status = request.status
    if attempt <= status.recovery_attempts:
        return
    failed = [each for each in (*status.workflow_execution_refs, *status.kubernetes_execution_refs) if each.outcome == "failed"]
    last = max(failed, key=lambda each: each.attempt_number, default=None)
    status.recovery_attempts = attempt
    status.recovery_reason = f"{last.error_type}: {last.failure_reason}"[:1024] if last else ""
    status.last_failure_time = (last.completion_time if last else None) or now
    message = f"attempt {attempt} begins: {status.recovery_reason}" if status.recovery_reason else f"attempt {attempt} begins"
    record(request, "RecoveryInitiated", message, now=now, outcome=AuditOutcome.PENDING, data={"attempt": attempt})

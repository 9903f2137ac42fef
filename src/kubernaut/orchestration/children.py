"""The stage objects that a remediation opens, as the founding documents write them. Pure: a snapshot in, an object out."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from kubernaut.api.analysis import (
    AIAnalysis,
    AIAnalysisSpec,
    AlertContext,
    AnalysisRequest,
    InvestigationScope,
    PreviousExecution,
    ScopeItem,
)
from kubernaut.api.base import CORRELATION_LABEL, ObjectMeta, ObjectReference, Resource, ResourceIdentifier
from kubernaut.api.execution import ExecutionConfig as OperationConfig
from kubernaut.api.execution import KubernetesExecution, KubernetesExecutionSpec
from kubernaut.api.plan import SelectedWorkflow, WorkflowDefinition, WorkflowReference
from kubernaut.api.processing import Alert, RemediationProcessing, RemediationProcessingSpec
from kubernaut.api.remediation import ExecutionAttempt, RemediationRequest, RemediationRequestStatus
from kubernaut.api.verification import EffectivenessAssessment, EffectivenessAssessmentSpec
from kubernaut.api.workflow import ExecutionConfig, WorkflowExecution, WorkflowExecutionSpec
from kubernaut.orchestration.facts import Stage
from kubernaut.orchestration.family import Family
from kubernaut.orchestration.limits import Limits
from kubernaut.orchestration.proving import baseline_before, changed_something, patience
from kubernaut.orchestration.settings import OrchestrationSettings

REMEDIATION_LABEL: Final = "remediation-request"
TYPE_LABEL: Final = "type"
ATTEMPT_LABEL: Final = "attempt"


class Incomplete(Exception):  # noqa: N818  (says what is missing)
    """A stage object cannot be made, since the one before it lacks what it needs."""


def metadata(request: RemediationRequest, name: str) -> ObjectMeta:
    """Return a child's metadata: our namespace, and the correlation label copied."""
    return ObjectMeta(name=name, namespace=request.metadata.namespace, labels={CORRELATION_LABEL: request.correlation_id})


def build(
    stage: Stage, request: RemediationRequest, family: Family, settings: OrchestrationSettings, now: datetime
) -> tuple[Resource, datetime]:
    """Return a stage's object and when its time is up."""
    return MAKERS[stage](request, family, settings, now)


def processing(
    request: RemediationRequest, family: Family, settings: OrchestrationSettings, now: datetime
) -> tuple[RemediationProcessing, datetime]:
    """Make `{rr}-processing`: the alert as it was reported; `{rr}-recovery-{n}` after a fix that failed, with what is known of it."""
    spec, until = request.spec, now + Limits(request, settings).of(Stage.PROCESSING)
    alert = Alert(
        fingerprint=spec.signal_fingerprint,
        payload=spec.original_payload,
        severity=spec.severity,
        name=spec.signal_name,
        labels=spec.signal_labels,
        annotations=spec.signal_annotations,
        environment=spec.environment,
        firing_time=spec.firing_time,
        received_time=spec.received_time,
    )
    made = RemediationProcessingSpec(remediation_request_ref=request.reference(), alert=alert, target=spec.target, times_out_at=until)
    if family.attempt:
        return _recovery(request, made, family.attempt), until
    return RemediationProcessing(metadata=metadata(request, f"{request.metadata.name}-processing"), spec=made), until


def _recovery(request: RemediationRequest, made: RemediationProcessingSpec, attempt: int) -> RemediationProcessing:
    name, status = request.metadata.name, request.status
    failed = failed_attempts(status, attempt)[-1:]
    told = {
        "is_recovery_attempt": True,
        "recovery_attempt_number": attempt,
        "failed_workflow_ref": ObjectReference(name=failed[0].name, namespace=failed[0].namespace) if failed else None,
        "failed_step": failed[0].failed_step if failed else "",
        "failure_reason": failed[0].failure_reason if failed else "",
        "original_processing_ref": ObjectReference(name=f"{name}-processing", namespace=request.metadata.namespace),
    }
    labels = {REMEDIATION_LABEL: name, TYPE_LABEL: "recovery", ATTEMPT_LABEL: str(attempt)}
    meta = metadata(request, f"{name}-recovery-{attempt}")
    labelled = meta.model_copy(update={"labels": meta.labels | labels})
    return RemediationProcessing(metadata=labelled, spec=made.model_copy(update=told))


def failed_attempts(status: RemediationRequestStatus, attempt: int) -> list[ExecutionAttempt]:
    """Return the fixes that failed before an attempt, oldest first."""
    tried = [*status.workflow_execution_refs, *status.kubernetes_execution_refs]
    failed = [each for each in tried if each.outcome == "failed" and each.attempt_number < attempt]
    return sorted(failed, key=lambda each: each.attempt_number)


def _name(request: RemediationRequest, what: str, attempt: int) -> str:
    """Return a child's name: the documented one in the first attempt, with the attempt's number from the second on."""
    return f"{request.metadata.name}-{what}-{attempt}" if attempt else f"{request.metadata.name}-{what}"


def analysis(request: RemediationRequest, family: Family, settings: OrchestrationSettings, now: datetime) -> tuple[AIAnalysis, datetime]:
    """Make `{rr}-analysis`: the enriched signal, and the documented scope; the investigator's own settings are left to it."""
    signal = family.processing.status.enriched_signal if family.processing else None
    if signal is None:
        raise Incomplete("processing completed without an enriched signal")
    until = now + Limits(request, settings).of(Stage.ANALYSIS)
    scope = ScopeItem(kind=signal.resource_kind, namespace=signal.namespace, name=signal.resource_name)
    asked = AnalysisRequest(
        alert_context=AlertContext.model_validate(signal.wire()),
        analysis_types=["investigation", "root-cause", "recovery-analysis"],
        investigation_scope=InvestigationScope(
            time_window="24h", resource_scope=[scope], correlation_depth="detailed", include_historical_patterns=True
        ),
    )
    spec = AIAnalysisSpec(
        remediation_request_ref=request.reference(),
        analysis_request=asked,
        is_recovery_attempt=family.attempt > 0,
        recovery_attempt_number=family.attempt,
        previous_executions=previous_executions(request.status, family.attempt),
        approval_timeout=request.spec.timeout_config.approval_timeout or "",
        times_out_at=until,
    )
    return AIAnalysis(metadata=metadata(request, _name(request, "analysis", family.attempt)), spec=spec), until


def previous_executions(status: RemediationRequestStatus, attempt: int) -> list[PreviousExecution]:
    """Return the fixes of this case that failed before an attempt; at most ten, the latest."""
    found = [
        PreviousExecution(
            workflow_id=each.fix,
            parameters=each.parameters,
            failed_step=each.failed_step,
            reason=each.error_type,
            category=each.error_type,
            message=each.failure_reason,
        )
        for each in failed_attempts(status, attempt)
    ]
    return found[-10:]


def workflow(
    request: RemediationRequest, family: Family, settings: OrchestrationSettings, now: datetime
) -> tuple[WorkflowExecution, datetime]:
    """Make `{rr}-wfe` from the selected workflow, or `{rr}-workflow` from the first recommendation's steps."""
    if family.analysis is None:
        raise Incomplete("there is no analysis to take a fix from")
    chosen = family.analysis.status.selected_workflow
    until = now + Limits(request, settings).of(Stage.WORKFLOW, steps=chosen is None)
    spec = _catalogue(request, family, chosen, until) if chosen else _steps(request, family, until)
    name = _name(request, "wfe" if chosen else "workflow", family.attempt)
    return WorkflowExecution(metadata=metadata(request, name), spec=spec), until


def _catalogue(request: RemediationRequest, family: Family, chosen: SelectedWorkflow, until: datetime) -> WorkflowExecutionSpec:
    target, timeout = target_of(request, family), request.spec.timeout_config.workflow_execution_timeout
    config = ExecutionConfig(timeout=timeout)
    if chosen.service_account_name:
        config = config.model_copy(update={"service_account_name": chosen.service_account_name})
    if chosen.engine:
        config = config.model_copy(update={"engine": chosen.engine})
    return WorkflowExecutionSpec(
        remediation_request_ref=request.reference(),
        workflow_ref=WorkflowReference(workflow_id=chosen.workflow_id, container_image=chosen.container_image, version=chosen.version),
        target_resource=target.path(),
        target=target,
        parameters=chosen.parameters,
        execution_config=config,
        times_out_at=until,
    )


def _steps(request: RemediationRequest, family: Family, until: datetime) -> WorkflowExecutionSpec:
    found = family.analysis.status.recommendations if family.analysis else []
    if not found or not found[0].workflow_steps:
        raise Incomplete("the analysis recommends no steps")
    target = target_of(request, family)
    timeout = request.spec.timeout_config.workflow_execution_timeout or "20m"
    return WorkflowExecutionSpec(
        remediation_request_ref=request.reference(),
        target_resource=target.path(),
        target=target,
        workflow_definition=WorkflowDefinition(name=found[0].action, steps=found[0].workflow_steps),
        execution_config=ExecutionConfig(dry_run=False, step_timeout="5m", workflow_timeout=timeout, concurrency_limit=1),
        times_out_at=until,
    )


def execution(
    request: RemediationRequest, family: Family, settings: OrchestrationSettings, now: datetime
) -> tuple[KubernetesExecution, datetime]:
    """Make `{rr}-execution`: the planned operations."""
    if family.workflow is None or not family.workflow.status.operations:
        raise Incomplete("the workflow planned no operations")
    limit = Limits(request, settings).of(Stage.EXECUTION)
    timeout = request.spec.timeout_config.kubernetes_execution_timeout or "10m"
    spec = KubernetesExecutionSpec(
        remediation_request_ref=request.reference(),
        workflow_execution_ref=family.workflow.reference(),
        operations=family.workflow.status.operations,
        execution_config=OperationConfig(dry_run=False, safety_validation=True, timeout=timeout),
        times_out_at=now + limit,
    )
    return KubernetesExecution(metadata=metadata(request, _name(request, "execution", family.attempt)), spec=spec), now + limit


def assessment(
    request: RemediationRequest, family: Family, settings: OrchestrationSettings, now: datetime
) -> tuple[EffectivenessAssessment, datetime]:
    """Make `ea-{rr}`: what was fixed, and when."""
    until = now + Limits(request, settings).of(Stage.VERIFICATION)
    started, completed = fixed_at(family, now)
    spec = EffectivenessAssessmentSpec(
        remediation_request_ref=request.reference(),
        signal_target=request.spec.target,
        remediation_target=target_of(request, family),
        signal_fingerprint=request.spec.signal_fingerprint,
        signal_name=request.spec.signal_name,
        fix_started_at=started,
        fix_completed_at=completed,
        baseline=baseline_before(family, target_of(request, family)),
        executed=changed_something(family),
        config=patience(request, family, settings, until - now),
        times_out_at=until,
    )
    return EffectivenessAssessment(metadata=metadata(request, f"ea-{request.metadata.name}"), spec=spec), until


def target_of(request: RemediationRequest, family: Family) -> ResourceIdentifier:
    """Return the object that is acted on: the analysis names it, or the fix, where the analysis is gone; else it is the signal's."""
    named = family.analysis.status.remediation_target if family.analysis else family.workflow.spec.target if family.workflow else None
    return named or request.spec.target


def fixed_at(family: Family, now: datetime) -> tuple[datetime, datetime]:
    """Return when the fix began and when it was in."""
    carried = family.execution or family.workflow
    started = (carried and (carried.status.start_time or carried.metadata.creation_timestamp)) or now
    completed = (carried and carried.status.completion_time) or now
    return started, max(started, completed)


Made = tuple[Resource, datetime]
MAKERS: Final[dict[Stage, Callable[[RemediationRequest, Family, OrchestrationSettings, datetime], Made]]] = {
    Stage.PROCESSING: processing,
    Stage.ANALYSIS: analysis,
    Stage.WORKFLOW: workflow,
    Stage.EXECUTION: execution,
    Stage.VERIFICATION: assessment,
}

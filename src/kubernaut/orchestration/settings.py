"""How patient the orchestrator is: the limits of each phase, of waiting, and of keeping what has ended."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict


class OrchestrationSettings(BaseModel):
    """Defaults for every remediation; `spec.timeoutConfig` of one remediation overrides the limits."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    processing_limit: timedelta = timedelta(minutes=5)
    analysis_limit: timedelta = timedelta(minutes=10)
    approval_limit: timedelta = timedelta(minutes=15)
    approval_grace: timedelta = timedelta(minutes=1)
    """How long after an approval's own expiry the orchestrator ends the wait itself."""
    workflow_limit: timedelta = timedelta(minutes=30)
    """In catalogue mode, from the start of the PipelineRun."""
    steps_limit: timedelta = timedelta(minutes=20)
    """In step mode: planning."""
    execution_limit: timedelta = timedelta(minutes=10)
    verification_limit: timedelta = timedelta(minutes=30)
    overall_limit: timedelta = timedelta(hours=1)
    """From creation until the fix is carried out; waiting for people and for the target's lock does not count."""
    lock_wait_limit: timedelta = timedelta(minutes=30)
    """How long a WorkflowExecution may wait for its target."""
    verification: bool = True
    """Whether to look if the fix helped; without it a carried-out fix counts as a remediation."""
    stabilization_window: timedelta = timedelta(minutes=5)
    validity: timedelta = timedelta(minutes=25)
    """How long verification waits for the target and the alert at most."""
    retention: timedelta = timedelta(hours=24)
    """How long an ended remediation is kept in the cluster; its audit trail stays longer."""
    release_limit: timedelta = timedelta(hours=24)
    """How long a deleted remediation is held for records that data storage has not acknowledged."""
    release_poll: timedelta = timedelta(seconds=2)
    escalation_attempts: int = 3
    escalation_backoff: timedelta = timedelta(milliseconds=250)
    """Before the second try; then twice that."""
    approval_channel: str = "#kubernaut-approvals"

"""How patient the orchestrator is: the limits of each phase, of waiting, and of keeping what has ended."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from kubernaut.api.durations import Length
from kubernaut.orchestration.gate.brake import BrakeSettings
from kubernaut.orchestration.gate.gitops import GitopsSettings
from kubernaut.orchestration.gate.lastlook import LookSettings


class OrchestrationSettings(BaseModel):
    """Defaults for every remediation; `spec.timeoutConfig` of one remediation overrides the limits."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    processing_limit: Length = timedelta(minutes=5)
    analysis_limit: Length = timedelta(minutes=10)
    approval_limit: Length = timedelta(minutes=15)
    approval_grace: Length = timedelta(minutes=1)
    """How long after an approval's own expiry the orchestrator ends the wait itself."""
    workflow_limit: Length = timedelta(minutes=30)
    """In catalogue mode, from the start of the PipelineRun."""
    steps_limit: Length = timedelta(minutes=20)
    """In step mode: planning."""
    execution_limit: Length = timedelta(minutes=10)
    verification_limit: Length = timedelta(minutes=30)
    overall_limit: Length = timedelta(hours=1)
    """From creation until the fix is carried out; waiting for people and for the target's lock does not count."""
    lock_wait_limit: Length = timedelta(minutes=30)
    """How long a WorkflowExecution may wait for its target."""
    verification: bool = True
    """Whether to look if the fix helped; without it a carried-out fix counts as a remediation."""
    stabilization_window: Length = timedelta(minutes=5)
    validity: Length = timedelta(minutes=25)
    """How long verification waits for the target and the alert at most."""
    gitops_sync_delay: Length = Field(default=timedelta(minutes=3), ge=timedelta())
    """How long after the fix a target that Argo CD or Flux keeps is not judged: they may still be at it."""
    forecast_delay: Length = Field(default=timedelta(minutes=5), ge=timedelta())
    """How long after the fix a resolved alert proves nothing, where its expression forecasts (`predict_linear` and the like)."""
    dry_run: bool = False
    """Stop every remediation after its analysis, and tell what would have been done."""
    cancel_limit: Length = timedelta(minutes=2)
    """How long what is at work may take to stop when a person cancels; then people are called."""
    max_recovery_attempts: int = Field(default=3, ge=0, le=5)
    """How many more fixes are tried after a failed one; 0: none."""
    termination_rate: float = Field(default=0.1, gt=0, le=1)
    """The share of fixes of the last hour that failed, from which on nothing is tried again."""
    termination_sample: int = Field(default=10, ge=1)
    """With fewer fixes in the last hour, the share says nothing."""
    block_limit: Length = timedelta(hours=2)
    """How long a remediation may be held before people are called."""
    block_poll: Length = timedelta(seconds=1)
    """How soon a held remediation is looked at again at the earliest."""
    duplicate_limit: Length = timedelta(hours=24)
    """How long a duplicate waits for the end of the remediation ahead of it."""
    pause_limit: Length = timedelta(days=7)
    """How long a pause may hold a remediation before people are called."""
    brake: BrakeSettings = BrakeSettings()
    look: LookSettings = LookSettings()
    gitops: GitopsSettings = GitopsSettings()
    recheck: Length = timedelta(seconds=30)
    """When a busy target, or the remediation ahead of a duplicate, is looked at again at the latest."""
    managed_only: bool = True
    """Whether only objects are worked on that opt in by the label kubernaut.ai/managed=true, on them or on their namespace; off: all that
    do not opt out by false. Looked at when a case begins, and of what is acted on once more before the fix."""
    unmanaged_backoff: Length = timedelta(seconds=5)
    """How soon an unmanaged namespace is looked at again; twice as long each time, up to the next."""
    unmanaged_backoff_limit: Length = timedelta(minutes=5)
    failure_threshold: int = Field(default=3, ge=1)
    """After so many failures of one problem in a row it rests."""
    failure_rest: Length = timedelta(hours=1)
    failure_backoff: Length = timedelta(minutes=1)
    """How long a problem rests after one failure; twice as long after each more, up to the next."""
    failure_backoff_limit: Length = timedelta(minutes=10)
    cooldown: Length = timedelta(minutes=5)
    """How long the same fix is not done again to the same target."""
    chain_window: Length = timedelta(hours=4)
    """How far back fixes of a target that did not help count."""
    ineffective_limit: int = Field(default=3, ge=1)
    """So many fixes that did not help: a person must look."""
    recurrence_limit: int = Field(default=5, ge=1)
    """So many fixes that helped, and the problem came back: a person must look."""
    no_action_memory: Length = timedelta(hours=24)
    """How long the same alert with the same evidence needs no second analysis after nothing was to be done."""
    retention: Length = timedelta(hours=24)
    """How long an ended remediation is kept in the cluster; its audit trail stays longer."""
    retention_by_environment: dict[str, Length] = {}
    """Other times by environment, such as `{"production": "72h"}`."""
    escalation_attempts: int = 3
    escalation_backoff: Length = timedelta(milliseconds=250)
    """Before the second try; then twice that."""
    approval_channel: str = "#kubernaut-approvals"

"""What the workflow stage is told at its start; times from the WorkflowExecution document."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field


class WorkflowSettings(BaseModel):
    """Settings of the workflow stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: str = "kubernaut-system"
    """Where executions and their locks are."""
    execution_namespace: str = "kubernaut-workflows"
    """Where PipelineRuns are created."""
    service_account: str = "kubernaut-workflow-runner"
    """Who runs a workflow that names nobody."""
    cooldown: timedelta = Field(default=timedelta(minutes=5), ge=timedelta())
    """Rest after a completed workflow before the same one runs on the same target again."""
    cooldown_after_failure: bool = False
    """Whether a failed one counts too; the founding document says no."""
    lock_retry: timedelta = Field(default=timedelta(seconds=30), gt=timedelta())
    """How often a busy target is looked at, watches aside."""
    wait_limit: timedelta = Field(default=timedelta(minutes=30), gt=timedelta())
    """How long an execution may wait for its target before it fails."""
    default_timeout: timedelta = Field(default=timedelta(minutes=30), gt=timedelta())
    """Of a run whose execution names no timeout."""
    cancel_grace: timedelta = Field(default=timedelta(minutes=2), gt=timedelta())
    """How long a cancelled run may take to end before the execution is failed without it."""
    resolver_pause: timedelta = Field(default=timedelta(seconds=10), ge=timedelta())
    """Rest before a run that a restarting resolver spoiled is tried anew."""

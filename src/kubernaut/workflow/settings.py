"""What the workflow stage is told at its start; times from the WorkflowExecution document."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from kubernaut.api.durations import Length


class WorkflowSettings(BaseModel):
    """Settings of the workflow stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: str = "kubernaut-system"
    """Where executions and their locks are."""
    execution_namespace: str = "kubernaut-workflows"
    """Where PipelineRuns are created."""
    service_account: str = "kubernaut-workflow-runner"
    """Who runs a workflow that names nobody."""
    cooldown: Length = Field(default=timedelta(minutes=5), ge=timedelta())
    """Rest after a completed workflow before the same one runs on the same target again."""
    cooldown_after_failure: bool = False
    """Whether a failed one counts too; the founding document says no."""
    failure_rest: Length = Field(default=timedelta(minutes=1), ge=timedelta())
    """Rest of a target after a run that failed before anything ran; twice as long after each more in a row, up to the next."""
    failure_rest_limit: Length = Field(default=timedelta(minutes=10), ge=timedelta())
    failures_tolerated: int = Field(default=5, ge=1)
    """After more such failures in a row than these, nothing is tried again before a person has cleared the target."""
    recovery_may_follow: bool = True
    """Whether a further attempt of the same remediation may follow a run that failed; all others wait for a person in any case."""
    protected_namespaces: frozenset[str] = frozenset({"kube-system", "kube-public", "kube-node-lease", "kubernaut-system"})
    """Nothing in them is worked on."""
    lock_retry: Length = Field(default=timedelta(seconds=30), gt=timedelta())
    """How often a busy target is looked at, watches aside."""
    wait_limit: Length = Field(default=timedelta(minutes=30), gt=timedelta())
    """How long an execution may wait for its target before it fails."""
    default_timeout: Length = Field(default=timedelta(minutes=30), gt=timedelta())
    """Of a run whose execution names no timeout."""
    cancel_grace: Length = Field(default=timedelta(minutes=2), gt=timedelta())
    """How long a cancelled run may take to end before the execution is failed without it."""
    task_grace: Length = Field(default=timedelta(seconds=5), ge=timedelta())
    """How long the end of a failed run waits for its TaskRuns to say theirs: Tekton writes them a moment later."""
    poll: Length = Field(default=timedelta(seconds=10), gt=timedelta())
    """How often a condition that is waited for is looked at, watches aside."""
    resolver_pause: Length = Field(default=timedelta(seconds=10), ge=timedelta())
    """Rest before a run that a restarting resolver spoiled is tried anew."""

"""WorkflowExecution: a catalogue workflow run by Tekton, or a list of steps made into operations."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from kubernaut.api.base import (
    Duration,
    FoldedEnum,
    FreeForm,
    Kind,
    Model,
    ObjectReference,
    Resource,
    ResourceIdentifier,
    Rule,
    Short,
    Status,
    cel,
)
from kubernaut.api.execution import ChangedResource, ConditionResults, Undo, UndoRequest, UndoStatus, undoable
from kubernaut.api.plan import Operation, Parameters, WorkflowDefinition, WorkflowReference

WORKFLOW_EXECUTION_LABEL = "kubernaut.ai/workflow-execution"
SOURCE_NAMESPACE_LABEL = "kubernaut.ai/source-namespace"
WORKFLOW_ID_LABEL = "kubernaut.ai/workflow-id"
TARGET_RESOURCE_LABEL = "kubernaut.ai/target-resource"
TARGET_RESOURCE_ANNOTATION = "kubernaut.ai/target-resource"
CLEANUP_FINALIZER = "kubernaut.ai/workflowexecution-cleanup"


class Phase(FoldedEnum):
    """Where the execution stands."""

    PENDING = "Pending"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"


class Outcome(FoldedEnum):
    """How it ended."""

    SUCCESS = "Success"
    FAILED = "Failed"


class FailureCategory(FoldedEnum):
    """Why it failed, in one of few words."""

    OOM_KILLED = "OOMKilled"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    FORBIDDEN = "Forbidden"
    RESOURCE_EXHAUSTED = "ResourceExhausted"
    CONFIGURATION_ERROR = "ConfigurationError"
    IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
    TASK_FAILED = "TaskFailed"
    UNKNOWN = "Unknown"


class ExecutionConfig(Model):
    """How it is to be run."""

    service_account_name: Annotated[str, StringConstraints(max_length=253)] = "kubernaut-workflow-runner"
    engine: Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")] = "tekton"
    """Who runs a catalogue workflow: tekton, job, or an engine that was installed. A list of steps is always planned."""
    timeout: Duration | None = None
    """Of the run; default 30m."""
    dry_run: bool = False
    step_timeout: Duration = "5m"
    workflow_timeout: Duration = "20m"
    concurrency_limit: int = Field(default=1, ge=1, le=5)


@cel(
    *undoable(
        "WorkflowExecution",
        (
            *("remediationRequestRef", "workflowRef", "targetResource", "target", "parameters"),
            *("workflowDefinition", "executionConfig", "timesOutAt"),
        ),
    ),
    Rule("has(self.workflowRef) != has(self.workflowDefinition)", "exactly one of workflowRef and workflowDefinition must be given"),
)
class WorkflowExecutionSpec(Model):
    """A snapshot of the chosen fix: a catalogue workflow or a list of steps, exactly one; only `undo` may be added."""

    remediation_request_ref: ObjectReference
    workflow_ref: WorkflowReference | None = None
    target_resource: Annotated[str, StringConstraints(min_length=3, max_length=420)]
    """`namespace/kind/name`: what the lock is on."""
    target: ResourceIdentifier | None = None
    parameters: Parameters = {}
    workflow_definition: WorkflowDefinition | None = None
    execution_config: ExecutionConfig = ExecutionConfig()
    times_out_at: datetime | None = None
    undo: UndoRequest | None = None
    """Of a run from the catalogue: acted upon once it has ended. What was planned is undone in its KubernetesExecution."""


class FailureDetails(Model):
    """What went wrong, exactly and in plain words."""

    failed_task_name: str = ""
    failed_step_name: str = ""
    reason: str = ""
    """As the engine says it."""
    category: FailureCategory = FailureCategory.UNKNOWN
    message: Short = ""
    exit_code: int | None = None
    termination_message: Short = ""
    failed_at: datetime | None = None
    execution_time_before_failure: str = ""
    was_execution_failure: bool = False
    """Whether a step ran: then the cluster may have been changed."""
    natural_language_summary: Short = ""


class ExecutionProgress(Model):
    """What the engine says."""

    status: str = ""
    reason: str = ""
    message: Short = ""
    completed_tasks: int = Field(default=0, ge=0)
    total_tasks: int = Field(default=0, ge=0)


class StepResult(Model):
    """What became of one planned step."""

    step_number: int
    action: str = ""
    status: str = ""
    message: Short = ""


class BlockClearance(Model):
    """A person looked at the target after a run that failed under way, and says that it may be worked on again."""

    cleared_at: datetime | None = None
    cleared_by: Annotated[str, StringConstraints(max_length=253)] = ""
    """Their own user name: the API server sees to it."""
    clear_reason: Short = ""


class TargetState(Model):
    """The target just before a run from the catalogue."""

    uid: str = ""
    content: FreeForm = {}
    """Its spec or data without what looks like a secret, at most 64 KiB; lists of named things as maps. Only while the run goes on."""
    seal: str = ""
    """Tells whether the run changed what was left out: a slow digest of it, salted with the uid; empty where nothing was left out."""


class WorkflowExecutionStatus(Status):
    """How it goes."""

    written_by_others = frozenset({"blockClearance"})
    phase: Phase = Phase.PENDING
    outcome: Outcome | None = None
    start_time: datetime | None = None
    completion_time: datetime | None = None
    duration: str = ""
    pipeline_run_ref: ObjectReference | None = None
    progress: ExecutionProgress | None = None
    failure_details: FailureDetails | None = None
    operations: Annotated[list[Operation], Field(max_length=50)] = []
    """Step mode: the plan, in the order it is to be carried out."""
    step_statuses: Annotated[list[StepResult], Field(max_length=50)] = []
    block_clearance: BlockClearance | None = None
    """Written by a person (`kubernaut clear`)."""
    warnings: Annotated[list[Short], Field(max_length=10)] = []
    """Conditions that are not met and need not be, and what is wrong with their text."""
    checking_since: datetime | None = None
    """Since when preconditions are waited for."""
    pre_condition_results: ConditionResults = []
    """Of the preconditions that users wrote for the workflow."""
    post_condition_results: ConditionResults = []
    """Of the postconditions that users wrote for the workflow."""
    target_before: TargetState | None = None
    changed: ChangedResource | None = None
    """What a run from the catalogue changed of its target, as the object says before and after it."""
    reversal: Undo | None = None
    """How that is taken back; absent: it cannot be."""
    reversal_note: Short = ""
    """Why it cannot be, where it cannot."""
    undo: UndoStatus | None = None


class WorkflowExecution(Resource):
    """A catalogue workflow run by Tekton, or a list of steps made into operations."""

    card = Kind(
        kind="WorkflowExecution",
        plural="workflowexecutions",
        short=("wfe",),
        columns=(
            ("Phase", "string", ".status.phase"),
            ("Outcome", "string", ".status.outcome"),
            ("Workflow", "string", ".spec.workflowRef.workflowId"),
            ("Target", "string", ".spec.targetResource"),
            ("Age", "date", ".metadata.creationTimestamp"),
        ),
        selectable=(".spec.remediationRequestRef.name", ".spec.targetResource"),
    )
    spec: WorkflowExecutionSpec
    status: WorkflowExecutionStatus = WorkflowExecutionStatus()

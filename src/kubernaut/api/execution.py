"""KubernetesExecution: typed actions carried out on the cluster, checked before and recorded after."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from kubernaut.api.base import (
    Duration,
    FoldedEnum,
    FreeForm,
    Kind,
    Long,
    Model,
    ObjectReference,
    Resource,
    Short,
    Status,
    cel,
    immutable_spec,
)
from kubernaut.api.plan import Operation


class Phase(FoldedEnum):
    """Where an execution, or one operation of it, stands."""

    PENDING = "Pending"
    VALIDATING = "Validating"
    VALIDATED = "Validated"
    WAITING_APPROVAL = "WaitingApproval"
    EXECUTING = "Executing"
    ROLLBACK_READY = "RollbackReady"
    COMPLETED = "Completed"
    FAILED = "Failed"


class ExecutionConfig(Model):
    """How the operations are to be carried out."""

    dry_run: bool = False
    """Stop after validation; change nothing."""
    safety_validation: bool = True
    timeout: Duration = "10m"


@cel(immutable_spec("KubernetesExecution"))
class KubernetesExecutionSpec(Model):
    """A snapshot of the planned operations."""

    remediation_request_ref: ObjectReference
    operations: Annotated[list[Operation], Field(min_length=1, max_length=50)]
    execution_config: ExecutionConfig = ExecutionConfig()
    times_out_at: datetime | None = None


class Check(Model):
    """One safety check and its result."""

    name: str
    """parameters, access, target, policy, dry-run, preconditions."""
    passed: bool
    message: Short = ""


class ChangedResource(Model):
    """One object that was changed, before and after."""

    kind: str
    namespace: str = ""
    name: str
    action: str
    before: FreeForm = {}
    """The fields that changed, as they were."""
    after: FreeForm = {}


class UndoKind(FoldedEnum):
    """How well a change can be taken back."""

    EXACT = "exact"
    COMPENSATING = "compensating"
    NONE = "none"


class Undo(Model):
    """How to take one change back."""

    kind: UndoKind = UndoKind.NONE
    patch: FreeForm = {}
    """Merge patch that restores the changed fields."""
    resource_version_after: str = ""
    """Taken back only while the object still is as we left it."""
    generation_after: int = 0


class Validated(Model):
    """The state of the object that the checks saw; only that very state is changed."""

    uid: str = ""
    resource_version: str = ""
    generation: int = 0


class OperationResult(Model):
    """What became of one operation."""

    step_number: int
    action: str
    phase: Phase = Phase.PENDING
    checks: Annotated[list[Check], Field(max_length=10)] = []
    diff: Long = ""
    """What the server-side dry run says will change."""
    validated: Validated | None = None
    """What the checks were made against."""
    resources_affected: Annotated[list[ChangedResource], Field(max_length=20)] = []
    undo: Undo | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    retries_attempted: int = Field(default=0, ge=0)
    error_message: Short = ""


class KubernetesExecutionStatus(Status):
    """How it goes."""

    phase: Phase = Phase.PENDING
    start_time: datetime | None = None
    completion_time: datetime | None = None
    operation_results: Annotated[list[OperationResult], Field(max_length=50)] = []
    failure_reason: str = ""
    """Such as validation_error, dry_run_failed, approval_timeout, action_failed, timeout."""


class KubernetesExecution(Resource):
    """Typed actions carried out on the cluster, checked before and recorded after."""

    card = Kind(
        kind="KubernetesExecution",
        plural="kubernetesexecutions",
        short=("ke",),
        columns=(
            ("Phase", "string", ".status.phase"),
            ("Action", "string", ".spec.operations[0].action"),
            ("Dry Run", "boolean", ".spec.executionConfig.dryRun"),
            ("Age", "date", ".metadata.creationTimestamp"),
        ),
        selectable=(".spec.remediationRequestRef.name",),
    )
    spec: KubernetesExecutionSpec
    status: KubernetesExecutionStatus = KubernetesExecutionStatus()

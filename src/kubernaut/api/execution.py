"""KubernetesExecution: typed actions carried out on the cluster, checked before and recorded after."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from kubernaut.api.base import (
    Duration,
    FoldedEnum,
    FreeForm,
    Kind,
    Long,
    Model,
    ObjectReference,
    Resource,
    Rule,
    Short,
    Status,
    cel,
)
from kubernaut.api.core import (
    CONFIG_MAP,
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    LIMIT_RANGE,
    NETWORK_POLICY,
    NODE,
    POD_DISRUPTION_BUDGET,
    RESOURCE_QUOTA,
    SERVICE,
    STATEFUL_SET,
)
from kubernaut.api.plan import Operation

RESTORABLE: Final = (
    *(DEPLOYMENT, STATEFUL_SET, DAEMON_SET, CRON_JOB, NODE, CONFIG_MAP, SERVICE),
    *(HORIZONTAL_POD_AUTOSCALER, POD_DISRUPTION_BUDGET, NETWORK_POLICY, RESOURCE_QUOTA, LIMIT_RANGE),
)
"""Kinds of which what a run from the catalogue changed can be put back. Never Secrets: their data is not kept."""


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
    concurrency_limit: int = Field(default=1, ge=1, le=5)
    """How many operations may wait for their effect side by side."""


class UndoRequest(Model):
    """Somebody wants all changes of an execution taken back."""

    requested_by: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    """The authenticated caller."""
    requested_at: datetime
    """When, by the caller's clock; another time is another request."""
    reason: Short = ""
    automatic: bool = False
    """Asked for by kubernaut itself, since verification found things worse than before."""


def undoable(kind: str, fields: Sequence[str]) -> tuple[Rule, Rule]:
    """Return the rules of a spec of which only `undo` may change: it may be asked for, and stays on record."""
    same = " && ".join(
        f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})" for name in fields
    )
    return (
        Rule(same, f"spec cannot be changed, but for undo: create another {kind}"),
        Rule("!has(oldSelf.undo) || has(self.undo)", "an undo that was asked for stays on record"),
    )


@cel(*undoable("KubernetesExecution", ("remediationRequestRef", "workflowExecutionRef", "operations", "executionConfig", "timesOutAt")))
class KubernetesExecutionSpec(Model):
    """A snapshot of the planned operations; only `undo` may be added."""

    remediation_request_ref: ObjectReference
    workflow_execution_ref: ObjectReference | None = None
    """The plan that it carries out, which holds the target's lock for it."""
    operations: Annotated[list[Operation], Field(min_length=1, max_length=50)]
    execution_config: ExecutionConfig = ExecutionConfig()
    times_out_at: datetime | None = None
    undo: UndoRequest | None = None
    """Acted upon once the execution has ended."""


class Check(Model):
    """One safety check and its result."""

    name: str
    """parameters, access, target, policy, dry-run, preconditions; after the change, postconditions."""
    passed: bool
    message: Short = ""


class ConditionResult(Model):
    """How a condition that users wrote was judged."""

    condition_type: Annotated[str, StringConstraints(max_length=63)]
    evaluated: bool = False
    """Whether its expression had a value; one that has none counts as not met."""
    passed: bool = False
    error_message: Short = ""
    """Why it is not met: its description, and what was missing."""
    evaluation_time: datetime | None = None
    """Since when it is judged so."""


ConditionResults = Annotated[list[ConditionResult], Field(max_length=24)]


class ChangedResource(Model):
    """One object that was changed, before and after."""

    api_version: str = ""
    kind: str
    namespace: str = ""
    name: str
    uid: str = ""
    """Empty for what is about to be created."""
    action: str
    before: FreeForm = {}
    """The fields that changed, as they were; lists of named things as maps by name (`[app]`), without secrets."""
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
    """Merge patch that restores exactly what changed; lists of named things are maps by name (`[app]`), their order is in `[]`."""
    created: bool = False
    """The object was made by the operation: it is taken back by deleting it."""
    note: Short = ""
    """Why this change cannot be taken back, where others of its kind can: what looks like a secret is never kept."""


class Validated(Model):
    """The state of the object that the checks saw; only that very state is changed."""

    uid: str = ""
    resource_version: str = ""
    digest: str = ""
    """SHA-256 of what people write in it: labels, spec, data; neither status nor annotations."""


class OperationResult(Model):
    """What became of one operation."""

    step_number: int
    action: str
    phase: Phase = Phase.PENDING
    checks: Annotated[list[Check], Field(max_length=10)] = []
    checking_since: datetime | None = None
    """Since when preconditions are waited for."""
    pre_condition_results: ConditionResults = []
    """Of the preconditions that users wrote."""
    post_condition_results: ConditionResults = []
    """Of the postconditions that users wrote."""
    effective_since: datetime | None = None
    """Since when the action's own effect is there, and postconditions that users wrote are waited for."""
    diff: Long = ""
    """What the server-side dry run says will change."""
    impact: Short = ""
    """What that means: replicas, pods replaced or deleted."""
    warnings: Annotated[list[Short], Field(max_length=10)] = []
    """What a person should know before: disruption budgets, quotas, who else writes the object."""
    validated: Validated | None = None
    """What the checks were made against."""
    resources_affected: Annotated[list[ChangedResource], Field(max_length=50)] = []
    """The object changed first, then what followed from it by our hand, such as evicted pods."""
    undo: Undo | None = None
    output: Long = ""
    """What the action found out, such as collected diagnostics."""
    started_at: datetime | None = None
    completed_at: datetime | None = None
    retries_attempted: int = Field(default=0, ge=0)
    error_message: Short = ""


class UndoOutcome(FoldedEnum):
    """What became of an undo, or of one operation's part in it."""

    UNDONE = "Undone"
    NOTHING = "Nothing"
    """There was nothing to take back: not carried out, or back already."""
    NOT_UNDOABLE = "NotUndoable"
    CONFLICT = "Conflict"
    """Somebody else changed it since: left as it is."""
    PARTIAL = "Partial"
    """Some changes were taken back; others cannot be."""
    REFUSED = "Refused"
    FAILED = "Failed"


class Disagreement(Model):
    """One field that somebody else changed since, as JSON texts; empty where it was absent."""

    path: Short
    before: Short = ""
    ours: Short = ""
    """As the operation left it."""
    now: Short = ""


class UndoResult(Model):
    """What became of taking one operation back."""

    step_number: int
    resource: str = ""
    """`namespace/kind/name`."""
    outcome: UndoOutcome
    message: Short = ""
    conflicts: Annotated[list[Disagreement], Field(max_length=20)] = []


class UndoStatus(Model):
    """How an undo went."""

    requested_by: str = ""
    requested_at: datetime | None = None
    """Of the request that this answers."""
    reason: Short = ""
    automatic: bool = False
    start_time: datetime | None = None
    completion_time: datetime | None = None
    outcome: UndoOutcome | None = None
    message: Short = ""
    results: Annotated[list[UndoResult], Field(max_length=50)] = []
    """In the order of undoing: the last operation first."""


class KubernetesExecutionStatus(Status):
    """How it goes."""

    phase: Phase = Phase.PENDING
    start_time: datetime | None = None
    completion_time: datetime | None = None
    operation_results: Annotated[list[OperationResult], Field(max_length=50)] = []
    undo: UndoStatus | None = None
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

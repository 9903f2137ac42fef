"""RemediationWorkflow: one pre-approved fix of the catalogue."""

from typing import Annotated

from pydantic import Field, JsonValue, StringConstraints

from kubernaut.api.base import FoldedEnum, FreeForm, Kind, Model, Resource, Short, Status, cel, immutable_spec
from kubernaut.api.plan import Operation
from kubernaut.api.signal import RiskLevel

ANY = "*"
SHELVED_ANNOTATION = "kubernaut.ai/catalog-status"
"""On a workflow: `Disabled` or `Deprecated`, said by a person; without it the content decides."""


class ParameterType(FoldedEnum):
    """What a parameter's text must be."""

    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    FLOAT = "float"
    QUANTITY = "quantity"
    ARRAY = "array"
    """A JSON list of texts."""


class Parameter(Model):
    """One input of a workflow."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=63)]
    type: ParameterType = ParameterType.STRING
    required: bool = True
    description: Short = ""
    enum: list[str] = []
    pattern: str = ""
    minimum: float | None = None
    maximum: float | None = None
    default: str | None = None
    depends_on: Annotated[list[str], Field(max_length=16)] = []
    """Parameters that must have a value too where this one has."""
    from_fact: str = ""
    """The fact of the diagnosis that fills it, such as `target.namespace` or `memory.limit.proposed`."""


class WorkflowLabels(Model):
    """What cases it is for; `*` matches all."""

    severity: list[str] = [ANY]
    environment: list[str] = [ANY]
    component: list[str] = [ANY]
    """Kinds of target, such as `deployment`."""
    priority: list[str] = [ANY]


class Engine(FoldedEnum):
    """Who runs it."""

    TEKTON = "tekton"
    JOB = "job"
    STEPS = "steps"


class Permission(Model):
    """Rights that the workflow's service account needs, as in a rule of a ClusterRole."""

    api_groups: Annotated[list[str], Field(max_length=8)] = [""]
    resources: Annotated[list[str], Field(min_length=1, max_length=16)]
    verbs: Annotated[list[str], Field(min_length=1, max_length=16)]


class WorkflowRun(Model):
    """How it is run."""

    engine: Engine = Engine.TEKTON
    bundle: Annotated[str, StringConstraints(max_length=1024, pattern=r"^[^@\s]+@sha256:[a-f0-9]{64}$")]
    """OCI bundle, pinned by digest."""
    service_account_name: str = "kubernaut-workflow-runner"
    permissions: Annotated[list[Permission], Field(max_length=16)] = []
    """What that account must be allowed; `kubernaut catalog manifests` writes the role."""


class Dependencies(Model):
    """What must exist in the execution namespace."""

    secrets: list[str] = []
    config_maps: list[str] = []


class Maintainer(Model):
    """Who answers for a workflow."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    email: Annotated[str, StringConstraints(max_length=253)] = ""


@cel(immutable_spec("RemediationWorkflow"))
class RemediationWorkflowSpec(Model):
    """The workflow; a change of content is a new version, which is a new object."""

    workflow_id: Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    version: Annotated[str, StringConstraints(max_length=50, pattern=r"^[0-9]+\.[0-9]+\.[0-9]+.*$")]
    description: Short
    action_type: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]*$", max_length=63)]
    """Such as IncreaseMemoryLimits: what the analysis asks for."""
    risk_level: RiskLevel = RiskLevel.MEDIUM
    labels: WorkflowLabels = WorkflowLabels()
    execution: WorkflowRun
    parameters: Annotated[list[Parameter], Field(max_length=64)] = []
    preview: Annotated[list[Operation], Field(max_length=20)] = []
    """Typed steps with the same effect, dry-run for the approver; `$(PARAM)` is replaced."""
    rollback_parameters: FreeForm = {}
    rollback_workflow: Annotated[str, StringConstraints(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")] | None = None
    """Id of the workflow that a person's undo runs on the same target, with those of the same parameters that it knows; without it the
    target is put back as it was before the run."""
    dependencies: Dependencies = Dependencies()
    maintainers: Annotated[list[Maintainer], Field(max_length=16)] = []


class CatalogStatus(FoldedEnum):
    """Whether it may be chosen."""

    ACTIVE = "Active"
    INVALID = "Invalid"
    """It is at fault; the message says how."""
    DISABLED = "Disabled"
    DEPRECATED = "Deprecated"
    SUPERSEDED = "Superseded"


class RemediationWorkflowStatus(Status):
    """Whether it may be chosen."""

    catalog_status: CatalogStatus | None = None
    content_id: str = ""
    """UUIDv5 of the content: same content, same id."""
    faults: Annotated[list[Short], Field(max_length=20)] = []
    """Why it is Invalid, one sentence each."""


class RemediationWorkflow(Resource):
    """One pre-approved fix of the catalogue."""

    card = Kind(
        kind="RemediationWorkflow",
        plural="remediationworkflows",
        short=("rw",),
        columns=(
            ("Workflow", "string", ".spec.workflowId"),
            ("Version", "string", ".spec.version"),
            ("Action", "string", ".spec.actionType"),
            ("Engine", "string", ".spec.execution.engine"),
            ("Status", "string", ".status.catalogStatus"),
            ("Age", "date", ".metadata.creationTimestamp"),
        ),
        selectable=(".spec.workflowId",),
    )
    spec: RemediationWorkflowSpec
    status: RemediationWorkflowStatus = RemediationWorkflowStatus()


FactValue = JsonValue


def version_key(version: str) -> tuple[tuple[int, ...], int, tuple[tuple[int, int, str], ...]]:
    """Return a key that orders semantic versions (semver.org, item 11): a pre-release comes before its release."""
    core, _, rest = version.partition("+")[0].partition("-")
    numbers = tuple(int(part) if part.isdecimal() else 0 for part in core.split(".")[:3])
    parts = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in rest.split(".")) if rest else ()
    return numbers, 0 if rest else 1, parts

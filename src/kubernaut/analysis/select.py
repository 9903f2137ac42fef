"""Selection: which workflow of the catalogue carries out the action that the diagnosis asks for, with which parameters. Pure.

Parameters come from facts of the diagnosis, or from the workflow's own defaults, and nothing that its schema does not allow gets through.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kubernaut.analysis.investigators.base import Facts, Finding
from kubernaut.api.analysis import AlertContext, PreviousExecution
from kubernaut.api.catalog import ANY, CatalogStatus, Parameter, RemediationWorkflow, WorkflowLabels, version_key
from kubernaut.api.parameters import VALUE_LIMIT, fault_of
from kubernaut.api.plan import SelectedWorkflow

_USABLE = frozenset({None, CatalogStatus.ACTIVE})
_RISK = {"low": 0, "medium": 1, "high": 2}


@dataclass(frozen=True, slots=True)
class Rejected:
    """A workflow that was looked at and not chosen."""

    workflow: RemediationWorkflow
    why: str

    @property
    def name(self) -> str:
        """How people call it: id and version."""
        return f"{self.workflow.spec.workflow_id} {self.workflow.spec.version}"


@dataclass(frozen=True, slots=True)
class Selection:
    """The choice."""

    chosen: SelectedWorkflow | None
    workflow: RemediationWorkflow | None = None
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True)
class _Fit:
    workflow: RemediationWorkflow
    parameters: dict[str, str]
    score: float


@dataclass(frozen=True, slots=True)
class Case:
    """What the choice depends on."""

    finding: Finding
    alert: AlertContext
    tried: Sequence[PreviousExecution] = ()
    """What was tried on the target, in this case or before, and did not help."""
    environment: str | None = None
    """That of what is acted on; the signal's where it is not said."""
    obstacle: str = ""
    """Why the action makes no sense in the cluster as it is; empty when it does."""


def select(catalogue: Iterable[RemediationWorkflow], case: Case) -> Selection:
    """Choose the workflow whose labels fit best; of one id the highest version, of equals the less risky, then by name."""
    fits: list[_Fit] = []
    rejected: list[Rejected] = []
    for workflow in sorted(catalogue, key=_by_name):
        if workflow.spec.action_type == case.finding.action and case.finding.workflow in {"", workflow.spec.workflow_id}:
            judged = _judge(workflow, case)
            if isinstance(judged, _Fit):
                fits.append(judged)
            else:
                rejected.append(judged)
    return _chosen(sorted(fits, key=_rank), rejected, case)


def _chosen(fits: list[_Fit], rejected: list[Rejected], case: Case) -> Selection:
    if not fits:
        return Selection(None, None, tuple(rejected))
    best = fits[0]
    lost = tuple(Rejected(fit.workflow, _why_lost(fit, best)) for fit in fits[1:])
    return Selection(_selected(best, case.finding), best.workflow, lost + tuple(rejected))


def _judge(workflow: RemediationWorkflow, case: Case) -> _Fit | Rejected:
    """Hold one workflow against the case: status, labels, parameters, history."""
    if workflow.status.catalog_status not in _USABLE:
        return Rejected(workflow, f"its catalogue status is {workflow.status.catalog_status}")
    if case.obstacle:
        return Rejected(workflow, case.obstacle[:VALUE_LIMIT])
    score = _label_score(workflow.spec.labels, case)
    if isinstance(score, str):
        return Rejected(workflow, score)
    parameters, faults = fill(workflow.spec.parameters, case.finding.facts)
    if faults:
        return Rejected(workflow, "; ".join(faults)[:VALUE_LIMIT])
    if tried := _tried(workflow, parameters, case.tried):
        return Rejected(workflow, f"it was tried with the same parameters and did not help{_noted(tried)}"[:VALUE_LIMIT])
    return _Fit(workflow, parameters, score)


def _label_score(labels: WorkflowLabels, case: Case) -> float | str:
    """Return how exactly the labels name the case (a wildcard counts half), or which label rules it out."""
    wanted = {
        "severity": (labels.severity, case.alert.severity.value),
        "environment": (labels.environment, case.alert.environment if case.environment is None else case.environment),
        "component": (labels.component, case.finding.target.kind),
        "priority": (labels.priority, case.alert.business_priority.value),
    }
    score = 0.0
    for name, (allowed, value) in wanted.items():
        exact = value.casefold() in {item.casefold() for item in allowed}
        if not exact and ANY not in allowed:
            return f"it is for {name} {', '.join(allowed)}, and this is {value or 'unknown'}"
        score += 1.0 if exact else 0.5
    return score


def fill(parameters: Iterable[Parameter], facts: Facts) -> tuple[dict[str, str], list[str]]:
    """Return the parameters' values by name, and what is wrong with those that cannot be filled."""
    values: dict[str, str] = {}
    found: list[str] = []
    for parameter in parameters:
        value = facts.get(parameter.from_fact) if parameter.from_fact else None
        value = parameter.default if value is None else value
        fault = _missing(parameter) if value is None else fault_of(parameter, value)
        if fault:
            found.append(f"parameter {parameter.name}: {fault}")
        elif value is not None:
            values[parameter.name] = value
    return values, found


def _missing(parameter: Parameter) -> str:
    if not parameter.required:
        return ""
    return f"the diagnosis does not know {parameter.from_fact}" if parameter.from_fact else "it is required and nothing fills it"


def _tried(workflow: RemediationWorkflow, parameters: dict[str, str], tried: Sequence[PreviousExecution]) -> PreviousExecution | None:
    return next((row for row in tried if row.workflow_id == workflow.spec.workflow_id and row.parameters == parameters), None)


def _noted(tried: PreviousExecution) -> str:
    return f" ({tried.message})" if tried.message else ""


def _selected(fit: _Fit, finding: Finding) -> SelectedWorkflow:
    spec = fit.workflow.spec
    return SelectedWorkflow(
        workflow_id=spec.workflow_id,
        container_image=spec.execution.bundle,
        version=spec.version,
        parameters=fit.parameters,
        confidence=finding.cause.confidence,
        rationale=f"{spec.description} Chosen because {finding.cause.name} asks for {spec.action_type}."[:VALUE_LIMIT],
        action_type=spec.action_type,
        service_account_name=spec.execution.service_account_name,
        engine=spec.execution.engine.value,
        risk_level=spec.risk_level.value,
    )


def _by_name(workflow: RemediationWorkflow) -> tuple[str, str]:
    return workflow.spec.workflow_id, workflow.metadata.name


class _Newest:
    """Sorts the higher version first."""

    def __init__(self, version: str) -> None:
        self._key = version_key(version)

    def __lt__(self, other: "_Newest") -> bool:
        return other._key < self._key


def _rank(fit: _Fit) -> tuple[float, int, str, _Newest, str]:
    spec = fit.workflow.spec
    return -fit.score, _RISK[spec.risk_level.value], spec.workflow_id, _Newest(spec.version), fit.workflow.metadata.name


def _why_lost(fit: _Fit, best: _Fit) -> str:
    if fit.workflow.spec.workflow_id == best.workflow.spec.workflow_id:
        return f"version {best.workflow.spec.version} is newer"
    if fit.score < best.score:
        return f"{best.workflow.spec.workflow_id} is made more exactly for this case"
    return f"{best.workflow.spec.workflow_id} has no higher risk and comes first by name"

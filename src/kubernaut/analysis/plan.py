"""From a finding to what becomes of it: which fix, whether it may run, whether a person is asked or must take over. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from enum import StrEnum

from kubernaut.analysis.approval_words import PolicyDecision
from kubernaut.analysis.investigators.base import Finding, Verdict
from kubernaut.analysis.policy import NO_RULING, ApprovalPolicy, Proposal, Ruling
from kubernaut.analysis.preconditions import around, object_of, unmet
from kubernaut.analysis.select import Case, Selection, select
from kubernaut.analysis.settings import PlanMode
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.analysis.steps import steps_for
from kubernaut.api.analysis import AIAnalysisSpec, PreviousExecution
from kubernaut.api.base import Obj
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.plan import Operation

_CHOOSING = frozenset({"recovery-analysis", "workflowselection"})
"""Analysis types that ask for a fix, in the words of all ages."""
_SURE_ENOUGH = 0.6
_ENVIRONMENT_LABELS = ("kubernaut.ai/environment", "environment", "env")
"""Of a namespace, as the shipped classification policy reads them."""


class Next(StrEnum):
    """What becomes of a finding."""

    RUN = "run"
    ASK = "ask"
    PERSON = "person"
    """A person takes over; nothing is run."""
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A finding, its fix, and what policy says of it."""

    next: Next
    finding: Finding
    selection: Selection
    steps: tuple[Operation, ...] = ()
    obstacle: str = ""
    """Why the action makes no sense in the cluster as it is, where it does not."""
    ruling: Ruling = NO_RULING
    review: str = ""
    """Why a person takes over, in the documented words such as no_matching_workflows."""
    degraded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a plan may be made of, and who judges it."""

    catalogue: Sequence[RemediationWorkflow]
    policy: ApprovalPolicy
    mode: PlanMode
    without_help: Sequence[PreviousExecution] = ()
    """What was tried on the target in earlier cases, and did not help."""


def plan_for(spec: AIAnalysisSpec, finding: Finding, snapshot: Snapshot, means: Means) -> Plan:
    """Choose a fix for a finding and let the policy judge it."""
    nothing, degraded = Selection(None), bool(snapshot.unread)
    if finding.verdict is Verdict.NO_ACTION:
        return Plan(next=Next.NOTHING, finding=finding, selection=nothing, degraded=degraded)
    if finding.verdict is Verdict.INCONCLUSIVE:
        return Plan(next=Next.PERSON, finding=finding, selection=nothing, review="investigation_inconclusive", degraded=degraded)
    fix = _fix(spec, finding, snapshot, means)
    ruling = means.policy.judge(_proposal(spec, finding, snapshot, fix))
    review = _review(finding, fix, ruling, means.mode)
    asks = ruling.decision is PolicyDecision.MANUAL_REVIEW
    return Plan(
        next=Next.PERSON if review else Next.ASK if asks else Next.RUN,
        finding=finding,
        selection=fix.selection,
        steps=fix.steps,
        obstacle=fix.obstacle,
        ruling=ruling,
        review=review,
        degraded=degraded,
    )


@dataclass(frozen=True, slots=True)
class _Fix:
    """What could be done."""

    selection: Selection
    steps: tuple[Operation, ...] = ()
    obstacle: str = ""


def _fix(spec: AIAnalysisSpec, finding: Finding, snapshot: Snapshot, means: Means) -> _Fix:
    """Choose workflow and steps, where the analysis was asked for a fix at all."""
    request = spec.analysis_request
    wanted = {name.casefold() for name in request.analysis_types}
    if not wanted & _CHOOSING:
        return _Fix(Selection(None))
    tried = (*spec.previous_executions, *means.without_help) if request.investigation_scope.include_historical_patterns else ()
    obstacle = unmet(finding, snapshot)
    case = Case(finding, request.alert_context, tried, environment(spec, finding, snapshot), obstacle)
    chosen = select(means.catalogue, case) if means.mode is PlanMode.CATALOGUE else Selection(None)
    return _Fix(chosen, () if obstacle else _not_tried(steps_for(finding), tried), obstacle)


def _not_tried(steps: tuple[Operation, ...], tried: Sequence[PreviousExecution]) -> tuple[Operation, ...]:
    """Return the steps, or none where one of them was tried on the target with the same parameters, and did not help."""
    known = [(row.failed_step, row.parameters) for row in tried]
    return () if any((step.action, step.effect()) in known for step in steps) else steps


def _review(finding: Finding, fix: _Fix, ruling: Ruling, mode: PlanMode) -> str:
    """Return why a person must take over; empty when the fix may go on."""
    if finding.cause.confidence < _SURE_ENOUGH and ruling.decision is PolicyDecision.DENIED:
        return "low_confidence"
    if not (fix.selection.chosen if mode is PlanMode.CATALOGUE else fix.steps):
        return "no_matching_workflows"
    return "policy_denied" if ruling.decision is PolicyDecision.DENIED else ""


def _proposal(spec: AIAnalysisSpec, finding: Finding, snapshot: Snapshot, fix: _Fix) -> Proposal:
    alert, target, chosen = spec.analysis_request.alert_context, finding.target, fix.selection.chosen
    there = object_of(around(snapshot, target), target)
    preview = fix.selection.workflow.spec.preview if fix.selection.workflow else ()
    return Proposal(
        confidence=finding.cause.confidence,
        environment=environment(spec, finding, snapshot),
        severity=alert.severity.value,
        priority=alert.business_priority.value,
        cause=finding.cause.name,
        action=finding.action,
        workflow=chosen.workflow_id if chosen else "",
        risk=chosen.risk_level if chosen else "medium",
        steps=max(len(fix.steps), len(preview)),
        target=target,
        labels=_marks(there, "labels"),
        annotations=_marks(there, "annotations"),
        namespace_labels=_marks(_namespace(snapshot, target.namespace), "labels"),
        outside=_outside(spec, finding, snapshot),
        degraded=bool(snapshot.unread),
        recovery=spec.is_recovery_attempt,
        hour=snapshot.at.astimezone(UTC).hour,
        weekday=snapshot.at.astimezone(UTC).weekday(),
    )


def environment(spec: AIAnalysisSpec, finding: Finding, snapshot: Snapshot) -> str:
    """Return the environment of what is acted on: the signal's where both share a namespace, else what the target's namespace says."""
    alert = spec.analysis_request.alert_context
    if finding.target.namespace in {"", alert.namespace}:
        return alert.environment
    labels = _marks(_namespace(snapshot, finding.target.namespace), "labels")
    return next((labels[name] for name in _ENVIRONMENT_LABELS if labels.get(name)), "unknown")


def _namespace(snapshot: Snapshot, name: str) -> Obj | None:
    known = (snapshot.namespace, *snapshot.of("Namespace"))
    return next((obj for obj in known if obj and obj["metadata"].get("name") == name), None)


def _marks(obj: Obj | None, kind: str) -> dict[str, str]:
    return {str(key): str(value) for key, value in ((obj or {"metadata": {}})["metadata"].get(kind) or {}).items()}


def _outside(spec: AIAnalysisSpec, finding: Finding, snapshot: Snapshot) -> bool:
    """Tell whether the target is beyond the signal's namespace or owner chain."""
    alert, target = spec.analysis_request.alert_context, finding.target
    if target.namespace and target.namespace != alert.namespace:
        return True
    known = {(alert.resource_kind.casefold(), alert.resource_name)}
    known |= {(obj["kind"].casefold(), obj["metadata"]["name"]) for obj in snapshot.chain}
    return (target.kind.casefold(), target.name) not in known

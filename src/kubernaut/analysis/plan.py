"""From a finding to what becomes of it: which fix, whether it may run, whether a person is asked or must take over. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from enum import StrEnum

from kubernaut.analysis.investigators.base import Finding, Verdict
from kubernaut.analysis.policy import NO_RULING, Policy, PolicyDecision, Proposal, Ruling
from kubernaut.analysis.select import Case, Selection, select
from kubernaut.analysis.settings import PlanMode
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.analysis.steps import steps_for
from kubernaut.api.analysis import AIAnalysisSpec, PreviousExecution
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.plan import Operation

_CHOOSING = frozenset({"recovery-analysis", "workflowselection"})
"""Analysis types that ask for a fix, in the words of all ages."""
_SURE_ENOUGH = 0.6


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
    ruling: Ruling = NO_RULING
    review: str = ""
    """Why a person takes over, in the documented words such as no_matching_workflows."""
    degraded: bool = False


def plan_for(
    spec: AIAnalysisSpec, finding: Finding, snapshot: Snapshot, catalogue: Sequence[RemediationWorkflow], policy: Policy, mode: PlanMode
) -> Plan:
    """Choose a fix for a finding and let the policy judge it."""
    nothing, degraded = Selection(None), bool(snapshot.unread)
    if finding.verdict is Verdict.NO_ACTION:
        return Plan(next=Next.NOTHING, finding=finding, selection=nothing, degraded=degraded)
    if finding.verdict is Verdict.INCONCLUSIVE:
        return Plan(next=Next.PERSON, finding=finding, selection=nothing, review="investigation_inconclusive", degraded=degraded)
    selection, steps = _fix(spec, finding, catalogue, mode)
    ruling = policy.judge(_proposal(spec, finding, snapshot, selection, steps))
    review = _review(finding, selection, steps, ruling, mode)
    asks = ruling.decision is PolicyDecision.MANUAL_REVIEW
    return Plan(
        next=Next.PERSON if review else Next.ASK if asks else Next.RUN,
        finding=finding,
        selection=selection,
        steps=steps,
        ruling=ruling,
        review=review,
        degraded=degraded,
    )


def _fix(
    spec: AIAnalysisSpec, finding: Finding, catalogue: Sequence[RemediationWorkflow], mode: PlanMode
) -> tuple[Selection, tuple[Operation, ...]]:
    """Choose workflow and steps, where the analysis was asked for a fix at all."""
    wanted = {name.casefold() for name in spec.analysis_request.analysis_types}
    if not wanted & _CHOOSING:
        return Selection(None), ()
    request = spec.analysis_request
    tried = spec.previous_executions if request.investigation_scope.include_historical_patterns else ()
    chosen = select(catalogue, Case(finding, request.alert_context, tried)) if mode is PlanMode.CATALOGUE else Selection(None)
    return chosen, _not_tried(steps_for(finding), tried)


def _not_tried(steps: tuple[Operation, ...], tried: Sequence[PreviousExecution]) -> tuple[Operation, ...]:
    """Return the steps, or none where one of them has failed in this case, with the same parameters."""
    known = [(row.failed_step, row.parameters) for row in tried]
    return () if any((step.action, step.effect()) in known for step in steps) else steps


def _review(finding: Finding, selection: Selection, steps: tuple[Operation, ...], ruling: Ruling, mode: PlanMode) -> str:
    """Return why a person must take over; empty when the fix may go on."""
    if finding.cause.confidence < _SURE_ENOUGH and ruling.decision is PolicyDecision.DENIED:
        return "low_confidence"
    if not (selection.chosen if mode is PlanMode.CATALOGUE else steps):
        return "no_matching_workflows"
    return "policy_denied" if ruling.decision is PolicyDecision.DENIED else ""


def _proposal(spec: AIAnalysisSpec, finding: Finding, snapshot: Snapshot, selection: Selection, steps: tuple[Operation, ...]) -> Proposal:
    alert, target, chosen = spec.analysis_request.alert_context, finding.target, selection.chosen
    return Proposal(
        confidence=finding.cause.confidence,
        environment=environment(spec, finding, snapshot),
        severity=alert.severity.value,
        priority=alert.business_priority.value,
        cause=finding.cause.name,
        action=finding.action,
        workflow=chosen.workflow_id if chosen else "",
        risk=chosen.risk_level if chosen else "medium",
        steps=max(len(steps), len(selection.workflow.spec.preview) if selection.workflow else 0),
        target=target,
        labels=_labels(snapshot),
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
    there = snapshot.named("Namespace", finding.target.namespace) or snapshot.namespace or {}
    labels = (there.get("metadata") or {}).get("labels") or {}
    return str(labels.get("environment") or labels.get("env") or "unknown")


def _labels(snapshot: Snapshot) -> dict[str, str]:
    return {} if snapshot.top is None else {str(k): str(v) for k, v in (snapshot.top["metadata"].get("labels") or {}).items()}


def _outside(spec: AIAnalysisSpec, finding: Finding, snapshot: Snapshot) -> bool:
    """Tell whether the target is beyond the signal's namespace or owner chain."""
    alert, target = spec.analysis_request.alert_context, finding.target
    if target.namespace and target.namespace != alert.namespace:
        return True
    known = {(alert.resource_kind.casefold(), alert.resource_name)}
    known |= {(obj["kind"].casefold(), obj["metadata"]["name"]) for obj in snapshot.chain}
    return (target.kind.casefold(), target.name) not in known

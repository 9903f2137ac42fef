"""Cases that policies and catalogue are tried on: an alert, what the diagnosis would say, and what must become of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from kubernaut.analysis.approval_words import Approval, PolicyDecision
from kubernaut.analysis.investigators.base import Cause, Finding, Verdict
from kubernaut.analysis.plan import Means, Next, Plan, plan_for
from kubernaut.analysis.policy import ApprovalPolicy, shipped_policy
from kubernaut.analysis.settings import PlanMode
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api import core
from kubernaut.api.analysis import AIAnalysisSpec, AlertContext, AnalysisRequest
from kubernaut.api.base import Confidence, Obj, ObjectReference, ResourceIdentifier
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.processing import Alert
from kubernaut.api.signal import Priority, Severity
from kubernaut.policy.compiled import Policy
from kubernaut.processing.classify import Classification, classify, values_of
from kubernaut.processing.enrich import Surroundings
from kubernaut.processing.policy import CLASSIFICATION, Classified, shipped

CASE_KEYS: Final = frozenset({"alert", "diagnosis"})
_NOON: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
"""A Monday: the moment of a case that names none."""
_BUSINESS: Final = ("businessUnit", "serviceOwner", "criticality", "slaRequirement")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, coerce_numbers_to_str=True)


class CaseTarget(_Part):
    """An object that the case is about."""

    kind: str
    name: str
    namespace: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}

    def named(self) -> ResourceIdentifier:
        """Return its name."""
        return ResourceIdentifier(kind=self.kind, name=self.name, namespace=self.namespace)

    def object(self) -> Obj:
        """Return it as an object in good order: what a case is tried on is policies and catalogue, not the cluster."""
        meta = {"name": self.name, "namespace": self.namespace, "labels": dict(self.labels), "annotations": dict(self.annotations)}
        card = core.kind_named(self.kind)
        return {
            "apiVersion": card.api_version if card else "",
            "kind": self.kind,
            "metadata": meta | {"uid": "case", "ownerReferences": [{"kind": "ReplicaSet", "name": "case", "controller": True}]},
            "spec": {},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }


class CaseAlert(_Part):
    """What is reported."""

    name: str = "Sample"
    severity: Severity = Severity.CRITICAL
    environment: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    target: CaseTarget | None = None
    """What the alert is about; the diagnosis' target where it is not said."""


class CaseDiagnosis(_Part):
    """What the diagnosis would say."""

    cause: str
    confidence: Confidence
    target: CaseTarget
    action: str = ""
    facts: dict[str, str] = {}
    degraded: bool = False
    """Whether parts of the cluster could not be read."""
    recovery: bool = False
    """Whether another fix was tried before in this case."""


class CaseExpectation(_Part):
    """What must become of it; what is not said is not looked at."""

    environment: str | None = None
    severity: Severity | None = None
    priority: Priority | None = None
    business_unit: str | None = None
    service_owner: str | None = None
    criticality: str | None = None
    sla_requirement: str | None = None
    workflow: str | None = None
    """Its id; null: none may be chosen."""
    parameters: dict[str, str] | None = None
    """Those of the workflow that matter."""
    next: Next | None = None
    """run, ask, person or nothing."""
    decision: PolicyDecision | None = None
    rule: str | None = None
    """The rule that decides."""
    approvers: int | None = None
    groups: list[str] | None = None
    timeout: str | None = None


class SampleCase(_Part):
    """One case."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    alert: CaseAlert = CaseAlert()
    namespace_labels: dict[str, str] = {}
    diagnosis: CaseDiagnosis | None = None
    at: datetime = _NOON
    expect: CaseExpectation

    @property
    def moment(self) -> datetime:
        """When it happens, in UTC."""
        return self.at if self.at.tzinfo else self.at.replace(tzinfo=UTC)


def described(path: Sequence[str], message: str) -> str:
    """Return a fault of a case in words, with the keys there are where one is unknown."""
    where = ".".join(path)
    return f"{where}: {message}" if where else message


@dataclass(frozen=True, slots=True)
class Rules:
    """What cases are tried on: the user's own before the shipped."""

    approval: Sequence[Policy[Approval]]
    classification: Sequence[Policy[Classified]]
    catalogue: Sequence[RemediationWorkflow]


@dataclass(frozen=True, slots=True)
class Difference:
    """What came of a case otherwise than expected; the path leads to the expectation."""

    path: tuple[str, ...]
    message: str


def differences(case: SampleCase, rules: Rules) -> Iterator[Difference]:
    """Play a case, and yield what does not come as expected."""
    found = _classified(case, rules)
    yield from _compared(case, _classes(found), ())
    asked = case.expect.model_fields_set - {"environment", "severity", "priority", *map(_snake, _BUSINESS)}
    if case.diagnosis is None:
        for name in sorted(asked):
            yield Difference(
                ("expect", to_camel(name)), f"{to_camel(name)} follows from a diagnosis, and the case has none. Add `diagnosis:`"
            )
        return
    plan = _planned(case, case.diagnosis, found, rules)
    yield from _compared(case, _outcome(plan), tuple(_reasons(plan)))
    for fault in plan.ruling.faults:
        yield Difference(("diagnosis",), fault)


def _compared(case: SampleCase, came: dict[str, Any], because: Sequence[str]) -> Iterator[Difference]:
    for name, value in came.items():
        if _snake(name) not in case.expect.model_fields_set:
            continue
        wanted = getattr(case.expect, _snake(name))
        came_so = _those(value, wanted) if name == "parameters" else value
        if wanted != came_so:
            why = f" ({'; '.join(because)})" if because else ""
            yield Difference(("expect", name), f"case {case.name!r} expects {name} to be {_told(wanted)}, but it is {_told(came_so)}{why}")


def _those(parameters: dict[str, str] | None, wanted: dict[str, str] | None) -> dict[str, str]:
    """Return the parameters that an expectation names."""
    return {name: value for name, value in (parameters or {}).items() if name in (wanted or {})}


def _told(value: Any) -> str:
    return "none" if value is None else repr(value if not hasattr(value, "value") else value.value)


def _classified(case: SampleCase, rules: Rules) -> Classification:
    about = case.alert.target or (case.diagnosis.target if case.diagnosis else CaseTarget(kind="", name=""))
    alert = Alert(
        fingerprint="0" * 64,
        payload="{}",
        severity=case.alert.severity,
        name=case.alert.name,
        labels=case.alert.labels,
        annotations=case.alert.annotations,
        environment=case.alert.environment,
    )
    around = Surroundings(about.object(), workload=about.object(), namespace_labels=case.namespace_labels)
    target = {"kind": about.kind, "name": about.name, "namespace": about.namespace}
    return classify(
        values_of(alert, target, around, {}, case.moment), (*rules.classification, Policy(CLASSIFICATION, shipped(), "shipped"))
    )


def _classes(found: Classification) -> dict[str, Any]:
    business = {name: found.business[name].value if name in found.business else None for name in _BUSINESS}
    return {"environment": found.environment.value, "severity": found.severity.value, "priority": found.priority.value, **business}


def _planned(case: SampleCase, diagnosis: CaseDiagnosis, found: Classification, rules: Rules) -> Plan:
    about = case.alert.target or diagnosis.target
    context = AlertContext(
        fingerprint="0" * 64,
        severity=Severity(found.severity.value),
        environment=found.environment.value,
        business_priority=Priority(found.priority.value),
        namespace=about.namespace,
        resource_kind=about.kind,
        resource_name=about.name,
    )
    spec = AIAnalysisSpec(
        remediation_request_ref=ObjectReference(name="case"),
        analysis_request=AnalysisRequest(alert_context=context),
        is_recovery_attempt=diagnosis.recovery,
    )
    policy = ApprovalPolicy((*rules.approval, shipped_policy()))
    means = Means(catalogue=rules.catalogue, policy=policy, mode=PlanMode.CATALOGUE)
    return plan_for(spec, _finding(diagnosis), _snapshot(case, diagnosis, about), means)


def _finding(diagnosis: CaseDiagnosis) -> Finding:
    target = diagnosis.target.named()
    place = {"target.kind": target.kind, "target.name": target.name, "target.namespace": target.namespace}
    return Finding(
        verdict=Verdict.CAUSE_FOUND,
        investigator="case",
        target=target,
        cause=Cause(name=diagnosis.cause, summary="", confidence=diagnosis.confidence),
        action=diagnosis.action,
        facts=place | diagnosis.facts,
    )


def _snapshot(case: SampleCase, diagnosis: CaseDiagnosis, about: CaseTarget) -> Snapshot:
    """Return a cluster with nothing in it but the case's objects, and a node that could take pods."""
    namespace = {"metadata": {"name": diagnosis.target.namespace, "labels": dict(case.namespace_labels)}}
    same = about.named() == diagnosis.target.named()
    return Snapshot(
        at=case.moment,
        since=case.moment - timedelta(days=1),
        subject=about.named(),
        chain=(diagnosis.target.object(),) if same else (about.object(),),
        related={} if same else {diagnosis.target.kind: (diagnosis.target.object(),)},
        nodes=(CaseTarget(kind="Node", name="case-node").object(),),
        namespace=namespace,
        unread=("Event",) if diagnosis.degraded else (),
    )


def _outcome(plan: Plan) -> dict[str, Any]:
    chosen, evaluation = plan.selection.chosen, plan.ruling.evaluation
    return {
        "workflow": chosen.workflow_id if chosen else None,
        "parameters": {**chosen.parameters} if chosen else None,
        "next": plan.next,
        "decision": plan.ruling.decision,
        "rule": evaluation.matched_rules[0] if evaluation.matched_rules else None,
        "approvers": evaluation.min_approvers,
        "groups": list(evaluation.approver_groups),
        "timeout": evaluation.approval_timeout or None,
    }


def _reasons(plan: Plan) -> Iterator[str]:
    """Yield what explains an outcome: the rules that hold, and why workflows were not chosen."""
    if plan.ruling.evaluation.matched_rules:
        yield f"rules that hold: {', '.join(plan.ruling.evaluation.matched_rules)}"
    if plan.selection.chosen is None:
        yield from (f"{row.name}: {row.why}" for row in plan.selection.rejected[:3])


def _snake(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)

"""The approval policy: rules in CEL over what is known of a proposed change, judged in order, with an explanation of which one decided.

Whatever goes wrong in a rule (it gives no boolean, a field is missing) ends in asking a person, never in running by itself.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cache
from typing import Annotated, Final, Self

import orjson
from cel_expr_python import cel
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from kubernaut.api.analysis import PolicyEvaluation
from kubernaut.api.base import ResourceIdentifier
from kubernaut.api.durations import go_duration

_TEXTS: Final = cel.Type.Map(cel.Type.STRING, cel.Type.STRING)
VARIABLES: Final = {
    "confidence": cel.Type.DOUBLE,
    "environment": cel.Type.STRING,
    "severity": cel.Type.STRING,
    "priority": cel.Type.STRING,
    "cause": cel.Type.STRING,
    "action": cel.Type.STRING,
    "workflow": cel.Type.STRING,
    "risk": cel.Type.STRING,
    "steps": cel.Type.INT,
    "target": _TEXTS,
    "labels": _TEXTS,
    "outside": cel.Type.BOOL,
    "degraded": cel.Type.BOOL,
    "recovery": cel.Type.BOOL,
    "hour": cel.Type.INT,
    "weekday": cel.Type.INT,
}
"""What an expression may use: `target` has kind, name and namespace; `labels` are the target's; hour (UTC) and weekday (0 is Monday)."""
_FALLBACK: Final = "no-rule-decided"


class PolicyDecision(StrEnum):
    """What a rule of the policy says; the words of the approval policy's documentation."""

    APPROVED = "Approved"
    """It may run by itself."""
    MANUAL_REVIEW = "ManualReviewRequired"
    """A person is asked, and it runs when they say yes."""
    DENIED = "Denied"
    """It is not run; a person takes over."""


class PolicyRule(BaseModel):
    """One rule: when its expression holds and no rule before it did, its decision counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
    expression: Annotated[str, StringConstraints(min_length=1, max_length=2048)]
    """CEL over the variables of `policy.VARIABLES`; gives a boolean."""
    decision: PolicyDecision
    why: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    """The reason in words, for the one who is asked."""
    approvers: int = Field(default=1, ge=1, le=5)
    """How many different people must say yes."""
    groups: Annotated[tuple[str, ...], Field(max_length=20)] = ()
    """Groups whose members may decide; empty means all who may by RBAC."""
    timeout: timedelta | None = Field(default=None, gt=timedelta())
    """How long people have; the stage's setting where it is not said."""


class ApprovalPolicy(BaseModel):
    """An ordered list of rules; the first that holds decides, and where none holds a person is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    rules: Annotated[tuple[PolicyRule, ...], Field(min_length=1, max_length=64)]

    @model_validator(mode="after")
    def _sound(self) -> Self:
        """Refuse expressions that do not compile or give no boolean, all of them at once."""
        if found := faults(self):
            raise ValueError("; ".join(found))
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What is known of a proposed change."""

    confidence: float
    environment: str
    severity: str
    priority: str
    cause: str
    action: str
    workflow: str
    risk: str
    steps: int
    target: ResourceIdentifier
    labels: dict[str, str]
    outside: bool
    degraded: bool
    recovery: bool
    hour: int
    weekday: int

    def variables(self) -> dict[str, object]:
        """Return the values of the policy's variables."""
        target = {"kind": self.target.kind, "name": self.target.name, "namespace": self.target.namespace}
        plain = {name: getattr(self, name) for name in VARIABLES if name not in {"target", "labels", "environment"}}
        return {**plain, "environment": self.environment.casefold(), "target": target, "labels": dict(self.labels)}


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the policy decided, and why."""

    decision: PolicyDecision
    why: str
    evaluation: PolicyEvaluation
    faults: tuple[str, ...] = ()
    """Rules that could not be evaluated."""


NO_RULING = Ruling(PolicyDecision.DENIED, "there is nothing to judge", PolicyEvaluation())


@cache
def _environment() -> "cel.Env":
    return cel.NewEnv(variables=dict(VARIABLES))


def faults(policy: ApprovalPolicy) -> list[str]:
    """Return what is wrong with the policy's expressions, one line a rule; empty when all is well."""
    found = ((rule.name, _compile_fault(rule)) for rule in policy.rules)
    doubled = {rule.name for rule in policy.rules if sum(other.name == rule.name for other in policy.rules) > 1}
    return [f"policy rule {name}: {fault}" for name, fault in found if fault] + [
        f"policy rule {name}: the name is used twice" for name in sorted(doubled)
    ]


def _compile_fault(rule: PolicyRule) -> str:
    try:
        expression = _environment().compile(rule.expression)
    except RuntimeError as fault:
        return " ".join(str(fault).split())[:300]
    return "" if expression.return_type() == cel.Type.BOOL else "the expression gives no boolean"


class Policy:
    """A policy, compiled once."""

    def __init__(self, policy: ApprovalPolicy) -> None:
        self._policy = policy
        self._rules = [(rule, _environment().compile(rule.expression)) for rule in policy.rules]
        self.hash = hashlib.sha256(orjson.dumps(policy.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)).hexdigest()

    def judge(self, proposal: Proposal) -> Ruling:
        """Return what the first rule that holds decides; the others that hold are named after it."""
        activation = _environment().Activation(proposal.variables())
        answers = [(rule, expression.eval(activation)) for rule, expression in self._rules]
        broken = tuple(f"policy rule {rule.name}: {value.value()}"[:300] for rule, value in answers if value.type() != cel.Type.BOOL)
        holding = [rule for rule, value in answers if value.type() == cel.Type.BOOL and value.value()]
        if broken and (not holding or holding[0].decision is PolicyDecision.APPROVED):
            return self._ruling(PolicyDecision.MANUAL_REVIEW, "a rule of the policy could not be evaluated", holding, broken)
        if not holding:
            return self._ruling(PolicyDecision.MANUAL_REVIEW, "no rule of the policy covers this case", [], broken)
        return self._ruling(holding[0].decision, _why(holding), holding, broken)

    def _ruling(self, decision: PolicyDecision, why: str, holding: list[PolicyRule], broken: tuple[str, ...]) -> Ruling:
        deciding = _deciding(holding)
        timeout = next((rule.timeout for rule in deciding if rule.timeout), None)
        evaluation = PolicyEvaluation(
            policy_name=self._policy.name,
            matched_rules=[rule.name for rule in holding] or [_FALLBACK],
            decision=decision.value,
            policy_hash=self.hash,
            approver_groups=list(next((rule.groups for rule in deciding if rule.groups), ())),
            min_approvers=max((rule.approvers for rule in deciding), default=1),
            approval_timeout=go_duration(timeout) if timeout else "",
        )
        return Ruling(decision, why, evaluation, broken)


def _deciding(holding: list[PolicyRule]) -> list[PolicyRule]:
    """Return the rules that decide alike with the first that holds: the most approvers that one of them asks for are needed."""
    return [rule for rule in holding if rule.decision is holding[0].decision]


def _why(holding: list[PolicyRule]) -> str:
    """Say all reasons for the decision that the first rule gave."""
    return "; ".join(rule.why for rule in _deciding(holding))

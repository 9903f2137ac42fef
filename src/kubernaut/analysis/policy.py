"""The approval policy over what is known of a proposed change: what becomes of it, who is asked, and which rules said so.

The user's policy is asked first, then the shipped one. Whatever goes wrong in a rule or with the policy as a whole ends in asking a
person, never in running by itself; and so does, whatever a policy says, a target outside the signal's namespace and owner chain.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final

from kubernaut.analysis.approval_words import APPROVAL, Approval, PolicyDecision, shipped
from kubernaut.api.analysis import PolicyEvaluation
from kubernaut.api.base import ResourceIdentifier
from kubernaut.policy.compiled import Match, Policy
from kubernaut.policy.live import SHIPPED, CurrentPolicy

FALLBACK: Final = "no-rule-decided"
OUTSIDE: Final = "a target outside the signal's namespace and owner chain always asks a person"
FAULTS_TOLD: Final = 10


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
    annotations: dict[str, str] = field(default_factory=dict)
    namespace_labels: dict[str, str] = field(default_factory=dict)

    def variables(self) -> dict[str, Any]:
        """Return the values of the policy's variables."""
        target = {f"target.{name}": getattr(self.target, name) for name in ("kind", "name", "namespace")}
        plain = {name: getattr(self, name) for name in APPROVAL.variables if name not in {*target, "environment", "namespaceLabels"}}
        return {**plain, **target, "environment": self.environment.casefold(), "namespaceLabels": self.namespace_labels}


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the policy decided, and why."""

    decision: PolicyDecision
    why: str
    evaluation: PolicyEvaluation
    faults: tuple[str, ...] = ()
    """What is wrong with the policy, as far as this case showed it."""


NO_RULING = Ruling(PolicyDecision.DENIED, "there is nothing to judge", PolicyEvaluation())


@dataclass(frozen=True, slots=True)
class _Held:
    """A rule that holds, and the policy it stands in."""

    policy: str
    match: Match[Approval]

    @property
    def says(self) -> Approval:
        return self.match.says


@cache
def shipped_policy() -> Policy[Approval]:
    """Return the policy that comes with the program, compiled once."""
    return Policy(APPROVAL, shipped(), SHIPPED)


class ApprovalPolicy:
    """The policies that hold together, the user's first."""

    def __init__(self, policies: Sequence[Policy[Approval]] = (), trouble: str = "") -> None:
        """Take compiled policies (none: the shipped one), and what is wrong with the newest text of the user's, if anything."""
        self._policies = tuple(policies) or (shipped_policy(),)
        self._trouble = trouble
        self.hash = hashlib.sha256("".join(each.hash for each in self._policies).encode()).hexdigest()

    @classmethod
    def of(cls, current: CurrentPolicy[Approval]) -> "ApprovalPolicy":
        """Return the policy that holds now."""
        return cls(tuple(dict.fromkeys((current.policy, current.shipped))), current.trouble)

    def judge(self, proposal: Proposal) -> Ruling:
        """Return what the first rule that holds and decides says, with all rules that hold beside it."""
        values = proposal.variables()
        verdicts = [(policy.file, policy.judge(values)) for policy in self._policies]
        held = [_Held(file, match) for file, verdict in verdicts for match in verdict.matches]
        faults = [*([self._trouble] if self._trouble else []), *(str(fault) for _, verdict in verdicts for fault in verdict.faults)]
        ruling = self._ruling(held, tuple(dict.fromkeys(faults))[:FAULTS_TOLD])
        if ruling.decision is not PolicyDecision.APPROVED:
            return ruling
        if ruling.faults:
            return _asked(ruling, "a part of the policy cannot be used, so nothing runs by itself")
        return _asked(ruling, OUTSIDE) if proposal.outside else ruling

    def _ruling(self, held: list[_Held], faults: tuple[str, ...]) -> Ruling:
        first = next((each for each in held if each.says.decision), None)
        if first is None:
            evaluation = PolicyEvaluation(
                policy_name=self._policies[0].file,
                matched_rules=[FALLBACK],
                decision=PolicyDecision.MANUAL_REVIEW.value,
                policy_hash=self.hash,
                min_approvers=_most(held),
            )
            return Ruling(PolicyDecision.MANUAL_REVIEW, "no rule of the policy covers this case", evaluation, faults)
        decision = first.says.decision or PolicyDecision.MANUAL_REVIEW
        return Ruling(decision, _why(held, decision), self._evaluation(held, first, decision), faults)

    def _evaluation(self, held: list[_Held], first: _Held, decision: PolicyDecision) -> PolicyEvaluation:
        counting = list(_counting(held, decision))
        order = sorted(held, key=lambda each: each is not first)
        return PolicyEvaluation(
            policy_name=first.policy,
            matched_rules=[each.match.rule for each in order],
            decision=decision.value,
            policy_hash=self.hash,
            approver_groups=next((each.says.groups for each in counting if each.says.groups), []),
            min_approvers=_most(counting),
            approval_timeout=next((each.says.timeout for each in counting if each.says.timeout), ""),
        )


def _counting(held: list[_Held], decision: PolicyDecision) -> Iterator[_Held]:
    """Yield the rules that add to a decision: those that decide alike, and those that leave the decision to others."""
    return (each for each in held if each.says.decision in {None, decision})


def _most(held: Sequence[_Held]) -> int:
    """Return how many people must say yes: as many as the strictest rule asks for."""
    return max((each.says.approvers or 1 for each in held), default=1)


def _why(held: list[_Held], decision: PolicyDecision) -> str:
    """Say all reasons for a decision."""
    told = (each.says.why or f"rule {each.match.rule}" for each in _counting(held, decision))
    return "; ".join(dict.fromkeys(told))


def _asked(ruling: Ruling, why: str) -> Ruling:
    """Return the ruling with a person asked in place of running by itself."""
    decision = PolicyDecision.MANUAL_REVIEW
    evaluation = ruling.evaluation.model_copy(update={"decision": decision.value})
    return replace(ruling, decision=decision, why=why, evaluation=evaluation)

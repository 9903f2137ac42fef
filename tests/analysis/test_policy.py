"""The approval policy: what may run by itself, what is asked, what is left to people."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.analysis.approval_words import APPROVAL, PolicyDecision, shipped
from kubernaut.analysis.policy import ApprovalPolicy, Proposal, shipped_policy
from kubernaut.api.base import ResourceIdentifier
from kubernaut.policy.compiled import Policy
from kubernaut.policy.live import CurrentPolicy

APPROVED, ASKED, DENIED = PolicyDecision
DEFAULT = ApprovalPolicy()


def proposal(kind: str = "Deployment", **fields: Any) -> Proposal:
    known: dict[str, Any] = {
        "confidence": 0.9, "environment": "staging", "severity": "critical", "priority": "P1", "cause": "OOMKilled", "action": "IncreaseMemoryLimits",
        "workflow": "grow", "risk": "low", "steps": 1, "target": ResourceIdentifier(kind=kind, name="checkout", namespace="shop"), "labels": {},
        "outside": False, "degraded": False, "recovery": False, "hour": 12, "weekday": 0,
    }  # fmt: skip
    return Proposal(**{**known, **fields})


@pytest.mark.parametrize(
    ("case", "decision", "rule"),
    [
        pytest.param(proposal(), APPROVED, "high-confidence", id="sure, outside production"),
        pytest.param(proposal(confidence=0.80), APPROVED, "high-confidence", id="just sure enough"),
        pytest.param(proposal(confidence=0.79), ASKED, "medium-confidence", id="not quite sure"),
        pytest.param(proposal(confidence=0.60), ASKED, "medium-confidence", id="just likely enough"),
        pytest.param(proposal(confidence=0.59), DENIED, "low-confidence", id="too uncertain"),
        pytest.param(proposal(confidence=0.59, environment="production"), DENIED, "low-confidence", id="too uncertain in production too"),
        pytest.param(proposal(environment="production", confidence=0.98), ASKED, "production", id="production"),
        pytest.param(proposal(environment="PRD"), ASKED, "production", id="production by another name"),
        pytest.param(proposal(environment="production-eu"), ASKED, "production", id="one of several productions"),
        pytest.param(proposal(environment="unknown"), ASKED, "unknown-environment", id="nobody knows the environment"),
        pytest.param(proposal(environment=""), ASKED, "unknown-environment", id="nobody said the environment"),
        pytest.param(proposal("Node"), ASKED, "sensitive-kind", id="a node"),
        pytest.param(proposal("StatefulSet"), ASKED, "sensitive-kind", id="a stateful workload"),
        pytest.param(proposal(outside=True), ASKED, "outside-the-signal", id="not where the signal came from"),
        pytest.param(proposal(steps=11), ASKED, "many-steps", id="many steps"),
        pytest.param(proposal(steps=10), APPROVED, "high-confidence", id="ten steps are not many"),
        pytest.param(proposal(degraded=True), ASKED, "degraded", id="parts of the cluster unread"),
    ],
)
def test_the_default_policy(case, decision, rule):
    ruling = DEFAULT.judge(case)
    assert (ruling.decision, ruling.evaluation.matched_rules[0]) == (decision, rule)
    assert ruling.evaluation.decision == decision.value
    assert ruling.evaluation.policy_name == "shipped"


def test_all_reasons_for_asking_are_told():
    why = DEFAULT.judge(proposal("StatefulSet", environment="production", confidence=0.7)).why
    assert "production" in why
    assert "stateful" in why
    assert "60 to 79 %" in why


proposals = st.builds(
    proposal,
    st.sampled_from(["Deployment", "Node", "StatefulSet", "Pod"]),
    confidence=st.floats(0, 1),
    environment=st.sampled_from(["production", "Prod", "prd", "live", "staging", "dev", "", "unknown"]),
    steps=st.integers(0, 30),
    outside=st.booleans(),
    degraded=st.booleans(),
    labels=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
    cause=st.text(max_size=5),
)


@given(proposals)
def test_nothing_uncertain_nothing_in_production_and_nothing_sensitive_runs_by_itself(case):
    ruling = DEFAULT.judge(case)
    if case.confidence < 0.6:
        assert ruling.decision is DENIED
    if ruling.decision is APPROVED:
        assert case.confidence >= 0.8
        assert case.environment.casefold() in {"staging", "dev"}
        assert case.target.kind in {"Deployment", "Pod"}
        assert case.steps <= 10
        assert not case.outside
        assert not case.degraded


def own(*rules: str, trouble: str = "") -> ApprovalPolicy:
    """Return the user's rules before the shipped ones; each is the text of a rule without its name."""
    text = "rules:\n" + "\n".join(f"- {{name: r{number}, {rule}}}" for number, rule in enumerate(rules))
    return ApprovalPolicy((Policy(APPROVAL, text, "own.yaml"), shipped_policy()), trouble)


def test_a_users_rule_comes_before_the_shipped_ones_and_brings_its_approvers():
    ours = own(
        "match: \"target.kind == 'Deployment' && labels['team'] == 'pay'\","
        " set: {decision: ManualReviewRequired, why: so, approvers: 2, groups: [payments], timeout: 2h}"
    )
    found = ours.judge(proposal(labels={"team": "pay"}))
    said = found.evaluation
    assert (found.decision, said.min_approvers, said.approver_groups, said.approval_timeout) == (ASKED, 2, ["payments"], "2h")
    assert (said.policy_name, said.matched_rules) == ("own.yaml", ["r0", "high-confidence"])


def test_what_a_user_leaves_open_the_shipped_policy_decides():
    ours = own("match: \"action == 'RestartPod'\", set: {decision: Approved}")
    assert ours.judge(proposal(environment="production")).evaluation.policy_name == "shipped"
    assert ours.judge(proposal(environment="production", action="RestartPod")).decision is APPROVED


def test_a_rule_without_a_decision_adds_to_the_decision_of_another():
    ours = own("match: \"severity == 'critical'\", set: {approvers: 2, timeout: 30m, why: critical}")
    found = ours.judge(proposal(environment="production", severity="critical"))
    assert (found.evaluation.min_approvers, found.evaluation.approver_groups[-1]) == (2, "platform-admin")
    assert found.evaluation.approval_timeout == "30m"
    assert found.why == "critical; changes in production are approved by a person"
    assert found.evaluation.matched_rules[0] == "production"
    assert ours.judge(proposal(environment="production", severity="warning")).evaluation.min_approvers == 1


def test_of_rules_that_decide_alike_the_most_approvers_are_needed():
    ours = own(
        "set: {decision: ManualReviewRequired, groups: [oncall]}",
        "match: \"severity == 'critical'\", set: {decision: ManualReviewRequired, approvers: 2}",
        "set: {decision: Approved, approvers: 5, groups: [all]}",
    )
    found = ours.judge(proposal(severity="critical")).evaluation
    assert (found.min_approvers, found.approver_groups) == (2, ["oncall"])
    assert ours.judge(proposal(severity="warning")).evaluation.min_approvers == 1


def test_time_of_day_may_decide():
    ours = own("match: hour < 9 || hour >= 17 || weekday > 4, set: {decision: ManualReviewRequired}")
    assert [ours.judge(proposal(hour=hour, weekday=day)).decision for hour, day in ((3, 0), (10, 0), (10, 6))] == [ASKED, APPROVED, ASKED]


@pytest.mark.parametrize(
    ("rules", "decision"),
    [
        pytest.param(["match: labels['absent'] == 'x', set: {decision: Denied}", "set: {decision: Approved}"], ASKED, id="it is asked"),
        pytest.param(["match: labels['absent'] == 'x', set: {decision: Approved}", "set: {decision: Denied}"], DENIED, id="a no stays"),
    ],
)
def test_a_rule_that_cannot_be_evaluated_lets_nothing_run_by_itself_and_is_told(rules, decision):
    ruling = own(*[rule.replace("match: ", 'match: "').replace(", set", '", set') for rule in rules]).judge(proposal())
    assert ruling.decision is decision
    assert ruling.evaluation.decision == decision
    assert "own.yaml:2:" in ruling.faults[0]
    assert "rule r0 did not count" in ruling.faults[0]


def test_a_target_outside_the_signal_is_asked_about_whatever_a_policy_says():
    ruling = own("set: {decision: Approved}").judge(proposal(outside=True))
    assert ruling.decision is ASKED
    assert "outside the signal's namespace" in ruling.why


def test_while_the_newest_policy_is_broken_nothing_runs_by_itself():
    current = CurrentPolicy(APPROVAL, shipped())
    assert ApprovalPolicy.of(current).judge(proposal()).decision is APPROVED
    current.offer("rules: [{name: a, match: confidense > 1.0, set: {decision: Denied}}]", "configmap/p")
    ruling = ApprovalPolicy.of(current).judge(proposal())
    assert ruling.decision is ASKED
    assert "undeclared reference to 'confidense'" in ruling.faults[0]
    current.withdraw()
    assert ApprovalPolicy.of(current).judge(proposal()).decision is APPROVED


def test_a_case_that_no_rule_covers_is_asked_about():
    alone = ApprovalPolicy((Policy(APPROVAL, "rules: [{name: a, match: confidence > 2.0, set: {decision: Approved}}]", "own.yaml"),))
    ruling = alone.judge(proposal())
    assert (ruling.decision, ruling.evaluation.matched_rules) == (ASKED, ["no-rule-decided"])


def test_the_hash_tells_policies_apart():
    assert own("set: {decision: Approved}").hash != own("set: {decision: Denied}").hash
    assert ApprovalPolicy().hash == DEFAULT.hash

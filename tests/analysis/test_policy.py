"""The approval policy: what may run by itself, what is asked, what is left to people."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kubernaut.analysis.policy import ApprovalPolicy, Policy, PolicyDecision, PolicyRule, Proposal
from kubernaut.analysis.settings import DEFAULT_POLICY, AnalysisSettings
from kubernaut.api.base import ResourceIdentifier

APPROVED, ASKED, DENIED = PolicyDecision
DEFAULT = Policy(DEFAULT_POLICY)


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
    assert ruling.evaluation.policy_name == "default"


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


def policy(*rules: tuple[str, str], **fields: Any) -> ApprovalPolicy:
    made = [
        PolicyRule(name=f"r{number}", expression=expression, decision=PolicyDecision(decision), why="so", **fields)
        for number, (expression, decision) in enumerate(rules)
    ]
    return ApprovalPolicy(name="ours", rules=tuple(made))


def test_the_first_rule_that_holds_decides_and_brings_its_approvers():
    ours = policy(
        ("target.kind == 'Deployment' && labels['team'] == 'pay'", "ManualReviewRequired"),
        ("true", "Approved"),
        approvers=2,
        groups=("payments",),
    )
    ruling = Policy(ours).judge(proposal(labels={"team": "pay"}))
    assert (ruling.decision, ruling.evaluation.min_approvers, ruling.evaluation.approver_groups) == (ASKED, 2, ["payments"])
    assert ruling.evaluation.matched_rules == ["r0", "r1"]


def test_of_rules_that_decide_alike_the_most_approvers_are_needed():
    ours = ApprovalPolicy(
        name="strict",
        rules=(
            PolicyRule(name="production", expression="true", decision=ASKED, why="production", groups=("oncall",)),
            PolicyRule(name="critical", expression="severity == 'critical'", decision=ASKED, why="critical", approvers=2),
            PolicyRule(name="rest", expression="true", decision=APPROVED, why="fine", approvers=5, groups=("all",)),
        ),
    )
    found = Policy(ours).judge(proposal(severity="critical")).evaluation
    assert (found.min_approvers, found.approver_groups) == (2, ["oncall"])
    assert Policy(ours).judge(proposal(severity="warning")).evaluation.min_approvers == 1


def test_the_rule_of_the_handbook_is_sound_and_does_what_it_says():
    text = (Path(__file__).parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")
    [shown] = [block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if block.startswith("analysis:")]
    ours = Policy(AnalysisSettings.model_validate(yaml.safe_load(shown)["analysis"]).policy)
    found = ours.judge(proposal(severity="critical", hour=3)).evaluation
    assert (found.min_approvers, found.approver_groups, found.approval_timeout) == (2, ["platform-admin"], "24h0m0s")
    assert ours.judge(proposal(severity="critical", hour=10, weekday=1)).evaluation.matched_rules == ["no-rule-decided"]


def test_time_of_day_may_decide():
    ours = Policy(policy(("hour < 9 || hour >= 17 || weekday > 4", "ManualReviewRequired"), ("true", "Approved")))
    assert ours.judge(proposal(hour=3)).decision is ASKED
    assert ours.judge(proposal(hour=10)).decision is APPROVED
    assert ours.judge(proposal(hour=10, weekday=6)).decision is ASKED


def test_a_rule_that_cannot_be_evaluated_ends_in_asking_and_says_so():
    ruling = Policy(policy(("labels['absent'] == 'x'", "Denied"), ("true", "Approved"))).judge(proposal())
    assert ruling.decision is ASKED
    assert "r0" in ruling.faults[0]


def test_a_rule_that_cannot_be_evaluated_does_not_soften_a_no():
    assert Policy(policy(("labels['absent'] == 'x'", "Approved"), ("true", "Denied"))).judge(proposal()).decision is DENIED


def test_a_case_that_no_rule_covers_is_asked_about():
    ruling = Policy(policy(("confidence > 2.0", "Approved"))).judge(proposal())
    assert (ruling.decision, ruling.evaluation.matched_rules) == (ASKED, ["no-rule-decided"])


def test_all_faults_of_a_policy_are_told_at_once():
    with pytest.raises(ValidationError) as told:
        policy(("confidence +", "Approved"), ("confidence", "Approved"), ("nobody == 1", "Approved"))
    assert all(name in str(told.value) for name in ("r0", "r1", "r2", "no boolean", "undeclared reference"))


def test_the_hash_tells_policies_apart():
    assert Policy(policy(("true", "Approved"))).hash != Policy(policy(("true", "Denied"))).hash
    assert Policy(DEFAULT_POLICY).hash == DEFAULT.hash

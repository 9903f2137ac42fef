"""What becomes of a finding: run, ask, hand over, or nothing."""

from dataclasses import replace
from typing import Any

import pytest

from kubernaut.analysis.investigators.base import Finding
from kubernaut.analysis.plan import Next, Plan, environment, plan_for
from kubernaut.analysis.policy import Policy
from kubernaut.analysis.settings import DEFAULT_POLICY, PlanMode
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.analysis import AIAnalysisSpec
from kubernaut.api.base import ResourceIdentifier
from tests.analysis.test_select import workflow
from tests.analysis.world import CRASHED, NS, OOM, World, container, crash_loop, running

KILLED = World(containers=[container(memory="128Mi")], statuses=[[crash_loop(OOM)]] * 3)
FINDING, SNAPSHOT = KILLED.judged(), KILLED.snapshot()
POLICY = Policy(DEFAULT_POLICY)


def spec(where: str = "staging", types: list[str] | None = None, *, history: bool = True, **fields: Any) -> AIAnalysisSpec:
    alert = {
        "fingerprint": "f",
        "severity": "critical",
        "environment": where,
        "businessPriority": "P0",
        "namespace": NS,
        "resourceKind": "Deployment",
        "resourceName": "checkout",
    }
    request = {
        "alertContext": alert,
        "investigationScope": {"includeHistoricalPatterns": history},
        **({"analysisTypes": types} if types is not None else {}),
    }
    return AIAnalysisSpec.model_validate({"remediationRequestRef": {"name": "rr"}, "analysisRequest": request, **fields})


def planned(
    asked: AIAnalysisSpec | None = None,
    finding: Finding = FINDING,
    snapshot: Snapshot = SNAPSHOT,
    mode: PlanMode = PlanMode.CATALOGUE,
    offered: bool = True,
) -> Plan:
    return plan_for(asked or spec(), finding, snapshot, [workflow()] if offered else [], POLICY, mode)


def sure(confidence: float) -> Finding:
    return replace(FINDING, cause=replace(FINDING.cause, confidence=confidence))


@pytest.mark.parametrize(
    ("plan", "next_", "review"),
    [
        pytest.param(planned(), Next.RUN, "", id="sure and outside production"),
        pytest.param(planned(spec("production")), Next.ASK, "", id="production"),
        pytest.param(planned(finding=sure(0.7)), Next.ASK, "", id="likely"),
        pytest.param(planned(finding=sure(0.5)), Next.PERSON, "low_confidence", id="uncertain"),
        pytest.param(planned(offered=False), Next.PERSON, "no_matching_workflows", id="nothing on offer"),
        pytest.param(planned(offered=False, finding=sure(0.5)), Next.PERSON, "low_confidence", id="nothing on offer and uncertain"),
        pytest.param(planned(offered=False, mode=PlanMode.STEPS), Next.RUN, "", id="steps need no catalogue"),
        pytest.param(planned(snapshot=replace(SNAPSHOT, unread=("Event",))), Next.ASK, "", id="parts unread"),
        pytest.param(planned(finding=World().judged(), snapshot=World().snapshot()), Next.NOTHING, "", id="healthy"),
        pytest.param(
            planned(finding=World(statuses=[[running(ready=False)]]).judged()), Next.PERSON, "investigation_inconclusive", id="unknown"
        ),
        pytest.param(
            planned(finding=World(statuses=[[crash_loop(CRASHED)]]).judged(), mode=PlanMode.STEPS),
            Next.PERSON,
            "no_matching_workflows",
            id="a cause that only a person can mend",
        ),
    ],
)
def test_it_becomes(plan, next_, review):
    assert (plan.next, plan.review) == (next_, review)


@pytest.mark.parametrize(
    ("types", "fix"),
    [(["investigation", "root-cause", "recovery-analysis"], True), (["WorkflowSelection"], True), (["investigation", "root-cause"], False)],
)
def test_the_analysis_types_are_honoured(types, fix):
    assert (planned(spec(types=types)).selection.chosen is not None) is fix


@pytest.mark.parametrize("history", [True, False])
def test_history_counts_where_the_scope_says_so(history):
    tried = [{"workflowId": "grow", "parameters": {"MEMORY_LIMIT": "256Mi"}}]
    found = planned(spec(history=history, previousExecutions=tried, isRecoveryAttempt=True)).selection.chosen
    assert (found is None) is history


@pytest.mark.parametrize(
    ("row", "offered"),
    [
        pytest.param({}, False, id="the same step with the same parameters"),
        pytest.param({"parameters": {"memory": "192Mi"}}, True, id="the same step with less"),
        pytest.param({"failedStep": "rollback_deployment"}, True, id="another step"),
    ],
)
def test_a_step_that_has_failed_in_this_case_is_not_proposed_again(row, offered):
    (step,) = planned(mode=PlanMode.STEPS).steps
    tried = [{"workflowId": "IncreaseMemoryLimits", "failedStep": step.action, "parameters": step.effect(), "reason": "Timeout"} | row]
    plan = planned(spec(previousExecutions=tried, isRecoveryAttempt=True), mode=PlanMode.STEPS)
    assert (bool(plan.steps), plan.review) == (offered, "" if offered else "no_matching_workflows")


def test_the_environment_is_that_of_the_object_acted_on():
    elsewhere = replace(FINDING, target=ResourceIdentifier(kind="Deployment", name="db", namespace="data"))
    labelled = replace(SNAPSHOT, namespace={"metadata": {"labels": {"environment": "production"}}})
    assert environment(spec("dev"), elsewhere, labelled) == "production"
    assert environment(spec("dev"), elsewhere, SNAPSHOT) == "unknown"
    assert environment(spec("dev"), FINDING, labelled) == "dev"


@pytest.mark.parametrize("target", [{"name": "checkout", "namespace": "data"}, {"name": "another", "namespace": NS}])
def test_a_target_outside_the_signals_namespace_or_owners_is_asked_about(target):
    elsewhere = replace(FINDING, target=ResourceIdentifier(kind="Deployment", **target))
    snapshot = replace(SNAPSHOT, namespace={"metadata": {"labels": {"environment": "dev"}}})
    plan = planned(finding=elsewhere, snapshot=snapshot)
    assert plan.next is Next.ASK
    assert "outside-the-signal" in plan.ruling.evaluation.matched_rules

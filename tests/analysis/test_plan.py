"""What becomes of a finding: run, ask, hand over, or nothing."""

from dataclasses import replace
from typing import Any

import pytest

from kubernaut.analysis.approval_words import APPROVAL
from kubernaut.analysis.investigators.base import Finding
from kubernaut.analysis.plan import Means, Next, Plan, environment, plan_for
from kubernaut.analysis.policy import ApprovalPolicy
from kubernaut.analysis.settings import PlanMode
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.analysis import AIAnalysisSpec, PreviousExecution
from kubernaut.api.base import Obj, ResourceIdentifier
from kubernaut.policy.compiled import Policy
from tests.analysis.test_select import workflow
from tests.analysis.world import CRASHED, NS, OOM, World, container, crash_loop, running

KILLED = World(containers=[container(memory="128Mi")], statuses=[[crash_loop(OOM)]] * 3)
FINDING, SNAPSHOT = KILLED.judged(), KILLED.snapshot()
POLICY = ApprovalPolicy()


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
    without_help: tuple[PreviousExecution, ...] = (),
) -> Plan:
    means = Means(catalogue=[workflow()] if offered else [], policy=POLICY, mode=mode, without_help=without_help)
    return plan_for(asked or spec(), finding, snapshot, means)


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


def namespace(name: str, where: str = "production") -> Obj:
    return {"kind": "Namespace", "metadata": {"name": name, "labels": {"environment": where}}}


def test_the_environment_is_that_of_the_object_acted_on():
    elsewhere = replace(FINDING, target=ResourceIdentifier(kind="Deployment", name="db", namespace="data"))
    labelled = replace(SNAPSHOT, related={"Namespace": (namespace("data"),)})
    assert environment(spec("dev"), elsewhere, labelled) == "production"
    assert environment(spec("dev"), elsewhere, replace(SNAPSHOT, namespace=namespace(NS))) == "unknown"
    assert environment(spec("dev"), FINDING, labelled) == "dev"


@pytest.mark.parametrize("target", [{"name": "checkout", "namespace": "data"}, {"name": "another", "namespace": NS}])
def test_a_target_outside_the_signals_namespace_or_owners_is_asked_about(target):
    elsewhere = replace(FINDING, target=ResourceIdentifier(kind="Deployment", **target))
    snapshot = replace(SNAPSHOT, namespace=namespace("data", "dev"))
    plan = planned(finding=elsewhere, snapshot=snapshot)
    assert plan.next is Next.ASK
    assert "outside-the-signal" in plan.ruling.evaluation.matched_rules


def test_what_did_not_help_in_an_earlier_case_is_not_repeated():
    known = PreviousExecution(workflow_id="grow", parameters={"MEMORY_LIMIT": "256Mi"}, message="assessed as Ineffective")
    plan = planned(without_help=(known,))
    assert (plan.next, plan.review) == (Next.PERSON, "no_matching_workflows")
    assert plan.selection.rejected[0].why == "it was tried with the same parameters and did not help (assessed as Ineffective)"
    assert planned(spec(history=False), without_help=(known,)).next is Next.RUN


@pytest.mark.parametrize("mode", PlanMode)
def test_an_action_that_makes_no_sense_here_is_not_planned(mode):
    top = SNAPSHOT.chain[0]
    paused = replace(SNAPSHOT, chain=({**top, "spec": {**top["spec"], "paused": True}},))
    plan = planned(snapshot=paused, mode=mode)
    assert (plan.next, plan.review, plan.steps) == (Next.PERSON, "no_matching_workflows", ())
    assert "are paused" in plan.obstacle
    assert all("are paused" in row.why for row in plan.selection.rejected)


def test_workflows_are_chosen_by_the_environment_of_what_is_acted_on():
    elsewhere = replace(FINDING, target=ResourceIdentifier(kind="Deployment", name="db", namespace="data"))
    snapshot = replace(SNAPSHOT, related={"Namespace": (namespace("data", "production"),)})
    means = Means(catalogue=[workflow(labels={"environment": ["production"]})], policy=POLICY, mode=PlanMode.CATALOGUE)
    assert plan_for(spec("dev"), elsewhere, snapshot, means).selection.chosen is not None
    assert plan_for(spec("dev"), FINDING, snapshot, means).selection.chosen is None


def test_the_policy_sees_labels_and_annotations_of_what_is_acted_on():
    hpa: Obj = {
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "scaler", "namespace": NS, "labels": {"team": "shop"}, "annotations": {"a": "b"}},
    }
    target = ResourceIdentifier(kind="HorizontalPodAutoscaler", name="scaler", namespace=NS)
    rules = "rules: [{name: team, match: \"labels[?'team'].orValue('') == 'shop' && 'a' in annotations\", set: {decision: Denied}}]"
    policy = ApprovalPolicy((Policy(APPROVAL, rules, "own.yaml"),))
    snapshot = replace(SNAPSHOT, related={hpa["kind"]: (hpa,)})
    means = Means(catalogue=[workflow()], policy=policy, mode=PlanMode.CATALOGUE)
    assert plan_for(spec(), replace(FINDING, target=target), snapshot, means).ruling.evaluation.matched_rules == ["team"]
    assert plan_for(spec(), FINDING, snapshot, means).ruling.evaluation.matched_rules == ["no-rule-decided"]

"""What a yes is bound to, and what a person is shown."""

import copy
from datetime import timedelta
from typing import Any

import pytest

from kubernaut.analysis.approval import confidence_level, context_of, patience, request_name
from kubernaut.analysis.plan import Next, Plan
from kubernaut.analysis.report import write_plan
from kubernaut.analysis.select import Case, select
from kubernaut.analysis.settings import PlanMode
from kubernaut.analysis.steps import steps_for
from kubernaut.api.analysis import AIAnalysis, AIAnalysisStatus, PolicyEvaluation
from kubernaut.api.base import Obj
from kubernaut.api.binding import bind, steps_of, still_bound
from kubernaut.api.catalog import RemediationWorkflow
from tests.analysis.test_select import ALERT, FINDING, workflow
from tests.analysis.world import World, container

TARGET = World(containers=[container(memory="128Mi")]).deployment()


def planned(offered: RemediationWorkflow | None = None) -> AIAnalysisStatus:
    found = select([offered or workflow()], Case(FINDING, ALERT))
    spec = {"remediationRequestRef": {"name": "rr"}, "analysisRequest": {"alertContext": ALERT.wire()}}
    analysis = AIAnalysis.model_validate({"metadata": {"name": "a", "namespace": "s"}, "spec": spec})
    write_plan(analysis, Plan(next=Next.ASK, finding=FINDING, selection=found, steps=steps_for(FINDING)), PlanMode.CATALOGUE)
    return analysis.status


def bound(target: Obj | None = TARGET, status: AIAnalysisStatus | None = None, *, scaled: bool = False) -> str:
    plan = status or planned()
    return bind(target, plan.remediation_target, plan.selected_workflow, steps_of(plan), replicas_left_out=scaled).hash


def changed(**spec: Any) -> Obj:
    other = copy.deepcopy(TARGET)
    other["spec"].update(spec)
    return other


def test_it_is_bound_to_the_targets_spec():
    assert bound(changed(template={"spec": {"containers": [container(memory="512Mi")]}})) != bound()
    assert bound(None) != bound()


def test_it_is_bound_to_the_very_object_of_that_name():
    other = copy.deepcopy(TARGET)
    other["metadata"]["uid"] = "another"
    assert bound(other) != bound()


def test_the_targets_status_and_metadata_are_no_part_of_it():
    other = copy.deepcopy(TARGET)
    other["status"] = {"readyReplicas": 0}
    other["metadata"]["resourceVersion"] = "99"
    assert bound(other) == bound()


def test_replicas_count_only_where_no_autoscaler_owns_them():
    assert bound(changed(replicas=9)) != bound()
    assert bound(changed(replicas=9), scaled=True) == bound(scaled=True)


@pytest.mark.parametrize(
    "change", [{"container_image": "r@sha256:" + "c" * 64}, {"parameters": {"MEMORY_LIMIT": "1Gi"}}, {"version": "9.9.9"}]
)
def test_it_is_bound_to_workflow_and_parameters(change):
    status = planned()
    assert status.selected_workflow is not None
    status.selected_workflow = status.selected_workflow.model_copy(update=change)
    assert bound(status=status) != bound()


def test_a_plan_holds_while_its_target_is_what_it_was_made_for():
    status = planned()
    assert still_bound(status, None), "what was bound to nothing holds"
    status.binding = bind(TARGET, status.remediation_target, status.selected_workflow, steps_of(status))
    again = AIAnalysisStatus.model_validate(status.wire())
    assert still_bound(again, copy.deepcopy(TARGET))
    assert not still_bound(again, None)
    assert not still_bound(again, changed(replicas=9))


@pytest.mark.parametrize(
    ("asked", "rule", "given"),
    [("30m", "2h", 30), ("", "2h", 120), ("", "", 15), ("soon", "", 15)],
    ids=["as the case says", "as the rule says", "as the settings say", "what is no duration counts as none"],
)
def test_how_long_people_have(asked, rule, given):
    assert patience(asked, PolicyEvaluation(approval_timeout=rule), timedelta(minutes=15)) == timedelta(minutes=given)


def test_the_context_holds_what_a_person_needs():
    context = context_of(planned(), "production", PolicyEvaluation(decision="ManualReviewRequired"))
    assert context.reason == "IncreaseMemoryLimits on shop/deployment/checkout"
    assert (context.confidence_level, context.why_approval_required) == ("high", "production")
    assert any("OOMKilled" in row for row in context.evidence_collected)
    assert context.recommended_actions[0].action == "IncreaseMemoryLimits"


@pytest.mark.parametrize(("confidence", "level"), [(0.59, "low"), (0.6, "medium"), (0.79, "medium"), (0.8, "high")])
def test_levels_of_confidence(confidence, level):
    assert confidence_level(confidence) == level


def test_names_follow_from_the_analysis():
    assert [request_name("rr-analysis", round_) for round_ in (1, 2, 3)] == [
        "approval-rr-analysis",
        "approval-rr-analysis-r2",
        "approval-rr-analysis-r3",
    ]

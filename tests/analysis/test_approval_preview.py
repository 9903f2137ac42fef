"""What a person is told of the effect of a fix."""

from datetime import timedelta

import pytest

from kubernaut.analysis.approval_preview import (
    NO_PREVIEW,
    NO_TRIAL,
    REFUSED,
    REFUSED_HERE,
    effect_of,
    is_preview,
    operations_of,
    preview_of,
)
from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.base import Obj
from kubernaut.api.binding import Binding
from kubernaut.api.execution import ChangedResource, Check, KubernetesExecution, OperationResult, Phase, Undo, UndoKind
from tests.analysis.test_approval import planned
from tests.analysis.test_select import ALERT, workflow
from tests.analysis.world import T0

PREVIEW = {
    "stepNumber": 1,
    "action": "increase_resources",
    "target": {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "$(NAMESPACE)", "name": "$(DEPLOYMENT_NAME)"},
    "parameters": {"namespace": "shop", "resource_name": "checkout", "container_name": "app", "memory": "$(MEMORY_LIMIT)"},
}
PODS = ["shop/checkout-1", "shop/checkout-2"]
TEMPLATE: Obj = {"spec": {"template": {"spec": {}}}}


def trial(*results, ended=True):
    operations = [{"stepNumber": 1, "action": "increase_resources"}]
    made = KubernetesExecution.model_validate(
        {"metadata": {"name": "t"}, "spec": {"remediationRequestRef": {"name": "rr"}, "operations": operations}}
    )
    made.status.operation_results = list(results)
    made.status.completion_time = T0 if ended else None
    return made


def passed(diff="-128Mi\n+256Mi\n", undo=UndoKind.EXACT, after=TEMPLATE, kind="Deployment"):
    affected = ChangedResource(kind=kind, namespace="shop", name="checkout", action="increase_resources", after=after)
    checks = [Check(name=name, passed=True) for name in ("parameters", "dry-run")]
    return OperationResult(
        step_number=1,
        action="increase_resources",
        phase=Phase.VALIDATED,
        checks=checks,
        diff=diff,
        undo=Undo(kind=undo),
        resources_affected=[affected],
    )


def shown(preview=None, run=None):
    offered = workflow(preview=[PREVIEW] if preview is None else preview)
    return effect_of(offered, planned(offered), run, lambda _: PODS)


def test_the_trials_difference_its_pods_and_its_undo_are_shown():
    effect = shown(run=trial(passed()))
    assert effect.previewed
    assert [change.diff for change in effect.changes] == ["-128Mi\n+256Mi\n"]
    assert [each.path() for each in effect.objects] == ["shop/deployment/checkout"]
    assert (effect.pods, effect.undo) == (tuple(PODS), UndoKind.EXACT)
    assert effect.says.startswith("shop/deployment/checkout: container app gets memory 256Mi (now 128Mi).")
    assert "Undo: exact" in effect.says


def test_pods_that_stay_are_not_counted():
    assert shown(run=trial(passed(after={"spec": {"replicas": 5}}))).pods == ()


def test_the_undo_is_what_the_action_itself_says_of_it():
    assert shown(run=trial(passed(undo=UndoKind.NONE))).undo is UndoKind.NONE


def test_a_fix_is_taken_back_as_well_as_its_worst_step():
    second = PREVIEW | {"stepNumber": 2, "action": "restart_pod"}
    assert shown(preview=[PREVIEW, second]).undo is UndoKind.NONE


@pytest.mark.parametrize(("mode", "says"), [("catalogue", REFUSED_HERE), ("steps", REFUSED)])
def test_a_trial_that_was_refused_says_why(mode, says):
    why = "policy: managed from a repository"
    refused = OperationResult(step_number=1, action="increase_resources", phase=Phase.FAILED, error_message=why)
    offered = workflow(preview=[PREVIEW]) if mode == "catalogue" else None
    status = planned(offered)
    if offered is None:
        status.selected_workflow = None
    effect = effect_of(offered, status, trial(refused), lambda _: PODS)
    assert not effect.previewed
    assert effect.changes[0].refused == why
    assert f"{says} {why}" in effect.says


def test_without_an_answer_the_steps_are_told_and_what_is_missing():
    effect = shown()
    assert not effect.previewed
    assert NO_TRIAL in effect.says
    assert "256Mi (now 128Mi)" in effect.says
    assert effect.pods == tuple(PODS)


@pytest.mark.parametrize(
    ("rollback", "undo"), [({}, None), ({"MEMORY_LIMIT": "memory.limit.current"}, UndoKind.COMPENSATING)], ids=["none", "declared"]
)
def test_a_workflow_without_preview_says_so(rollback, undo):
    offered = workflow(rollbackParameters=rollback)
    effect = effect_of(offered, planned(offered), None, lambda _: PODS)
    assert NO_PREVIEW in effect.says
    assert (effect.previewed, effect.changes, effect.pods, effect.undo) == (False, (), (), undo)
    assert [each.path() for each in effect.objects] == ["shop/deployment/checkout"]


def test_differences_are_shown_up_to_a_bound():
    [change] = shown(run=trial(passed(diff="x" * 16_384))).changes
    assert len(change.diff) == 16_000


def test_typed_steps_are_tried_where_there_is_no_workflow():
    status = planned()
    status.selected_workflow = None
    assert [step.action for step in operations_of(None, status)] == ["increase_resources"]


def test_nothing_is_tried_for_a_workflow_that_is_no_longer_offered():
    assert operations_of(None, planned(workflow(preview=[PREVIEW]))) == []


def test_the_trial_changes_nothing_and_is_named_after_what_it_tries():
    spec = {"remediationRequestRef": {"name": "rr"}, "analysisRequest": {"alertContext": ALERT.wire()}}
    analysis = AIAnalysis.model_validate({"metadata": {"name": "a", "namespace": "s"}, "spec": spec})
    offered = workflow(preview=[PREVIEW])
    names = []
    for digest in ("sha256:" + "1" * 64, "sha256:" + "2" * 64):
        analysis.status.binding = Binding(hash=digest)
        made = preview_of(analysis, operations_of(offered, planned(offered)), T0, timedelta(seconds=15))
        names.append(made.metadata.name)
        assert made.spec.execution_config.dry_run
        assert made.spec.times_out_at == T0 + timedelta(seconds=15)
        assert made.spec.operations[0].parameters["memory"] == "256Mi"
        assert made.spec.operations[0].target is not None
        assert made.spec.operations[0].target.path() == "shop/deployment/checkout"
    assert names == ["a-preview-11111111", "a-preview-22222222"]


def test_only_a_preview_of_its_own_making_is_the_analysis_to_delete():
    """The trial behind a proposal belongs to the analysis too, and is looked at by the orchestrator for as long as the case is open."""
    analysis = AIAnalysis.model_validate(
        {
            "metadata": {"name": "a", "namespace": "s"},
            "spec": {"remediationRequestRef": {"name": "rr"}, "analysisRequest": {"alertContext": ALERT.wire()}},
        }
    )
    assert [is_preview(analysis, name) for name in ("a-preview-12345678", "a-proposal", "a-1-preview-12345678")] == [True, False, False]

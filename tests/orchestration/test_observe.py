"""What the stage objects mean to a decision: their states, their clocks, and the time that does not count."""

from datetime import UTC, datetime, timedelta

import pytest

from kubernaut.api.remediation import Outcome, Phase
from kubernaut.orchestration.decide import decide
from kubernaut.orchestration.facts import Answer, Progress, Stage
from kubernaut.orchestration.observe import answer_of, fault_of, see
from kubernaut.orchestration.steps import Ask, End, Open, Wait
from kubernaut.orchestration.waiting import waited
from tests.orchestration.conftest import STEPS

pytestmark = pytest.mark.unit

T0 = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
HELD = [{"type": "ResourceLocked", "status": "True", "reason": "ResourceBusy", "message": "remediation-other-wfe works on it"}]
RR = "remediation-abcde12345"
BOTH = {"id": "1", "action": "increase_resources", "workflowSteps": STEPS}
FREED = [{"type": "ResourceLocked", "status": "False", "reason": "Free", "lastTransitionTime": T0 + timedelta(minutes=10)}]


def seen(case):
    return see(case.request, case.family, case.settings, case.now)


def step(case):
    return decide(seen(case), case.now)


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        pytest.param({"phase": "Pending"}, Answer.WORKING, id="pending"),
        pytest.param({"phase": "recommending"}, Answer.WORKING, id="recommending, in any case of letters"),
        pytest.param({"phase": "Approving"}, Answer.ASKING, id="approving"),
        pytest.param({"phase": "completed"}, Answer.WORKFLOW, id="completed with a workflow, in the older spelling"),
        pytest.param({"actionRequired": False}, Answer.HEALTHY, id="nothing to do, whatever else it says"),
        pytest.param({"needsHumanReview": True}, Answer.REVIEW, id="a person must look"),
        pytest.param({"selectedWorkflow": None}, Answer.REVIEW, id="no workflow fits"),
        pytest.param(
            {"selectedWorkflow": None, "recommendations": [{"id": "1", "action": "x"}]}, Answer.REVIEW, id="a recommendation without steps"
        ),
        pytest.param({"phase": "Failed"}, Answer.FAILED, id="failed"),
        pytest.param({"phase": "Failed", "reason": "NoWorkflowSelected"}, Answer.REVIEW, id="failed for lack of a workflow"),
        pytest.param({"phase": "Failed", "needsHumanReview": True}, Answer.REVIEW, id="failed and asks for a person"),
        pytest.param({"phase": "Rejected", "approvalStatus": "Rejected"}, Answer.REJECTED, id="rejected"),
        pytest.param({"phase": "Rejected", "approvalStatus": "Expired"}, Answer.EXPIRED, id="expired"),
    ],
)
def test_the_analysis_is_read(case, status, answer):
    assert answer_of(case.processed().analysed(**status).family.analysis) is answer


def test_steps_of_the_first_recommendation_are_a_plan(case):
    assert answer_of(case.processed().stepped().family.analysis) is Answer.STEPS


@pytest.mark.parametrize(
    ("spec", "name", "fault"),
    [
        pytest.param({"originalPayload": "{"}, "r", "not JSON", id="no JSON"),
        pytest.param({"originalPayload": "[1]"}, "r", "no JSON object", id="no object"),
        pytest.param({}, "r" * 51, "longer than 50", id="a name that leaves no room"),
    ],
)
def test_a_signal_that_cannot_be_worked_on_is_named(make_case, spec, name, fault):
    assert fault in fault_of(make_case(spec=spec, name=name).request)


def test_a_usable_signal_has_no_fault(case):
    assert not fault_of(case.request)


def test_completed_without_result_is_a_failure(case):
    assert seen(case.processed(enrichedSignal=None)).processing.progress is Progress.FAILED


def test_a_plan_without_operations_is_a_failure(case):
    assert seen(case.processed().stepped().run(operations=[])).workflow.progress is Progress.FAILED


def test_waiting_for_a_person_stops_the_overall_clock(case):
    case.processed().asking()
    before = seen(case).overall
    assert seen(case.later(minutes=12)).overall == before + timedelta(minutes=12)


def test_a_long_approval_does_not_use_up_the_time_to_work(case):
    case.processed().analysed(approvalRequestedAt=T0, approvalTime=T0 + timedelta(hours=20), approvalStatus="Approved")
    assert step(case.later(hours=20)) == Open(Stage.WORKFLOW)


def test_the_approval_request_sets_its_own_deadline_and_the_analysis_a_minute_to_act_on_it(case):
    case.processed().asking().questioned(requiredBy=T0 + timedelta(hours=2))
    assert step(case) == Ask(T0, T0 + timedelta(hours=2, minutes=1))
    assert isinstance(step(case.later(hours=2, minutes=1)), End)


def test_waiting_for_the_target_shows_as_blocked_and_stops_the_clocks(case):
    case.processed().analysed().run("Pending", conditions=HELD)
    found = step(case.later(minutes=29))
    assert isinstance(found, Wait)
    assert (found.phase, found.until) == (Phase.BLOCKED, T0 + timedelta(minutes=30))
    assert waited(case.family, case.now) == timedelta(minutes=29)


def test_waiting_for_the_target_has_an_end(case):
    found = step(case.processed().analysed().run("Pending", conditions=HELD).later(minutes=30))
    assert isinstance(found, End)
    assert (found.phase, found.stage) == (Phase.TIMED_OUT, Stage.WORKFLOW)


def test_the_workflow_has_its_whole_time_once_the_target_is_free(case):
    case.processed().analysed().run("Pending", conditions=FREED)
    assert step(case.later(minutes=35)).until == T0 + timedelta(minutes=40)


def test_a_running_workflow_counts_from_its_start(case):
    case.processed().analysed().run("Running", startTime=T0 + timedelta(minutes=10), conditions=FREED)
    assert step(case.later(minutes=30)).until == T0 + timedelta(minutes=40)


def test_a_workflow_that_ran_out_of_time_by_itself_has_timed_out(case):
    case.processed().analysed().run("Failed", startTime=T0, completionTime=T0 + timedelta(minutes=30))
    assert step(case.later(minutes=31)).phase is Phase.TIMED_OUT


def test_a_failed_workflow_says_why_in_plain_language(case):
    case.settings = case.settings.model_copy(update={"max_recovery_attempts": 0})
    details = {"category": "Forbidden", "naturalLanguageSummary": "the runner may not patch deployments"}
    found = step(case.processed().analysed().run("Failed", failureDetails=details, completionTime=T0))
    assert (found.phase, found.reason, found.message) == (Phase.FAILED, "Forbidden", "the runner may not patch deployments")


def test_an_execution_that_took_its_changes_back_is_rolled_back(case):
    case.settings = case.settings.model_copy(update={"max_recovery_attempts": 0})
    case.processed().stepped().run(operations=[{"stepNumber": 1, "action": "scale"}])
    case.executed("Failed", conditions=[{"type": "RolledBack", "status": "True"}])
    assert step(case).outcome is Outcome.ROLLED_BACK


def test_an_ended_case_is_kept_for_a_day(case):
    case.status = {"completionTime": T0}
    assert step(case.later(hours=23)).until == T0 + timedelta(hours=24)

"""Why a PipelineRun failed: what a real Tekton wrote, against a table written by hand."""

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from kubernaut.api.workflow import FailureCategory
from kubernaut.workflow import failure
from kubernaut.workflow.decide import RunState
from kubernaut.workflow.engines.tekton import run_state
from kubernaut.workflow.failure import Culprit, Subject

pytestmark = pytest.mark.unit
RECORDED = orjson.loads(Path(__file__).with_name("recorded.json").read_bytes())
NOW = datetime(2026, 11, 22, 4, tzinfo=UTC)
C = FailureCategory

FAILED = {
    # case: (task, step, exit code, reason, category, whether a step ran)
    "step-exit-3": ("second", "break", 3, "Failed", C.TASK_FAILED, True),
    "oom-killed": ("eat", "eat", 137, "Failed", C.OOM_KILLED, True),
    "image-pull-failure": ("pull", "pull", 1, "Failed", C.IMAGE_PULL_BACK_OFF, False),
    "retry": ("flaky", "break", 5, "Failed", C.TASK_FAILED, True),
    "parallel-one-fails": ("a", "quick", 7, "Failed", C.TASK_FAILED, True),
    "serviceaccount-missing": ("first", "", None, "Failed", C.CONFIGURATION_ERROR, False),
    "pod-security": ("first", "", None, "Failed", C.FORBIDDEN, False),
    "cancelled": ("sleep", "sleep", 1, "Cancelled", C.UNKNOWN, True),
    "cancelled-at-create": ("", "", None, "Cancelled", C.UNKNOWN, False),
    "cancelled-run-finally": ("sleep", "sleep", 1, "Cancelled", C.UNKNOWN, True),
    "stopped-run-finally-flat": ("", "", None, "Cancelled", C.UNKNOWN, True),
    "pipelinerun-timeout": ("sleep", "sleep", 1, "PipelineRunTimeout", C.DEADLINE_EXCEEDED, True),
    "tasks-timeout": ("sleep", "sleep", 1, "PipelineRunTimeout", C.DEADLINE_EXCEEDED, True),
    "unschedulable": ("first", "", None, "PipelineRunTimeout", C.DEADLINE_EXCEEDED, False),
    "workspace-pvc-missing": ("ws", "", None, "PipelineRunTimeout", C.DEADLINE_EXCEEDED, False),
    "result-missing": ("", "", None, "CouldntGetPipelineResult", C.CONFIGURATION_ERROR, True),
    "param-missing": ("", "", None, "ParameterMissing", C.CONFIGURATION_ERROR, False),
    "workspace-missing": ("", "", None, "InvalidWorkspaceBindings", C.CONFIGURATION_ERROR, False),
    "bundle-garbage": ("", "", None, "CouldntGetPipeline", C.CONFIGURATION_ERROR, False),
    "bundle-tag-missing": ("", "", None, "CouldntGetPipeline", C.CONFIGURATION_ERROR, False),
    "bundle-kind-default": ("", "", None, "CouldntGetPipeline", C.CONFIGURATION_ERROR, False),
    "bundle-invalid-pipeline": ("", "", None, "PipelineValidationFailed", C.CONFIGURATION_ERROR, False),
    "pod-deleted": ("sleep", "sleep", 255, "Failed", C.TASK_FAILED, True),
    "node-down": ("sleep", "sleep", 255, "Failed", C.TASK_FAILED, True),
    "command-missing": ("bad", "bad", 1, "Failed", C.TASK_FAILED, True),
}
SUCCEEDED = ("success", "on-error-continue", "pending")
SPOILED = ("resolvers-restart",)


def test_every_recorded_case_has_its_expectation():
    assert sorted(RECORDED) == sorted([*FAILED, *SUCCEEDED, *SPOILED])


@pytest.mark.parametrize("case", FAILED)
def test_failure_details_of(case):
    run, task_runs = RECORDED[case]["pipelineRun"], RECORDED[case]["taskRuns"]
    subject = Subject(
        "increase-memory", "production/deployment/api", failure.steps_ran(task_runs.values()), datetime(2026, 11, 22, 2, tzinfo=UTC)
    )
    told = failure.details(run, task_runs, subject, NOW)
    found = (told.failed_task_name, told.failed_step_name, told.exit_code, told.reason, told.category, told.was_execution_failure)
    assert found == FAILED[case]
    assert told.failed_at == datetime.fromisoformat(run["status"]["completionTime"])
    for part in ("increase-memory", "production/deployment/api", failure.ADVICE[told.category]):
        assert part in told.natural_language_summary


@pytest.mark.parametrize("case", RECORDED)
def test_no_end_is_claimed_before_it_has_come(case):
    ends = {"True": RunState.SUCCEEDED, "False": RunState.SPOILED if case in SPOILED else RunState.FAILED}
    for status, reason in RECORDED[case]["history"]:
        message = RECORDED[case]["pipelineRun"]["status"]["conditions"][0]["message"]
        conditions = [{"type": "Succeeded", "status": status, "reason": reason, "message": message}] if status else []
        assert run_state({"metadata": {}, "status": {"conditions": conditions}}) is ends.get(status, RunState.RUNNING)


@pytest.mark.parametrize("case", SUCCEEDED)
def test_a_success_is_one_even_with_failures_that_were_ignored(case):
    assert run_state(RECORDED[case]["pipelineRun"]) is RunState.SUCCEEDED


def test_a_request_spoiled_by_restarting_resolvers_is_no_failure_of_the_run():
    assert run_state(RECORDED["resolvers-restart"]["pipelineRun"]) is RunState.SPOILED


def test_other_condition_types_say_nothing():
    assert run_state({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}) is RunState.RUNNING


@pytest.mark.parametrize(
    ("case", "done", "total"), [("success", 3, 3), ("step-exit-3", 3, 4), ("on-error-continue", 2, 2), ("cancelled", 0, 0)]
)
def test_progress_counts_tasks(case, done, total):
    told = failure.progress(RECORDED[case]["pipelineRun"])
    assert (told.completed_tasks, told.total_tasks) == (done, total)


def test_progress_under_way():
    message = "Tasks Completed: 1 (Failed: 0, Cancelled 0), Incomplete: 2, Skipped: 1"
    told = failure.progress(
        {"status": {"conditions": [{"type": "Succeeded", "status": "Unknown", "reason": "Running", "message": message}]}}
    )
    assert (told.completed_tasks, told.total_tasks, told.reason) == (1, 4, "Running")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ""),
        ("plain words", "plain words"),
        ('[{"key":"message","value":"no such container","type":1}]', "message: no such container"),
        ('[{"key":"StartedAt","value":"2026","type":3},{"key":"a","value":"b","type":1}]', "a: b"),
        ("[not json", "[not json"),
        ('{"a": 1}', '{"a": 1}'),
    ],
)
def test_termination_messages_for_people(text, told):
    assert failure.termination_message(text) == told


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("pods is forbidden", C.FORBIDDEN),
        ("exceeded quota: compute", C.RESOURCE_EXHAUSTED),
        ("context deadline exceeded", C.DEADLINE_EXCEEDED),
        ("invalid input", C.CONFIGURATION_ERROR),
        ('pipeline "invalid-quota-oom" said nothing', C.UNKNOWN),
        ("room-service said nothing", C.UNKNOWN),
        ("who knows", C.UNKNOWN),
    ],
)
def test_words_count_last_and_never_in_names(message, expected):
    assert failure.category(Culprit(), "SomethingNew", message, ["room-service"]) is expected


def test_exact_tables_outweigh_words():
    assert failure.category(Culprit(step_reason="OOMKilled", task_reason="StepFailed"), "Failed", "timeout") is C.OOM_KILLED
    assert failure.category(Culprit(task_reason="TaskRunTimeout"), "Failed", "oom") is C.DEADLINE_EXCEEDED


def test_a_run_cancelled_when_it_was_out_of_time_exceeded_its_deadline():
    case = RECORDED["cancelled"]
    told = failure.details(case["pipelineRun"], case["taskRuns"], Subject("w", "t/d/x", steps_ran=True), NOW, out_of_time=True)
    assert told.category is C.DEADLINE_EXCEEDED


def test_a_step_that_only_looks_ended_did_not_run():
    pulled = RECORDED["image-pull-failure"]["taskRuns"].values()
    assert any("terminated" in step for run in pulled for step in run["status"]["steps"])
    assert not failure.steps_ran(pulled)


def test_an_earlier_try_that_ran_counts():
    waiting = {"status": {"steps": [{"name": "a"}], "retriesStatus": [{"steps": [{"name": "a", "terminated": {"exitCode": 1}}]}]}}
    assert failure.steps_ran([waiting])


def test_the_summary_says_step_exit_code_and_message_in_plain_words():
    case = RECORDED["step-exit-3"]
    told = failure.details(case["pipelineRun"], case["taskRuns"], Subject("increase-memory", "a/deployment/b", steps_ran=True), NOW)
    assert told.natural_language_summary == (
        "Workflow increase-memory on a/deployment/b failed: step break of task second ended with exit code 3 (partial: partial); "
        'Failed: "step-break" exited with code 3: Error. Steps had run: the cluster may have been changed. '
        "Read the step's log for the cause, and check the target before trying again."
    )

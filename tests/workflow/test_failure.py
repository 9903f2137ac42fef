"""Why a PipelineRun failed, in words and figures; every recorded case is in test_recordings."""

from datetime import UTC, datetime

import pytest

from kubernaut.api.workflow import FailureCategory
from kubernaut.workflow import failure
from kubernaut.workflow.decide import RunState
from kubernaut.workflow.engines.tekton import run_state
from kubernaut.workflow.failure import Culprit, Subject
from tests.workflow.recorded import recording

pytestmark = pytest.mark.unit
NOW = datetime(2026, 11, 22, 4, tzinfo=UTC)
C = FailureCategory


def test_other_condition_types_say_nothing():
    assert run_state({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}) is RunState.RUNNING


@pytest.mark.parametrize(
    ("case", "done", "total"), [("success", 3, 3), ("step-exit-3", 3, 4), ("on-error-continue", 2, 2), ("cancelled", 0, 0)]
)
def test_progress_counts_tasks(case, done, total):
    told = failure.progress(recording(case).pipeline_run)
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
    case = recording("cancelled")
    told = failure.details(case.pipeline_run, case.task_runs, Subject("w", "t/d/x", steps_ran=True), NOW, out_of_time=True)
    assert told.category is C.DEADLINE_EXCEEDED


def test_a_step_that_only_looks_ended_did_not_run():
    pulled = recording("image-pull-failure").task_runs.values()
    assert any("terminated" in step for run in pulled for step in run["status"]["steps"])
    assert not failure.steps_ran(pulled)


def test_an_earlier_try_that_ran_counts():
    waiting = {"status": {"steps": [{"name": "a"}], "retriesStatus": [{"steps": [{"name": "a", "terminated": {"exitCode": 1}}]}]}}
    assert failure.steps_ran([waiting])


def test_the_summary_says_step_exit_code_and_message_in_plain_words():
    case = recording("step-exit-3")
    told = failure.details(case.pipeline_run, case.task_runs, Subject("increase-memory", "a/deployment/b", steps_ran=True), NOW)
    assert told.natural_language_summary == (
        "Workflow increase-memory on a/deployment/b failed: step break of task second ended with exit code 3 (partial: partial); "
        'Failed: "step-break" exited with code 3: Error. Steps had run: the cluster may have been changed. '
        "Read the step's log for the cause, and check the target before trying again."
    )


def task_run(reason, status="False", step=None, **metadata):
    ended = (
        [{"name": "work", "terminated": {"exitCode": step, "reason": "Error"}, "terminationReason": "Error"}] if step is not None else []
    )
    condition = {"type": "Succeeded", "status": status, "reason": reason, "message": f"because {reason}"}
    return {"metadata": metadata, "status": {"conditions": [condition], "steps": ended}}


def failed_run(*children):
    references = [{"kind": kind, "name": name, "pipelineTaskName": task} for kind, name, task in children]
    condition = {"type": "Succeeded", "status": "False", "reason": "Failed", "message": "Tasks Completed"}
    return {"metadata": {"name": "run"}, "status": {"conditions": [condition], "childReferences": references}}


def test_of_a_matrix_the_combination_that_failed_is_blamed():
    run = failed_run(*(("TaskRun", f"run-many-{number}", "many") for number in range(3)))
    tasks = {
        "run-many-0": task_run("Succeeded", "True", 0),
        "run-many-1": task_run("TaskRunCancelled", step=1),
        "run-many-2": task_run("StepFailed", step=9),
    }
    blamed = failure.culprit(run, tasks)
    assert (blamed.task, blamed.step, blamed.exit_code) == ("many", "work", 9)


def test_a_task_of_an_embedded_spec_is_named_by_its_label():
    tasks = {"run-x": task_run("StepFailed", step=2, labels={"tekton.dev/pipelineTask": "inline"})}
    assert failure.culprit(failed_run(("TaskRun", "run-x", "")), tasks).task == "inline"


def test_other_kinds_of_child_and_vanished_task_runs_are_passed_over():
    run = failed_run(("CustomRun", "run-wait", "wait"), ("TaskRun", "run-gone", "gone"), ("TaskRun", "run-last", "last"))
    assert failure.culprit(run, {"run-last": task_run("StepOOM", step=137)}).task == "last"


def test_a_run_without_any_task_run_is_explained_by_its_own_reason():
    told = failure.details(failed_run(), {}, Subject("w", "t/d/x", steps_ran=False), NOW)
    assert (told.failed_task_name, told.category, told.was_execution_failure) == ("", C.TASK_FAILED, False)


@pytest.mark.parametrize("reason", ["CouldntGetPipeline", "CouldntGetTask"])
def test_where_a_bundle_cannot_be_had_the_advice_names_what_to_check(reason):
    run = failed_run()
    run["status"]["conditions"][0]["reason"] = reason
    said = failure.details(run, {}, Subject("w", "t/d/x", steps_ran=False), NOW).natural_language_summary
    assert "registry answers" in said
    assert "resolvers run" in said
    assert "will not help" not in said

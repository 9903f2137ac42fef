"""Every case recorded from a real Tekton, event by event: first through the pure judgement, then through the engine over a real API."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial

import pytest

from kubernaut.api.base import Obj
from kubernaut.api.core import PIPELINE_RUN, TASK_RUN
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.workflow import FailureCategory, WorkflowExecution
from kubernaut.kube.client import Client
from kubernaut.workflow import failure
from kubernaut.workflow.decide import RunState
from kubernaut.workflow.engines.tekton import run_state
from kubernaut.workflow.failure import Subject
from kubernaut.workflow.reconciler import setup
from kubernaut.workflow.settings import WorkflowSettings
from tests.workflow.bench import RUNS, SYSTEM, Bench, bench_of
from tests.workflow.executions import execution_of
from tests.workflow.expectations import DELETED, FAILED, OTHERS, SPOILED, SUCCEEDED
from tests.workflow.recorded import CASES, Event, Recording, recording, recordings

NOW = datetime(2026, 11, 22, 4, tzinfo=UTC)
WFE = WorkflowExecution.card
ALL = [(case, run) for case in CASES for run in recordings(case)]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with bench_of(Bench, WorkflowExecution, KubernetesExecution) as made:
        yield made


@pytest.mark.unit
def test_every_recorded_case_has_its_expectation():
    assert sorted(CASES) == sorted([*FAILED, *SPOILED, *DELETED, *SUCCEEDED])
    assert set(OTHERS) == {(case, run) for case in CASES for run in list(recordings(case))[1:]}


@pytest.mark.unit
@pytest.mark.parametrize("case", FAILED)
def test_failure_details_of(case):
    told = failure.details(recording(case).pipeline_run, recording(case).task_runs, _subject(recording(case)), NOW)
    wanted = FAILED[case]
    found = (told.reason, told.category, told.failed_task_name, told.failed_step_name, told.exit_code, told.was_execution_failure)
    assert found == (wanted.reason, wanted.category, wanted.task, wanted.step, wanted.exit_code, wanted.ran)
    assert told.failed_at == datetime.fromisoformat(recording(case).pipeline_run["status"]["completionTime"])
    for part in ("increase-memory", "production/deployment/api", wanted.message):
        assert part in told.natural_language_summary


@pytest.mark.unit
@pytest.mark.parametrize(("case", "run"), ALL)
def test_no_end_is_claimed_before_it_has_come(case, run):
    ends = {"True": RunState.SUCCEEDED, "False": RunState.SPOILED if case in SPOILED else RunState.FAILED}
    for seen in recordings(case)[run].history:
        status = next((each["status"] for each in (seen.get("status") or {}).get("conditions", [])), "")
        assert run_state(seen) is ends.get(status, RunState.RUNNING)


def _subject(recorded: Recording) -> Subject:
    began = datetime(2026, 11, 22, 2, tzinfo=UTC)
    return Subject("increase-memory", "production/deployment/api", failure.steps_ran(recorded.task_runs.values()), began)


class Tekton:
    """Plays a recording into a cluster: what Tekton's controller and the garbage collector did, step by step."""

    def __init__(self, client: Client, recorded: Recording) -> None:
        self._client, self._recorded = client, recorded

    async def play(self, event: Event) -> None:
        if event.kind == "TaskRun":
            await self._task_run(event)
        elif event.type == "DELETED":
            await self._client.delete(PIPELINE_RUN, event.name, RUNS)
        elif event.obj.get("status"):
            await self._status(PIPELINE_RUN, event)

    async def _task_run(self, event: Event) -> None:
        if event.type == "ADDED":
            labels = {**event.obj["metadata"]["labels"], "kubernaut.ai/workflow-execution": self._recorded.name}
            labels["kubernaut.ai/source-namespace"] = SYSTEM
            body = {"metadata": {"name": event.name, "namespace": RUNS, "labels": labels}, "spec": {"taskSpec": {"steps": []}}}
            await self._client.create(TASK_RUN, body)
        if event.type == "DELETED":
            await self._client.delete(TASK_RUN, event.name, RUNS)
        elif event.obj.get("status"):
            await self._status(TASK_RUN, event)

    async def _status(self, kind, event: Event) -> None:
        await self._client.patch(kind, event.name, RUNS, {"status": event.obj["status"]}, subresource="status")


@pytest.mark.parametrize(("case", "run"), ALL)
async def test_the_engine_follows_to_the_end_and_never_ahead(bench: Bench, case, run):
    recorded = recordings(case)[run]
    bench.clock.ahead = datetime.fromisoformat(recorded.pipeline_run["metadata"]["creationTimestamp"]) - datetime.now(UTC)
    async with bench.at_work(lambda manager: setup(manager, WorkflowSettings(task_grace=60))):
        body = execution_of(run).wire()
        await bench.client.create(WFE, body | {"metadata": {"name": run, "namespace": SYSTEM}})
        await bench.until(PIPELINE_RUN, RUNS, run)
        tekton, seen, over = Tekton(bench.client, recorded), body, False
        for event in recorded.events:
            assert over or not _ended(seen)
            over = over or _is_end(event)
            await tekton.play(event)
            if event.kind == "PipelineRun":
                seen = await bench.until(WFE, SYSTEM, run, partial(_has_taken_in, event, case))
        if over and case not in SPOILED:
            seen = await bench.until(WFE, SYSTEM, run, _ended)
    _assert_end(case, run, seen)


def _has_taken_in(event: Event, case: str, execution: Obj) -> bool:
    """What is told of the run is what the event said; of an end, that the execution has ended too."""
    status = execution.get("status") or {}
    if event.type == "DELETED":
        return "completionTime" in status
    condition = failure.succeeded(event.obj)
    if condition.get("status") == "False" and case in SPOILED:
        return any(each["type"] == "ResolutionRetried" and each["status"] == "True" for each in status.get("conditions", []))
    told = status.get("progress") or {}
    return (told.get("reason", ""), told.get("message", "")) == (condition.get("reason", ""), failure.cut(condition.get("message", "")))


def _is_end(event: Event) -> bool:
    return event.kind == "PipelineRun" and (event.type == "DELETED" or failure.succeeded(event.obj).get("status") in {"True", "False"})


def _ended(execution) -> bool:
    return "completionTime" in (execution.get("status") or {})


def _assert_end(case, run, execution):
    status = execution["status"]
    details = status.get("failureDetails") or {}
    if case in SPOILED:
        assert not _ended(execution)
        assert "a new PipelineRun takes its place" in status["message"]
    elif (case, run) in OTHERS:
        assert status["phase"] == OTHERS[case, run]
    elif case in SUCCEEDED:
        progress = status["progress"]
        assert (status["phase"], status["outcome"], status["message"]) == ("Completed", "Success", "Workflow completed successfully")
        assert (progress["completedTasks"], progress["totalTasks"]) == SUCCEEDED[case]
    elif case in DELETED:
        assert (status["phase"], status["outcome"], details["reason"]) == ("Failed", "Failed", "PipelineRunDeleted")
        assert details.get("wasExecutionFailure", False) is DELETED[case]
        assert "deleted by somebody" in status["message"]
    else:
        wanted = FAILED[case]
        assert (status["phase"], status["outcome"]) == ("Failed", "Failed")
        assert (details["reason"], FailureCategory(details["category"])) == (wanted.reason, wanted.category)
        assert (details.get("failedTaskName", ""), details.get("failedStepName", "")) == (wanted.task, wanted.step)
        assert details.get("wasExecutionFailure", False) is wanted.ran
        assert wanted.message in status["message"]
        assert status["completionTime"] == recordings(case)[run].pipeline_run["status"]["completionTime"]

"""Runs that people or clocks stop, hold or delete: as recorded, with short times."""

import asyncio
import os
import random
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from kubernaut.localcluster.controllers import StandInSettings, stand_ins
from tests.localcluster.pipelines.pieces import FINALLY, pipeline, step, task
from tests.localcluster.pipelines.stage import NAMESPACE, bundle_ref, condition, gone, short, tekton
from tests.localcluster.pipelines.test_cases import AWAITING, WHOLE, counted, steps_of

pytestmark = pytest.mark.cluster

SLEEPER = {"pipelineRef": bundle_ref("sleeper")}
CANCELLED_TASK = [*WHOLE[:3], "False/TaskRunCancelled"]
BY_CANCEL = 'TaskRun "run-sleep" was cancelled. TaskRun cancelled as the PipelineRun it belongs to has been cancelled.'
BY_TIMEOUT = 'TaskRun "run-sleep" was cancelled. TaskRun cancelled as the PipelineRun it belongs to has timed out.'
DONE = ("0", "Completed", "Completed")


def running(run):
    return short(run) == "Unknown/Running"


async def sleep(stage, **spec):
    """Create the run that sleeps, and return the process id of its step once that runs."""
    fifo = stage.settings.state.parent / "begun"
    os.mkfifo(fifo)
    await stage.run({**SLEEPER, "params": [{"name": "fifo", "value": str(fifo)}], **spec})
    process = int(await asyncio.to_thread(fifo.read_text))
    await stage.until("taskruns", "run-sleep", running)
    return process


def check_cancelled(run, message, reason="TaskRunCancelled"):
    assert condition(run) == ("False", reason, message)
    (state,) = run["status"]["steps"]
    assert steps_of(run) == {"sleep": ("1", reason, reason)}
    assert state["terminated"]["message"] == "Step sleep terminated as pod run-sleep-pod is terminated"


async def test_cancelled(settings):
    async with tekton(settings) as stage:
        process = await sleep(stage)
        await stage.patch({"status": "Cancelled"})
        run = await stage.ended()
        assert condition(run) == ("False", "Cancelled", 'PipelineRun "run" was cancelled')
        assert [child["name"] for child in run["status"]["childReferences"]] == ["run-sleep"]
        assert {"startTime", "completionTime"} <= run["status"].keys()
        check_cancelled(await stage.ended("run-sleep", "taskruns"), BY_CANCEL)
        assert stage.way("taskruns", "run-sleep") == CANCELLED_TASK
        await gone(process)
        assert await stage.events("run") == [("Normal", reason) for reason in ("Started", "ResolvingPipelineRef", "Running")] + [
            ("Warning", "Failed")
        ]


async def test_cancelled_at_create(settings):
    async with tekton(settings) as stage:
        await stage.run({**SLEEPER, "status": "Cancelled"})
        run = await stage.ended()
        assert condition(run) == ("False", "Cancelled", 'PipelineRun "run" was cancelled')
        assert stage.way("pipelineruns", "run") == ["no condition", "False/Cancelled"]
        assert {"startTime", "completionTime"} <= run["status"].keys()
        assert not {"pipelineSpec", "provenance", "childReferences"} & run["status"].keys()
        await stage.told("run", [("Normal", "Started"), ("Warning", "Failed")])


async def test_cancelled_run_finally(settings):
    async with tekton(settings) as stage:
        await sleep(stage)
        await stage.patch({"status": "CancelledRunFinally"})
        run = await stage.ended()
        assert stage.way("pipelineruns", "run")[2:] == ["Unknown/Running", "Unknown/CancelledRunningFinally", "False/Cancelled"]
        assert stage.messages() == [
            AWAITING,
            counted(0, 0, 3),
            counted(0, 0, 2, 1),
            counted(1, 0, 1, 1, cancelled=1),
            'PipelineRun "run" was cancelled',
        ]
        assert run["status"]["skippedTasks"] == [{"name": "after", "reason": "PipelineRun was stopping"}]
        assert "finallyStartTime" in run["status"]
        check_cancelled(await stage.task("run-sleep"), BY_CANCEL)
        assert steps_of(await stage.task("run-last")) == {"tidy": DONE}


async def test_stopped_run_finally_lets_running_tasks_end(settings):
    async with tekton(settings) as stage:
        await stage.run({"pipelineRef": bundle_ref("flat")})
        await stage.until("pipelineruns", "run", lambda run: condition(run)[2] == counted(1, 0, 2))
        await stage.patch({"status": "StoppedRunFinally"})
        await stage.ended()
        assert stage.way("pipelineruns", "run")[2:] == ["Unknown/Running", "Unknown/StoppedRunningFinally", "False/Cancelled"]
        assert stage.messages()[-2:] == [counted(2, 0, 1), 'PipelineRun "run" was cancelled']
        for name in ("run-sleep", "run-other", "run-last"):
            assert short(await stage.task(name)) == "True/Succeeded"


async def test_pipelinerun_timeout(settings):
    async with tekton(settings) as stage:
        process = await sleep(stage, timeouts={"pipeline": "1500ms"})
        run = await stage.ended()
        assert condition(run) == ("False", "PipelineRunTimeout", 'PipelineRun "run" failed to finish within "1.5s"')
        assert stage.way("pipelineruns", "run")[2:] == ["Unknown/Running", "False/PipelineRunTimeout"]
        check_cancelled(await stage.ended("run-sleep", "taskruns"), BY_TIMEOUT)
        await gone(process)


async def test_tasks_timeout_still_runs_finally(settings):
    async with tekton(settings) as stage:
        await stage.run({**SLEEPER, "timeouts": {"tasks": "1500ms", "finally": "30s", "pipeline": "1m"}})
        run = await stage.ended()
        assert condition(run) == ("False", "PipelineRunTimeout", 'PipelineRun "run" failed due to tasks failed to finish within "1.5s"')
        assert stage.way("pipelineruns", "run")[2:] == [
            "Unknown/Running",
            "Unknown/PipelineRunTimeoutRunningFinally",
            "False/PipelineRunTimeout",
        ]
        assert counted(1, 1, 1, 1) in stage.messages()
        assert run["status"]["skippedTasks"] == [{"name": "after", "reason": "PipelineRun was stopping"}]
        check_cancelled(await stage.task("run-sleep"), BY_TIMEOUT)
        assert short(await stage.task("run-last")) == "True/Succeeded"


async def test_a_task_timeout_fails_its_task_run(settings):
    slow = pipeline("slow", task("sleep", step("sleep", "sleep 60"), timeout="1500ms"))
    async with tekton(settings) as stage:
        await stage.run({"pipelineSpec": slow["spec"]})
        assert condition(await stage.ended())[1:] == ("Failed", counted(1, 1))
        check_cancelled(await stage.task("run-sleep"), 'TaskRun "run-sleep" failed to finish within "1.5s"', "TaskRunTimeout")


async def test_a_step_timeout_fails_the_step(settings):
    slow = pipeline("slow", task("sleep", step("sleep", "sleep 60", timeout="300ms")))
    async with tekton(settings) as stage:
        await stage.run({"pipelineSpec": slow["spec"]})
        await stage.ended()
        assert condition(await stage.task("run-sleep"))[2] == '"step-sleep" exited because the step exceeded the specified timeout limit'


async def test_pending(settings):
    async with tekton(settings) as stage:
        await stage.run({"pipelineRef": bundle_ref("hello"), "params": [{"name": "who", "value": "x"}], "status": "PipelineRunPending"})
        held = await stage.until("pipelineruns", "run", lambda run: short(run) == "Unknown/PipelineRunPending")
        assert condition(held)[2] == 'PipelineRun "run" is pending'
        assert "startTime" not in held["status"]
        await stage.patch({"status": None})
        await stage.ended()
        assert stage.way("pipelineruns", "run") == [
            "no condition",
            "Unknown/PipelineRunPending",
            "Unknown/ResolvingPipelineRef",
            "Unknown/ResolvingTaskRef",
            "Unknown/Running",
            "True/Succeeded",
        ]


async def test_deleting_a_task_run_under_way_ends_its_processes_and_the_run_makes_it_anew(settings):
    async with tekton(settings) as stage:
        process = await sleep(stage)
        old = await stage.task("run-sleep")
        await stage.api.delete(stage.kind("taskruns"), "run-sleep", NAMESPACE)
        new = await stage.until("taskruns", "run-sleep", lambda run: running(run) and run["metadata"]["uid"] != old["metadata"]["uid"])
        assert new["metadata"]["ownerReferences"] == old["metadata"]["ownerReferences"]
        await gone(process)
        await stage.patch({"status": "Cancelled"})
        await stage.ended()


async def test_a_run_that_is_being_deleted_is_left_alone_and_its_tasks_go_on(settings):
    async with tekton(settings) as stage:
        await stage.run({"pipelineRef": bundle_ref("side-by-side")}, finalizers=["example.com/mine"])
        await stage.until("taskruns", "run-b", running)
        await stage.api.delete(stage.kind("pipelineruns"), "run", NAMESPACE)
        assert short(await stage.ended("run-b", "taskruns")) == "True/Succeeded"
        assert short(await stage.ended("run-a", "taskruns")) == "False/StepFailed"
        left = await stage.api.get(stage.kind("pipelineruns"), "run", NAMESPACE)
        assert "completionTime" not in left["status"]


async def test_a_resolver_that_does_not_exist_times_out(settings):
    async with tekton(replace(settings, resolution_timeout=timedelta(seconds=1))) as stage:
        await stage.run({"pipelineRef": {"resolver": "nosuch", "params": []}})
        assert condition(await stage.ended()) == (
            "False",
            "CouldntGetPipeline",
            (
                f"Error retrieving pipeline for pipelinerun {NAMESPACE}/run: resolver failed to get Pipeline : error requesting remote resource: "
                "resolution took longer than global timeout of 1s"
            ),
        )


async def test_when_expressions_skip_a_task_and_what_uses_its_results_but_not_the_run(settings):
    chosen = pipeline(
        "chosen",
        task("no", step("a", "true"), results=("r",), when=[{"input": "x", "operator": "in", "values": ["y"]}]),
        task("ordered", step("b", "true"), runAfter=["no"]),
        task("uses", step("c", "true"), spec={"params": [{"name": "p"}]}, params=[{"name": "p", "value": "$(tasks.no.results.r)"}]),
        **{"finally": FINALLY},
    )
    async with tekton(settings) as stage:
        await stage.run({"pipelineSpec": chosen["spec"]})
        run = await stage.ended()
        assert condition(run) == ("True", "Completed", "Tasks Completed: 2 (Failed: 0, Cancelled 0), Skipped: 2")
        assert {row["name"]: row["reason"] for row in run["status"]["skippedTasks"]} == {
            "no": "When Expressions evaluated to false",
            "uses": "Results were missing",
        }


async def test_a_result_over_the_limit_fails_its_step_and_only_the_log_says_why(settings):
    big = pipeline("big", task("big", step("write", "head -c 6000 /dev/zero | tr '\\0' x > $(results.r.path)"), results=("r",)))
    async with tekton(settings) as stage:
        await stage.run({"pipelineSpec": big["spec"]})
        assert short(await stage.ended()) == "False/Failed"
        run = await stage.task("run-big")
        assert condition(run)[1:] == ("StepFailed", '"step-write" exited with code 1: Error')
        assert "Termination message is above max allowed size 4096, caused by large task result." in await stage.log("run-big")


async def pod(stage, name, test):
    """Wait for a state of a Pod."""
    async for event in stage.api.watch(stage.api.kind("", "pods")):
        if event.type != "BOOKMARK" and event.object["metadata"]["name"] == name and test(event):
            return event.object
    return None


async def test_a_pod_shows_the_steps_of_its_task_run_and_keeps_their_logs(settings):
    async with tekton(settings) as stage:
        await stage.run({"pipelineRef": bundle_ref("broken")})
        await stage.ended()
        failed = await pod(stage, "run-second-pod", lambda event: event.object["status"].get("phase") == "Failed")
        states = {row["name"]: row["state"]["terminated"]["exitCode"] for row in failed["status"]["containerStatuses"]}
        assert states == {"step-before": 0, "step-break": 3, "step-after": 1}
        assert failed["metadata"]["ownerReferences"][0]["name"] == "run-second"
        assert stage.logs.text(NAMESPACE, "run-second-pod", "step-break") == "it broke\n"
        assert stage.logs.text(NAMESPACE, "run-second-pod", "step-after") == ""
        assert stage.logs.text(NAMESPACE, "run-second-pod", "nobody") is None


async def test_deleting_the_pod_under_a_step_ends_it_with_255(settings):
    async with tekton(settings) as stage:
        process = await sleep(stage)
        pods = stage.api.kind("", "pods")
        await pod(stage, "run-sleep-pod", lambda event: event.object.get("status", {}).get("phase") == "Running")
        await stage.api.delete(pods, "run-sleep-pod", NAMESPACE)
        run = await stage.ended("run-sleep", "taskruns")
        assert condition(run)[1:] == ("StepFailed", '"step-sleep" exited with code 255: Error')
        assert steps_of(run) == {"sleep": ("255", "Error", "Error")}
        await gone(process)
        assert short(await stage.ended()) == "False/Failed"
        await absent(stage, "run-sleep-pod")


async def absent(stage, name, kind=None):
    """Wait until there is no object of a name, a Pod where no kind is given."""
    present = False
    async for event in stage.api.watch(kind or stage.api.kind("", "pods")):
        if event.type == "BOOKMARK" and not present:
            return
        if event.object["metadata"].get("name") == name:
            present = True
            if event.type == "DELETED":
                return


@asynccontextmanager
async def collecting(stage):
    """Run the garbage collector."""
    made = stand_ins(stage.api, StandInSettings(clock=stage.settings.clock, rng=random.Random(1)))
    collector = asyncio.ensure_future(made["gc"]())
    yield
    collector.cancel()
    await asyncio.gather(collector, return_exceptions=True)


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
async def test_deleting_a_run_under_way_ends_its_processes_and_leaves_nothing(propagation, settings):
    async with tekton(settings) as stage, collecting(stage):
        process = await sleep(stage)
        await pod(stage, "run-sleep-pod", lambda event: event.object.get("status", {}).get("phase") == "Running")
        await stage.api.delete(stage.kind("pipelineruns"), "run", NAMESPACE, propagation=propagation)
        await gone(process)
        await absent(stage, "run-sleep-pod")
        await absent(stage, "run-sleep", stage.kind("taskruns"))
        await absent(stage, "run", stage.kind("pipelineruns"))
        assert stage.way("pipelineruns", "run")[-1] == "Unknown/Running"

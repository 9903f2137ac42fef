"""WorkflowExecutions over a real API, with a test in Tekton's place."""

import asyncio
import re
from datetime import timedelta

import pytest

from kubernaut.api.core import LEASE, PIPELINE_RUN
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError
from kubernaut.workflow.target import lock_name
from tests.workflow.bench import RUNS, SYSTEM
from tests.workflow.recorded import recording
from tests.workflow.stage import KE, NAME, TARGET, WFE, held


async def test_a_workflow_runs_and_its_success_is_told(world):
    async with world.at_work(world.stage()):
        made = await world.execute()
        run = await world.run_of()
        assert run["metadata"]["annotations"]["kubernaut.ai/workflow-execution-uid"] == made["metadata"]["uid"]
        assert await world.holder() == NAME
        started = await world.phase("Running")
        assert started["startTime"] == run["metadata"]["creationTimestamp"]
        assert started["pipelineRunRef"]["uid"] == run["metadata"]["uid"]
        await world.tekton("Unknown", message="Tasks Completed: 1 (Failed: 0, Cancelled 0), Incomplete: 2, Skipped: 0")
        told = await world.until(WFE, SYSTEM, NAME, lambda obj: obj["status"]["message"] == "Running: Running")
        assert (told["status"]["progress"]["completedTasks"], told["status"]["progress"]["totalTasks"]) == (1, 3)
        await world.tekton("True", "Succeeded", "Tasks Completed: 3 (Failed: 0, Cancelled 0), Skipped: 0")
        ended = await world.phase("Completed")
        assert (ended["outcome"], ended["message"]) == ("Success", "Workflow completed successfully")
        assert ended["completionTime"]
        await world.gone(LEASE, SYSTEM, lock_name(TARGET))
        path, last = await world.records.until("workflowexecution.workflow.completed")
    assert [body["eventType"] for _, body in world.records.got] == [
        "workflowexecution.workflow.started",
        "workflowexecution.workflow.completed",
    ]
    assert path == "/api/v1/audit/workflow"
    assert {key: last[key] for key in ("workflowExecutionId", "workflowId", "targetResource", "phase", "outcome", "correlationId")} == {
        "workflowExecutionId": NAME,
        "workflowId": "increase-memory-conservative",
        "targetResource": TARGET,
        "phase": "Completed",
        "outcome": "Success",
        "correlationId": "rr-1",
    }
    assert "failureReason" not in last


async def test_a_failed_step_is_told_exactly_and_in_plain_words(world):
    case = recording("step-exit-3")
    async with world.at_work(world.stage()):
        await world.execute()
        await world.run_of()
        for name, task_run in case.task_runs.items():
            await world.task_run(name, task_run["status"])
        await world.tekton("False", "Failed", "Tasks Completed: 3", childReferences=case.pipeline_run["status"]["childReferences"])
        details = (await world.phase("Failed"))["failureDetails"]
        _, told = await world.records.until("workflowexecution.workflow.failed")
    assert (details["failedTaskName"], details["failedStepName"], details["exitCode"]) == ("second", "break", 3)
    assert (details["reason"], details["category"], details["wasExecutionFailure"]) == ("Failed", "TaskFailed", True)
    assert "step break of task second ended with exit code 3" in details["naturalLanguageSummary"]
    assert told["failureReason"] == "Failed"


async def test_a_status_that_was_wiped_comes_back_the_same(world):
    async with world.at_work(world.stage()):
        await world.execute()
        await world.run_of()
        await world.tekton("Unknown", message="Tasks Completed: 1 (Failed: 0, Cancelled 0), Incomplete: 2, Skipped: 0")
        before = (await world.until(WFE, SYSTEM, NAME, lambda obj: obj["status"].get("progress", {}).get("reason") == "Running"))["status"]
        await world.client.patch(WFE, NAME, SYSTEM, {"status": None}, subresource="status")
        await world.until(WFE, SYSTEM, NAME, lambda obj: not obj.get("status"))
        again = await world.until(WFE, SYSTEM, NAME, lambda obj: (obj.get("status") or {}).get("phase") == "Running")
        facts = ("phase", "message", "startTime", "pipelineRunRef", "progress")
        assert {fact: again["status"][fact] for fact in facts} == {fact: before[fact] for fact in facts}


@pytest.mark.parametrize("fault", ["down", "hangs"])
async def test_an_audit_that_cannot_be_sent_holds_nothing_up(world, fault):
    setattr(world.records, fault, True)
    async with world.at_work(world.stage()):
        await world.execute()
        await world.run_of()
        await world.tekton("True", "Succeeded")
        await world.phase("Completed")
    assert world.records.got == []
    setattr(world.records, fault, False)
    async with world.at_work(world.stage()):
        await world.records.until("workflowexecution.workflow.started")
        await world.records.until("workflowexecution.workflow.completed")


async def test_a_busy_target_is_waited_for_and_taken_as_soon_as_it_is_free(world):
    async with world.at_work(world.stage(cooldown=0)):
        await world.execute()
        await world.phase("Running")
        await world.execute("second")
        waiting = await world.waits("ResourceLocked", "second")
        assert waiting["phase"] == "Pending"
        assert re.search(rf"WorkflowExecution {NAME} \(Running since 20\d\d-\d\d-\d\d .* UTC\) works on", waiting["message"])
        assert world._store(PIPELINE_RUN).store.get(RUNS, "second") is None
        await world.tekton("True", "Succeeded")
        started = await world.phase("Running", "second")
        assert "ResourceLocked" not in held({"status": started})
        assert await world.holder() == "second"


async def test_the_same_fix_rests_after_it_completed_and_another_does_not(world):
    async with world.at_work(world.stage()):
        await world.execute()
        await world.run_of()
        await world.tekton("True", "Succeeded")
        await world.phase("Completed")
        await world.execute("same")
        assert NAME in (await world.waits("Cooldown", "same"))["message"]
        await world.execute("other", workflowRef={"workflowId": "restart-deployment", "containerImage": "r@sha256:" + "b" * 64})
        await world.phase("Running", "other")
        await world.tekton("True", "Succeeded", name="other")
        await world.phase("Completed", "other")
        world.clock.ahead = timedelta(minutes=6)
        await world.poke(WFE, SYSTEM, "same")
        await world.phase("Running", "same")


async def test_the_lock_of_a_holder_that_is_gone_is_taken_over(world):
    lease = {
        "metadata": {"name": lock_name(TARGET), "namespace": SYSTEM},
        "spec": {"holderIdentity": "long-gone/uid", "leaseTransitions": 4},
    }
    await world.client.create(LEASE, lease)
    async with world.at_work(world.stage()):
        await world.execute()
        await world.phase("Running")
        taken = await world.until(LEASE, SYSTEM, lock_name(TARGET), lambda obj: obj["spec"]["holderIdentity"].startswith(NAME))
        assert taken["spec"]["leaseTransitions"] == 5


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        pytest.param({"workflowRef": {"workflowId": "w", "containerImage": "registry/x:latest"}}, "not pinned by digest", id="a tag"),
        pytest.param({"parameters": {"A": "$(params.B)"}}, "taken for a variable", id="a variable"),
        pytest.param({"target": "a/b/c/d/e"}, "not namespace/kind/name", id="no target"),
    ],
)
async def test_what_can_never_run_fails_before_anything_is_done(world, spec, why):
    async with world.at_work(world.stage()):
        await world.execute(**spec)
        ended = await world.phase("Failed")
    assert why in ended["failureDetails"]["message"]
    assert not ended["failureDetails"].get("wasExecutionFailure")
    assert (await world.client.list(PIPELINE_RUN, RUNS)).items == []
    assert (await world.client.list(LEASE, SYSTEM)).items == []


async def test_a_foreign_run_of_our_name_is_left_alone(world):
    spec = {"pipelineRef": {"name": "theirs"}}
    await world.client.create(PIPELINE_RUN, {"metadata": {"name": NAME, "namespace": RUNS}, "spec": spec})
    async with world.at_work(world.stage()):
        await world.execute()
        assert (await world.phase("Failed"))["failureDetails"]["reason"] == "NameTaken"
        await world.client.delete(WFE, NAME, SYSTEM)
        await world.gone(WFE, SYSTEM, NAME)
    assert (await world.client.get(PIPELINE_RUN, NAME, RUNS))["spec"]["pipelineRef"] == {"name": "theirs"}


async def test_a_run_that_somebody_deletes_is_noticed(world):
    async with world.at_work(world.stage()):
        await world.execute()
        await world.phase("Running")
        await world.client.delete(PIPELINE_RUN, NAME, RUNS)
        ended = await world.phase("Failed")
        assert ended["failureDetails"]["reason"] == "PipelineRunDeleted"
        await world.gone(LEASE, SYSTEM, lock_name(TARGET))


async def test_a_run_that_somebody_deletes_before_it_is_on_record_is_not_made_again(world):
    await world.execute()
    process = world.killing(1, "/pipelineruns")
    async with world.at_work(world.stage(), process):
        await process.dead.wait()
    [made] = (await world.client.list(PIPELINE_RUN, RUNS)).items
    assert "pipelineRunRef" not in (await world.client.get(WFE, NAME, SYSTEM)).get("status", {})
    await world.client.delete(PIPELINE_RUN, NAME, RUNS)
    async with world.at_work(world.stage()):
        ended = await world.phase("Failed")
        await world.gone(PIPELINE_RUN, RUNS, NAME)
        await world.gone(LEASE, SYSTEM, lock_name(TARGET))
    assert ended["failureDetails"]["reason"] == "PipelineRunDeleted"
    assert ended["pipelineRunRef"]["uid"] == made["metadata"]["uid"]


async def test_a_run_that_is_on_record_is_deleted_at_once(world):
    async with world.at_work(world.stage()):
        await world.execute()
        await world.phase("Running")
        await world.until(PIPELINE_RUN, RUNS, NAME, lambda obj: "finalizers" not in obj["metadata"])


async def test_a_run_out_of_time_is_cancelled_and_ends_as_tekton_says(world):
    async with world.at_work(world.stage()):
        await world.execute(executionConfig={"timeout": "10m"})
        await world.phase("Running")
        world.clock.ahead = timedelta(minutes=11)
        await world.poke(WFE, SYSTEM, NAME)
        await world.until(PIPELINE_RUN, RUNS, NAME, lambda obj: obj["spec"].get("status") == "Cancelled")
        assert await world.holder() == NAME
        await world.tekton("False", "Cancelled", 'PipelineRun "rr-1-wfe" was cancelled')
        assert (await world.phase("Failed"))["failureDetails"]["category"] == "DeadlineExceeded"


async def test_a_cancelled_run_that_goes_on_is_given_up_but_keeps_its_target(world):
    async with world.at_work(world.stage()):
        await world.execute(executionConfig={"timeout": "10m"})
        await world.phase("Running")
        world.clock.ahead = timedelta(minutes=13)  # we were away when its time was up: it is told to stop before it is given up
        await world.poke(WFE, SYSTEM, NAME)
        await world.until(WFE, SYSTEM, NAME, lambda obj: "Cancelling" in [each["type"] for each in obj["status"].get("conditions", ())])
        assert (await world.run_of())["spec"]["status"] == "Cancelled"
        world.clock.ahead = timedelta(minutes=16)
        await world.poke(WFE, SYSTEM, NAME)
        assert (await world.phase("Failed"))["failureDetails"]["reason"] == "CancelNotConfirmed"
        await world.execute("second")
        await world.waits("ResourceLocked", "second")
        assert await world.holder() == NAME
        await world.tekton("False", "Cancelled")
        await world.phase("Running", "second")


async def test_a_run_spoiled_by_restarting_resolvers_is_replaced_once(world):
    message = recording("resolvers-restart").pipeline_run["status"]["conditions"][0]["message"]
    async with world.at_work(world.stage(resolver_pause=0)):
        await world.execute()
        first = await world.run_of()
        await world.tekton("False", "CouldntGetPipeline", message)
        await world.until(PIPELINE_RUN, RUNS, NAME, lambda obj: obj["metadata"]["uid"] != first["metadata"]["uid"])
        await world.until(
            WFE, SYSTEM, NAME, lambda obj: obj["status"].get("pipelineRunRef", {}).get("uid") not in {None, first["metadata"]["uid"]}
        )
        await world.tekton("False", "CouldntGetPipeline", message)
        assert (await world.phase("Failed"))["failureDetails"]["reason"] == "CouldntGetPipeline"


async def test_deleting_an_execution_removes_its_run_in_the_other_namespace(world):
    async with world.at_work(world.stage()):
        await world.execute()
        await world.phase("Running")
        await world.client.delete(WFE, NAME, SYSTEM)
        await world.gone(WFE, SYSTEM, NAME)
        await world.gone(PIPELINE_RUN, RUNS, NAME)
        await world.gone(LEASE, SYSTEM, lock_name(TARGET))


STEPS = {
    "workflowDefinition": {
        "steps": [
            {"stepNumber": 2, "action": "restart_pod", "dependsOn": [1]},
            {"stepNumber": 1, "action": "increase_resources", "parameters": {"memory": "256Mi"}},
        ]
    }
}


async def test_steps_become_operations_and_hold_the_target_until_they_are_carried_out(world):
    async with world.at_work(world.stage()):
        await world.execute(**STEPS)
        planned = await world.phase("Completed")
        assert [each["stepNumber"] for each in planned["operations"]] == [1, 2]
        assert planned["message"] == "Planned 2 operations: increase_resources, restart_pod"
        await world.execute("second")
        await world.waits("ResourceLocked", "second")
        spec = {"remediationRequestRef": {"name": "rr-1"}, "operations": planned["operations"]}
        await world.client.create(KE, {"metadata": {"name": "rr-1-execution", "namespace": SYSTEM}, "spec": spec})
        await world.client.patch(KE, "rr-1-execution", SYSTEM, {"status": {"phase": "Executing"}}, subresource="status")
        await world.poke(WFE, SYSTEM, "second")
        assert await world.holder() == NAME
        await world.client.patch(KE, "rr-1-execution", SYSTEM, {"status": {"phase": "Completed"}}, subresource="status")
        await world.phase("Running", "second")


async def test_steps_in_a_circle_fail_with_the_reason(world):
    async with world.at_work(world.stage()):
        steps = [{"stepNumber": 1, "action": "a", "dependsOn": [2]}, {"stepNumber": 2, "action": "b", "dependsOn": [1]}]
        await world.execute(workflowDefinition={"steps": steps})
        ended = await world.phase("Failed")
    assert ended["failureDetails"]["message"] == "steps 1, 2 wait for one another"


class Webhook(Client):
    """A cluster whose admission refuses PipelineRuns."""

    async def create(self, kind, obj, **options):
        if kind is PIPELINE_RUN:
            raise ApiError(
                400, "BadRequest", 'admission webhook "validation.webhook.pipeline.tekton.dev" denied the request: validation failed'
            )
        return await super().create(kind, obj, **options)


async def test_what_tekton_refuses_has_failed_before_anything_ran(world):
    client = world.connect(Webhook)
    async with world.at_work(world.stage(), client):
        await world.execute()
        details = (await world.phase("Failed"))["failureDetails"]
        await world.gone(LEASE, SYSTEM, lock_name(TARGET))
    await client.close()
    assert (details["reason"], details["category"]) == ("BadRequest", "ConfigurationError")
    assert "denied the request" in details["message"]
    assert not details.get("wasExecutionFailure")


@pytest.mark.parametrize("writes", range(1, 7))
async def test_a_process_killed_after_any_write_leaves_one_run_and_one_end(world, writes):
    client = world.killing(writes)
    async with world.at_work(world.stage(), client):
        await world.execute()
        run = asyncio.create_task(world.run_of())
        death = asyncio.create_task(client.dead.wait())
        await asyncio.wait({run, death}, return_when=asyncio.FIRST_COMPLETED)
        if run.done():
            await world.tekton("True", "Succeeded")
        await death
    run.cancel()
    async with world.at_work(world.stage()):
        uid = (await world.run_of())["metadata"]["uid"]
        await world.tekton("True", "Succeeded")
        ended = await world.phase("Completed")
        assert ended["pipelineRunRef"]["uid"] == uid
        await world.gone(LEASE, SYSTEM, lock_name(TARGET))
    assert len((await world.client.list(PIPELINE_RUN, RUNS)).items) == 1

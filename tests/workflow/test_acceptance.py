"""The acceptance points of the founding documents that are the workflow stage's, each over the Kubernetes API, by its number."""

import asyncio

import pytest

from kubernaut.api.core import PIPELINE_RUN
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError
from tests.workflow.bench import RUNS, SYSTEM
from tests.workflow.executions import IMAGE
from tests.workflow.stage import NAME, TARGET, WFE

BROKEN = {"terminated": {"exitCode": 3, "reason": "Error", "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z"}}
FINE = {"terminated": {"exitCode": 0, "reason": "Completed"}}


class Leaseless(Client):
    """The API server fails on every write of a Lease, until it is told to heal."""

    healed = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.refused = asyncio.Event()

    async def _send(self, method, path, *args, **kwargs):
        if "/leases" in path and method != "GET" and not self.healed:
            self.refused.set()
            raise ApiError(500, "InternalError", "etcdserver: request timed out")
        return await super()._send(method, path, *args, **kwargs)


async def test_point_7_the_run_has_the_documented_shape_labels_resolver_parameters_and_service_account(world):
    async with world.at_work(world.stage()):
        await world.execute(executionConfig={"serviceAccountName": "memory-fixer"})
        run = await world.run_of()
    assert (run["apiVersion"], run["metadata"]["name"], run["metadata"]["namespace"]) == ("tekton.dev/v1", NAME, RUNS)
    assert run["metadata"]["labels"] == {
        "kubernaut.ai/workflow-execution": NAME,
        "kubernaut.ai/source-namespace": SYSTEM,
        "kubernaut.ai/workflow-id": "increase-memory-conservative",
        "kubernaut.ai/target-resource": TARGET.replace("/", "."),
    }
    assert run["metadata"]["annotations"]["kubernaut.ai/target-resource"] == TARGET
    assert run["spec"]["pipelineRef"] == {
        "resolver": "bundles",
        "params": [{"name": "bundle", "value": IMAGE}, {"name": "name", "value": "workflow"}, {"name": "kind", "value": "pipeline"}],
    }
    assert run["spec"]["params"] == [
        {"name": "DEPLOYMENT_NAME", "value": "payment-service"},
        {"name": "NAMESPACE", "value": "production"},
    ]
    assert run["spec"]["taskRunTemplate"]["serviceAccountName"] == "memory-fixer"


@pytest.mark.parametrize(
    ("condition", "reason", "phase", "outcome", "message"),
    [
        pytest.param("True", "Succeeded", "Completed", "Success", "Workflow completed successfully", id="true"),
        pytest.param("False", "Failed", "Failed", "Failed", "", id="false"),
        pytest.param("Unknown", "Started", "Running", None, "Running: Started", id="anything else"),
    ],
)
async def test_point_8_the_condition_succeeded_decides_phase_outcome_completion_time_and_message(
    world, condition, reason, phase, outcome, message
):
    other = {"type": "Ready", "status": "False", "reason": "Ignored", "message": "no condition of ours"}
    async with world.at_work(world.stage()):
        await world.execute()
        run = await world.run_of()
        await world.client.patch(PIPELINE_RUN, NAME, RUNS, {"status": {"conditions": [other]}}, subresource="status")
        await world.tekton(condition, reason)
        run = await world.until(PIPELINE_RUN, RUNS, NAME, lambda obj: obj["status"]["conditions"][0]["type"] == "Succeeded")
        told = await world.until(
            WFE, SYSTEM, NAME, lambda obj: obj["status"]["phase"] == phase and obj["status"]["message"].startswith(message)
        )
    assert told["status"].get("outcome") == outcome
    assert told["status"].get("completionTime") == run["status"].get("completionTime")
    assert ("failureDetails" in told["status"]) == (condition == "False")


def failed(pipeline_task, step):
    """Return the status and the reference of a TaskRun whose second step failed."""
    condition = {"type": "Succeeded", "status": "False", "reason": "Failed", "message": f"step {step} exited with code 3"}
    status = {"podName": "pod", "conditions": [condition], "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:01Z"}
    reference = {"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": f"{NAME}-{pipeline_task}", "pipelineTaskName": pipeline_task}
    return status | {"steps": [{"name": "look", **FINE}, {"name": step, **BROKEN}]}, reference


async def test_point_9_the_first_failed_task_run_and_its_step_are_named_and_a_run_that_started_is_an_execution_failure(world):
    async with world.at_work(world.stage()):
        await world.execute()
        await world.run_of()
        foreign = {"apiVersion": "example.dev/v1", "kind": "CustomRun", "name": "not-ours", "pipelineTaskName": "custom"}
        children = [foreign, {**foreign, "kind": "TaskRun", "name": "vanished", "pipelineTaskName": "gone"}]
        for task, step in (("apply", "patch"), ("report", "send")):
            status, reference = failed(task, step)
            await world.task_run(reference["name"], status)
            children.append(reference)
        await world.tekton("False", "Failed", "Tasks Completed: 2 (Failed: 2, Cancelled 0), Skipped: 0", childReferences=children)
        details = (await world.phase("Failed"))["failureDetails"]
    assert (details["failedTaskName"], details["failedStepName"], details["exitCode"]) == ("apply", "patch", 3)
    assert (details["reason"], details["wasExecutionFailure"]) == ("Failed", True)
    assert "step patch of task apply" in details["naturalLanguageSummary"]


async def test_point_9_a_run_that_never_started_is_no_execution_failure(world):
    async with world.at_work(world.stage()):
        await world.execute()
        await world.run_of()
        await world.tekton("False", "CouldntGetPipeline", "error requesting remote resource: no such bundle", startTime=None)
        details = (await world.phase("Failed"))["failureDetails"]
    assert (details["reason"], details["wasExecutionFailure"]) == ("CouldntGetPipeline", False)
    assert details["naturalLanguageSummary"]


async def test_point_10_where_the_lock_cannot_be_written_nothing_runs_until_it_can(world):
    client = world.connect(Leaseless)
    async with world.at_work(world.stage(), client):
        await world.execute()
        for _ in range(2):
            await client.refused.wait()
            client.refused.clear()
        with pytest.raises(ApiError, match="not found"):
            await world.client.get(PIPELINE_RUN, NAME, RUNS)
        client.healed = True
        await world.run_of()
        assert await world.holder() == NAME
    await client.close()


@pytest.mark.parametrize("fails", [False, True])
async def test_point_11_the_record_has_the_correlation_id_and_the_failure_only_after_a_failure(world, fails):
    async with world.at_work(world.stage()):
        await world.execute()
        await world.run_of()
        await world.tekton("False" if fails else "True", "Failed" if fails else "Succeeded", "it is as it is")
        path, record = await world.records.until(f"workflowexecution.workflow.{'failed' if fails else 'completed'}")
    assert path == "/api/v1/audit/workflow"
    assert (record["correlationId"], record["workflowExecutionId"], record["targetResource"]) == ("rr-1", NAME, TARGET)
    assert (record["phase"], record["outcome"]) == (("Failed", "Failed") if fails else ("Completed", "Success"))
    assert ({"failureReason", "failureMessage"} <= record.keys()) == fails

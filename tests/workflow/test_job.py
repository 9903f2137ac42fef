"""The engine for clusters without Tekton: what the Job says, and what is told of how it ends."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from kubernaut.api.base import CANCEL_ANNOTATION
from kubernaut.api.core import JOB, LEASE, SERVICE_ACCOUNT
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.workflow import FailureCategory, WorkflowExecution
from kubernaut.localcluster.controllers import QUICK, LiveScenario, Scenario, StandInSettings, stand_ins
from kubernaut.workflow.engines.job import details, job
from kubernaut.workflow.settings import WorkflowSettings
from kubernaut.workflow.target import lock_name
from tests.workflow.bench import RUNS, SYSTEM, bench_of
from tests.workflow.executions import IMAGE, execution_of
from tests.workflow.stage import NAME, TARGET, WFE, Records, World

C = FailureCategory
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ENGINE = {"executionConfig": {"engine": "job"}}
FORBIDDEN = 'Error from server (Forbidden): deployments.apps "api" is forbidden: User "runner" cannot patch resource "deployments"'
RULES = [
    {"match": {"workload": "goes-on"}, "exits": {"code": 0, "after": 3600}},
    {"match": {"workload": "succeeds"}, "exits": {"code": 0, "after": 0}},
    {"match": {"workload": "breaks"}, "exits": {"code": 3, "after": 0, "message": "no such deployment"}},
    {"match": {"workload": "may-not"}, "exits": {"code": 1, "after": 0, "message": FORBIDDEN}},
    {"match": {"workload": "no-image"}, "imageMissing": {"why": "notFound"}},
]


def test_a_job_is_tried_once_in_limited_time_with_its_parameters_as_environment():
    made = job(execution_of(executionConfig={"engine": "job", "timeout": "90s"}), WorkflowSettings())
    assert made["kind"] == "Job"
    assert (made["spec"]["backoffLimit"], made["spec"]["activeDeadlineSeconds"]) == (0, 90)
    assert made["metadata"]["labels"] == made["spec"]["template"]["metadata"]["labels"]
    assert made["metadata"]["annotations"]["kubernaut.ai/target-resource"] == TARGET
    pod = made["spec"]["template"]["spec"]
    assert (pod["restartPolicy"], pod["serviceAccountName"]) == ("Never", "kubernaut-workflow-runner")
    assert pod["containers"] == [
        {
            "name": "workflow",
            "image": IMAGE,
            "env": [{"name": "DEPLOYMENT_NAME", "value": "payment-service"}, {"name": "NAMESPACE", "value": "production"}],
            "terminationMessagePolicy": "FallbackToLogsOnError",
        }
    ]


def failed(reason="BackoffLimitExceeded"):
    return {"metadata": {"name": "x"}, "status": {"conditions": [{"type": "Failed", "status": "True", "reason": reason, "message": "no"}]}}


def pod(**state):
    return {"status": {"containerStatuses": [{"name": "workflow", "state": state}]}}


@pytest.mark.parametrize(
    ("found", "pods", "known", "category", "exit_code"),
    [
        pytest.param(failed(), [pod(terminated={"exitCode": 3, "reason": "Error"})], "", C.TASK_FAILED, 3, id="an exit code"),
        pytest.param(failed(), [pod(terminated={"exitCode": 137, "reason": "OOMKilled"})], "", C.OOM_KILLED, 137, id="out of memory"),
        pytest.param(
            failed(), [pod(terminated={"exitCode": 1, "reason": "Error", "message": FORBIDDEN})], "", C.FORBIDDEN, 1, id="not allowed"
        ),
        pytest.param(
            failed(), [pod(terminated={"exitCode": 128, "reason": "StartError"})], "", C.CONFIGURATION_ERROR, 128, id="a wrong command"
        ),
        pytest.param(failed(), [], "", C.TASK_FAILED, None, id="its pod is gone"),
        pytest.param(failed("DeadlineExceeded"), [], "", C.DEADLINE_EXCEEDED, None, id="out of time"),
        pytest.param(failed("DeadlineExceeded"), [], "ImagePullBackOff", C.IMAGE_PULL_BACK_OFF, None, id="no image until then"),
        pytest.param(failed("DeadlineExceeded"), [], "Unschedulable", C.RESOURCE_EXHAUSTED, None, id="no node until then"),
        pytest.param(failed("SomethingNew"), [], "", C.UNKNOWN, None, id="an unknown reason"),
    ],
)
def test_why_a_job_failed(found, pods, known, category, exit_code):
    told = details(found, pods, NOW, waited_for=known, cancelled=False)
    assert (told.category, told.exit_code) == (category, exit_code)
    assert told.reason == found["status"]["conditions"][0]["reason"]


@pytest.fixture
async def cluster(embedded):
    async with bench_of(World, WorkflowExecution, KubernetesExecution) as bench:
        bench.records = Records()
        await bench.client.create(SERVICE_ACCOUNT, {"metadata": {"name": "kubernaut-workflow-runner", "namespace": RUNS}})
        scenario = LiveScenario(Scenario.from_obj({"nodes": [{"name": "node-1"}], "rules": RULES}))
        settings = StandInSettings(bench.clock.now, random.Random(1), scenario, QUICK, logs=bench.cluster.logs)
        for name, run in stand_ins(bench.cluster.api, settings).items():
            if name in {"gc", "jobs", "scheduler", "nodes", "pods"}:
                bench.cluster.run(name, run)
        yield bench


async def test_a_job_that_succeeds_completes_its_execution_and_frees_the_target(cluster):
    async with cluster.at_work(cluster.stage()):
        await cluster.execute("succeeds", **ENGINE)
        ended = await cluster.phase("Completed", "succeeds")
        await cluster.gone(LEASE, SYSTEM, lock_name(TARGET))
    assert (ended["message"], ended["pipelineRunRef"]["kind"]) == ("Workflow completed successfully", "Job")
    assert (ended["progress"]["completedTasks"], ended["progress"]["totalTasks"]) == (1, 1)


@pytest.mark.parametrize(
    ("name", "category", "part"),
    [
        ("breaks", "TaskFailed", "ended with exit code 3 (no such deployment)"),
        ("may-not", "Forbidden", "Grant the workflow's service account what it was refused"),
    ],
)
async def test_a_job_that_fails_is_told_exactly(cluster, name, category, part):
    async with cluster.at_work(cluster.stage()):
        await cluster.execute(name, **ENGINE)
        details = (await cluster.phase("Failed", name))["failureDetails"]
    assert (details["category"], details["wasExecutionFailure"], details["reason"]) == (category, True, "BackoffLimitExceeded")
    assert part in details["naturalLanguageSummary"]


async def test_a_job_whose_image_cannot_be_pulled_ends_by_its_time_limit_and_says_why(cluster):
    async with cluster.at_work(cluster.stage()):
        await cluster.execute("no-image", executionConfig={"engine": "job", "timeout": "10m"})
        await cluster.until(WFE, SYSTEM, "no-image", lambda obj: "mage" in obj.get("status", {}).get("progress", {}).get("reason", ""))
        cluster.clock.ahead = timedelta(minutes=11)
        await cluster.poke(WFE, SYSTEM, "no-image")
        details = (await cluster.phase("Failed", "no-image"))["failureDetails"]
    assert (details["reason"], details["category"]) == ("DeadlineExceeded", "ImagePullBackOff")
    assert not details.get("wasExecutionFailure")


async def test_a_person_stops_a_job(cluster):
    async with cluster.at_work(cluster.stage()):
        await cluster.execute("goes-on", **ENGINE)
        await cluster.until(WFE, SYSTEM, "goes-on", lambda obj: "StepsStarted" in str(obj.get("status", {}).get("conditions")))
        await cluster.client.patch(WFE, "goes-on", SYSTEM, {"metadata": {"annotations": {CANCEL_ANNOTATION: "kim: enough"}}})
        cluster.clock.ahead = timedelta(seconds=5)
        details = (await cluster.phase("Failed", "goes-on"))["failureDetails"]
    assert (details["reason"], details["wasExecutionFailure"]) == ("Cancelled", True)


async def test_a_job_goes_with_its_execution(cluster):
    async with cluster.at_work(cluster.stage()):
        await cluster.execute(NAME, **ENGINE)
        await cluster.phase("Running")
        await cluster.client.delete(WFE, NAME, SYSTEM)
        await cluster.gone(WFE, SYSTEM, NAME)
        await cluster.gone(JOB, RUNS, NAME)

"""The shipped workflows from bundle to effect: WorkflowExecution, PipelineRun, the embedded runner, the real kubectl."""

import random
import sysconfig
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kubernaut import catalog
from kubernaut.api.core import DEPLOYMENT, NAMESPACE, PIPELINE_RUN, REPLICA_SET, SERVICE_ACCOUNT, TASK_RUN
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.catalog.bundle import pack
from kubernaut.catalog.layout import store
from kubernaut.localcluster.controllers import QUICK, LiveScenario, Scenario, StandInSettings, stand_ins
from kubernaut.localcluster.pipelines import PipelineSettings, Program, pipeline_runner
from kubernaut.workflow.reconciler import setup
from kubernaut.workflow.settings import WorkflowSettings
from tests.workflow.bench import RUNS, SYSTEM, Bench, bench_of

pytestmark = pytest.mark.cluster
WFE = WorkflowExecution.card
REPOSITORY = "kubernaut.test/workflows"
WANTED = ("gc", "deployments", "replicasets", "scheduler", "nodes", "pods")
PRODUCTION = "production"
PLACE = {"NAMESPACE": PRODUCTION, "DEPLOYMENT_NAME": "payment-service"}


class World(Bench):
    """The bench with everything a workflow needs."""

    refs: dict[str, str]

    async def furnish(self, root: Path) -> None:
        self.refs = {
            name: store(pack([catalog.pipeline(name)]), root / "layout", f"{REPOSITORY}/{name}") for name in catalog.workflow_ids()
        }
        await self.client.create(NAMESPACE, {"metadata": {"name": PRODUCTION}})
        await self.client.create(SERVICE_ACCOUNT, {"metadata": {"name": "kubernaut-workflow-runner", "namespace": RUNS}})
        scenario = LiveScenario(Scenario.from_obj({"nodes": [{"name": "node-1"}]}))
        pace = StandInSettings(self.clock.now, random.Random(1), scenario, QUICK, logs=self.cluster.logs)
        for name, run in stand_ins(self.cluster.api, pace).items():
            if name in WANTED:
                self.cluster.run(name, run)
        self.cluster.run("pipelines", pipeline_runner(self.cluster.api, self._pipelines(root)))

    def _pipelines(self, root: Path) -> PipelineSettings:
        kubectl = Program(catalog.images()["kubectl"], path=(Path(sysconfig.get_path("scripts")),))
        return PipelineSettings(
            state=root / "state",
            kubeconfig=lambda token: self.cluster.kubeconfig(token=token),
            token_for=self.cluster.service_account_token,
            bundles={REPOSITORY: root / "layout"},
            images=(kubectl,),
        )

    async def deploy(self) -> dict[str, Any]:
        container = {
            "name": "app",
            "image": "app:1",
            "resources": {"limits": {"memory": "128Mi", "cpu": "1"}, "requests": {"memory": "64Mi"}},
        }
        template = {"metadata": {"labels": {"app": "p"}}, "spec": {"containers": [container]}}
        spec = {"replicas": 2, "selector": {"matchLabels": {"app": "p"}}, "template": template}
        await self.client.create(DEPLOYMENT, {"metadata": {"name": "payment-service", "namespace": PRODUCTION}, "spec": spec})
        return await self.rolled_out()

    async def rolled_out(self) -> dict[str, Any]:
        newest = (await self.client.get(DEPLOYMENT, "payment-service", PRODUCTION))["metadata"]["generation"]

        def ready(obj: dict[str, Any]) -> bool:
            status = obj.get("status") or {}
            seen = status.get("observedGeneration") == obj["metadata"]["generation"] >= newest
            return bool(seen and status.get("availableReplicas") == status.get("updatedReplicas") == obj["spec"]["replicas"])

        return await self.until(DEPLOYMENT, PRODUCTION, "payment-service", ready)

    async def execute(self, workflow_id: str, name: str = "rr-1-wfe", **parameters: str) -> dict[str, Any]:
        spec = {
            "remediationRequestRef": {"name": "rr-1"},
            "workflowRef": {"workflowId": workflow_id, "containerImage": self.refs[workflow_id], "version": "1.0.0"},
            "targetResource": "production/deployment/payment-service",
            "parameters": PLACE | parameters,
        }
        await self.client.create(WFE, {"metadata": {"name": name, "namespace": SYSTEM}, "spec": spec})
        ended = await self.until(WFE, SYSTEM, name, lambda obj: bool((obj.get("status") or {}).get("completionTime")))
        status: dict[str, Any] = ended["status"]
        return status


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with bench_of(World, WorkflowExecution, KubernetesExecution, tls=True) as bench:
        await bench.furnish(tmp_path)
        async with bench.at_work(lambda manager: setup(manager, WorkflowSettings(cooldown=timedelta(0)))):
            yield bench


def limits(deployment):
    return deployment["spec"]["template"]["spec"]["containers"][0]["resources"]


async def test_memory_is_raised_once_and_raising_it_again_changes_nothing(world):
    await world.deploy()
    status = await world.execute("increase-memory-conservative", CONTAINER_NAME="app", MEMORY_LIMIT="256Mi")
    assert status["phase"] == "Completed", status
    after = await world.rolled_out()
    assert limits(after) == {"limits": {"memory": "256Mi", "cpu": "1"}, "requests": {"memory": "64Mi"}}
    assert (await world.execute("increase-memory-conservative", "again", CONTAINER_NAME="app", MEMORY_LIMIT="200Mi"))[
        "phase"
    ] == "Completed"
    assert (await world.rolled_out())["metadata"]["generation"] == after["metadata"]["generation"]


async def test_a_deployment_is_scaled_restarted_and_rolled_back(world):
    first = await world.deploy()
    assert (await world.execute("scale-deployment", "scale", REPLICAS="3"))["phase"] == "Completed"
    assert (await world.rolled_out())["spec"]["replicas"] == 3
    assert (await world.execute("restart-deployment", "restart"))["phase"] == "Completed"
    assert (await world.rolled_out())["spec"]["template"] != first["spec"]["template"]
    assert len((await world.client.list(REPLICA_SET, PRODUCTION)).items) == 2
    assert (await world.execute("rollback-deployment", "back"))["phase"] == "Completed"
    assert (await world.rolled_out())["spec"]["template"] == first["spec"]["template"]


async def test_a_workflow_on_nothing_fails_with_what_kubectl_said(world):
    status = await world.execute("scale-deployment", REPLICAS="3")
    assert status["phase"] == "Failed"
    details = status["failureDetails"]
    assert (details["failedTaskName"], details["failedStepName"], details["exitCode"]) == ("apply", "kubectl", 1)
    assert 'deployments.apps "payment-service" not found' in details["terminationMessage"]
    assert details["wasExecutionFailure"] is True


async def test_a_bundle_of_another_digest_does_not_run(world):
    world.refs["scale-deployment"] = f"{REPOSITORY}/scale-deployment@sha256:{'0' * 64}"
    status = await world.execute("scale-deployment", REPLICAS="3")
    assert (status["failureDetails"]["reason"], status["failureDetails"]["category"]) == ("CouldntGetPipeline", "ConfigurationError")
    assert not status["failureDetails"].get("wasExecutionFailure")


async def test_shell_text_in_parameters_stays_text(world, tmp_path):
    await world.deploy()
    status = await world.execute(
        "increase-memory-conservative", CONTAINER_NAME=f"app; touch {tmp_path}/owned", MEMORY_LIMIT="`touch owned`"
    )
    assert status["phase"] == "Failed"
    assert "CONTAINER_NAME is no Kubernetes name" in status["failureDetails"]["terminationMessage"]
    assert not list(tmp_path.rglob("owned"))
    assert (await world.client.list(TASK_RUN, RUNS)).items
    assert (await world.client.list(PIPELINE_RUN, RUNS)).items

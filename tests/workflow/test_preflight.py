"""What is looked at just before a run begins, and held against the catalogue."""

import pytest

from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.core import CONFIG_MAP, CUSTOM_RESOURCE_DEFINITION, LEASE, PIPELINE_RUN, SECRET
from tests.workflow.bench import RUNS, SYSTEM, bench_of
from tests.workflow.conftest import KINDS
from tests.workflow.executions import IMAGE
from tests.workflow.stage import Records, World

NEEDS = {"dependencies": {"secrets": ["token"], "configMaps": ["rules"]}}


async def catalogue(world, **spec):
    body = {
        "workflowId": "increase-memory-conservative",
        "version": "1.0.0",
        "description": "More memory.",
        "actionType": "IncreaseMemoryLimits",
        "execution": {"bundle": IMAGE},
        "parameters": [{"name": "NAMESPACE"}, {"name": "DEPLOYMENT_NAME"}],
    }
    await world.client.create(RemediationWorkflow.card, {"metadata": {"name": "w", "namespace": SYSTEM}, "spec": body | spec})


async def test_what_the_workflow_needs_is_named_where_it_is_missing(world):
    await catalogue(world, **NEEDS)
    await world.client.create(CONFIG_MAP, {"metadata": {"name": "rules", "namespace": RUNS}})
    async with world.at_work(world.stage()):
        await world.execute()
        ended = await world.phase("Failed")
    assert ended["failureDetails"]["message"] == f"the workflow needs Secret token, which is not in namespace {RUNS}"
    assert (await world.client.list(PIPELINE_RUN, RUNS)).items == []


async def test_with_all_it_needs_the_workflow_runs(world):
    await catalogue(world, **NEEDS)
    for kind, name in ((CONFIG_MAP, "rules"), (SECRET, "token")):
        await world.client.create(kind, {"metadata": {"name": name, "namespace": RUNS}})
    async with world.at_work(world.stage()):
        await world.execute()
        await world.phase("Running")


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        pytest.param({"parameters": {"NAMESPACE": "a", "COLOUR": "red"}}, "COLOUR is none of the workflow's", id="against the schema"),
        pytest.param({"target": "production/unheardof/x"}, "the cluster knows no kind 'unheardof'", id="a kind that is not served"),
        pytest.param({"target": "kube-system/deployment/coredns"}, "is protected", id="a protected namespace"),
        pytest.param({"executionConfig": {"engine": "argo"}}, "there is no engine 'argo' here", id="an engine that is not here"),
    ],
)
async def test_what_cannot_run_is_refused_and_nothing_is_touched(world, spec, why):
    await catalogue(world)
    async with world.at_work(world.stage()):
        await world.execute(**spec)
        ended = await world.phase("Failed")
    assert why in ended["failureDetails"]["message"]
    assert ended["failureDetails"]["reason"] == "InvalidSpec"
    assert (await world.client.list(PIPELINE_RUN, RUNS)).items == []
    assert (await world.client.list(LEASE, SYSTEM)).items == []


async def test_a_kind_that_only_the_cluster_knows_can_be_worked_on(world):
    async with world.at_work(world.stage()):
        await world.execute(target="production/remediationWorkflow/w")
        await world.phase("Running")


async def test_without_tekton_it_is_said_at_once_that_no_run_can_be_made():
    async with bench_of(World, *KINDS) as bench:
        await bench.client.delete(CUSTOM_RESOURCE_DEFINITION, "pipelineruns.tekton.dev")
        bench.records = Records()
        async with bench.at_work(bench.stage()):
            await bench.execute()
            ended = (await bench.phase("Failed"))["failureDetails"]
    assert (ended["reason"], ended.get("wasExecutionFailure", False)) == ("KindNotServed", False)
    assert "the cluster does not know PipelineRun (tekton.dev/v1), so no run was made" in ended["message"]


async def test_without_the_namespace_of_runs_it_is_said_at_once_that_it_is_missing(world):
    async with world.at_work(world.stage(execution_namespace="nowhere")):
        await world.execute()
        ended = (await world.phase("Failed"))["failureDetails"]
    assert (ended["reason"], ended["message"]) == ("NamespaceMissing", "runs are made in namespace nowhere: make it")

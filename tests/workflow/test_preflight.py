"""What is looked at just before a run begins, and held against the catalogue."""

import pytest

from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.core import CONFIG_MAP, LEASE, PIPELINE_RUN, SECRET
from tests.workflow.bench import RUNS, SYSTEM
from tests.workflow.executions import IMAGE

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

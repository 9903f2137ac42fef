"""What Tekton's webhooks fill in and refuse, from the requests recorded."""

import pytest

from kubernaut.localcluster.errors import ApiError
from kubernaut.localcluster.pipelines import TektonWebhook
from kubernaut.localcluster.server import ClusterSettings, LocalCluster
from tests.localcluster.pipelines.pieces import step, task
from tests.localcluster.pipelines.stage import NAMESPACE, bundle_ref, furnish

pytestmark = pytest.mark.cluster

REF = {"pipelineRef": bundle_ref("hello")}
VOLUMES = ", ".join(
    f"spec.workspaces[0].{name}" for name in ("configmap", "emptydir", "persistentvolumeclaim", "secret", "volumeclaimtemplate")
)

REFUSED = {
    "empty spec": ({}, "expected exactly one, got neither: spec.pipelineRef, spec.pipelineSpec"),
    "ref without name and resolver": ({"pipelineRef": {}}, "missing field(s): spec.pipelineRef.name"),
    "params twice": ({**REF, "params": [{"name": "who", "value": "a"}] * 2}, "expected exactly one, got both: spec.params[who].name"),
    "unknown status": (
        {**REF, "status": "Stop"},
        "invalid value: Stop should be Cancelled, CancelledRunFinally, StoppedRunFinally or PipelineRunPending: spec.status",
    ),
    "negative timeout": ({**REF, "timeouts": {"pipeline": "-5s"}}, "invalid value: -5s should be >= 0: spec.timeouts.pipeline"),
    "tasks over pipeline": (
        {**REF, "timeouts": {"pipeline": "10s", "tasks": "20s"}},
        "invalid value: 20s should be <= pipeline duration: spec.timeouts.tasks",
    ),
    "tasks and finally over pipeline": (
        {**REF, "timeouts": {"pipeline": "10s", "tasks": "8s", "finally": "8s"}},
        "invalid value: 8s + 8s should be <= pipeline duration: spec.timeouts.finally, spec.timeouts.tasks",
    ),
    "workspace twice": (
        {**REF, "workspaces": [{"name": "a", "emptyDir": {}}] * 2},
        'workspace "a" provided by pipelinerun more than once, at index 0 and 1: spec.workspaces[1].name',
    ),
    "workspace without source": ({**REF, "workspaces": [{"name": "a"}]}, f"expected exactly one, got neither: {VOLUMES}"),
    "embedded circle": (
        {"pipelineSpec": {"tasks": [task("a", step("s", "true"), runAfter=["b"]), task("b", step("s", "true"), runAfter=["a"])]}},
        'invalid value: cycle detected; task "a" depends on "b": spec.pipelineSpec.tasks',
    ),
    "embedded without steps": (
        {"pipelineSpec": {"tasks": [{"name": "a", "taskSpec": {}}]}},
        "missing field(s): spec.pipelineSpec.tasks[0].taskSpec.steps",
    ),
}


@pytest.fixture
async def runs():
    cluster = LocalCluster(ClusterSettings())
    cluster.registry.gates.append(TektonWebhook())
    await furnish(cluster.api)
    yield Runs(cluster.api)
    await cluster.stop()


class Runs:
    def __init__(self, api):
        self._api = api
        self._kind = api.kind("tekton.dev", "pipelineruns")

    async def create(self, spec, name="run"):
        return await self._api.create(self._kind, {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})

    async def patch(self, patch, subresource=""):
        return await self._api.patch(self._kind, "run", NAMESPACE, patch, subresource)

    async def report(self, status):
        now = "2026-01-01T00:00:00Z"
        row = {"type": "Succeeded", "status": status, "reason": "R", "message": "", "lastTransitionTime": now}
        await self.patch({"status": {"startTime": now, "conditions": [row]}}, "status")


async def test_defaults_are_filled_in_and_parameters_become_text(runs):
    run = await runs.create({**REF, "params": [{"name": "n", "value": 5}, {"name": "b", "value": True}]})
    assert run["spec"]["taskRunTemplate"] == {"serviceAccountName": "default"}
    assert run["spec"]["timeouts"] == {"pipeline": "1h0m0s"}
    assert [param["value"] for param in run["spec"]["params"]] == ["5", "true"]


@pytest.mark.parametrize(("spec", "message"), [pytest.param(*row, id=name) for name, row in REFUSED.items()])
async def test_what_the_webhook_refuses_is_400_with_its_words(spec, message, runs):
    with pytest.raises(ApiError) as refusal:
        await runs.create(spec)
    assert refusal.value.code == 400
    denied = 'admission webhook "validation.webhook.pipeline.tekton.dev" denied the request: validation failed: '
    assert refusal.value.message.startswith(denied + message)


async def test_what_cannot_be_decoded_fails_the_mutation(runs):
    for spec, cause in (
        ({**REF, "timeouts": {"pipeline": "soon"}}, 'time: invalid duration "soon"'),
        ({**REF, "params": [{"name": "a"}]}, "ParamValues"),
    ):
        with pytest.raises(ApiError, match="mutation failed") as refusal:
            await runs.create(spec)
        assert cause in refusal.value.message


@pytest.mark.parametrize(
    ("status", "patch", "message"),
    [
        pytest.param("Unknown", {"params": []}, "Once the PipelineRun has started, only status updates are allowed", id="params under way"),
        pytest.param(
            "Unknown", {"status": "PipelineRunPending"}, "PipelineRun cannot be Pending after it is started", id="pending under way"
        ),
        pytest.param(
            "True", {"status": "Cancelled"}, "Once the PipelineRun is complete, no updates are allowed", id="cancelled at the end"
        ),
    ],
)
async def test_a_spec_is_fixed_once_the_run_has_started(status, patch, message, runs):
    await runs.create({**REF, "params": [{"name": "who", "value": "x"}]})
    await runs.report(status)
    with pytest.raises(ApiError, match=message):
        await runs.patch({"spec": patch})


async def test_labels_stay_changeable_and_a_run_under_way_can_be_cancelled(runs):
    await runs.create(REF)
    await runs.report("Unknown")
    assert (await runs.patch({"spec": {"status": "Cancelled"}}))["spec"]["status"] == "Cancelled"
    await runs.report("False")
    assert (await runs.patch({"metadata": {"labels": {"a": "b"}}}))["metadata"]["labels"] == {"a": "b"}

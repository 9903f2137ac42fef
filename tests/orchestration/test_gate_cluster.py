"""The last look over a real API: what is over is closed, what is busy waits, what is no longer the same or kept by a tool is not touched."""

from contextlib import suppress
from datetime import timedelta

import pytest

from kubernaut.api.analysis import AIAnalysisStatus
from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.base import ResourceIdentifier
from kubernaut.api.binding import bind, steps_of
from kubernaut.api.core import DEPLOYMENT, NODE, POD, SERVICE_ACCOUNT
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.remediation import RemediationRequest
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.execution import reconciler as execution
from kubernaut.execution.settings import ExecutionSettings
from kubernaut.kube.errors import ApiError
from kubernaut.orchestration.gate.lastlook import LookSettings
from kubernaut.orchestration.settings import OrchestrationSettings
from kubernaut.workflow import reconciler as workflow
from kubernaut.workflow.settings import WorkflowSettings
from tests.orchestration.cases import CONTEXT, WORKFLOW
from tests.orchestration.crowd import place
from tests.world import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASE = "remediation-one"
SICK = {"workload": {"kind": "Deployment", "name": "shop", "readyReplicas": 0, "replicas": 1}, "pods": [], "node": []}


class Shop:
    """A Deployment, and hands to write what its controllers would."""

    def __init__(self, crowd, namespace):
        self.crowd, self.client, self.namespace = crowd, crowd.client, namespace
        self.target = place("shop", namespace)

    async def deploy(self, **metadata):
        limits = {"limits": {"memory": "128Mi"}}
        template = {
            "metadata": {"labels": {"app": "shop"}},
            "spec": {"containers": [{"name": "app", "image": "app:1", "resources": limits}]},
        }
        spec = {"replicas": 1, "selector": {"matchLabels": {"app": "shop"}}, "template": template}
        meta = {"name": "shop", "namespace": self.namespace, **metadata}
        await self.client.create(DEPLOYMENT, {"metadata": meta, "spec": spec})
        return await self.rolled_out()

    async def rolled_out(self):
        generation = (await self.live())["metadata"]["generation"]
        status = {"observedGeneration": generation, "updatedReplicas": 1, "replicas": 1}
        return await self.client.patch(DEPLOYMENT, "shop", self.namespace, {"status": status}, subresource="status")

    async def live(self):
        return await self.client.get(DEPLOYMENT, "shop", self.namespace)

    async def edited(self):
        """Have somebody change what the pods are made of."""
        return await self.client.patch(DEPLOYMENT, "shop", self.namespace, {"spec": {"minReadySeconds": 3}})

    async def bound(self, **plan):
        """Return a plan's status, bound to the Deployment as it stands."""
        body = {"remediationTarget": self.target, "selectedWorkflow": WORKFLOW} | plan
        status = AIAnalysisStatus.model_validate(body)
        named = ResourceIdentifier.model_validate(self.target)
        target = {"kind": "Deployment", **await self.live()}
        return body | {"binding": bind(target, named, status.selected_workflow, steps_of(status)).wire()}

    async def pod(self, *, ready_for):
        """Make a pod that has been ready for a while, on a node of its own."""
        with suppress(ApiError):
            await self.client.create(SERVICE_ACCOUNT, {"metadata": {"name": "default", "namespace": self.namespace}})
        await self.client.create(NODE, {"metadata": {"name": f"node-{self.namespace}"}})
        spec = {"nodeName": f"node-{self.namespace}", "containers": [{"name": "app", "image": "app:1"}]}
        meta = {"name": "shop-1", "namespace": self.namespace, "labels": {"app": "shop"}}
        since = (self.crowd.clock.now() - ready_for).strftime("%Y-%m-%dT%H:%M:%SZ")
        conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": since}]
        await self.crowd.world.create(POD, {"metadata": meta, "spec": spec}, {"phase": "Running", "conditions": conditions})


@pytest.fixture
def shop_at(crowd):
    async def make(**metadata):
        shop = Shop(crowd, await crowd.world.namespace("shops"))
        await shop.deploy(**metadata)
        return shop

    return make


async def message(crowd, name):
    return (await eventually(lambda: _message(crowd, name)))["spec"]["body"]


async def _message(crowd, name):
    return (await crowd.messages()).get(name)


async def untouched(crowd, shop):
    """Nothing was begun, and the target is as it was deployed."""
    assert await crowd.runs() == []
    assert (await shop.live())["metadata"]["generation"] == 1


async def asked(crowd, shop):
    """Bring a case to where a person is asked."""
    question = {
        "approvalRequestName": f"approval-{CASE}-analysis",
        "approvalContext": CONTEXT,
        "approvalRequestedAt": crowd.clock.now().isoformat(),
    }
    await crowd.open(CASE, shop.target)
    await crowd.enriched(CASE, shop.target)
    await crowd.planned(CASE, shop.target, **await shop.bound(phase="Approving", **question))


async def test_an_alert_that_resolves_while_a_person_is_asked_closes_the_case(crowd, shop_at):
    shop = await shop_at()
    async with crowd.at_work():
        await asked(crowd, shop)
        await crowd.status(CASE, overallPhase="AwaitingApproval")
        await crowd.report(RemediationRequest, CASE, signalState="resolved")
        ended = await crowd.status(CASE, overallPhase="Completed", outcome="SelfResolved")
    assert ended["message"] == "the alert was resolved while people were asked: nothing is done"
    await untouched(crowd, shop)


async def test_an_alert_that_resolves_between_approval_and_fix_closes_the_case(crowd, shop_at):
    shop = await shop_at()
    async with crowd.at_work():
        await crowd.open(CASE, shop.target)
        await crowd.enriched(CASE, shop.target)
        await crowd.report(RemediationRequest, CASE, signalState="resolved")
        await crowd.planned(CASE, shop.target, **await shop.bound())
        ended = await crowd.status(CASE, overallPhase="Completed", outcome="SelfResolved")
    assert ended["message"].startswith("the alert was resolved before anything was done")
    await untouched(crowd, shop)


async def test_a_problem_that_is_gone_from_the_pods_closes_the_case(crowd, shop_at):
    shop = await shop_at()
    await shop.pod(ready_for=timedelta(minutes=6))
    async with crowd.at_work():
        await crowd.open(CASE, shop.target)
        await crowd.enriched(CASE, shop.target, SICK)
        await crowd.planned(CASE, shop.target, **await shop.bound())
        ended = await crowd.status(CASE, overallPhase="Completed", outcome="SelfResolved")
    assert "1 of 1 pods" in ended["message"]
    await untouched(crowd, shop)


async def test_a_roll_out_of_something_newer_delays_and_then_a_person_looks(crowd, shop_at):
    shop = await shop_at()
    async with crowd.at_work(settings=OrchestrationSettings(look=LookSettings(look_again=timedelta(seconds=1)))):
        await crowd.open(CASE, shop.target)
        await crowd.enriched(CASE, shop.target)
        plan = await shop.bound()
        await shop.edited()
        await crowd.planned(CASE, shop.target, **plan)
        held = await crowd.status(CASE, overallPhase="Blocked", blockReason="RolloutInProgress")
        assert "was changed since it was analysed, and its roll-out is under way" in held["blockMessage"]
        await shop.rolled_out()
        await crowd.status(CASE, overallPhase="Failed", outcome="ManualReviewRequired")
        assert "the fix was made for what it was before" in await message(crowd, f"{CASE}-manual-review")
    assert await crowd.runs() == []


async def test_an_approval_of_something_else_is_void(crowd, shop_at):
    shop = await shop_at()
    async with crowd.at_work():
        await asked(crowd, shop)
        name = f"approval-{CASE}-analysis"
        spec = {
            "aiAnalysisRef": {"name": f"{CASE}-analysis"},
            "remediationRequestRef": {"name": CASE},
            "recommendation": {"action": "increase_memory", "targetResource": f"{shop.namespace}/deployment/shop"},
            **dict.fromkeys(("reason", "confidenceLevel", "investigationSummary", "whyApprovalRequired"), "x"),
            "confidence": 0.9,
            "requiredBy": (crowd.clock.now() + timedelta(minutes=15)).isoformat(),
        }
        await crowd.client.create(AIApprovalRequest.card, {"metadata": {"name": name, "namespace": crowd.namespace}, "spec": spec})
        plan = await shop.bound()
        await shop.edited()
        await shop.rolled_out()
        await crowd.planned(CASE, shop.target, **plan)

        async def voided():
            return ((await crowd.get(AIApprovalRequest.card, name)).get("status") or {}).get("voidReason")

        assert "was changed since the approval" in await eventually(voided)
        await crowd.status(CASE, overallPhase="AwaitingApproval")
    assert await crowd.runs() == []


async def test_a_node_that_somebody_works_on_is_waited_for(crowd, shop_at):
    shop = await shop_at()
    await shop.pod(ready_for=timedelta())
    await crowd.client.patch(NODE, f"node-{shop.namespace}", "", {"spec": {"unschedulable": True}})
    async with crowd.at_work(settings=OrchestrationSettings(look=LookSettings(look_again=timedelta(seconds=1)))):
        await crowd.open(CASE, shop.target)
        await crowd.enriched(CASE, shop.target)
        await crowd.planned(CASE, shop.target, **await shop.bound())
        await crowd.status(CASE, overallPhase="Blocked", blockReason="NodeCordoned")
        await crowd.client.patch(NODE, f"node-{shop.namespace}", "", {"spec": {"unschedulable": None}})
        await crowd.there(WorkflowExecution, f"{CASE}-wfe")


def steps(shop, action, **parameters):
    given = {"namespace": shop.namespace, "resource_name": "shop", **parameters}
    step = {"stepNumber": 1, "action": action, "parameters": given, "target": shop.target}
    return {"selectedWorkflow": None, "recommendations": [{"id": "1", "action": action, "workflowSteps": [step]}]}


def stages(crowd):
    return (
        lambda manager: workflow.setup(manager, WorkflowSettings(namespace=crowd.namespace)),
        lambda manager: execution.setup(manager, ExecutionSettings(identity_namespace="")),
    )


ARGO = {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:production/shop"}}


@pytest.mark.parametrize("asking", [False, True], ids=["by itself", "where a person would be asked"])
async def test_what_argo_cd_keeps_is_never_patched_and_people_get_the_patch(crowd, shop_at, asking):
    shop = await shop_at(**ARGO)
    async with crowd.at_work(*stages(crowd)):
        await crowd.open(CASE, shop.target)
        await crowd.enriched(CASE, shop.target, detectedLabels={"gitOpsManaged": "true", "gitOpsTool": "argocd"})
        plan = await shop.bound(**steps(shop, "increase_resources", memory="256Mi", container_name="app"))
        question = {"approvalRequestName": "approval", "approvalContext": CONTEXT, "approvalRequestedAt": crowd.clock.now().isoformat()}
        await crowd.planned(CASE, shop.target, **(plan | {"phase": "Approving"} | question if asking else plan))
        ended = await crowd.status(CASE, overallPhase="Failed", outcome="ManualReviewRequired")
        told = await message(crowd, f"{CASE}-manual-review")
        assert f"{CASE}-approval-notification" not in await crowd.messages()
    assert "is kept by Argo CD (Application shop), which would take a live change back" in ended["message"]
    assert "## Proposed change" in told
    assert any(line.startswith("+") and "memory: 256Mi" in line for line in told.splitlines())
    await untouched(crowd, shop)
    assert await crowd.get(KubernetesExecution.card, f"{CASE}-execution") is None


async def test_a_restart_of_what_argo_cd_keeps_is_carried_out(crowd, shop_at):
    shop = await shop_at(**ARGO)
    async with crowd.at_work(*stages(crowd)):
        await crowd.open(CASE, shop.target)
        await crowd.enriched(CASE, shop.target)
        await crowd.planned(CASE, shop.target, **await shop.bound(**steps(shop, "rollout_restart")))
        await crowd.there(KubernetesExecution, f"{CASE}-execution")

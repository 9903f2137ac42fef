"""Both paths over whatever Kubernetes API the tests are given: nobody there need roll out, schedule, run pods, or know Tekton."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from kubernaut import catalog
from kubernaut.analysis.settings import AnalysisSettings, PlanMode
from kubernaut.api import core
from kubernaut.api.approval import AIApprovalRequest, Decision
from kubernaut.api.kinds import ALL, CASE
from kubernaut.api.notification import EscalationRequest, NotificationRequest
from kubernaut.api.remediation import Outcome, Phase, RemediationRequest
from kubernaut.cli.alerts import AlertSource
from kubernaut.cli.approving import answer, whoami
from kubernaut.cli.watching import viewing
from kubernaut.datastorage.settings import DataStorageSettings
from kubernaut.gateway.settings import GatewaySettings
from kubernaut.kube.clock import SystemClock
from kubernaut.notification.settings import NotificationSettings
from kubernaut.orchestration.settings import OrchestrationSettings
from kubernaut.settings import ServiceUrls, Settings
from kubernaut.verification.settings import VerificationSettings
from kubernaut.wiring import PARTS, system
from kubernaut.workflow.settings import WorkflowSettings
from tests.hands import Hands
from tests.world import eventually, install_tekton

NAME = "payment-service"
PATIENCE = 60.0


def settings(world, directory, mode, **changes):
    """Return settings for namespaces of the test's own."""
    return Settings(
        namespace=world.system,
        leader_election=False,
        gateway=GatewaySettings(port=0, namespace=world.system, managed_only=False),
        notification=NotificationSettings(port=0),
        datastorage=DataStorageSettings(port=0, database=f"sqlite+aiosqlite:///{directory}/audit.db"),
        analysis=AnalysisSettings(mode=mode),
        workflow=WorkflowSettings(namespace=world.system, execution_namespace=world.workflows),
        orchestration=OrchestrationSettings(managed_only=False, stabilization_window=timedelta(seconds=2), validity=timedelta(seconds=60)),
        verification=VerificationSettings(look_every=timedelta(seconds=0.25)),
        **changes,
    )


def deployment(namespace):
    labels = {"app": NAME}
    limits = {"requests": {"memory": "128Mi"}, "limits": {"memory": "128Mi"}}
    container = {"name": "payment", "image": "registry.example.com/payments/payment-service:2.4.1", "resources": limits}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], "automountServiceAccountToken": False}}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": NAME, "namespace": namespace, "labels": labels}, "spec": spec}


class Case:
    """One case on a given cluster."""

    def __init__(self, world, namespace, view):
        self.world, self.namespace, self.view = world, namespace, view

    async def until(self, model, holds):
        try:
            return await self.view.until(model, holds, seconds=PATIENCE)
        except TimeoutError as fault:
            seen = [
                f"{each.card.kind} {each.metadata.name}: {each.status.phase} {each.status.message}"
                for kind in CASE
                for each in self.view.all(kind)
            ]
            raise AssertionError("never seen; the case stands so:\n" + "\n".join(seen)) from fault

    async def approve(self):
        await self.until(RemediationRequest, lambda each: each.status.approval_notification_sent)
        question = await self.until(AIApprovalRequest, lambda each: each.status.decision is None)
        await answer(self.world.client, question, Decision.APPROVED, "", datetime.now(UTC))

    async def ended(self):
        return await self.until(RemediationRequest, lambda each: each.status.phase.terminal)

    async def deployment(self):
        return await self.world.client.get(core.DEPLOYMENT, NAME, self.namespace)


@asynccontextmanager
async def case(world, chosen, *, parts=PARTS, tekton=True):
    """Run the parts, the hands and the alert source over a Deployment whose limit is too low."""
    await install_tekton(world.client)
    namespace = await world.namespace("production", environment="production")
    digest = "sha256:" + "0" * 64
    for workflow in catalog.load({name: f"registry.example.com/{name}@{digest}" for name in catalog.workflow_ids()}):
        workflow.metadata.namespace = world.system
        await world.client.create(workflow.card, workflow.wire())
    hands = Hands(world.client, namespace, world.workflows, needs="200Mi", tekton=tekton)
    async with (
        hands.at_work(),
        system(chosen, world.client, parts=parts) as running,
        viewing(world.client, ALL, world.system, lambda *_: None) as view,
    ):
        await hands.deploy(deployment(namespace))
        source = AlertSource(world.client, SystemClock(), running.endpoints.urls["gateway"], namespace, NAME)
        alerts = asyncio.create_task(source.run())
        try:
            yield Case(world, namespace, view)
        finally:
            alerts.cancel()
            await asyncio.gather(alerts, return_exceptions=True)


@pytest.mark.parametrize("mode", PlanMode, ids=lambda mode: mode.value)
async def test_the_story_ends_remediated_on_any_api_server(world, tmp_path, mode):
    async with case(world, settings(world, tmp_path, mode)) as play:
        await play.approve()
        request = await play.ended()
        name = request.metadata.name
        assert (request.status.phase, request.status.outcome) == (Phase.COMPLETED, Outcome.REMEDIATED)
        changed = await play.deployment()
        assert changed["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] == {"memory": "256Mi"}
        assert changed["metadata"]["generation"] == 2
        runs = (await world.client.list(core.PIPELINE_RUN, world.workflows)).items
        assert [run["metadata"]["name"] for run in runs] == ([f"{name}-wfe"] if mode is PlanMode.CATALOGUE else [])
        [question] = play.view.all(AIApprovalRequest)
        assert question.status.decided_by == await whoami(world.client)
        done = await play.until(
            NotificationRequest, lambda each: each.metadata.name == f"{name}-completion" and each.status.successful_deliveries
        )
        assert [reference.name for reference in done.metadata.owner_references] == [name]
        await eventually(lambda: unlocked(world))


async def unlocked(world):
    leases = (await world.client.list(core.LEASE, world.system)).items
    return not [each for each in leases if each["metadata"]["name"].startswith("target-")]


@asynccontextmanager
async def receiver():
    """Give an HTTP service that takes escalations, and what it took."""
    taken = []

    async def take(request):
        taken.append(await request.json())
        return web.json_response({"notificationId": "1", "status": "queued", "processedAt": "2026-01-01T00:00:00Z"}, status=202)

    app = web.Application()
    app.router.add_post("/api/v1/notify/escalation", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", taken
    finally:
        await runner.cleanup()


async def test_a_run_that_nobody_carries_out_is_out_of_time_and_people_are_called_by_post(world, tmp_path):
    async with receiver() as (url, taken):
        chosen = settings(world, tmp_path, PlanMode.CATALOGUE, services=ServiceUrls(notification=url))
        parts = [part for part in PARTS if part != "notification"]
        async with case(world, chosen, parts=parts, tekton=False) as play:
            request = await play.until(RemediationRequest, lambda each: each.status.approval_notification_sent)
            body = {"spec": {"timeoutConfig": {"workflowExecutionTimeout": "1s"}}}
            await world.client.patch(RemediationRequest.card, request.metadata.name, world.system, body)
            await play.approve()
            request = await play.ended()
    assert (request.status.phase, request.status.timeout_phase) == (Phase.TIMED_OUT, "workflow-execution")
    posted, *repeats = taken
    assert {each["remediationRequestName"] for each in repeats} <= {posted["remediationRequestName"]}, "the name keeps repeats one message"
    escalation = EscalationRequest.model_validate(posted)
    assert (escalation.escalation_reason, escalation.escalation_phase) == ("timeout", "workflow-execution")
    assert (escalation.remediation_request_name, escalation.escalating_controller) == (request.metadata.name, "remediation-orchestrator")
    assert escalation.escalation_details["timeoutDuration"] == "1s"
    assert escalation.resource.path() == f"{play.namespace}/deployment/{NAME}" or escalation.resource.kind == "Pod"
    assert "aiAnalysis" not in posted

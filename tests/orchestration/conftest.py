"""What the orchestrator's tests share: one case as the stages leave it behind, and a cluster in which the test plays the stages."""

import asyncio

import orjson
import pytest
import pytest_asyncio
from aiohttp import web

from kubernaut.api.remediation import RemediationRequest
from tests.orchestration.cases import CONTEXT, DEPLOYMENT, NAME, PROVIDER, SIGNAL, STEPS, T0, WORKFLOW, Case
from tests.orchestration.crowd import Crowd
from tests.orchestration.staging import RR, Stage
from tests.world import world as make_world

__all__ = ["CONTEXT", "DEPLOYMENT", "NAME", "PROVIDER", "SIGNAL", "STEPS", "T0", "WORKFLOW"]


@pytest.fixture(scope="session", autouse=True)
def _resting_loop():
    """Give pytest-asyncio a loop to go back to: it would make one and leave it open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()


@pytest.fixture
def case():
    return Case()


@pytest.fixture
def make_case():
    return Case


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster():
    async with make_world() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def stage(cluster, request):
    found = Stage(cluster, await cluster.namespace("orchestration"))
    async with found.watched(), found.listening():
        yield found
    if await found.get(RemediationRequest, RR):
        await cluster.client.patch(RemediationRequest.card, RR, found.namespace, {"metadata": {"finalizers": None}})
    request.node.user_properties.append(("rows", sorted({row.id for walked in found.walked.values() for row in walked})))
    assert found.strays == []


@pytest_asyncio.fixture(loop_scope="module")
async def crowd(cluster):
    """Give a place for many remediations."""
    found = Crowd(cluster, await cluster.namespace("crowd"))
    yield found
    await found.leave()


class Service:
    """A real HTTP server that answers with the given statuses, the last one for ever."""

    def __init__(self, *statuses):
        self.statuses = list(statuses)
        self.requests = []
        self.url = ""

    async def handle(self, request):
        self.requests.append((request.path, request.headers.get("Authorization"), orjson.loads(await request.read())))
        return web.json_response({"detail": "no"}, status=self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])


@pytest.fixture
async def serve():
    runners = []

    async def start(*statuses):
        service, app = Service(*statuses), web.Application()
        app.router.add_post("/{tail:.*}", service.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        service.url = "http://{}:{}".format(*runner.addresses[0])
        return service

    yield start
    for runner in runners:
        await runner.cleanup()

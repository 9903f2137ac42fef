"""Cases whose records are on their way while the database and data storage go away and the orchestrator is killed: real parts throughout."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext

import pytest

from kubernaut import wiring
from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.processing import RemediationProcessing
from kubernaut.api.remediation import RemediationRequest
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.kube import metrics
from kubernaut.kube.manager import Manager
from kubernaut.orchestration.settings import OrchestrationSettings
from kubernaut.outbound import JsonService, Undeliverable
from kubernaut.settings import Settings
from tests.datastorage.place import answer, everything, opened, served
from tests.datastorage.postgres import postgres
from tests.orchestration.cases import SIGNAL, unlabelled
from tests.orchestration.staging import ANALYSIS, PLAN, PROCESSING, RR, WFE, Stage
from tests.world import eventually, running

NOWHERE = "http://127.0.0.1:9"
PHASES = ["Processing", "Analyzing", "Executing", "Completed"]


class Way:
    """The way to a data storage that moves: the product's own client."""

    def __init__(self):
        self.url = NOWHERE
        self.refused = asyncio.Event()

    async def post(self, path, body):
        await self._send("post", path, body)

    async def post_all(self, path, bodies):
        await self._send("post_all", path, bodies)

    async def _send(self, how, path, what):
        service = JsonService(self.url)
        try:
            await getattr(service, how)(path, what)
        except Undeliverable:
            self.refused.set()
            raise
        finally:
            await service.close()


class Place:
    """A data storage over a database that can be stopped; where that is but a file, data storage itself goes away."""

    def __init__(self, url, server, clock):
        self.way = Way()
        self._url, self._server, self._clock = url, server, clock
        self._serving = AsyncExitStack()

    async def open(self):
        store = await self._serving.enter_async_context(opened(self._url, self._clock))
        self.http = await self._serving.enter_async_context(served(store))
        self.way.url = str(self.http._base_url)

    async def close(self):
        self.way.url = NOWHERE
        await self._serving.aclose()

    async def away(self):
        """Go away as in a crash."""
        self.way.refused.clear()
        if self._server:
            self._server.stop()
        else:
            await self.close()

    async def back(self):
        if self._server:
            self._server.start()
        else:
            await self.open()


@pytest.fixture(params=["sqlite", "postgresql"])
async def place(request, tmp_path, clock):
    """Give a data storage over a database of its own."""
    with nullcontext() if request.param == "sqlite" else postgres() as server:
        found = Place(server.database() if server else f"sqlite+aiosqlite:///{tmp_path}/audit.db", server, clock)
        await found.open()
        yield found
        await found.close()


@asynccontextmanager
async def orchestrating(stage, place):
    """Run the orchestrator with its journal's shipper, as the wiring puts it together; leaving the context kills it."""
    manager = Manager(stage.world.client, stage.clock, name="test", namespace=stage.namespace)
    settings = Settings(namespace=stage.namespace, orchestration=unlabelled(OrchestrationSettings(verification=False)))
    wiring.add_controllers(manager, settings, {"orchestration"}, records=place.way, escalations=None)
    async with running(manager):
        yield


async def test_a_case_goes_on_and_is_on_record_whole_while_all_that_keeps_it_fails(world, place):
    stage = Stage(world, await world.namespace("never-lost"))
    async with orchestrating(stage, place):
        await stage.open()
        await stage.until(overallPhase="Processing")
        await place.away()
        await stage.report(RemediationProcessing, PROCESSING, phase="Completed", enrichedSignal=SIGNAL)
        await stage.until(overallPhase="Analyzing")
        await place.way.refused.wait()
        assert metrics.JOURNAL_PENDING.labels("RemediationRequest")._value.get() > 0, "the backlog is visible"
    await stage.skip(minutes=7)
    async with orchestrating(stage, place):
        await stage.report(AIAnalysis, ANALYSIS, **PLAN)
        await stage.until(overallPhase="Executing")
    await place.back()
    async with orchestrating(stage, place):
        await stage.report(WorkflowExecution, WFE, phase="Completed", outcome="Success")
        await stage.until(overallPhase="Completed")
        await eventually(lambda: drained(stage))
    facts = sorted(await everything(place.http, resource_type="RemediationRequest"), key=lambda each: (each["chain_day"], each["position"]))
    assert [each["sequence"] for each in facts] == [*range(len(facts))]
    assert [each["event_data"]["to"] for each in facts if each["event_action"] == "PhaseTransition"] == PHASES
    record = await answer(await place.http.get(f"/api/v1/query/remediation/{RR}"))
    assert (record["overallPhase"], [each["crdName"] for each in record["serviceCrdStatuses"]]) == (
        "completed",
        [PROCESSING, ANALYSIS, WFE],
    )


async def drained(stage):
    found = await stage.get(RemediationRequest, RR)
    return not found["status"]["journal"].get("pending")

"""A remediation in a cluster where the test plays the stages: hands to report with, and questions to ask."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import orjson
from aiohttp import web

from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.base import CORRELATION_LABEL, Obj
from kubernaut.api.processing import RemediationProcessing
from kubernaut.api.remediation import Phase, RemediationRequest, RemediationRequestStatus
from kubernaut.kube.errors import ApiError
from kubernaut.kube.informer import Informer, key_of, revision_of
from kubernaut.kube.journal import JOURNAL_FINALIZER, JournalShipper
from kubernaut.kube.manager import Manager
from kubernaut.orchestration.reconciler import setup
from kubernaut.orchestration.records import deliver
from kubernaut.orchestration.settings import OrchestrationSettings
from kubernaut.orchestration.table import Row, row_of
from kubernaut.outbound import JsonService, Service
from tests.orchestration.cases import CONTEXT, DEPLOYMENT, SIGNAL, WORKFLOW, Case, unlabelled
from tests.world import World, eventually, running

RR = "remediation-abcde12345"
PROCESSING, ANALYSIS, WFE, STEP_WFE, EXECUTION, EA = (
    f"{RR}-processing",
    f"{RR}-analysis",
    f"{RR}-wfe",
    f"{RR}-workflow",
    f"{RR}-execution",
    f"ea-{RR}",
)
PLAN = {
    "phase": "Completed",
    "rootCause": "the limit is too low",
    "confidence": 0.92,
    "remediationTarget": DEPLOYMENT,
    "selectedWorkflow": WORKFLOW,
}
QUESTION = {
    "approvalRequestName": f"approval-{ANALYSIS}",
    "approvalContext": CONTEXT,
    "rootCause": "the limit is too low",
    "confidence": 0.92,
}


def shipping(records):
    """Return what hands a remediation's records over, as the wiring does."""

    async def ship(request, entries):
        await deliver(records, request, entries)

    return ship


class Later:
    """The machine's clock, and how far a test is ahead of it."""

    def __init__(self):
        self.ahead = timedelta()

    def now(self):
        return datetime.now(UTC) + self.ahead


class Stage:
    """A remediation in a cluster, and hands to write what its stages report."""

    def __init__(self, world: World, namespace: str) -> None:
        self.world, self.namespace, self.clock, self.url = world, namespace, Later(), ""
        self.posts: list[tuple[str, Obj]] = []
        self.answer = 202
        self.walked: dict[str, list[Row]] = {}
        """The rows of the phase table that each remediation walked."""
        self.strays: list[str] = []
        """Changes of phase that are no row of the table."""

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Note every change of phase while the context lasts."""
        informer = Informer(self.world.client, RemediationRequest.card, self.namespace)
        informer.on_change(self._note)
        work = asyncio.create_task(informer.run())
        await informer.synced.wait()
        try:
            yield
            await eventually(partial(self._caught_up, informer))
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _caught_up(self, informer):
        """Tell whether the last change has been noted, too."""
        live = {key_of(obj): revision_of(obj) for obj in (await self.world.client.list(RemediationRequest.card, self.namespace)).items}
        return live == {key_of(obj): revision_of(obj) for obj in informer.store.all()}

    def _note(self, old, new):
        if new is None or "status" not in new:
            return
        before = RemediationRequestStatus.model_validate((old or {}).get("status") or {})
        after = RemediationRequestStatus.model_validate(new["status"])
        wiped = after.overall_phase is Phase.PENDING and before.overall_phase is not Phase.BLOCKED
        if before.overall_phase is after.overall_phase or wiped:
            return
        if row := row_of(before.overall_phase, after):
            self.walked.setdefault(new["metadata"]["name"], []).append(row)
        else:
            self.strays.append(
                f"{new['metadata']['name']}: {before.overall_phase} -> {after.overall_phase} {after.outcome} {after.failure_phase}"
            )

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Take what the orchestrator posts while the context lasts."""
        app = web.Application()
        runner = web.AppRunner(app)
        app.router.add_post("/{tail:.*}", self.hear)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = "http://{}:{}".format(*runner.addresses[0])
        yield
        await runner.cleanup()

    async def hear(self, request):
        self.posts.append((request.path, orjson.loads(await request.read())))
        return web.json_response({}, status=self.answer)

    @asynccontextmanager
    async def orchestrator(
        self, *, services: bool = True, settings: OrchestrationSettings | None = None, records: Service | None = None
    ) -> AsyncIterator[None]:
        """Run the orchestrator while the context lasts; its facts stay where they are unless somebody takes the records."""
        manager = Manager(self.world.client, self.clock, name="test", namespace=self.namespace)
        service = JsonService(self.url) if services else None
        settings = unlabelled(settings or OrchestrationSettings(escalation_backoff=timedelta(milliseconds=1)))
        setup(manager, settings, escalations=service)
        if records is not None:
            JournalShipper(manager, [RemediationRequest], shipping(records))
        try:
            async with running(manager):
                yield
        finally:
            if service:
                await service.close()

    async def open(self, *, name=RR, annotations=None, **spec):
        request = Case(spec=spec).request.wire()
        meta = {"name": name, "namespace": self.namespace, "labels": {CORRELATION_LABEL: name}, "annotations": annotations or {}}
        return await self.world.client.create(RemediationRequest.card, {**request, "metadata": meta, "status": None})

    async def get(self, model, name):
        try:
            return await self.world.client.get(model.card, name, self.namespace)
        except ApiError as fault:
            if fault.not_found:
                return None
            raise

    async def there(self, model, name):
        return await eventually(lambda: self.get(model, name))

    async def report(self, model, name, **status):
        await self.there(model, name)
        return await self.world.client.patch(model.card, name, self.namespace, {"status": status}, subresource="status")

    async def until(self, *, name=RR, **status):
        async def reached():
            found = (await self.get(RemediationRequest, name) or {}).get("status", {})
            return found if all(found.get(key) == value for key, value in status.items()) else None

        return await eventually(reached)

    async def annotate(self, *, name=RR, **annotations):
        body = {"metadata": {"annotations": annotations}}
        await self.world.client.patch(RemediationRequest.card, name, self.namespace, body)

    async def skip(self, *, name=RR, **delta):
        """Let time pass, and have the remediation looked at."""
        self.clock.ahead += timedelta(**delta)
        await self.annotate(name=name, **{"test/at": self.clock.now().isoformat()})

    async def walks(self, *rows, name=RR):
        """Wait until the last rows that a remediation walked are these."""

        async def walked():
            return [row.id for row in self.walked.get(name, ())][-len(rows) :] == list(rows)

        await eventually(walked)

    async def gone(self, model, name):
        """Wait until an object is gone; what its own controller would do, its facts being on record, is done here."""

        async def absent():
            meta = (await self.get(model, name) or {}).get("metadata")
            if meta and meta.get("deletionTimestamp") and meta.get("finalizers") == [JOURNAL_FINALIZER]:
                await self.world.client.patch(model.card, name, self.namespace, {"metadata": {"finalizers": None}})
            return meta is None

        await eventually(absent)

    async def planned(self, *, name=RR, **analysis):
        await self.report(RemediationProcessing, f"{name}-processing", phase="Completed", enrichedSignal=SIGNAL)
        await self.report(AIAnalysis, f"{name}-analysis", **(analysis or PLAN))

    def escalations(self):
        return [body for path, body in self.posts if path.endswith("/notify/escalation")]

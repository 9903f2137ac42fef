"""The only place that knows everybody: which parts run, over which cluster, with which drivers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from kubernaut.analysis import reconciler as analysis
from kubernaut.analysis.investigators import installed
from kubernaut.analysis.investigators.base import Investigator
from kubernaut.analysis.investigators.chain import Chain, holmesgpt
from kubernaut.analysis.investigators.rules.investigator import RuleInvestigator
from kubernaut.api import core
from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.audit import audit_event
from kubernaut.api.base import JournalEntry, Resource, Unusable
from kubernaut.api.brake import RemediationBrake
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.notification import NotificationRequest
from kubernaut.api.processing import RemediationProcessing
from kubernaut.api.remediation import RemediationRequest
from kubernaut.api.verification import EffectivenessAssessment
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.catalog import reconciler as catalog
from kubernaut.execution import reconciler as execution
from kubernaut.gateway import app as gateway
from kubernaut.gateway.eventwatch import EventWatch
from kubernaut.gateway.sources.alertmanager import Alertmanager
from kubernaut.gateway.sources.base import Source
from kubernaut.gateway.sources.kubernetes_event import KubernetesEvents
from kubernaut.gateway.sources.registry import with_installed
from kubernaut.kube.client import Client
from kubernaut.kube.clock import Clock, SystemClock
from kubernaut.kube.journal import Deliver, JournalShipper
from kubernaut.kube.manager import Manager
from kubernaut.kube.reviews import person
from kubernaut.notification import app as notify
from kubernaut.notification import reconciler as notification
from kubernaut.notification.answering import app as answers
from kubernaut.notification.answering.buttons import Buttons
from kubernaut.notification.answering.clerk import Clerk
from kubernaut.notification.answering.keys import Keys
from kubernaut.notification.answering.offers import Offers
from kubernaut.notification.answering.settings import AnswerSettings, is_loopback
from kubernaut.notification.channels import registry as channels
from kubernaut.notification.channels.base import Message
from kubernaut.notification.channels.slack_api import SlackApi
from kubernaut.orchestration import reconciler as orchestration
from kubernaut.orchestration.records import deliver as deliver_remediation
from kubernaut.outbound import BatchService, JsonService, Service, post_events
from kubernaut.processing import reconciler as processing
from kubernaut.service import Check, create_app, serving
from kubernaut.settings import ProbeSettings, Settings
from kubernaut.verification import reconciler as verification
from kubernaut.workflow import reconciler as workflow
from kubernaut.workflow.records import deliver as deliver_workflow

PARTS = ("datastorage", "gateway", "orchestration", "processing", "analysis", "workflow", "execution", "verification", "notification")
"""All parts, each of which may run alone."""
JOURNALS: dict[str, tuple[type[Resource], ...]] = {
    "orchestration": (RemediationRequest, RemediationBrake),
    "processing": (RemediationProcessing,),
    "analysis": (AIAnalysis, AIApprovalRequest),
    "workflow": (WorkflowExecution,),
    "execution": (KubernetesExecution,),
    "verification": (EffectivenessAssessment,),
    "notification": (NotificationRequest,),
}
"""Whose facts each part sends to data storage."""
SOURCES: tuple[Source, ...] = (Alertmanager(), KubernetesEvents())
"""The built-in sources of signals."""
PROBES = 8
"""How many probes are answered at once."""
INVESTIGATORS: tuple[Investigator, ...] = (RuleInvestigator(),)
"""The built-in investigators, in the order they are asked; those that are installed come after them."""


@dataclass(frozen=True)
class Endpoints:
    """Where the services of this process, or those it was told of, can be reached."""

    urls: dict[str, str] = field(default_factory=dict)
    """By part: gateway, notification, datastorage; and answers, which belong to notification."""


@dataclass(frozen=True)
class Running:
    """A system at work."""

    endpoints: Endpoints
    manager: Manager


class UnknownPart(Unusable):
    """A part that does not exist was asked for."""


@asynccontextmanager
async def system(
    settings: Settings,
    client: Client,
    *,
    parts: Collection[str] = PARTS,
    clock: Clock | None = None,
    show: Callable[[Message], None] = lambda _: None,
) -> AsyncIterator[Running]:
    """Run parts while the context lasts; it is entered once their caches are full and they lead.

    `show` is where the console channel's messages go. Raise UnknownPart, OSError when a port is taken, and what `Store.open` does.
    """
    if unknown := sorted(set(parts) - set(PARTS)):
        raise UnknownPart(f"there are no parts {', '.join(unknown)}; the parts are {', '.join(PARTS)}")
    async with AsyncExitStack() as stack:
        await _probe(stack, settings.probe, client)
        urls = {"datastorage": settings.services.datastorage, "notification": settings.services.notification}
        if "datastorage" in parts:
            urls["datastorage"] = await _datastorage(stack, settings, client)
        builder = _Builder(settings, client, stack, clock or SystemClock(), frozenset(parts))
        if "notification" in parts:
            urls |= await builder.notification(show)
        if "gateway" in parts:
            urls["gateway"] = await builder.gateway()
        builder.controllers(urls)
        await stack.enter_async_context(_at_work(builder.manager))
        yield Running(Endpoints(urls), builder.manager)


async def _probe(stack: AsyncExitStack, settings: ProbeSettings, client: Client) -> None:
    """Answer probes and show the metrics from the start on: a replica that waits to lead is well, too."""

    async def kubernetes() -> None:
        await person(client)

    if settings.port is not None:
        app = create_app("probe", title="kubernaut probe", checks={"kubernetes": kubernetes}, body_limit=0, max_concurrent=PROBES)
        await stack.enter_async_context(serving(app, host=settings.host, port=settings.port))


async def _datastorage(stack: AsyncExitStack, settings: Settings, client: Client) -> str:
    """Open the database and serve it; return the URL."""
    from kubernaut.datastorage import app as datastorage  # noqa: PLC0415  (the database's libraries are a quarter of what is loaded)
    from kubernaut.datastorage.store import Store  # noqa: PLC0415

    store = await Store.open(settings.datastorage)
    stack.push_async_callback(store.close)
    app = datastorage.datastorage_app(store, datastorage.guards(client, store))
    return await stack.enter_async_context(serving(app, host=settings.datastorage.host, port=settings.datastorage.port))


@asynccontextmanager
async def _at_work(manager: Manager) -> AsyncIterator[None]:
    """Run a manager beside the body; its failure ends the body."""
    async with asyncio.TaskGroup() as group:
        work = group.create_task(manager.run())
        ready = group.create_task(manager.ready.wait())
        await asyncio.wait({work, ready}, return_when=asyncio.FIRST_COMPLETED)
        yield
        ready.cancel()
        work.cancel()


class _Builder:
    """Puts one process together."""

    def __init__(self, settings: Settings, client: Client, stack: AsyncExitStack, clock: Clock, parts: frozenset[str]) -> None:
        self._settings = settings
        self._client = client
        self._stack = stack
        self._parts = parts
        name = "kubernaut" if parts == frozenset(PARTS) else f"kubernaut-{'-'.join(sorted(parts))}"[:60]
        election = settings.leader.election(name=name, namespace=settings.namespace) if settings.leader_election else None
        self.manager = Manager(client, clock, name=name, namespace=settings.namespace, leader_election=election)

    async def gateway(self) -> str:
        """Serve the gateway; return its URL."""
        settings = self._settings.gateway
        intake = gateway.setup(self.manager, settings)
        if settings.watch_events:
            self.manager.background("event watch", EventWatch(self._client, intake, settings).run)
        guarding = gateway.guards(self._client, settings)
        app = gateway.gateway_app(intake, with_installed(SOURCES), settings, {"kubernetes": self._kubernetes()}, guarding)
        return await self._stack.enter_async_context(serving(app, host=settings.host, port=settings.port))

    async def notification(self, show: Callable[[Message], None]) -> dict[str, str]:
        """Serve the notification service, take answers where that is set up, and deliver messages; return the URLs."""
        settings = self._settings.notification
        session = await self._stack.enter_async_context(aiohttp.ClientSession())
        guarding = notify.guards(self._client, settings)
        app = notify.notification_app(self.manager.cluster, settings, {"kubernetes": self._kubernetes()}, guarding)
        urls = {"notification": await self._stack.enter_async_context(serving(app, host=settings.host, port=settings.port))}
        built = channels.built(settings, session, show)
        if settings.answers is None:
            notification.setup(self.manager, settings, built)
            return urls
        url, offers = await self._answers(settings.answers, session)
        notification.setup(self.manager, settings, built, offers.of)
        return urls | {"answers": url}

    async def _answers(self, asked: AnswerSettings, session: aiohttp.ClientSession) -> tuple[str, Offers]:
        """Serve the pages and hear Slack; return the URL, and what offers links and buttons. Raise BadKeys."""
        settings, keys = self._settings.notification, Keys(asked.key_file)
        keys.prepare()
        clerk = Clerk(self.manager.cluster, asked, keys)
        slack = settings.slack
        buttons = Buttons(clerk, SlackApi(session, slack), slack) if slack is not None and slack.hears else None
        app = answers.answers_app(clerk, buttons, {"kubernetes": self._kubernetes()}, answers.guards(asked))
        url = await self._stack.enter_async_context(serving(app, host=asked.host, port=asked.port))
        reached = asked.url or (url if is_loopback(asked.host) else "")
        return url, Offers(self.manager.cluster, clerk, settings, reached)

    def controllers(self, urls: dict[str, str]) -> None:
        """Add the controllers of the parts."""
        records, escalations = self._service(urls["datastorage"]), self._service(urls["notification"])
        add_controllers(self.manager, self._settings, self._parts, records=records, escalations=escalations)

    def _service(self, url: str) -> JsonService | None:
        if not url:
            return None
        token_file = self._settings.services.token_file
        service = JsonService(url, token=Path(token_file).read_text if token_file else None)
        self._stack.push_async_callback(service.close)
        return service

    def _kubernetes(self) -> Check:
        async def check() -> None:
            await self._client.get(core.NAMESPACE, self._settings.namespace)

        return check


def add_controllers(
    manager: Manager, settings: Settings, parts: Collection[str], *, records: BatchService | None, escalations: Service | None
) -> None:
    """Add the controllers of parts to a manager, and send their facts to data storage (`records`), if there is one."""
    adding: dict[str, Callable[[], None]] = {
        "orchestration": lambda: orchestration.setup(manager, settings.orchestration, escalations=escalations),
        "processing": lambda: processing.setup(manager, settings.processing),
        "analysis": lambda: _add_analysis(manager, settings),
        "workflow": lambda: workflow.setup(manager, settings.workflow, settings.execution.conditions),
        "execution": lambda: execution.setup(manager, settings.execution),
        "verification": lambda: verification.setup(manager, settings.verification),
    }
    for part, add in adding.items():
        if part in parts:
            add()
    models = [model for part in PARTS if part in parts for model in JOURNALS.get(part, ())]
    if records is not None and models:
        JournalShipper(manager, models, _deliver(records, settings.namespace))


def _add_analysis(manager: Manager, settings: Settings) -> None:
    """Add the analysis, and beside it who judges the catalogue that it chooses from."""
    asked: tuple[Investigator, ...] = installed.with_installed(INVESTIGATORS)
    if (second := holmesgpt(settings.analysis.holmesgpt, manager.cluster, settings.namespace)) is not None:
        asked = (Chain(asked, second, settings.analysis.holmesgpt),)
        manager.background("HolmesGPT", second.run)
    analysis.setup(manager, settings.analysis, asked)
    catalog.setup(manager)


def _deliver(service: BatchService, actor: str) -> Deliver:
    async def deliver(resource: Resource, entries: Sequence[JournalEntry]) -> None:
        await post_events(service, [audit_event(resource, entry, actor=actor) for entry in entries])
        match resource:
            case RemediationRequest():
                await deliver_remediation(service, resource, entries)
            case WorkflowExecution():
                await deliver_workflow(service, resource, entries)

    return deliver

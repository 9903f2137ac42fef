"""The founding documents' example, played from the alert to the audit trail."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial

import aiohttp

from kubernaut.analysis.settings import PlanMode
from kubernaut.api.approval import AIApprovalRequest, Decision
from kubernaut.api.base import Resource
from kubernaut.api.kinds import ALL
from kubernaut.api.notification import NotificationRequest
from kubernaut.api.notification import Phase as Delivery
from kubernaut.api.remediation import Outcome, RemediationRequest
from kubernaut.cli.alerts import AlertSource, crash_looping
from kubernaut.cli.approving import answer
from kubernaut.cli.embedded import Embedded, Ports, embedded, quick_settings
from kubernaut.cli.places import Place, command
from kubernaut.cli.screen import Screen
from kubernaut.cli.storage import DataStorage
from kubernaut.cli.story import Story, story
from kubernaut.cli.trail import read_trail
from kubernaut.cli.watching import View, viewing
from kubernaut.kube.client import Client
from kubernaut.kube.clock import SystemClock
from kubernaut.manifests import SYSTEM_NAMESPACE
from kubernaut.settings import Settings

STORY_SECONDS = 90.0
STEP_SECONDS = 30.0
FIRST_PODS = 2
DELIVERED = frozenset({Delivery.SENT, Delivery.PARTIALLY_SENT, Delivery.FAILED})
WATCHED: tuple[type[Resource], ...] = ALL


async def demo(place: Place, screen: Screen, *, steps: bool, interactive: bool, name: str = "payment-service") -> int:
    """Play the story; return the exit code: 0 when the case ended as it should."""
    played = story(name)
    screen.heading("A cluster, and a workload whose memory limit is too small")
    settings = _settings(place, steps=steps)
    async with AsyncExitStack() as stack:
        stack.enter_context(place.held())
        place.wipe()
        system = await stack.enter_async_context(embedded(place, Ports(), story=played, settings=settings, show=screen.message))
        screen.line(f"embedded Kubernetes at {system.cluster.url}, all parts running, nothing else installed")
        view = await stack.enter_async_context(viewing(system.client, WATCHED, SYSTEM_NAMESPACE, screen.change))
        request = await _case(system, played, view, screen, interactive=interactive)
        await _epilogue(system, request, screen, place)
    return 0 if request.status.outcome is Outcome.REMEDIATED else 1


def _settings(place: Place, *, steps: bool) -> Settings:
    settings = quick_settings(place, Ports())
    mode = PlanMode.STEPS if steps else settings.analysis.mode
    return settings.model_copy(update={"analysis": settings.analysis.model_copy(update={"mode": mode})})


async def _case(system: Embedded, played: Story, view: View, screen: Screen, *, interactive: bool) -> RemediationRequest:
    """Play one case from the first alert to its end; return it as it ended."""
    source = AlertSource(system.client, SystemClock(), system.endpoints.urls["gateway"], played.namespace, played.deployment)
    screen.heading("Pods are killed for lack of memory: Alertmanager's webhook goes to the gateway")
    await _alert(source, screen)
    async with asyncio.TaskGroup() as group:
        alerts = group.create_task(source.run())
        answering = group.create_task(_approve(system, view, screen, interactive=interactive))
        ended = await view.until(
            RemediationRequest, lambda each: each.status.phase.terminal, seconds=None if interactive else STORY_SECONDS
        )
        alerts.cancel()
        answering.cancel()
    return ended


async def _alert(source: AlertSource, screen: Screen) -> None:
    """Send the group, the same group again, and the group with one more pod."""
    async with aiohttp.ClientSession() as session:
        for pods, said in (
            (FIRST_PODS, "the alert group"),
            (FIRST_PODS, "the same group again: still one remediation"),
            (FIRST_PODS + 1, "one more pod of the same Deployment: still one"),
        ):
            await _firing(source, pods)
            async with session.post(source.gateway + "/api/v1/signals/prometheus", json=source.body()) as reply:
                summary = (await reply.json())["summary"]
            screen.line(f"POST {said}: {reply.status}, {summary['created']} created, {summary['deduplicated']} counted")


async def _firing(source: AlertSource, pods: int) -> None:
    """Wait until so many pods crash-loop, and let the source fire for exactly those."""
    async with asyncio.timeout(STEP_SECONDS):
        while len(source.firing) < pods:
            new = [pod for pod in await source.pods() if crash_looping(pod) and pod["metadata"]["name"] not in source.firing]
            source.note(new[: pods - len(source.firing)])
            await asyncio.sleep(0.05)


async def _approve(system: Embedded, view: View, screen: Screen, *, interactive: bool) -> None:
    """Answer every question the way a user would; interactively, say how and leave it to the user."""
    person = Client.from_kubeconfig(str(system.place.kubeconfig))
    asked: set[str] = set()
    try:
        while True:
            waiting = await view.until(
                AIApprovalRequest, lambda each: each.status.decision is None and each.metadata.name not in asked, seconds=None
            )
            question = waiting.metadata.name
            asked.add(question)
            await view.until(NotificationRequest, partial(_reached, question), seconds=STEP_SECONDS)  # a user answers what reached them
            typed = f"{command('kubernaut')} approve {waiting.spec.remediation_request_ref.name}"
            screen.heading("A person is asked")
            if interactive:
                screen.line(f"answer from another terminal: [bold]{typed}[/]  (or kubernaut reject …)")
                continue
            decided = await answer(person, waiting, Decision.APPROVED, "the demo approves its own fix", datetime.now(UTC))
            screen.line(f"$ {typed}   (as {decided.status.decided_by})")
    finally:
        await person.close()


def _reached(question: str, message: NotificationRequest) -> bool:
    return message.spec.metadata.get("aiApprovalRequest") == question and message.status.phase in DELIVERED


async def _epilogue(system: Embedded, request: RemediationRequest, screen: Screen, place: Place) -> None:
    """Print the trail and where to look next."""
    name = request.metadata.name
    await _recorded(system, name)
    screen.heading("The whole case, read back from the audit trail")
    entries = await read_trail(DataStorage(system.endpoints.urls["datastorage"]), name)
    screen.trail(entries, f"{name}: {request.status.outcome or request.status.phase}")
    screen.heading("Where to look next")
    ours, kubectl = command("kubernaut"), command("kubectl")
    screen.hint(f"{ours} up --state {place.path}", "the same cluster again, with this case in it")
    screen.hint(f"KUBECONFIG={place.kubeconfig} {kubectl} get rr,aia,wfe -A", "while it is up")
    screen.hint(f"{ours} up", "a fresh one to play with")


async def _recorded(system: Embedded, name: str) -> None:
    """Wait until data storage has every fact of the case."""
    async with asyncio.timeout(STEP_SECONDS):
        while True:
            pending = [
                obj
                for model in WATCHED
                for obj in (await system.client.list(model.card, SYSTEM_NAMESPACE)).items
                if ((obj.get("status") or {}).get("journal") or {}).get("pending") and name in obj["metadata"]["name"]
            ]
            if not pending:
                return
            await asyncio.sleep(0.05)

"""Keeps an embedded cluster with all parts running, on fixed ports, until it is stopped."""

import asyncio
import signal
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

from kubernaut.cli.alerts import AlertSource
from kubernaut.cli.embedded import Embedded, Ports, embedded
from kubernaut.cli.places import Place, command
from kubernaut.cli.screen import Screen
from kubernaut.cli.starting import settled
from kubernaut.cli.story import Story, story
from kubernaut.kube.clock import SystemClock

NO_STORY = "none"


async def up(place: Place, ports: Ports, screen: Screen, *, name: str, off: frozenset[str], fresh: bool) -> None:
    """Run until SIGINT or SIGTERM; what the place holds goes on where it stood."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    played = None if name == NO_STORY else story(name)
    async with AsyncExitStack() as stack:
        stack.enter_context(place.held())
        if fresh:
            place.wipe()
        ports = ports if ports.api else after_a_kill(place)
        system = await stack.enter_async_context(embedded(place, ports, story=played, off=off, show=screen.message))
        if played is not None and "pods" not in off:
            await stack.enter_async_context(_alerting(system, played))
        settled()
        _tell(system, played, screen)
        await stop.wait()
        screen.line("stopping")


def after_a_kill(place: Place) -> Ports:
    """Return free ports, but the API's own from before a kill: steps that outlived us still speak to it."""
    last = place.last_announced()
    return Ports(api=urlsplit(last.api).port or 0) if last else Ports()


def _alerting(system: Embedded, played: Story) -> "_Task":
    gateway, memory = system.endpoints.urls["gateway"], system.place.path / "alerts.json"
    source = AlertSource(system.client, SystemClock(), gateway, played.namespace, played.deployment, memory)
    return _Task(source)


class _Task:
    """An alert source at work while the context lasts."""

    def __init__(self, source: AlertSource) -> None:
        self._source = source
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._source.run())

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


def _tell(system: Embedded, played: Story | None, screen: Screen) -> None:
    """Say where everything is and what to do next."""
    urls = system.endpoints.urls
    screen.heading("kubernaut is up")
    for label, where in (
        ("Kubernetes API", system.cluster.url),
        ("gateway", f"{urls['gateway']}/api/v1/signals/prometheus"),
        ("data storage", urls["datastorage"]),
        ("notification", urls["notification"]),
        ("answers", urls["answers"]),
        ("state", str(system.place.path)),
    ):
        screen.console.print(f"  {label:<16} {where}", soft_wrap=True)
    screen.heading("Next")
    ours, kubectl = command("kubernaut"), command("kubectl")
    screen.hint(f"export KUBECONFIG={system.place.kubeconfig}")
    screen.hint(f"{kubectl} get rr,aia,wfe,ea -A")
    if played is not None:
        screen.hint(f"# {played.namespace}/{played.deployment} runs out of memory: its alert comes by itself, and a person is asked")
    screen.hint(f"{ours} get", "the cases")
    screen.hint(f"{ours} approve NAME", "or the link in the message below; or: reject NAME --reason '…'")
    screen.hint(f"{ours} timeline NAME", "what happened, from the audit trail")
    screen.hint("# Ctrl-C stops it; the next one goes on where it stood, --fresh begins anew")

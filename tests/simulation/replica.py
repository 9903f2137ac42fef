"""One process of the product: the real parts over a wire of its own, with its own clock and memory. It dies without a word."""

import asyncio
import random
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import orjson

from kubernaut.api.base import Model, Resource
from kubernaut.gateway import app as gateway
from kubernaut.kube.client import Client
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.manager import Manager
from kubernaut.notification import reconciler as notification
from kubernaut.notification.app import notification_app
from kubernaut.notification.channels.base import Message
from kubernaut.notification.channels.console import Console
from kubernaut.outbound import Undeliverable
from kubernaut.settings import Settings
from kubernaut.wiring import PARTS, SOURCES, add_controllers
from tests.simulation import asgi
from tests.simulation.chaos import Chaos, Fault
from tests.simulation.ledger import Ledger
from tests.simulation.loop import OWNER, Life
from tests.simulation.wire import Server, Wire

POST_SECONDS: Final = 10.0
HTTP_PARTS: Final = frozenset({"gateway", "notification", "datastorage"})


@dataclass(frozen=True)
class SimulatedClock:
    """Tells the loop's time as a date; `skew` is how far this clock is off."""

    start: datetime
    loop: asyncio.AbstractEventLoop
    skew: timedelta = timedelta()

    def now(self) -> datetime:
        """Return the moment, aware, in UTC."""
        return self.start + self.skew + timedelta(seconds=self.loop.time())


@dataclass
class Surroundings:
    """What every process of a world shares."""

    server: Server
    chaos: Chaos
    ledger: Ledger
    clock: SimulatedClock
    settings: Settings
    token: str
    shown: list[tuple[float, str, Message]] = field(default_factory=list)
    """Messages that people saw, by which life."""


class Process:
    """A process of the product that is started, killed and started again."""

    def __init__(self, around: Surroundings, name: str, parts: frozenset[str], *, skew: timedelta) -> None:
        self.name = name
        self.parts = parts
        self.deaths = 0
        self.life = Life("unborn")
        self.life.alive = False
        self.lives: list[Life] = []
        self.wire: Wire | None = None
        self.cluster: Cluster | None = None
        self._wires: list[Wire] = []
        self._around = around
        self._clock = SimulatedClock(around.clock.start, around.clock.loop, skew)
        self._peers: list[Process] = []
        self._gateway: object = None
        self._notification: object = None

    def know(self, peers: list["Process"]) -> None:
        """Learn who else runs, for escalations go to whoever serves notifications."""
        self._peers = peers

    def start(self) -> None:
        """Begin a new life, with nothing in memory."""
        self.life = Life(f"{self.name}.{len(self.lives)}")
        self.lives.append(self.life)
        self._gateway = self._notification = None
        context = copy_context()
        context.run(OWNER.set, self.life)
        asyncio.get_running_loop().create_task(self._live(self.life), context=context, name=self.life.name)

    def kill(self) -> None:
        """End this life at once: nothing of it runs any more, and nothing is told."""
        self.life.alive = False

    def end(self) -> None:
        """Cut all lives off for good, and wake the dead ones, so that their tasks can be cancelled."""
        for wire in self._wires:
            wire.cut = True
        for life in self.lives:
            life.alive = True

    async def _live(self, life: Life) -> None:
        around, settings = self._around, self._around.settings
        await asyncio.sleep(0.1)
        self.wire = Wire(around.server, life, around.token)
        self._wires.append(self.wire)
        client = Client.over(self.wire)
        election = None
        if settings.leader_election and self.parts - HTTP_PARTS:
            name = "-".join(sorted(self.parts))[:60]
            election = replace(settings.leader.election(name=name, namespace=settings.namespace), identity=life.name)
        rng = random.Random(f"{around.chaos.seed} {life.name}")
        manager = Manager(client, self._clock, name=self.name, namespace=settings.namespace, leader_election=election, rng=rng)
        self.cluster = manager.cluster
        self._serve(manager, life)
        add_controllers(manager, settings, self.parts, records=around.ledger, escalations=_Escalations(self))
        await manager.run()

    def _serve(self, manager: Manager, life: Life) -> None:
        settings, around = self._around.settings, self._around
        if "gateway" in self.parts:
            intake = gateway.setup(manager, settings.gateway)
            self._gateway = gateway.gateway_app(intake, SOURCES, settings.gateway, {})
        if "notification" in self.parts:
            console = Console(lambda message: around.shown.append((around.chaos.now(), life.name, message)))
            notification.setup(manager, settings.notification, (console,))
            self._notification = notification_app(manager.cluster, settings.notification, {})

    def spoiled(self) -> list[Resource]:
        """Return the shared models of this life that somebody changed."""
        return self.cluster.readings.spoiled() if self.cluster else []

    async def signal(self, body: bytes) -> tuple[int, bytes]:
        """Send a webhook to the gateway; status 0 where nobody answers in time."""
        return await self._post(self._gateway, "/api/v1/signals/prometheus", body)

    async def notify(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Send an escalation to the notification service."""
        return await self._post(self._notification, path, body)

    async def _post(self, app: object, path: str, body: bytes) -> tuple[int, bytes]:
        if app is None or not self.life.alive:
            return 0, b""
        context = copy_context()
        context.run(OWNER.set, self.life)
        work = asyncio.get_running_loop().create_task(asgi.post(app, path, body), context=context)  # type: ignore[arg-type]
        done, _ = await asyncio.wait({work}, timeout=POST_SECONDS)
        if not done:
            work.cancel()
            return 0, b""
        if self._around.chaos.chance(0.01):
            self._around.chaos.hit(Fault.ANSWER_LOST, f"{self.name} {path}")
            return 0, b""
        return work.result()


class _Escalations:
    """The notification service as the orchestrator knows it: any process that serves it, or nobody."""

    def __init__(self, caller: Process) -> None:
        self._caller = caller

    async def post(self, path: str, body: Model) -> None:
        """Send a body, one try."""
        serving = [peer for peer in self._caller._peers if "notification" in peer.parts and peer.life.alive]
        status, text = await serving[0].notify(path, orjson.dumps(body.wire())) if serving else (0, b"")
        if status == 0:
            raise Undeliverable("TimeoutError: nobody answers")
        if status >= 400:
            raise Undeliverable(f"{status}: {text[:200]!r}", retryable=status >= 500 or status == 429)


ALL_PARTS: Final = frozenset(PARTS) - {"datastorage"}

"""A gateway over real HTTP and a Kubernetes API, what is posted to it, and a way to the API on which things go wrong."""

import asyncio
import io
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from kubernaut.api.remediation import RemediationRequest
from kubernaut.gateway.app import gateway_app, guards, setup
from kubernaut.gateway.settings import GatewaySettings
from kubernaut.gateway.sources.alertmanager import Alertmanager
from kubernaut.gateway.sources.kubernetes_event import KubernetesEvents
from kubernaut.kube.client import Client
from kubernaut.kube.clock import SystemClock
from kubernaut.kube.errors import ApiError
from kubernaut.kube.manager import Manager
from kubernaut.kube.transport import Request, Transport
from kubernaut.service import serving
from tests.world import running

PATH = "/api/v1/signals/prometheus"
EVENTS = "/api/v1/signals/kubernetes-event"
SOURCES = (Alertmanager(), KubernetesEvents())


async def nothing():
    """A dependency that is well."""


def settings_for(world, **changes):
    """Return settings for a test: everything is managed, and tries follow each other at once."""
    return GatewaySettings(**{"port": 0, "namespace": world.system, "managed_only": False, "store_retry_seconds": 0.01, **changes})


@asynccontextmanager
async def gateway(world, *, client=None, **changes):
    """Run one gateway, over a client of its own where one is given; give its address."""
    settings = settings_for(world, **changes)
    client = client or world.client
    manager = Manager(client, SystemClock(), name="test", namespace=world.system)
    intake = setup(manager, settings)
    app = gateway_app(intake, SOURCES, settings, {"kubernetes": nothing}, guards(client, settings))
    async with running(manager), serving(app, host="127.0.0.1", port=0) as url, aiohttp.ClientSession(url) as http:
        yield http


@asynccontextmanager
async def starting(world, client):
    """Serve a gateway whose caches are still being filled."""
    settings = settings_for(world, start_wait_seconds=0.01)
    manager = Manager(client, SystemClock(), name="test", namespace=world.system)
    app = gateway_app(setup(manager, settings), SOURCES, settings, {"kubernetes": nothing})
    work = asyncio.create_task(manager.run())
    try:
        async with serving(app, host="127.0.0.1", port=0) as url, aiohttp.ClientSession(url) as http:
            yield http
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def alert(namespace, pod, *, status="firing", **labels):
    """Return one alert about a pod."""
    said = {"alertname": "KubePodCrashLooping", "severity": "critical", "namespace": namespace, "pod": pod, **labels}
    return {"status": status, "labels": said, "annotations": {}, "startsAt": "2026-01-01T00:00:00Z"}


def group(namespace, pods, *, status="firing", **changes):
    """Return Alertmanager's body for alerts about pods."""
    alerts = [alert(namespace, pod, status=status) for pod in pods]
    return {"version": "4", "status": status, "receiver": "kubernaut", "alerts": alerts} | changes


async def post(http, body, path=PATH, **headers):
    """Send a body; return the status and the answer."""
    async with http.post(path, data=io.BytesIO(json.dumps(body).encode()), headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


async def requests(world):
    """Return all remediations."""
    found = await world.client.list(RemediationRequest.card, world.system)
    return [RemediationRequest.model_validate(obj) for obj in found.items]


@dataclass
class Order:
    """What goes wrong with the next requests of a kind."""

    matches: Callable[[Request], bool]
    fault: ApiError
    times: int
    after: bool
    """Whether the request takes effect first, and its answer gets lost."""


@dataclass
class Faulty:
    """A way to the API server on which things go wrong to order; it keeps account of what was sent."""

    inner: Transport
    orders: list[Order] = field(default_factory=list)
    sent: list[tuple[str, str]] = field(default_factory=list)
    chance: Callable[[Request], tuple[ApiError, bool] | None] = lambda _: None

    def refuse(self, method: str, ending: str, fault: ApiError, *, times: int = 1, after: bool = False) -> None:
        """Let the next writes to a resource fail; what is read goes through."""
        self.orders.append(Order(lambda request: request.method == method and ending in request.path, fault, times, after))

    def writes(self, ending: str) -> int:
        """Return how many writes were sent to a resource."""
        return sum(1 for method, path in self.sent if method != "GET" and ending in path)

    async def send(self, request: Request) -> bytes:
        """Carry a request, or not."""
        self.sent.append((request.method, request.path))
        order = next((each for each in self.orders if each.times > 0 and each.matches(request)), None)
        if order is None:
            wrong = self.chance(request)
        else:
            order.times -= 1
            wrong = order.fault, order.after
        if wrong is None:
            return await self.inner.send(request)
        fault, after = wrong
        if after:
            await self.inner.send(request)
        raise fault

    def lines(self, request: Request, *, idle: float) -> AsyncGenerator[bytes, None]:
        """Carry a watch."""
        return self.inner.lines(request, idle=idle)

    async def close(self) -> None:
        """Leave the connections to their owner."""


def faulty(world):
    """Return a way to the world's API on which things can go wrong, and a client over it."""
    way = Faulty(world.client._transport)
    return way, Client.over(way)


async def together(count, act):
    """Do something many times at once; return what came of each."""
    return await asyncio.gather(*(act(number) for number in range(count)))

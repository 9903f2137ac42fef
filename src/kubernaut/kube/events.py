"""Kubernetes Events about our objects: for people who run `kubectl describe`; best effort, never in the way of a reconcile."""

import asyncio
import random
import socket
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import structlog

from kubernaut.api.base import Kind, Obj
from kubernaut.kube import metrics
from kubernaut.kube.client import Client
from kubernaut.kube.clock import Clock
from kubernaut.kube.errors import ApiError
from kubernaut.kube.status import cut

EVENT: Final = Kind(kind="Event", plural="events", group="", version="v1")
NORMAL: Final = "Normal"
WARNING: Final = "Warning"
QUEUE_LIMIT: Final = 1024
CACHE_LIMIT: Final = 4096

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Happening:
    """What is to be told: equal ones are counted in one Event."""

    uid: str
    type: str
    reason: str
    message: str


@dataclass(slots=True)
class Sent:
    """The Event object that counts a happening."""

    name: str
    count: int = 1


class Recorder:
    """Sends Events from a bounded queue; one that finds it full is dropped and counted."""

    def __init__(self, client: Client, clock: Clock, component: str, rng: random.Random | None = None) -> None:
        self._client = client
        self._clock = clock
        self._component = component
        self._rng = rng or random.SystemRandom()
        self._queue: asyncio.Queue[tuple[Obj, Happening]] = asyncio.Queue(QUEUE_LIMIT)
        self._sent: OrderedDict[Happening, Sent] = OrderedDict()

    def event(self, obj: Obj, type_: str, reason: str, message: str) -> None:
        """Tell of something that happened to an object; type is Normal or Warning."""
        happening = Happening(obj["metadata"].get("uid", ""), type_, reason[:128], cut(message))
        try:
            self._queue.put_nowait((_involved(obj), happening))
        except asyncio.QueueFull:
            metrics.EVENTS_DROPPED.labels("full").inc()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            involved, happening = await self._queue.get()
            try:
                await self._send(involved, happening)
            except ApiError as fault:
                self._sent.pop(happening, None)
                metrics.EVENTS_DROPPED.labels("refused").inc()
                log.debug("event not sent", reason=happening.reason, fault=str(fault)[:500])

    async def _send(self, involved: Obj, happening: Happening) -> None:
        now = self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        namespace = involved.get("namespace") or "default"
        sent = self._sent.get(happening)
        if sent is None:
            event = self._event(involved, happening, namespace, now)
            await self._client.create(EVENT, event)
            self._remember(happening, Sent(event["metadata"]["name"]))
            return
        sent.count += 1
        await self._client.patch(EVENT, sent.name, namespace, {"count": sent.count, "lastTimestamp": now})

    def _event(self, involved: Obj, happening: Happening, namespace: str, now: str) -> Obj:
        return {
            "metadata": {"name": f"{involved['name'][:230]}.{self._rng.getrandbits(64):016x}", "namespace": namespace},
            "involvedObject": involved,
            "type": happening.type,
            "reason": happening.reason,
            "message": happening.message,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": socket.gethostname(),
        }

    def _remember(self, happening: Happening, sent: Sent) -> None:
        self._sent[happening] = sent
        while len(self._sent) > CACHE_LIMIT:
            self._sent.popitem(last=False)


def _involved(obj: Obj) -> Obj:
    metadata = obj["metadata"]
    fields = {name: metadata.get(name) for name in ("name", "namespace", "uid", "resourceVersion")}
    return {name: value for name, value in {"apiVersion": obj.get("apiVersion"), "kind": obj.get("kind"), **fields}.items() if value}

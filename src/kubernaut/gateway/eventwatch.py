"""Warning Events of the cluster as signals, without anybody who posts them: listed, then watched, while we lead."""

import asyncio
from collections import OrderedDict
from contextlib import aclosing
from hashlib import sha256
from typing import Final

import orjson
import structlog

from kubernaut.api import core
from kubernaut.api.base import Obj
from kubernaut.gateway.intake import Intake
from kubernaut.gateway.results import Became
from kubernaut.gateway.settings import GatewaySettings
from kubernaut.gateway.sources.kubernetes_event import KubernetesEvents, judged
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError

WARNINGS: Final = "type=Warning"
AT_ONCE: Final = 32
TAKEN_LIMIT: Final = 10_000
"""How many Events are remembered as taken, so that a list read again counts none of them twice."""

log = structlog.get_logger(__name__)


class NotStored(RuntimeError):  # noqa: N818  (says what became of it)
    """An Event could not be stored; the list is read again, later each time."""


class EventWatch:
    """A background task. What it has taken it remembers; after a restart Events within the replay window are taken once more."""

    def __init__(self, client: Client, intake: Intake, settings: GatewaySettings) -> None:
        self._client = client
        self._intake = intake
        self._reasons = frozenset(settings.event_reasons)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._taken: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def run(self) -> None:
        """Work until cancelled; raise ApiError or NotStored (as a group) for whoever supervises."""
        while True:
            try:
                await self._round()
            except* ApiError as faults:
                if not all(isinstance(fault, ApiError) and fault.expired for fault in faults.exceptions):
                    raise

    async def _round(self) -> None:
        """List, then watch from there until the history is lost."""
        async with asyncio.TaskGroup() as tasks:
            listing = await self._client.list(core.EVENT, field_selector=WARNINGS)
            for event in listing.items:
                await self._hear(event, tasks)
            version = listing.resource_version
            while True:
                version = await self._follow(version, tasks)

    async def _follow(self, version: str, tasks: asyncio.TaskGroup) -> str:
        async with aclosing(self._client.watch(core.EVENT, resource_version=version, field_selector=WARNINGS)) as changes:
            async for type_, event in changes:
                version = event["metadata"].get("resourceVersion") or version
                if type_ in {"ADDED", "MODIFIED"}:
                    await self._hear(event, tasks)
        return version

    async def _hear(self, event: Obj, tasks: asyncio.TaskGroup) -> None:
        """Take an Event that was not taken yet, once one of the slots is free."""
        meta = event["metadata"]
        key = (str(meta.get("uid")), str(meta.get("resourceVersion")))
        if key in self._taken or (self._reasons and event.get("reason") not in self._reasons):
            return
        await self._slots.acquire()
        tasks.create_task(self._take(event, key))

    async def _take(self, event: Obj, key: tuple[str, str]) -> None:
        try:
            digest = sha256(orjson.dumps(event)).hexdigest()
            result = await self._intake.take(judged(event), source=KubernetesEvents.name, body_digest=digest)
        finally:
            self._slots.release()
        if result.status is Became.FAILED:
            raise NotStored(result.message)
        self._taken[key] = None
        if len(self._taken) > TAKEN_LIMIT:
            self._taken.popitem(last=False)

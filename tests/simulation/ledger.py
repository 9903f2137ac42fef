"""Data storage in memory: keeps every fact once, as the real one does, is down at times, and loses answers."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar
from uuid import UUID

from kubernaut.api.audit import AuditEvent
from kubernaut.api.base import Model
from kubernaut.outbound import EVENTS, Undeliverable
from tests.simulation.chaos import Chaos, Fault

ANSWER_SECONDS: Final = 0.004
TIMEOUT_SECONDS: Final = 5.0

M = TypeVar("M", bound=Model)


class Ledger:
    """What data storage holds."""

    def __init__(self, chaos: Chaos) -> None:
        self._chaos = chaos
        self.facts: dict[tuple[str, int], AuditEvent] = {}
        """By uid of the object and ordinal."""
        self.records: list[Model] = []
        self.doubtful: list[str] = []
        """Facts that were told twice, and differently."""
        self._ids: dict[UUID, tuple[str, int]] = {}
        self._down_until = 0.0

    def down(self, seconds: float) -> None:
        """Be down for a while."""
        self._chaos.hit(Fault.OUTAGE, f"data storage for {seconds:.0f} s")
        self._down_until = self._chaos.now() + seconds

    async def post(self, path: str, body: Model) -> None:
        """Take one record."""
        await self._reached()
        self.records.append(body)
        await self._answered(path)

    def of(self, model: type[M]) -> Iterator[M]:
        """Yield the records of a kind, in the order they came."""
        return (each for each in self.records if isinstance(each, model))

    async def post_all(self, path: str, bodies: Sequence[Model]) -> None:
        """Take a list of facts."""
        await self._reached()
        for body in bodies:
            if path == EVENTS and isinstance(body, AuditEvent):
                self._keep(body)
        await self._answered(path)

    def _keep(self, event: AuditEvent) -> None:
        key = event.resource_id, event.sequence
        known = self.facts.setdefault(key, event)
        if known != event:
            self.doubtful.append(
                f"{event.resource_type} {event.resource_name} #{event.sequence}: {known.event_action}, then {event.event_action}"
            )

    async def _reached(self) -> None:
        await asyncio.sleep(ANSWER_SECONDS)
        if self._chaos.now() < self._down_until and not self._chaos.quiet:
            raise Undeliverable("ClientConnectorError: data storage is down")

    async def _answered(self, path: str) -> None:
        if self._chaos.chance(0.01):
            self._chaos.hit(Fault.ANSWER_LOST, f"data storage {path}")
            await asyncio.sleep(TIMEOUT_SECONDS)
            raise Undeliverable("TimeoutError: no answer")

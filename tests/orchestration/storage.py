"""Data storage as the orchestrator's tests play it: up, away, or hanging."""

import asyncio

from kubernaut.api.base import Model, Obj
from kubernaut.outbound import Undeliverable

PATIENCE = 60


class Storage:
    """Takes records when it is up; an answer that it owes is given when it comes back."""

    def __init__(self) -> None:
        self.got: list[Obj] = []
        self.away = False
        self.asked = asyncio.Event()
        self.up = asyncio.Event()
        self.up.set()
        self._more = asyncio.Event()

    async def post(self, _: str, body: Model) -> None:
        self.asked.set()
        if self.away:
            raise Undeliverable("nobody listens")
        await self.up.wait()
        self.got.append(body.wire())
        self._more.set()

    async def told(self, phase: str) -> None:
        """Wait for the record of a phase."""
        async with asyncio.timeout(PATIENCE):
            while all(each["overallPhase"] != phase for each in self.got):
                self._more.clear()
                await self._more.wait()

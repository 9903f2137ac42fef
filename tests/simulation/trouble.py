"""What happens to processes and services by itself: they die and come back, are cut off, lose their lease; a service is down, history is forgotten."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from kubernaut.api.core import LEASE
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError
from kubernaut.kube.leader import micro_time
from kubernaut.localcluster.store import Store
from kubernaut.manifests import SYSTEM_NAMESPACE
from tests.simulation.chaos import Chaos, Fault
from tests.simulation.ledger import Ledger
from tests.simulation.replica import Process, SimulatedClock

EVERY_SECONDS: Final = 120.0
STRANGER: Final = "a process that nobody knows"
STRANGER_SECONDS: Final = 20


@dataclass
class Trouble:
    """Chooses what goes wrong beside the calls, and whom it meets."""

    chaos: Chaos
    processes: list[Process]
    ledger: Ledger
    admin: Client
    store: Store
    clock: SimulatedClock

    async def play(self) -> None:
        """Make trouble now and then, until cancelled."""
        rng = self.chaos.rng
        kinds: tuple[tuple[Callable[[Process], Awaitable[None]], int], ...] = (
            (self._kill, 4),
            (self._cut_off, 2),
            (self._bring_down, 2),
            (self._take_lease, 2),
            (self._forget_history, 2),
        )
        while True:
            await asyncio.sleep(rng.expovariate(self.chaos.strength / EVERY_SECONDS))
            process = rng.choice(self.processes)
            await rng.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0](process)

    async def keep_alive(self, process: Process) -> None:
        """Start a process again some time after it died."""
        while True:
            await asyncio.sleep(1.0)
            if not process.life.alive:
                process.deaths += 1
                await asyncio.sleep(self.chaos.rng.uniform(0, 30))
                process.start()

    async def _kill(self, process: Process) -> None:
        if process.life.alive:
            self.chaos.hit(Fault.KILL_ANY, process.life.name)
            process.kill()

    async def _cut_off(self, process: Process) -> None:
        if process.wire is not None:
            seconds = self.chaos.rng.uniform(1, 120)
            self.chaos.hit(Fault.PARTITION, f"{process.life.name} for {seconds:.0f} s")
            process.wire.cut = True
            asyncio.get_running_loop().call_later(seconds, setattr, process.wire, "cut", False)

    async def _bring_down(self, _process: Process) -> None:
        self.ledger.down(self.chaos.rng.uniform(1, 120))

    async def _take_lease(self, _process: Process) -> None:
        """Let a stranger hold a lease of leadership for a moment, and never be heard of again."""
        names = {process.life.name for process in self.processes}
        for lease in (await self.admin.list(LEASE, SYSTEM_NAMESPACE)).items:
            spec = lease.get("spec") or {}
            if spec.get("holderIdentity") in names:
                now = micro_time(self.clock.now())
                taken = {"holderIdentity": STRANGER, "leaseDurationSeconds": STRANGER_SECONDS, "renewTime": now, "acquireTime": now}
                self.chaos.hit(Fault.LEASE_LOST, f"{lease['metadata']['name']} of {spec['holderIdentity']}")
                await self._written({**lease, "spec": {**spec, **taken}})
                return

    async def _written(self, lease: dict[str, object]) -> None:
        try:
            await self.admin.update(LEASE, lease)
        except ApiError as fault:
            if not fault.conflict:
                raise

    async def _forget_history(self, _process: Process) -> None:
        """Compact the store: whoever watched from before has to list again."""
        self.chaos.hit(Fault.COMPACTED, f"up to revision {self.store.revision}")
        self.store.expire()

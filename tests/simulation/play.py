"""Plays one world: a seed in, what happened out."""

import asyncio
import gc
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from kubernaut.analysis.settings import PlanMode
from kubernaut.kube.client import Client
from tests.simulation.alarms import Alarms
from tests.simulation.chaos import Chaos, Fault
from tests.simulation.cluster import ADMIN, COLLEAGUE, PERSON, PRODUCT, furnish, local_cluster
from tests.simulation.collector import Collector
from tests.simulation.hands import Hands
from tests.simulation.laws import Facts, Laws
from tests.simulation.ledger import Ledger
from tests.simulation.loop import SimulatedLoop, StuckError, run
from tests.simulation.people import People
from tests.simulation.replica import Process, SimulatedClock, Surroundings
from tests.simulation.scene import Scene, scene
from tests.simulation.trouble import Trouble
from tests.simulation.wire import Server, Wire

START: Final = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
TARGETS: Final = 10
"""Workloads of a world: about forty cases. With more of them, each case costs more."""
REST_SECONDS: Final = 4 * 3600.0


@dataclass
class Played:
    """What came of one world."""

    seed: int
    cases: int = 0
    trace: str = ""
    calls: int = 0
    ended_at: float = 0.0
    rows: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    """Which laws were broken, and how."""
    schedule: str = ""
    """What led to that."""


@dataclass
class World:
    """Everything of one world that runs."""

    scene: Scene
    chaos: Chaos
    server: Server
    laws: Laws
    processes: list[Process]
    alarms: Alarms
    hands: Hands
    people: People
    trouble: Trouble


def play(seed: int, *, targets: int = TARGETS, strength: float = 0.0, layout: int | None = None, mode: PlanMode | None = None) -> Played:
    """Play a world to its end, or to the first broken law; the seed chooses how hard it is, what runs and what fixes are made of, unless told."""
    loop, played = SimulatedLoop(seed), Played(seed)
    state, collecting = random.getstate(), gc.isenabled()
    random.seed(seed)
    gc.disable()
    try:
        run(loop, lambda: _play(loop, played, scene(seed, targets=targets, layout=layout, mode=mode), strength))
    except StuckError as fault:
        played.broken.append(f"{loop.time():.3f} something always goes on: {fault}")
    finally:
        random.setstate(state)
        if collecting:
            gc.enable()
    return played


async def _play(loop: SimulatedLoop, played: Played, chosen: Scene, strength: float) -> None:
    async with _world(loop, played.seed, chosen, strength) as world:
        try:
            await _until_broken(world, _acts(world))
        except AssertionError as fault:
            world.laws.note(f"{type(fault).__name__}: {fault}")
        _sum_up(world, loop, played)


@asynccontextmanager
async def _world(loop: SimulatedLoop, seed: int, chosen: Scene, strength: float) -> AsyncIterator[World]:
    clock = SimulatedClock(START, loop)
    cluster = local_cluster(seed, clock)
    chaos = Chaos(seed, loop.time, strength)
    server = Server(cluster.face(), chaos, cluster.registry.store)
    admin, person, colleague = (Client.over(Wire(server, None, token, faulty=False)) for token in (ADMIN, PERSON, COLLEAGUE))
    hands = Hands(admin, (person, colleague), clock, seed, {(each.namespace, each.name): each for each in chosen.targets})
    ledger = Ledger(chaos)
    around = Surroundings(server, chaos, ledger, clock, chosen.settings, PRODUCT)
    processes = _processes(chosen, around, chaos)
    alarms = Alarms(cluster.api, clock, [each for each in processes if "gateway" in each.parts], seed)
    laws = Laws(Facts(chosen.settings, {each.path: each for each in chosen.targets}, around, server, loop.time))
    alarms.on_taken = laws.taken
    collector = Collector(admin, random.Random(f"collector {seed}"))
    cluster.registry.written += [collector.written, hands.written, laws.written]
    await furnish(admin, chosen.targets)
    try:
        people = People(person, admin, clock, chosen.targets, random.Random(f"people {seed}"), chaos.strength)
        trouble = Trouble(chaos, processes, ledger, admin, cluster.registry.store, clock)
        yield World(chosen, chaos, server, laws, processes, alarms, hands, people, trouble)
    finally:
        await _abandon(processes)
        await cluster.stop()


def _processes(chosen: Scene, around: Surroundings, chaos: Chaos) -> list[Process]:
    made = []
    for name, parts in chosen.layout:
        skew = chaos.rng.uniform(-chosen.skew, chosen.skew)
        if skew:
            chaos.hit(Fault.SKEW, f"{name} {skew:+.1f} s")
        made.append(Process(around, name, parts, skew=timedelta(seconds=skew)))
    for process in made:
        process.know(made)
    return made


async def _abandon(processes: list[Process]) -> None:
    """End everything: no call gets through any more, and every task is cancelled."""
    for process in processes:
        process.end()
    loop = asyncio.get_running_loop()
    if isinstance(loop, SimulatedLoop):
        loop.resurrect()
    mine = asyncio.current_task()
    rest = [task for task in asyncio.all_tasks() if task is not mine]
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


async def _until_broken(world: World, acts: "asyncio.Future[None]") -> None:
    """Wait for the end of the play or a broken law, whichever is first."""
    broken = asyncio.ensure_future(world.laws.broken.wait())
    waited: set[asyncio.Future[Any]] = {acts, broken}
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    broken.cancel()
    if acts.done():
        acts.result()
    else:
        acts.cancel()


def _acts(world: World) -> "asyncio.Future[None]":
    async def acts() -> None:
        for process in world.processes:
            process.start()
        keepers = [asyncio.create_task(world.trouble.keep_alive(process)) for process in world.processes]
        troubles = [asyncio.create_task(world.trouble.play()), asyncio.create_task(world.people.play())]
        await asyncio.gather(*(world.alarms.play(alarm) for alarm in world.scene.alarms))
        world.chaos.quiet = True
        for trouble in troubles:
            trouble.cancel()
        await world.people.resume_all()
        await _rest(world)
        for keeper in keepers:
            keeper.cancel()
        world.laws.at_rest()

    return asyncio.ensure_future(acts())


async def _rest(world: World) -> None:
    """Wait until every case has ended and is forgotten."""
    loop = asyncio.get_running_loop()
    until = loop.time() + REST_SECONDS
    while not world.laws.is_calm():
        if loop.time() >= until:
            world.laws.note(f"not at rest after {REST_SECONDS / 3600:.0f} hours: {world.laws.restless()}")
            return
        await asyncio.sleep(30)


def _sum_up(world: World, loop: SimulatedLoop, played: Played) -> None:
    played.cases = world.laws.cases
    played.trace, played.calls, played.ended_at = world.server.trace, world.server.calls, loop.time()
    played.rows, played.faults = world.laws.facts.rows, Counter({fault.value: count for fault, count in world.chaos.hits.items()})
    spoiled = [each for process in world.processes for each in process.spoiled()]
    played.broken = [
        *world.laws.found,
        *(f"nobody caught: {fault}" for fault in (*loop.faults, *world.hands.faults)),
        *(f"{loop.time():.3f} nobody changes what is shared: {each.card.kind} {each.metadata.name}" for each in spoiled),
    ]
    if played.broken:
        played.schedule = "\n".join(
            [
                "people:",
                *(f"  {each}" for each in world.people.did[-40:]),
                "faults:",
                *(f"  {each}" for each in world.chaos.told),
                "last writes:",
                *(f"  {each}" for each in world.server.writes),
            ]
        )

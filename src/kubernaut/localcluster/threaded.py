"""The embedded cluster in a thread of its own, with its stand-ins: for callers without an event loop, such as tests of client libraries."""

import asyncio
import random
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from kubernaut.localcluster.controllers import QUICK, LiveScenario, NodeRule, Pace, Scenario, StandInSettings, stand_ins
from kubernaut.localcluster.server import ClusterSettings, LocalCluster

ONE_NODE = Scenario(nodes=[NodeRule(name="node-1")])
"""All is well on one node."""

_Started = Future[tuple[LocalCluster, Callable[[], None]]]


def run_stand_ins(cluster: LocalCluster, *, scenario: Scenario = ONE_NODE, off: Collection[str] = (), pace: Pace = QUICK) -> None:
    """Run the cluster's stand-ins, save those named in `off`, until it stops."""
    settings = StandInSettings(
        clock=lambda: datetime.now(UTC),
        rng=random.SystemRandom(),
        scenario=LiveScenario(scenario),
        pace=pace,
        ca_certificate=cluster.certificate,
        logs=cluster.logs,
    )
    for name, run in stand_ins(cluster.api, settings).items():
        if name not in off:
            cluster.run(name, run)


@contextmanager
def threaded(
    settings: ClusterSettings, *, scenario: Scenario = ONE_NODE, off: Collection[str] = (), pace: Pace = QUICK
) -> Iterator[LocalCluster]:
    """Serve a cluster while the context lasts; of what is given, use only `url`, `admin_token`, `certificate` and `kubeconfig()`.

    Raises what the cluster failed with: at the start OSError where the port is taken, at the end ExceptionGroup of failed stand-ins.
    """
    started: _Started = Future()

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        async with LocalCluster(settings) as cluster:
            run_stand_ins(cluster, scenario=scenario, off=off, pace=pace)
            started.set_result((cluster, lambda: _call(loop, stop.set)))
            await stop.wait()

    with ThreadPoolExecutor(1, "localcluster") as pool:
        ended = pool.submit(lambda: asyncio.run(serve()))
        futures: list[Future[Any]] = [started, ended]
        wait(futures, return_when=FIRST_COMPLETED)
        if ended.done():
            ended.result()
        cluster, stop = started.result()
        try:
            yield cluster
        finally:
            stop()
            ended.result()


def _call(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    loop.call_soon_threadsafe(callback)

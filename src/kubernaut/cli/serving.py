"""Keeps the embedded Kubernetes API of a state directory running, and stops the one that runs."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from kubernaut.api.base import Unusable
from kubernaut.cli.places import Announcement, Place, PlaceTaken
from kubernaut.localcluster import ClusterSettings, LocalCluster
from kubernaut.localcluster.controllers import Scenario, ScenarioError
from kubernaut.localcluster.threaded import ONE_NODE, run_stand_ins

STOP_SECONDS = 20.0
_LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Serving:
    """How a cluster is to run."""

    port: int = 0
    off: frozenset[str] = frozenset()
    scenario: Path | None = None
    rbac: bool = field(default=False, kw_only=True)
    fresh: bool = field(default=False, kw_only=True)


async def serve(place: Place, asked: Serving, say: Callable[[str], None]) -> None:
    """Run until SIGINT or SIGTERM; raise Unusable for a scenario that is not one, PlaceTaken, and OSError where the port is taken."""
    scenario = _scenario(asked.scenario)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        stack.enter_context(place.held())
        if asked.fresh:
            place.wipe()
        settings = ClusterSettings(
            database=str(place.database), port=asked.port, admin_token=place.token(), anonymous=False, tls=True, rbac=asked.rbac
        )
        cluster = await stack.enter_async_context(LocalCluster(settings))
        run_stand_ins(cluster, scenario=scenario, off=asked.off)
        place.write_kubeconfig(cluster.kubeconfig())
        place.announce(Announcement(os.getpid(), cluster.url))
        stack.callback(place.withdraw)
        say(f"Kubernetes API  {cluster.url}\nstate           {place.path}\n\nexport KUBECONFIG={place.kubeconfig}\n\nCtrl-C stops it")
        await stop.wait()


def _scenario(path: Path | None) -> Scenario:
    """Read a scenario; where it names no nodes, there is one."""
    if path is None:
        return ONE_NODE
    try:
        read = Scenario.from_yaml(path.read_text(encoding="utf-8"))
    except ScenarioError as error:
        raise Unusable(f"{path}: {error}") from error
    return read if read.nodes else Scenario(nodes=ONE_NODE.nodes, rules=read.rules)


async def end(place: Place) -> None:
    """Stop the process that holds a place and wait until it has let go; raise Unusable when there is none, TimeoutError."""
    holder = place.announced()
    if holder is None or not _is_held(place):
        raise Unusable(f"nothing runs on {place.path}")
    os.kill(holder.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            while _is_held(place):  # noqa: ASYNC110 (the lock of a file: nobody tells when it is free)
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise TimeoutError(f"process {holder.pid} has not stopped within {STOP_SECONDS:.0f} seconds") from None


def _is_held(place: Place) -> bool:
    if not place.path.exists():
        return False
    try:
        with place.held():
            return False
    except PlaceTaken:
        return True

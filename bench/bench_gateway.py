"""What the gateway adds to storing: webhooks against a bare loop of the same creates, over the same client and cluster.

Server, gateway and sender share one process and one core, so the figures are ratios within this run, not a machine's limits.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from time import perf_counter

import aiohttp

from kubernaut import manifests
from kubernaut.api import core
from kubernaut.api.base import Kind, Obj
from kubernaut.api.remediation import RemediationRequest
from kubernaut.gateway.intake import PARALLEL
from kubernaut.gateway.settings import GatewaySettings
from kubernaut.kube.client import Client
from kubernaut.localcluster import ClusterSettings, LocalCluster
from kubernaut.service import RateSettings
from kubernaut.settings import Settings
from kubernaut.telemetry import configure_logging
from kubernaut.wiring import system

PATH = "/api/v1/signals/prometheus"
ALONE, GROUPED, REPEATS, SENDERS = 200, 400, 2000, 64


@asynccontextmanager
async def gateway() -> AsyncIterator[tuple[Client, aiohttp.ClientSession]]:
    """Run the gateway alone over an embedded cluster; give a client of the cluster and a session to the gateway."""
    settings = Settings(
        leader_election=False, gateway=GatewaySettings(port=0, managed_only=False, rate=RateSettings(per_source=0, per_replica=0))
    )
    async with LocalCluster(ClusterSettings()) as cluster:
        client = Client(cluster.url, token=cluster.admin_token)
        try:
            for obj in (*manifests.definitions(), *manifests.namespaces()):
                await client.create(_kind(obj), obj)
            async with (
                system(settings, client, parts=("gateway",)) as running,
                aiohttp.ClientSession(running.endpoints.urls["gateway"]) as http,
            ):
                yield client, http
        finally:
            await client.close()


def _kind(obj: Obj) -> Kind:
    kind = core.kind_named(obj["kind"])
    if kind is None:
        raise LookupError(obj["kind"])
    return kind


def group(names: Sequence[str]) -> Obj:
    """Return Alertmanager's body for alerts about pods of these names."""
    labels = {"alertname": "KubePodCrashLooping", "severity": "critical", "namespace": "shop"}
    alerts = [
        {
            "status": "firing",
            "labels": {**labels, "pod": name},
            "annotations": {"summary": "it restarts"},
            "startsAt": "2026-01-01T00:00:00Z",
        }
        for name in names
    ]
    return {"version": "4", "status": "firing", "receiver": "kubernaut", "alerts": alerts}


async def post(http: aiohttp.ClientSession, names: Sequence[str], status: int) -> None:
    """Send a group; raise unless it is answered as expected."""
    async with http.post(PATH, json=group(names)) as answer:
        if answer.status != status:
            raise RuntimeError(f"{answer.status}: {await answer.text()}")


async def timed(work: Awaitable[object]) -> float:
    """Return the seconds that work takes."""
    began = perf_counter()
    await work
    return perf_counter() - began


async def one_by_one(count: int, act: Callable[[int], Awaitable[object]]) -> None:
    """Do something a number of times, each after the one before."""
    for number in range(count):
        await act(number)


async def side_by_side(count: int, at_once: int, act: Callable[[int], Awaitable[object]]) -> None:
    """Do something a number of times, so many at once."""
    slots = asyncio.Semaphore(at_once)

    async def slotted(number: int) -> None:
        async with slots:
            await act(number)

    await asyncio.gather(*(slotted(number) for number in range(count)))


async def bare(client: Client, stored: Sequence[Obj], prefix: str) -> Callable[[int], Awaitable[object]]:
    """Return what creates the same objects again under other names."""

    async def create(number: int) -> object:
        obj = stored[number]
        kept = {key: obj["metadata"][key] for key in ("namespace", "labels", "annotations") if key in obj["metadata"]}
        return await client.create(RemediationRequest.card, {"metadata": {**kept, "name": f"{prefix}-{number}"}, "spec": obj["spec"]})

    return create


async def main() -> None:
    """Measure and print."""
    configure_logging(level="error", form="console")
    async with gateway() as (client, http):
        await one_by_one(20, lambda number: post(http, [f"warm-{number}"], 201))
        alone = await timed(one_by_one(ALONE, lambda number: post(http, [f"alone-{number}"], 201)))
        grouped = await timed(post(http, [f"grouped-{number}" for number in range(GROUPED)], 201))
        stored = (await client.list(RemediationRequest.card, manifests.SYSTEM_NAMESPACE)).items
        bare_alone = await timed(one_by_one(ALONE, await bare(client, stored, "bare")))
        bare_grouped = await timed(side_by_side(GROUPED, PARALLEL, await bare(client, stored, "parallel")))
        repeats = await timed(side_by_side(REPEATS, SENDERS, lambda _: post(http, ["alone-0"], 202)))
        regrouped = await timed(post(http, [f"grouped-{number}" for number in range(GROUPED)], 202))
    print(f"{'webhook to stored RemediationRequest':<58}{'each':>10}{'bare create':>14}{'ratio':>8}")
    for label, count, took, without in (
        (f"{ALONE} alerts, a webhook each, one after the other", ALONE, alone, bare_alone),
        (f"{GROUPED} alerts in one webhook ({PARALLEL} bare creates at once)", GROUPED, grouped, bare_grouped),
    ):
        print(f"{label:<58}{took / count * 1000:>8.2f}ms{without / count * 1000:>12.2f}ms{took / without:>8.2f}")
    print(f"\n{'repeats':<58}{'a second':>10}{'creates':>14}{'ratio':>8}")
    creates = GROUPED / grouped
    for label, rate in (
        (f"{REPEATS} webhooks about one open case, {SENDERS} at once", REPEATS / repeats),
        (f"{GROUPED} repeats of {GROUPED} open cases in one webhook", GROUPED / regrouped),
    ):
        print(f"{label:<58}{rate:>10.0f}{creates:>14.0f}{rate / creates:>8.2f}")


if __name__ == "__main__":
    asyncio.run(main())

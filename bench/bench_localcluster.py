"""Figures of the embedded cluster as ratios taken in one run: against a bare SQLite insert of the same bytes and a bare aiohttp echo."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
from aiohttp import web

from kubernaut.localcluster import ClusterSettings, LocalCluster

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
ROUNDS, AT_ONCE, LISTED, WATCHERS, CHANGES, MANY = 1500, 8, 5000, 100, 50, 50_000
OWN_PROCESS = """
import asyncio, resource, sys, time
from kubernaut.localcluster import ClusterSettings, LocalCluster
begun = float(sys.argv[2])
def rss():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 2**20
async def main():
    async with LocalCluster(ClusterSettings(tls=True)) as cluster:
        print(time.time() - begun, flush=True)
        before, kind, api = rss(), cluster.api.kind("", "configmaps"), cluster.api
        for index in range(int(sys.argv[1])):
            await api.create(kind, {"metadata": {"name": f"c{index}", "namespace": "default"}, "data": {"k": "v" * 200}})
        print(before, rss(), flush=True)
asyncio.run(main())
"""

WRITES, HELD, LOOKS = 200_000, 500, 8
WRITING = """
import asyncio, os, resource, sys
from kubernaut.localcluster import ClusterSettings, LocalCluster
def rss():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 2**20
async def main():
    writes, held, looks, database = *map(int, sys.argv[1:4]), sys.argv[4]
    async with LocalCluster(ClusterSettings(database=database)) as cluster:
        kind, api = cluster.api.kind("", "configmaps"), cluster.api
        for index in range(writes):
            if index % (writes // looks) == 0 and index:
                print(rss(), sum(os.path.getsize(database + end) for end in ("", "-wal")) / 2**20, flush=True)
            name, turn = f"c{index % held}", index // held
            if turn % 10 == 9:
                await api.delete(kind, name, "default")
            elif turn % 10 == 0:
                await api.create(kind, {"metadata": {"name": name, "namespace": "default"}, "data": {"k": str(index)}})
            else:
                await api.patch(kind, name, "default", {"data": {"k": str(index)}})
        print(rss(), sum(os.path.getsize(database + end) for end in ("", "-wal")) / 2**20, flush=True)
asyncio.run(main())
"""


def body(name: str) -> bytes:
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "v" * 200}}).encode()


async def rate(count: int, work: Callable[[int], Awaitable[None]]) -> float:
    """Return how often a second something is done, a few at a time."""
    begun = time.perf_counter()
    for start in range(0, count, AT_ONCE):
        await asyncio.gather(*(work(index) for index in range(start, min(start + AT_ONCE, count))))
    return count / (time.perf_counter() - begun)


async def echo_rate() -> float:
    async def echo(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=await request.read(), content_type="application/json")

    runner = web.ServerRunner(web.Server(echo, access_log=None))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession(url) as session:

        async def post(index: int) -> None:
            async with session.post("/", data=body(f"c{index}")) as answer:
                await answer.read()

        found = await rate(ROUNDS, post)
    await runner.cleanup()
    return found


def insert_rate(home: Path) -> float:
    """Rows a second, each its own transaction, as the journal writes them."""
    db = sqlite3.connect(home / "bare.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, data BLOB)")
    data = body("c") + b" " * 400  # what an object weighs with its metadata
    begun = time.perf_counter()
    for index in range(ROUNDS * 4):
        db.execute("INSERT INTO rows VALUES (?, ?)", (index, data))
    found = ROUNDS * 4 / (time.perf_counter() - begun)
    db.close()
    return found


class Client:
    """One client of a cluster over HTTP."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def create(self, index: int) -> None:
        async with self.session.post(CONFIGMAPS, data=body(f"c{index}")) as answer:
            await answer.read()
            assert answer.status == 201, await answer.text()  # noqa: S101

    async def get(self, index: int) -> None:
        async with self.session.get(f"{CONFIGMAPS}/c{index}") as answer:
            await answer.read()

    async def list(self, _index: int) -> None:
        async with self.session.get(CONFIGMAPS) as answer:
            await answer.read()

    async def follow(self, version: str, count: int) -> None:
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "60"}
        async with self.session.get(CONFIGMAPS, params=query) as answer:
            for _ in range(count):
                await answer.content.readline()


async def fan_out(client: Client) -> float:
    """Events a second over all watchers together."""
    async with client.session.get(CONFIGMAPS, params={"limit": "1"}) as answer:
        version = (await answer.json())["metadata"]["resourceVersion"]
    watchers = [asyncio.create_task(client.follow(version, CHANGES)) for _ in range(WATCHERS)]
    begun = time.perf_counter()
    await rate(CHANGES, lambda index: client.create(1_000_000 + index))
    await asyncio.gather(*watchers)
    return WATCHERS * CHANGES / (time.perf_counter() - begun)


async def over_http(home: Path) -> dict[str, float]:
    settings = ClusterSettings(database=str(home / "cluster.db"), admin_token="t")  # noqa: S106
    headers = {"Authorization": "Bearer t", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(limit=0)
    async with LocalCluster(settings) as cluster, aiohttp.ClientSession(cluster.url, headers=headers, connector=connector) as session:
        client = Client(session)
        found = {"creates": await rate(ROUNDS, client.create), "gets": await rate(ROUNDS, client.get)}
        await rate(LISTED - ROUNDS, lambda index: client.create(ROUNDS + index))
        found["lists"] = await rate(16, client.list)
        found["events"] = await fan_out(client)
        return found


def own_process() -> tuple[float, float, float]:
    """Return seconds to start, and MiB held before and after many objects."""
    words = [sys.executable, "-c", OWN_PROCESS, str(MANY), str(time.time())]
    done = subprocess.run(words, env=dict(os.environ), capture_output=True, text=True, check=True)
    started, held = done.stdout.splitlines()
    before, after = held.split()
    return float(started), float(before), float(after)


def many_writes(home: Path) -> list[tuple[float, float]]:
    """Return MiB of memory and of the file on the way through many creates, patches and deletes of few objects."""
    words = [sys.executable, "-c", WRITING, str(WRITES), str(HELD), str(LOOKS), str(home / "many.db")]
    done = subprocess.run(words, env=dict(os.environ), capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    return [(float(memory), float(disk)) for memory, disk in rows]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        insert, echo = insert_rate(home), asyncio.run(echo_rate())
        found = asyncio.run(over_http(home))
        looks = many_writes(home)
    started, before, after = own_process()
    print(f"bare SQLite insert {insert:8.0f} /s    bare aiohttp echo {echo:8.0f} /s    (client and server share a process)")
    for what in ("creates", "gets"):
        print(f"{what:8} {found[what]:8.0f} /s    {found[what] / echo:6.2f} of an echo    {found[what] / insert:6.3f} of an insert")
    print(f"lists of {LISTED} {found['lists']:8.1f} /s    {found['lists'] * LISTED / echo:6.1f} objects an echo")
    print(f"watch events to {WATCHERS} watchers {found['events']:8.0f} /s    {found['events'] / echo:6.2f} of an echo each")
    print(f"start-up, from nothing to served over TLS {started:.2f} s")
    print(f"memory {before:.0f} MiB empty, {after:.0f} MiB with {MANY} objects: {(after - before) * 1024 / MANY:.2f} KiB an object")
    settled = looks[len(looks) // 2 - 1 :]
    slope = (settled[-1][0] - settled[0][0]) / (WRITES * (len(settled) - 1) / LOOKS / 100_000)
    print(f"memory over {WRITES} writes to {HELD} objects, MiB: {' '.join(f'{memory:.0f}' for memory, _ in looks)}")
    print(f"  the second half adds {slope:+.1f} MiB per 100,000 writes; the file has {looks[-1][1]:.0f} MiB")


if __name__ == "__main__":
    main()

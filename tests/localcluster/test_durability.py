import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import sys

import aiohttp
import pytest

from kubernaut.localcluster import ClusterSettings
from kubernaut.localcluster.store import History
from tests.localcluster.http import CONFIGMAPS, CRDS, EXAMPLE, NAMESPACES, WIDGETS, configmap, served, widget, widget_definition
from tests.world import eventually

pytestmark = pytest.mark.cluster
START_SECONDS, WRITING_SECONDS = 30.0, 60.0

PROGRAM = """
import asyncio, sys
from kubernaut.localcluster import ClusterSettings, LocalCluster
async def main():
    async with LocalCluster(ClusterSettings(database=sys.argv[1], admin_token="t")) as cluster:
        print(cluster.url, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


HEADERS = {"Authorization": "Bearer t", "Content-Type": "application/json"}


@contextlib.asynccontextmanager
async def running(database):
    """Run the API in a process of its own; give it, and a way to talk to it. It is killed in the end, whatever happened."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, database, stdout=asyncio.subprocess.PIPE, env=dict(os.environ)
    )
    try:
        assert process.stdout
        async with asyncio.timeout(START_SECONDS):
            url = (await process.stdout.readline()).decode().strip()
        async with aiohttp.ClientSession(url, headers=HEADERS) as session:
            async with session.post(NAMESPACES, data=json.dumps({"metadata": {"name": EXAMPLE}})) as response:
                assert response.status in {201, 409}
            yield process, session
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def killed_after(process, tasks, enough):
    """Kill the process once enough was written; return how the writers ended."""

    async def now():
        for task in tasks:
            if task.done():
                await task
        return enough()

    try:
        await eventually(now, seconds=WRITING_SECONDS)
        process.send_signal(signal.SIGKILL)
        async with asyncio.timeout(WRITING_SECONDS):
            await process.wait()
            return await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        for task in tasks:
            task.cancel()


async def write_until_killed(session, acknowledged):
    for index in itertools.count():
        async with session.post(CONFIGMAPS, data=json.dumps(configmap(f"c{index}"))) as response:
            answer = await response.json()
            assert response.status == 201, answer
        acknowledged.append(f"c{index}")


async def test_a_killed_process_loses_no_acknowledged_write(tmp_path):
    database = str(tmp_path / "db")
    acknowledged: list[str] = []
    async with running(database) as (process, session):
        ended = await killed_after(
            process, [asyncio.create_task(write_until_killed(session, acknowledged))], lambda: len(acknowledged) >= 50
        )
    assert all(isinstance(error, (aiohttp.ClientError, ConnectionError)) for error in ended)
    async with served(ClusterSettings(database=database)) as (_, http):
        names = {row["metadata"]["name"] for row in (await http.get(CONFIGMAPS)).body["items"]}
    assert set(acknowledged) <= names


class Writer:
    """Writes one object again and again, and remembers the last state that was acknowledged and the one that is under way."""

    def __init__(self, name, seed):
        self.path, self.name, self.chance = f"{CONFIGMAPS}/{name}", name, random.Random(seed)
        self.acknowledged = self.asked = None
        self.version = self.count = 0

    async def write(self, session):
        while True:
            self.asked = None if self.acknowledged is not None and self.chance.random() < 0.3 else str(self.chance.random())
            async with self.request(session) as response:
                answer = await response.json()
                assert response.status in {200, 201}, answer
            self.acknowledged = self.asked
            self.version = max(self.version, int(answer["metadata"].get("resourceVersion", 0)))
            self.count += 1

    def request(self, session):
        if self.asked is None:
            return session.delete(self.path)
        if self.acknowledged is None:
            return session.post(CONFIGMAPS, data=json.dumps(configmap(self.name, v=self.asked)))
        patch = json.dumps({"data": {"v": self.asked}})
        return session.patch(self.path, data=patch, headers={"Content-Type": "application/merge-patch+json"})

    async def check(self, session):
        async with session.get(self.path) as response:
            found = (await response.json()).get("data", {}).get("v")
        assert found in {self.acknowledged, self.asked}
        self.acknowledged = found


async def round_of(process, session, writers, wanted):
    """Check what an earlier round left behind, write on, and kill the process."""
    async with session.get(CONFIGMAPS) as response:
        listed = int((await response.json())["metadata"]["resourceVersion"])
    assert listed >= max(writer.version for writer in writers)
    for writer in writers:
        await writer.check(session)
    before = sum(writer.count for writer in writers)
    tasks = [asyncio.create_task(writer.write(session)) for writer in writers]
    return await killed_after(process, tasks, lambda: sum(writer.count for writer in writers) - before >= wanted)


async def test_processes_killed_at_random_moments_under_load_lose_nothing_that_was_acknowledged(tmp_path):
    chance, writers = random.Random(7), [Writer(f"w{index}", index) for index in range(6)]
    for _ in range(4):
        async with running(str(tmp_path / "db")) as (process, session):
            ended = await round_of(process, session, writers, chance.randint(20, 300))
        assert all(isinstance(error, aiohttp.ClientError | ConnectionError) for error in ended), ended
    async with served(ClusterSettings(database=str(tmp_path / "db"), admin_token="t")) as (_, http):
        for writer in writers:
            found = (await http.get(writer.path)).body.get("data", {}).get("v")
            assert found in {writer.acknowledged, writer.asked}


async def test_a_restart_serves_the_same_objects_kinds_and_versions(tmp_path):
    settings = ClusterSettings(database=str(tmp_path / "db"))
    async with served(settings) as (_, http):
        await http.post(CRDS, widget_definition())
        made = (await http.post(WIDGETS, widget())).body
        listed = (await http.get(WIDGETS)).body["metadata"]["resourceVersion"]
    async with served(settings) as (_, http):
        assert (await http.get(f"{WIDGETS}/one")).body == made
        async with http.watch(WIDGETS, resourceVersion=listed, timeoutSeconds=5) as following:
            await http.post(WIDGETS, widget("two"))
            assert (await following())["object"]["metadata"]["name"] == "two"


async def test_service_account_tokens_and_the_certificate_outlive_a_restart(tmp_path):
    settings = ClusterSettings(database=str(tmp_path / "db"), tls=True)
    async with served(settings) as (cluster, _):
        token, certificate = cluster.service_account_token("default", "default"), cluster.certificate
    async with served(ClusterSettings(database=settings.database)) as (cluster, http):
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        answer = await http.post("/apis/authentication.k8s.io/v1/tokenreviews", review)
        assert answer.body["status"]["user"]["username"] == "system:serviceaccount:default:default"
    async with served(settings) as (cluster, _):
        assert cluster.certificate == certificate


async def test_a_watch_from_before_the_kept_history_is_told_to_list_again(tmp_path):
    async with served(ClusterSettings(history=History(revisions=20))) as (_, http):
        start = (await http.get(CONFIGMAPS)).body["metadata"]["resourceVersion"]
        for index in range(40):
            await http.post(CONFIGMAPS, configmap(f"c{index}"))
        async with http.watch(CONFIGMAPS, resourceVersion=start) as following:
            event = await following()
            assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
            assert await following() is None

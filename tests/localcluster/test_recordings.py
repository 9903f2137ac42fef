"""The embedded API server answers as the recorded kube-apiserver did: every exchange of every theme, under the normalisation stated."""

import random
from collections.abc import Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

import aiohttp
import pytest

from kubernaut.localcluster import ClusterSettings, LocalCluster
from kubernaut.localcluster.calls import User
from kubernaut.localcluster.controllers import QUICK, LiveScenario, Scenario, StandInSettings, stand_ins
from tests.localcluster.http import CRDS, EXAMPLE, NAMESPACES, Http, answered, visiting
from tests.localcluster.replaying import RECORDINGS, Replayer, Server, theme

TOKENS = {"admin": "admin-token", "limited": "limited-token", "bad": "not-a-token"}
USERS = {
    TOKENS["admin"]: User("admin", "admin", ("system:masters",)),
    TOKENS["limited"]: User("limited", "limited", ("limiteds",)),
}
RUNNING = ("gc", "namespaces", "deployments", "replicasets", "scheduler", "nodes", "budgets")
THEMES = tuple(sorted(path.stem for path in RECORDINGS.glob("[0-9]*.json")))
EXCEPTIONS: Mapping[str, str] = {
    "disc-api": "tells the port of the server",
    "disc-openapi3": "lists the groups served; the embedded cluster serves fewer",
    "dep-seen": "names a ReplicaSet, whose suffix kube-controller-manager takes from a dump of Go memory",
    "scale-put-norv": "was answered before the controller had followed an earlier scale; nothing orders the two",
    "ns-spec-patch": "was stored once more without a change",
}
"""What differs, and why."""
OURS_ALONE = ("11-pods", "15-auth")
"""Themes that need what another cluster has not: one node that runs nothing and all controllers; the recorded users and settings."""
FORGETTING = ("exp-exact", "exp-2", "exp-3", "w-old", "w-old-1", "w-old-core")
"""Exchanges that need a server which forgets on demand: left out elsewhere."""


@asynccontextmanager
async def serving(*, anonymous: bool):
    settings = ClusterSettings(users=USERS, rbac=True, anonymous=anonymous)
    async with LocalCluster(settings) as cluster, aiohttp.ClientSession() as session:
        http = Http(session, cluster.url, cluster.admin_token)
        for definition in theme("crds")["crds"]:
            assert (await http.post(CRDS, definition)).status == 201
        yield cluster


def run_controllers(cluster: LocalCluster) -> None:
    scenario = LiveScenario(Scenario.from_obj({"nodes": [{"name": "node-1"}]}))
    made = stand_ins(cluster.api, StandInSettings(lambda: datetime.now(UTC), random.Random(1), scenario, QUICK))
    for name in RUNNING:
        cluster.run(name, made[name])


@asynccontextmanager
async def embedded_servers():
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(serving(anonymous=True))
        closed = await stack.enter_async_context(serving(anonymous=False))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        run_controllers(cluster)
        server, refusing = (Server(made.url, TOKENS) for made in (cluster, closed))
        yield Replayer(session, server, refusing, cluster.registry.store.expire, EXCEPTIONS)


@asynccontextmanager
async def foreign_server(path, recording):
    """Give a replayer on the foreign cluster of a kubeconfig, and delete what the recording makes."""
    async with visiting(path) as http:
        words = {EXAMPLE: http.word, "rec-": f"{http.word[:3]}-"}
        for definition in theme("crds")["crds"]:
            assert (await http.post(CRDS, definition)).status == 201
            names = definition["spec"]["names"]["plural"]
            await answered(http, f"/apis/example.dev/v1alpha1/{names}")
        server = Server(http.url, {"admin": http.who["Authorization"].removeprefix("Bearer ")}, words)
        try:
            yield Replayer(http.session, server, server, lambda: None, EXCEPTIONS, FORGETTING)
        finally:
            for name in recording["cleanup"]:
                await empty(http, name.replace("rec-", words["rec-"]))


async def empty(http, namespace):
    """Delete a namespace, and take off the finalizers of what recordings leave in it."""
    for plural in ("api/v1/namespaces/{}/configmaps", "api/v1/namespaces/{}/pods", "apis/example.dev/v1alpha1/namespaces/{}/widgets"):
        path = "/" + plural.format(namespace)
        for item in (await http.get(path)).body.get("items", ()):
            await http.patch(f"{path}/{item['metadata']['name']}", {"metadata": {"finalizers": None}})
    await http.delete(f"{NAMESPACES}/{namespace}")


async def replay(replayer, recording):
    assert await replayer.play(recording["exchanges"]) == recording["count"]
    found = {id_: told for id_, told in replayer.differences.items() if id_ not in EXCEPTIONS}
    assert not found, "\n" + "\n".join(found.values())


@pytest.mark.parametrize("name", [name for name in THEMES if name not in OURS_ALONE])
async def test_every_recorded_exchange_is_answered_alike(anywhere, name):
    recording = theme(name)
    async with foreign_server(anywhere, recording) if anywhere else embedded_servers() as replayer:
        await replay(replayer, recording)


@pytest.mark.parametrize("name", OURS_ALONE)
async def test_every_recorded_exchange_about_one_node_or_other_users_is_answered_alike(embedded, name):
    async with embedded_servers() as replayer:
        await replay(replayer, theme(name))


def test_the_exceptions_are_few_and_none_is_in_the_everyday_themes():
    everyday = {f"{number}-" for number in ("02", "03", "04", "05", "06", "08", "09", "10")}
    ids = {row["id"] for name in THEMES if name[:3] in everyday for row in theme(name)["exchanges"] if "id" in row}
    assert len(EXCEPTIONS) <= 15
    assert not EXCEPTIONS.keys() & ids


async def test_an_answer_that_differs_is_told_with_its_place(embedded):
    recording = theme("10-table")
    changed = next(row for row in recording["exchanges"] if row.get("response", {}).get("body", {}).get("kind") == "Table")
    changed["response"]["body"]["columnDefinitions"][0]["name"] = "Another"
    async with serving(anonymous=True) as cluster, aiohttp.ClientSession() as session:
        server = Server(cluster.url, TOKENS)
        replayer = Replayer(session, server, server, cluster.registry.store.expire)
        await replayer.play(recording["exchanges"])
    told = replayer.differences.pop(changed["id"])
    assert "at /columnDefinitions/0/name" in told
    assert 'expected "Another"' in told
    assert not replayer.differences

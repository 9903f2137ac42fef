"""What stands on a foreign cluster before the tests and after: they must leave it as it was, save for our own manifests, which are shared."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from kubernaut import manifests
from kubernaut.api.base import Obj
from kubernaut.kube.client import Client
from kubernaut.localcluster.pipelines import tekton_crds
from tests.world import eventually

PATIENCE = 90.0
"""Seconds that namespaces may take to go."""
FLEETING = {"events", "leases", "endpoints", "endpointslices", "ipaddresses", "componentstatuses", "apiservices"}
"""Kinds that a cluster makes and forgets by itself."""


def inventory(kubeconfig: str) -> frozenset[str]:
    """Return what is there, as plural/namespace/name: all that has no namespace, and what is in `default`."""
    return _run(_reading(kubeconfig))


def left_over(kubeconfig: str, before: frozenset[str]) -> frozenset[str]:
    """Return what is there and was not before, once what is on its way out has gone."""
    return _run(_waiting(kubeconfig, before))


def _run(work: Coroutine[Any, Any, frozenset[str]]) -> frozenset[str]:
    """Run it in a thread, whose loop is none of the tests'."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


async def _reading(kubeconfig: str) -> frozenset[str]:
    return frozenset(await _standing(kubeconfig))


async def _standing(kubeconfig: str) -> dict[str, bool]:
    """Return what is there, and whether it is on its way out."""
    client = Client.from_kubeconfig(kubeconfig)
    try:
        return {name: dying async for name, dying in _objects(client)}
    finally:
        await client.close()


async def _waiting(kubeconfig: str, before: frozenset[str]) -> frozenset[str]:
    ours = before | _shared()
    found: dict[str, bool] = {}

    async def settled() -> bool:
        nonlocal found
        found = {name: dying for name, dying in (await _standing(kubeconfig)).items() if name not in ours}
        return not found or not all(found.values())

    with suppress(TimeoutError):
        await eventually(settled, seconds=PATIENCE)
    return frozenset(found)


def _shared() -> set[str]:
    """Name what tests install for good."""
    ours = [*manifests.everything(), *tekton_crds()]
    return {f"{_plural(obj)}/{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}" for obj in ours}


def _plural(obj: Obj) -> str:
    name = obj["kind"].lower()
    return f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"


async def _objects(client: Client) -> AsyncIterator[tuple[str, bool]]:
    for path in await _groups(client):
        for row in json.loads(await client.text(path))["resources"]:
            if "/" in row["name"] or "list" not in row["verbs"] or row["name"] in FLEETING:
                continue
            place = "namespaces/default/" if row["namespaced"] else ""
            items = json.loads(await client.text(f"{path}/{place}{row['name']}"))["items"]
            for meta in (item["metadata"] for item in items):
                yield f"{row['name']}/{meta.get('namespace', '')}/{meta['name']}", "deletionTimestamp" in meta


async def _groups(client: Client) -> list[str]:
    groups = json.loads(await client.text("/apis"))["groups"]
    return ["/api/v1", *(f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups)]

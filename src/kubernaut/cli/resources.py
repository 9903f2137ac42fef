"""What kinds an API server serves, from its discovery: for commands that take objects of any kind."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import orjson

from kubernaut.api.base import Kind, Obj
from kubernaut.kube.client import Client


@dataclass(frozen=True)
class Served:
    """A kind as an API server serves it."""

    kind: Kind
    verbs: frozenset[str]
    has_status: bool
    """Whether its status is written apart."""


async def discover(client: Client) -> Mapping[tuple[str, str], Served]:
    """Return the kinds of all versions by apiVersion and kind, core first, a group's preferred version before its others."""
    found: dict[tuple[str, str], Served] = {}
    async for api_version in _versions(client):
        root = "apis" if "/" in api_version else "api"
        rows = orjson.loads(await client.text(f"/{root}/{api_version}"))["resources"]
        parts = {row["name"] for row in rows}
        found |= {(api_version, row["kind"]): _served(api_version, row, parts) for row in rows if "/" not in row["name"]}
    return found


async def _versions(client: Client) -> AsyncIterator[str]:
    yield "v1"
    for group in orjson.loads(await client.text("/apis"))["groups"]:
        preferred = group["preferredVersion"]["groupVersion"]
        yield preferred
        for row in group["versions"]:
            if row["groupVersion"] != preferred:
                yield row["groupVersion"]


def _served(api_version: str, row: Obj, parts: set[str]) -> Served:
    group, _, version = api_version.rpartition("/")
    kind = Kind(kind=row["kind"], plural=row["name"], group=group, version=version, namespaced=row["namespaced"])
    return Served(kind, frozenset(row["verbs"]), f"{row['name']}/status" in parts)

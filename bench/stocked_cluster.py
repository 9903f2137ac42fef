"""The embedded API of a cluster that was filled from files, in a process of its own, for benches. Argument: where its kubeconfig goes.

Each line of standard input names a JSON file: a List that takes the place of what the line before it brought. `= FILE` adds for good.
Objects go into the store as they are, with their status, times and uids: a cluster that has run for long, and nobody who changes it.
"""

import asyncio
import json
import sys
from pathlib import Path

import orjson

from kubernaut.localcluster import ClusterSettings, LocalCluster, faces
from kubernaut.localcluster.api import ResourceKind
from tests.analysis.noise import plural_of

Obj = dict[str, object]


class Stock:
    """What was put into a cluster."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster = cluster
        self._there: list[tuple[ResourceKind, tuple[str, str]]] = []

    def put(self, file: Path) -> list[tuple[ResourceKind, tuple[str, str]]]:
        """Store the objects of a file; return their places."""
        return [self._one(obj) for obj in orjson.loads(file.read_bytes())["items"]]

    def replace(self, file: Path) -> None:
        """Store the objects of a file in place of those that were stored so before."""
        store = self._cluster.registry.store
        for kind, key in self._there:
            if record := store.get(kind.stored, *key):
                store.remove(kind.stored, key, record.copy())
        self._there = self.put(file)

    def _one(self, obj: dict[str, dict[str, str]]) -> tuple[ResourceKind, tuple[str, str]]:
        group, slash, _ = str(obj["apiVersion"]).rpartition("/")
        kind = self._cluster.api.kind(group if slash else "", plural_of(str(obj["kind"])))
        key = (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        self._cluster.registry.store.put(kind.stored, key, faces.to_stored(kind, obj))
        return kind, key


async def serve(kubeconfig: Path) -> None:
    """Serve until the input ends; say so after each line."""
    async with LocalCluster(ClusterSettings(tls=True)) as cluster:
        stock = Stock(cluster)
        await asyncio.to_thread(kubeconfig.write_text, json.dumps(cluster.kubeconfig()))
        print("serving", flush=True)
        while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
            if line.startswith("= "):
                stock.put(Path(line.removeprefix("= ")))
            else:
                stock.replace(Path(line))
            print("stored", flush=True)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))

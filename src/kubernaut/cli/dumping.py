"""Writes the objects of a cluster as YAML, without what another cluster gives them anew."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import yaml

from kubernaut.api import core
from kubernaut.api.base import Kind, Obj
from kubernaut.cli.resources import discover
from kubernaut.kube.client import Client

_GIVEN_ANEW: Final = ("managedFields", "resourceVersion", "generation", "creationTimestamp", "selfLink")
"""Of metadata; the uid stays, as owner references speak of it."""
_ELSEWHERE: Final = {"events.events.k8s.io"}
"""Second faces of objects that another kind shows."""
_ROOT_CA: Final = "kube-root-ca.crt"
"""The config map with the cluster's own certificate."""


async def dump_all(kubeconfig: Path, namespace: str, write: Callable[[str], None]) -> None:
    """Write all objects, those of a namespace (and itself) where one is given; objects that are being deleted are left out."""
    client = Client.from_kubeconfig(str(kubeconfig))
    try:
        async for obj in _objects(client, namespace):
            write("---\n" + yaml.dump(obj, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True))
    finally:
        await client.close()


async def _objects(client: Client, namespace: str) -> AsyncIterator[Obj]:
    for kind in await _kinds(client):
        if namespace and not kind.namespaced:
            found = [await client.get(kind, namespace)] if kind == core.NAMESPACE else []
        else:
            found = (await client.list(kind, namespace)).items
        for obj in found:
            if "deletionTimestamp" not in obj["metadata"] and (kind, obj["metadata"]["name"]) != (core.CONFIG_MAP, _ROOT_CA):
                yield _portable(kind, obj)


async def _kinds(client: Client) -> list[Kind]:
    """Return the kinds that can be listed and created, each in its preferred version; those that others need come first."""
    served = [row.kind for row in (await discover(client)).values() if {"list", "create"} <= row.verbs]
    first = {f"{kind.plural}.{kind.group}": kind for kind in reversed(served)}
    kinds = [kind for name, kind in reversed(first.items()) if name not in _ELSEWHERE]
    return sorted(kinds, key=lambda kind: (kind != core.NAMESPACE, kind != core.CUSTOM_RESOURCE_DEFINITION))


def _portable(kind: Kind, obj: Obj) -> Obj:
    meta = {key: value for key, value in obj["metadata"].items() if key not in _GIVEN_ANEW}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, **{key: obj[key] for key in obj if key not in _HEAD}}


_HEAD: Final = frozenset({"apiVersion", "kind", "metadata"})

"""The live reads behind the last look: the target, its pods, their nodes. A handful of GETs, once a fix, from the API server itself."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from kubernaut.api import core
from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.base import Kind, Obj, ResourceIdentifier
from kubernaut.kube.client import Client
from kubernaut.kube.cluster import Cluster
from kubernaut.kube.errors import ApiError
from kubernaut.orchestration.gate.lastlook import World

READABLE: Final = frozenset({core.POD, core.NODE, *core.WORKLOADS})
"""Kinds of target that can be looked at; others are acted on as they were analysed."""
NODES_LIMIT: Final = 10


async def look_at(client: Client, target: ResourceIdentifier) -> World:
    """Read a target and what it stands on; what cannot be read is said in `fault`, never taken for good."""
    kind = core.kind_named(target.kind)
    if kind is None or kind not in READABLE:
        return World(target, looked=False)
    try:
        found = await _one(client, kind, target.namespace if kind.namespaced else "", target.name)
        pods = await _pods(client, kind, found) if found else ()
        nodes = await _nodes(client, kind, found, pods)
    except ApiError as fault:
        return World(target, fault=fault.message or str(fault))
    return World(target, found, pods, nodes)


async def void(cluster: Cluster, question: AIApprovalRequest | None, why: str, now: datetime) -> None:
    """Say that an approval counts for nothing any more, once; the analysis asks anew."""
    if question is not None and question.status.voided_at is None:
        await cluster.patch_status(question, {"voidedAt": now.isoformat(), "voidReason": why})


async def _one(client: Client, kind: Kind, namespace: str, name: str) -> Obj | None:
    try:
        return {"kind": kind.kind, **await client.get(kind, name, namespace)}
    except ApiError as fault:
        if fault.not_found:
            return None
        raise


async def _pods(client: Client, kind: Kind, target: Obj) -> tuple[Obj, ...]:
    """Return the pods that a target's selector finds; a pod is its own."""
    if kind == core.POD:
        return (target,)
    selector = (target.get("spec") or {}).get("selector") or {}
    if kind not in core.WORKLOADS or not selector.get("matchLabels") or selector.get("matchExpressions"):
        return ()
    labels = ",".join(f"{key}={value}" for key, value in sorted(selector["matchLabels"].items()))
    listing = await client.list(core.POD, target["metadata"]["namespace"], label_selector=labels)
    return tuple(listing.items)


async def _nodes(client: Client, kind: Kind, target: Obj | None, pods: Sequence[Obj]) -> tuple[Obj, ...]:
    if target is not None and kind == core.NODE:
        return (target,)
    names = sorted({name for pod in pods if (name := (pod.get("spec") or {}).get("nodeName"))})[:NODES_LIMIT]
    found = await asyncio.gather(*(_one(client, core.NODE, "", name) for name in names))
    return tuple(node for node in found if node is not None)

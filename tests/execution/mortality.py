"""A process that dies at one of its API calls, and what the cluster's own log of revisions says was done to it meanwhile."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from kubernaut.api.base import Kind, Obj
from kubernaut.api.core import NODE
from kubernaut.api.execution import KubernetesExecution
from kubernaut.execution.undo import OPERATION_ANNOTATION
from kubernaut.kube.errors import ApiError
from kubernaut.kube.transport import Request, Transport
from kubernaut.localcluster import LocalCluster
from kubernaut.localcluster.store import Record

CONTROLLERS = ("deployment.kubernetes.io/", "deprecated.daemonset.template.generation", "pv.kubernetes.io/", "volume.")
"""Annotations that Kubernetes' controllers write by themselves begin so."""
OWN_WRITES = f"/{KubernetesExecution.card.plural}/"


class Death(NamedTuple):
    """At which call (from 1; 0: never) a process dies: when its answer is on the way, or before it is sent."""

    call: int = 0
    sent: bool = True


@dataclass
class MortalTransport:
    """Carries requests until its process dies; then none. Events are best effort and beside the point, so they do not count."""

    inner: Transport
    death: Death
    dead: asyncio.Event = field(default_factory=asyncio.Event)
    calls: list[Request] = field(default_factory=list)
    armed: bool = False

    async def send(self, request: Request) -> bytes:
        """Send it, unless we are dead or die now."""
        self._if_alive()
        if not self.armed or "/events" in request.path:
            return await self.inner.send(request)
        self.calls.append(request)
        if len(self.calls) != self.death.call:
            return await self.inner.send(request)
        if self.death.sent:
            with suppress(ApiError):
                await self.inner.send(request)
        self.dead.set()
        raise _dead()

    async def lines(self, request: Request, *, idle: float) -> AsyncGenerator[bytes, None]:
        """Watch while we live."""
        self._if_alive()
        async for line in self.inner.lines(request, idle=idle):
            self._if_alive()
            yield line

    async def close(self) -> None:
        """Close what carries."""
        await self.inner.close()

    def _if_alive(self) -> None:
        if self.dead.is_set():
            raise _dead()

    def effects(self) -> list[int]:
        """Return which calls were writes for good, beside those on the process's own objects."""
        return [number for number, each in enumerate(self.calls, 1) if _writes(each)]


def _dead() -> ApiError:
    return ApiError(0, "Dead", "the process is dead")


def _writes(request: Request) -> bool:
    dry = "dryRun" in request.query or b'"dryRun"' in (request.body or b"")
    return request.method != "GET" and not dry and OWN_WRITES not in request.path and "selfsubjectaccessreviews" not in request.path


@dataclass(frozen=True)
class Revisions:
    """All that happened to the objects of a kind since a moment, oldest first."""

    records: list[Record]

    @classmethod
    def of(cls, cluster: LocalCluster, kind: Kind, since: int) -> "Revisions":
        """Read the log."""
        known = cluster.registry.catalog.by_kind(kind.api_version, kind.kind)
        assert known is not None
        return cls(cluster.registry.store.since(known.stored, since))

    def changes(self, name: str) -> list[tuple[Obj | None, Obj | None]]:
        """Return what an object's content was before and after each write that changed it, or made or deleted it."""
        found = [(_before(each), _after(each)) for each in self.records if each.key[1] == name]
        return [pair for pair in found if content(pair[0]) != content(pair[1])]

    def deleted(self) -> list[tuple[str, str]]:
        """Return the name and uid of each object whose deletion was asked for, once for each time."""
        return list(self._deletions())

    def _deletions(self) -> Iterator[tuple[str, str]]:
        for each in self.records:
            before = _before(each)
            if before is not None and not _going(before) and (each.type == "DELETED" or _going(each.obj)):
                yield each.key[1], str(before["metadata"]["uid"])


def _going(obj: Obj) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def _before(record: Record) -> Obj | None:
    return record.prior.obj if record.prior is not None and record.prior.type != "DELETED" else None


def _after(record: Record) -> Obj | None:
    return None if record.type == "DELETED" else record.obj


def content(obj: Obj | None) -> bytes:
    """Return the bytes of what people write of an object: spec, data, labels, annotations; of a node, what is not its kubelet's."""
    if obj is None:
        return b""
    meta = obj["metadata"]
    notes = {
        key: value for key, value in (meta.get("annotations") or {}).items() if not key.startswith((*CONTROLLERS, OPERATION_ANNOTATION))
    }
    said: Obj = {name: value for name, value in obj.items() if name not in {"apiVersion", "kind", "metadata", "status"}}
    if obj["kind"] == NODE.kind:
        taints = [each for each in said["spec"].get("taints") or () if not each["key"].startswith("node.kubernetes.io/")]
        said = {"unschedulable": said["spec"].get("unschedulable", False), "taints": taints}
    return orjson.dumps([meta.get("labels") or {}, notes, said], option=orjson.OPT_SORT_KEYS)


def excerpt(obj: Any, like: Any) -> Any:
    """Return of an object the fields that a record of it has."""
    if not isinstance(like, dict) or not isinstance(obj, dict):
        return obj
    return {key: excerpt(obj[key], like[key]) for key in like if key in obj}

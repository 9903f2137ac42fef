"""Caches filled by hand, and snapshots taken from them."""

from datetime import datetime, timedelta
from typing import Any

from kubernaut.analysis.collect import NO_LOGS, Collector, indexes
from kubernaut.analysis.logs import Logs
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api import core
from kubernaut.api.analysis import AnalysisRequest
from kubernaut.api.base import Kind, Obj
from kubernaut.kube.client import Client
from kubernaut.kube.clock import SystemClock
from kubernaut.kube.cluster import Caches, Cluster
from kubernaut.kube.informer import Unread
from tests.analysis.world import NS, T0, World, running

WORLD = World(statuses=[[running()]] * 2, replicas=2)


class Shelf:
    """Caches filled by hand."""

    def __init__(self, *, without: tuple[Kind, ...] = (), forbidden: tuple[Kind, ...] = ()) -> None:
        refused = {kind.kind: Unread("403 Forbidden", passing=False) for kind in forbidden}
        client = Client("http://127.0.0.1:1")
        self.caches = Caches(client)
        for kind, functions in indexes().items():
            if kind not in without:
                informer, _ = self.caches.ask(kind, "", functions)
                informer.unread = refused.get(kind.kind)
        self.cluster = Cluster(client, SystemClock(), self.caches)
        self._version = 0

    def put(self, kind: Kind, *objects: Obj) -> "Shelf":
        for obj in objects:
            self._version += 1
            stored = {
                **obj,
                "kind": kind.kind,
                "metadata": {"uid": f"u{self._version}", **obj["metadata"], "resourceVersion": str(self._version)},
            }
            self.caches.observe(kind, stored)
        return self

    def hold(self, objects: list[Obj]) -> "Shelf":
        for obj in objects:
            kind = core.kind_named(obj["kind"])
            assert kind is not None, obj["kind"]
            self.put(kind, obj)
        return self

    def stocked(self, world: World = WORLD) -> "Shelf":
        self.put(core.NAMESPACE, {"metadata": {"name": NS, "labels": {"environment": "production"}}})
        self.put(core.DEPLOYMENT, world.deployment())
        self.put(core.REPLICA_SET, *world.replica_sets())
        return self.put(core.POD, *world.pods()).put(core.NODE, *world.nodes)

    def collect(
        self,
        kind: str = "Pod",
        name: str = "checkout-hash1-0",
        context: Obj | None = None,
        *,
        at: datetime = T0,
        namespace: str = NS,
        logs: Logs = NO_LOGS,
        **scope: Any,
    ) -> Snapshot:
        alert = {
            "fingerprint": "f",
            "severity": "critical",
            "environment": "x",
            "businessPriority": "P1",
            "namespace": namespace,
            "resourceKind": kind,
            "resourceName": name,
        }
        request = AnalysisRequest.model_validate(
            {"alertContext": {**alert, "kubernetesContext": context or {}}, "investigationScope": scope}
        )
        collector = Collector(self.cluster, window_limit=timedelta(days=7))
        return collector.collect(request, collector.subjects(request)[0], at, logs)


def names(objects: tuple[Obj, ...]) -> list[str]:
    return [obj["metadata"]["name"] for obj in objects]

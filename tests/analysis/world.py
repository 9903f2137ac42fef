"""Cluster objects as kubelet, scheduler and controllers write them, and a snapshot of them: the material of the tests."""

import copy
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from kubernaut.analysis.investigators.base import Finding
from kubernaut.analysis.investigators.rules.investigator import judge
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Obj, ResourceIdentifier

T0 = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
NS = "shop"


def ago(**length: float) -> str:
    """Return a Kubernetes time before T0."""
    return (T0 - timedelta(**length)).isoformat().replace("+00:00", "Z")


def container(name: str = "app", *, memory: str = "", image: str = "registry.example/app:1", **fields: Any) -> Obj:
    resources = {"limits": {"memory": memory}} if memory else {}
    return {"name": name, "image": image, "resources": resources, **fields}


def running(name: str = "app", *, ready: bool = True, since: str = "", restarts: int = 0, last: Obj | None = None) -> Obj:
    state = {"running": {"startedAt": since or ago(hours=5)}}
    return {"name": name, "ready": ready, "restartCount": restarts, "state": state, "lastState": {"terminated": last} if last else {}}


def waiting(reason: str, message: str = "", *, name: str = "app", restarts: int = 0, last: Obj | None = None) -> Obj:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"name": name, "ready": False, "restartCount": restarts, "state": state, "lastState": {"terminated": last} if last else {}}


def ended(reason: str, code: int, *, started: str = "", finished: str = "", message: str = "") -> Obj:
    times = {"startedAt": started or ago(minutes=3), "finishedAt": finished or ago(minutes=2)}
    return {"reason": reason, "exitCode": code, **times, **({"message": message} if message else {})}


OOM = ended("OOMKilled", 137)
CRASHED = ended("Error", 1)


def crash_loop(last: Obj, *, name: str = "app", restarts: int = 4) -> Obj:
    return waiting("CrashLoopBackOff", f"back-off 40s restarting failed container={name}", name=name, restarts=restarts, last=last)


@dataclass(frozen=True)
class World:
    """A Deployment with its revisions and pods, and what stands around it."""

    containers: Sequence[Obj] = field(default_factory=lambda: [container()])
    statuses: Sequence[Sequence[Obj]] = field(default_factory=lambda: [[running()]] * 3)
    """The container statuses of each pod of the present revision."""
    replicas: int = 3
    revision: int = 1
    created: str = ago(days=30)
    previous: Sequence[Obj] = ()
    """The containers of the revision before, where there is one."""
    previous_created: str = ago(days=30)
    previous_ready: int = 0
    pod_spec: Obj = field(default_factory=dict)
    conditions: Sequence[Obj] = ()
    """More conditions of every pod."""
    events: Sequence[Obj] = ()
    nodes: Sequence[Obj] = field(default_factory=lambda: [node()])
    config_maps: dict[str, frozenset[str]] | None = field(default_factory=dict)
    related: dict[str, tuple[Obj, ...]] = field(default_factory=dict)
    name: str = "checkout"
    since: datetime = T0 - timedelta(hours=24)
    at: datetime = T0

    def but(self, **changes: Any) -> "World":
        return replace(self, **changes)

    def deployment(self) -> Obj:
        ready = sum(all(row["ready"] for row in rows) for rows in self.statuses)
        status = {
            "observedGeneration": 1,
            "replicas": self.replicas,
            "updatedReplicas": len(self.statuses),
            "readyReplicas": ready + self.previous_ready,
        }
        meta = {"name": self.name, "namespace": NS, "uid": "d-1", "generation": 1, "labels": {"app": self.name}}
        spec = {"replicas": self.replicas, "template": self.template(self.containers)}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec, "status": status}

    def template(self, rows: Sequence[Obj]) -> Obj:
        return {"metadata": {"labels": {"app": self.name}}, "spec": {"containers": list(rows), **self.pod_spec}}

    def replica_set(self, number: int, rows: Sequence[Obj], created: str, ready: int) -> Obj:
        template = copy.deepcopy(self.template(rows))
        template["metadata"]["labels"]["pod-template-hash"] = f"hash{number}"
        meta = {
            "name": f"{self.name}-hash{number}",
            "namespace": NS,
            "uid": f"rs-{number}",
            "creationTimestamp": created,
            "labels": {"pod-template-hash": f"hash{number}"},
            "annotations": {"deployment.kubernetes.io/revision": str(number)},
            "ownerReferences": [{"kind": "Deployment", "name": self.name, "uid": "d-1", "controller": True}],
        }
        return {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": meta,
            "spec": {"template": template, "replicas": len(self.statuses)},
            "status": {"readyReplicas": ready},
        }

    def replica_sets(self) -> tuple[Obj, ...]:
        now = self.replica_set(self.revision, self.containers, self.created, 0)
        if not self.previous:
            return (now,)
        return now, self.replica_set(self.revision - 1, self.previous, self.previous_created, self.previous_ready)

    def pod(self, number: int, rows: Sequence[Obj]) -> Obj:
        ready = all(row["ready"] for row in rows) and bool(rows)
        meta = {
            "name": f"{self.name}-hash{self.revision}-{number}",
            "namespace": NS,
            "uid": f"p-{number}",
            "labels": {"app": self.name, "pod-template-hash": f"hash{self.revision}"},
            "ownerReferences": [
                {"kind": "ReplicaSet", "name": f"{self.name}-hash{self.revision}", "uid": f"rs-{self.revision}", "controller": True}
            ],
        }
        names = {row["name"] for row in rows}
        status = {
            "phase": "Running" if rows and not self.conditions else "Pending",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}, *self.conditions],
            "containerStatuses": [row for row in rows if row["name"] in names],
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": meta,
            "spec": {"containers": list(self.containers), "restartPolicy": "Always", **self.pod_spec},
            "status": status,
        }

    def pods(self) -> tuple[Obj, ...]:
        return tuple(self.pod(number, rows) for number, rows in enumerate(self.statuses))

    def snapshot(self) -> Snapshot:
        return Snapshot(
            at=self.at,
            since=self.since,
            subject=ResourceIdentifier(kind="Deployment", name=self.name, namespace=NS),
            chain=(self.deployment(),),
            pods=self.pods(),
            replica_sets=self.replica_sets(),
            events=tuple(self.events),
            nodes=tuple(self.nodes),
            config_maps=self.config_maps,
            related=self.related,
        )

    def judged(self) -> Finding:
        return judge(self.snapshot())


def node(name: str = "n1", *, memory: str = "16Gi", cpu: str = "8", **spec: Any) -> Obj:
    status = {"allocatable": {"memory": memory, "cpu": cpu}, "conditions": [{"type": "Ready", "status": "True"}]}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": spec, "status": status}


def event(reason: str, message: str, *, pod: str = "checkout-hash1-0", path: str = "", at: str = "", type_: str = "Warning") -> Obj:
    involved = {"kind": "Pod", "namespace": NS, "name": pod, **({"fieldPath": path} if path else {})}
    meta = {"name": f"{pod}.{zlib.crc32(f'{reason}{message}'.encode()):x}", "namespace": NS}
    when = at or ago(minutes=1)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": meta,
        "involvedObject": involved,
        "reason": reason,
        "message": message,
        "type": type_,
        "firstTimestamp": when,
        "lastTimestamp": when,
    }


def limit_range(type_: str = "Container", **row: Any) -> Obj:
    return {"kind": "LimitRange", "metadata": {"name": "lr", "namespace": NS}, "spec": {"limits": [{"type": type_, **row}]}}


def quota(hard: dict[str, str], used: dict[str, str], **spec: Any) -> Obj:
    return {
        "kind": "ResourceQuota",
        "metadata": {"name": "q", "namespace": NS},
        "spec": {"hard": hard, **spec},
        "status": {"hard": hard, "used": used},
    }

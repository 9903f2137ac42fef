"""Trouble that journeys make in a cluster: a Deployment whose pods do not get ready, or are killed for memory; and the question about it."""

import importlib.resources
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from kubernaut.api import core
from kubernaut.api.base import Obj
from kubernaut.kube.client import Client

SYSTEM, NS = "kubernaut-system", "shop"
DIGEST = "registry.example/w@sha256:" + "a" * 64


def workflow(folder: str) -> Obj:
    """Return a workflow of our own catalogue, as it is offered."""
    text = importlib.resources.files("kubernaut.catalog").joinpath(folder, "workflow.yaml").read_text("utf-8")
    obj: Obj = yaml.safe_load(text)
    obj["metadata"]["namespace"] = SYSTEM
    obj["spec"]["execution"]["bundle"] = DIGEST
    return obj


@dataclass
class Trouble:
    """A Deployment with a pod in trouble."""

    name: str
    killed: bool = False
    annotations: dict[str, str] = field(default_factory=dict)
    env: list[Obj] = field(default_factory=list)

    @property
    def pod(self) -> str:
        """Its one pod."""
        return f"{self.name}-h1-0"

    async def make(self, client: Client) -> "Trouble":
        """Make it, as controllers and kubelet would."""
        labels = {"app": self.name, "pod-template-hash": "h1"}
        spec = {"replicas": 1, "selector": {"matchLabels": {"app": self.name}}, "template": self._template({"app": self.name})}
        status = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 0}
        top = await self._made(client, core.DEPLOYMENT, {"name": self.name}, spec, status)
        meta: Obj = {"name": f"{self.name}-h1", "labels": labels, "annotations": {"deployment.kubernetes.io/revision": "1"}}
        spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": self._template(labels)}
        rs = await self._made(client, core.REPLICA_SET, meta | {"ownerReferences": [_owner(top)]}, spec, {"replicas": 1})
        meta = {"name": self.pod, "labels": labels, "annotations": self.annotations, "ownerReferences": [_owner(rs)]}
        await self._made(client, core.POD, meta, self._template(labels)["spec"], self._status())
        return self

    def question(self, name: str, environment: str = "staging") -> Obj:
        """Return an AIAnalysis that asks about its pod."""
        alert = {
            "fingerprint": "f" * 64,
            "severity": "critical",
            "environment": environment,
            "businessPriority": "P1",
            "namespace": NS,
            "resourceKind": "Pod",
            "resourceName": self.pod,
        }
        spec = {"remediationRequestRef": {"name": "rr-1", "namespace": SYSTEM}, "analysisRequest": {"alertContext": alert}}
        return {"metadata": {"name": name, "namespace": SYSTEM}, "spec": spec}

    def _template(self, labels: dict[str, str]) -> Obj:
        row: Obj = {"name": "app", "image": "app:1", "env": self.env, "resources": {"limits": {"memory": "128Mi"}}}
        return {"metadata": {"labels": labels}, "spec": {"containers": [row]}}

    async def _made(self, client: Client, kind: Any, meta: Obj, spec: Obj, status: Obj) -> Obj:
        made = await client.create(kind, {"metadata": {"namespace": NS, **meta}, "spec": spec})
        return await client.patch(kind, made["metadata"]["name"], NS, {"status": status}, subresource="status")

    def _status(self) -> Obj:
        now = datetime.now(UTC)
        ended = {"reason": "OOMKilled", "exitCode": 137, "startedAt": _at(now, 120), "finishedAt": _at(now, 60)}
        down = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": ended}, "restartCount": 4}
        up = {"state": {"running": {"startedAt": _at(now, 7200)}}, "restartCount": 0}
        row = {"name": "app", "image": "app:1", "imageID": "x", "ready": False, **(down if self.killed else up)}
        return {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}], "containerStatuses": [row]}


def _at(now: datetime, seconds: int) -> str:
    return (now - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _owner(obj: Obj) -> Obj:
    meta = obj["metadata"]
    named = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": meta["name"], "uid": meta["uid"]}
    return {**named, "controller": True, "blockOwnerDeletion": True}

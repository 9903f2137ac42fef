"""A shop whose checkout is killed for memory, and what asks about it: the scene of the tests over the embedded cluster."""

import asyncio
import importlib.resources
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from kubernaut.api import core
from kubernaut.api.analysis import AIAnalysis, Phase
from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.base import Obj
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.execution import KubernetesExecution
from tests.analysis.conftest import SYSTEM, Bench

NAME, NS = "checkout", "shop"
DIGEST = "registry.example/w@sha256:" + "a" * 64


def template(memory: str) -> Obj:
    limits = {"resources": {"limits": {"memory": memory}}}
    return {"metadata": {"labels": {"app": NAME}}, "spec": {"containers": [{"name": "app", "image": "app:1", **limits}]}}


async def deploy(bench: Bench, *, memory: str = "128Mi", killed: bool = True) -> None:
    """Make a Deployment with two pods, killed at their limit or well."""
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": NAME}}, "template": template(memory)}
    top = await bench.make(
        core.DEPLOYMENT, {"metadata": {"name": NAME, "namespace": NS}, "spec": spec, "status": counts(2, 0 if killed else 2)}
    )
    labels = {"app": NAME, "pod-template-hash": "h1"}
    meta = {
        "name": f"{NAME}-h1",
        "namespace": NS,
        "annotations": {"deployment.kubernetes.io/revision": "1"},
        "labels": labels,
        "ownerReferences": [owner(top)],
    }
    rs = await bench.make(
        core.REPLICA_SET,
        {
            "metadata": meta,
            "spec": {**spec, "selector": {"matchLabels": labels}, "template": {**template(memory), "metadata": {"labels": labels}}},
        },
    )
    for number in range(2):
        meta = {"name": f"{NAME}-h1-{number}", "namespace": NS, "labels": labels, "ownerReferences": [owner(rs)]}
        await bench.make(core.POD, {"metadata": meta, "spec": template(memory)["spec"], "status": pod_status(killed=killed)})


def counts(wanted: int, ready: int) -> Obj:
    return {"observedGeneration": 1, "replicas": wanted, "updatedReplicas": wanted, "readyReplicas": ready}


def owner(obj: Obj) -> Obj:
    meta = obj["metadata"]
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def pod_status(*, killed: bool) -> Obj:
    now = datetime.now(UTC)
    dead = {
        "reason": "OOMKilled",
        "exitCode": 137,
        "startedAt": stamp(now - timedelta(minutes=2)),
        "finishedAt": stamp(now - timedelta(minutes=1)),
    }
    bad = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": dead}, "restartCount": 4}
    good = {"state": {"running": {"startedAt": stamp(now - timedelta(hours=2))}}, "restartCount": 0}
    row = {"name": "app", "image": "app:1", "imageID": "x", "ready": not killed, **(bad if killed else good)}
    return {"phase": "Running", "conditions": [{"type": "Ready", "status": "False" if killed else "True"}], "containerStatuses": [row]}


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


async def offer(bench: Bench, folder: str = "increase-memory-conservative") -> None:
    """Put a workflow of our own catalogue on offer."""
    text = importlib.resources.files("kubernaut.catalog").joinpath(folder, "workflow.yaml").read_text("utf-8")
    obj = yaml.safe_load(text)
    obj["metadata"]["namespace"] = SYSTEM
    obj["spec"]["execution"]["bundle"] = DIGEST
    await bench.make(RemediationWorkflow.card, obj)


async def ask(bench: Bench, environment: str = "production", **spec: Any) -> AIAnalysis:
    alert = {
        "fingerprint": "f" * 64,
        "severity": "critical",
        "environment": environment,
        "businessPriority": "P0",
        "namespace": NS,
        "resourceKind": "Pod",
        "resourceName": f"{NAME}-h1-0",
    }
    scope = {"resourceScope": [{"kind": "Pod", "namespace": NS, "name": f"{NAME}-h1-0"}]}
    body = {
        "remediationRequestRef": {"name": "rr-1", "namespace": SYSTEM},
        "analysisRequest": {"alertContext": alert, "investigationScope": scope},
        **spec,
    }
    return AIAnalysis.model_validate(
        await bench.make(AIAnalysis.card, {"metadata": {"name": "rr-1-analysis", "namespace": SYSTEM}, "spec": body})
    )


async def no_trial(bench: Bench) -> bool:
    return not (await bench.client.list(KubernetesExecution.card, SYSTEM)).items


def approving(found: AIAnalysis) -> bool:
    return found.status.phase is Phase.APPROVING


def done(found: AIAnalysis) -> bool:
    return found.status.completed_at is not None


async def change_target(bench: Bench, name: str) -> None:
    patch = {"spec": {"template": {"metadata": {"annotations": {"touched": name}}}}}
    await bench.client.patch(core.DEPLOYMENT, NAME, NS, patch)


async def said_so(bench: Bench, holds: Any) -> AIApprovalRequest:
    async with asyncio.timeout(60), aclosing(bench.client.watch(AIApprovalRequest.card, SYSTEM, resource_version="0")) as events:
        async for type_, obj in events:
            if type_ != "BOOKMARK" and holds(found := AIApprovalRequest.model_validate(obj)):
                return found
    raise AssertionError("the watch ended")

"""A cluster with workloads that roll out, and the execution stage."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

from kubernaut.api.base import Kind, Obj
from kubernaut.api.core import DEPLOYMENT, POD
from kubernaut.api.execution import KubernetesExecution
from kubernaut.cli.approving import whoami
from kubernaut.execution.reconciler import setup
from kubernaut.execution.settings import ExecutionSettings
from kubernaut.kube.reversal import against
from kubernaut.localcluster.controllers import QUICK, LiveScenario, Scenario, StandInSettings, stand_ins
from tests.workflow.bench import SYSTEM, Bench

KE = KubernetesExecution.card
SHOP = "shop"
WANTED = ("gc", "deployments", "replicasets", "scheduler", "nodes", "pods")
PASSWORD = "a-password-in-clear"
VARIABLES = [{"name": "A", "value": "b"}, {"name": "DB_PASSWORD", "value": PASSWORD}]


class World(Bench):
    """The bench with words for this stage."""

    asked = 0
    wanted: tuple[str, ...] = WANTED
    """Stand-ins at work."""

    def stage(self, **settings: Any):
        return lambda manager: setup(manager, ExecutionSettings(poll=0.2, **settings))

    def start_stand_ins(self, *nodes: str) -> None:
        scenario = LiveScenario(Scenario.from_obj({"nodes": [{"name": name} for name in nodes or ("node-1",)]}))
        settings = StandInSettings(self.clock.now, random.Random(1), scenario, QUICK, logs=self.cluster.logs)
        for name, run in stand_ins(self.cluster.api, settings).items():
            if name in self.wanted:
                self.cluster.run(name, run)

    async def deploy(self, name="api", memory="128Mi", namespace=SHOP, **metadata: Any):
        container = {"name": "app", "image": "app:1", "resources": {"limits": {"memory": memory}}, "env": VARIABLES}
        template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container, {"name": "side", "image": "side:1"}]}}
        spec = {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template}
        await self.client.create(DEPLOYMENT, {"metadata": {"name": name, "namespace": namespace, **metadata}, "spec": spec})
        return await self.rolled_out(name) if namespace == SHOP else None

    async def rolled_out(self, name="api"):
        newest = (await self.deployment(name))["metadata"]["generation"]

        def ready(obj):
            status = obj.get("status") or {}
            return (
                obj["metadata"]["generation"] >= newest
                and status.get("observedGeneration") == obj["metadata"]["generation"]
                and status.get("availableReplicas") == obj["spec"]["replicas"]
            )

        return await self.until(DEPLOYMENT, SHOP, name, ready)

    async def execute(self, *operations: dict[str, Any], name="rr-1-execution", **config: Any):
        numbered = [{"stepNumber": number, **operation} for number, operation in enumerate(operations, 1)]
        spec = {"remediationRequestRef": {"name": "rr-1"}, "operations": numbered, "executionConfig": config}
        return await self.client.create(KE, {"metadata": {"name": name, "namespace": SYSTEM}, "spec": spec})

    async def ended(self, name="rr-1-execution"):
        """Wait for the end; whatever was done, the secrets of the Deployment stand nowhere in what is told of it."""
        ended = await self.until(KE, SYSTEM, name, lambda obj: bool((obj.get("status") or {}).get("completionTime")))
        assert PASSWORD not in str(ended)
        return ended["status"]

    async def put_back(self, undo):
        """Apply an operation's way back to the Deployment."""
        await self.client.patch(DEPLOYMENT, "api", SHOP, against(await self.deployment(), undo["patch"]))

    async def ask_undo(self, name="rr-1-execution", **more: Any):
        """Ask for an undo under our own name; another time is another request."""
        self.asked += 1
        undo = {"requestedBy": await whoami(self.client), "requestedAt": f"2026-01-01T00:00:{self.asked:02}Z", **more}
        return await self.client.patch(KE, name, SYSTEM, {"spec": {"undo": undo}})

    async def undone(self, name="rr-1-execution", **more: Any):
        """Ask for an undo and return what became of it."""
        asked = (await self.ask_undo(name, **more))["spec"]["undo"]["requestedAt"]

        def answered(obj):
            undo = (obj.get("status") or {}).get("undo") or {}
            return undo.get("requestedAt") == asked and undo.get("completionTime")

        return (await self.until(KE, SYSTEM, name, answered))["status"]["undo"]

    async def ended_or(self, event: asyncio.Event) -> None:
        """Wait for the end, or for an event."""
        await self.either(event, KE, "rr-1-execution", lambda obj: bool((obj.get("status") or {}).get("completionTime")))

    async def either(self, event: asyncio.Event, kind: Kind, name: str, holds: Callable[[Obj], bool]) -> None:
        """Wait for an event, or for an object of ours to be so."""
        ends = [asyncio.create_task(self.until(kind, SYSTEM, name, holds)), asyncio.create_task(event.wait())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for each in ends:
            each.cancel()
        await asyncio.gather(*ends, return_exceptions=True)

    async def deployment(self, name="api"):
        return await self.client.get(DEPLOYMENT, name, SHOP)

    async def pods(self):
        """Return the pods that are to stay, by name."""
        found = (await self.client.list(POD, SHOP)).items
        return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in found if "deletionTimestamp" not in pod["metadata"]}

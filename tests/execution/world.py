"""A cluster with workloads that roll out, and the execution stage."""

import asyncio
import random
from typing import Any

from kubernaut.api.core import DEPLOYMENT, POD
from kubernaut.api.execution import KubernetesExecution
from kubernaut.execution.reconciler import setup
from kubernaut.execution.settings import ExecutionSettings
from kubernaut.localcluster.controllers import QUICK, LiveScenario, Scenario, StandInSettings, stand_ins
from tests.workflow.bench import SYSTEM, Bench

KE = KubernetesExecution.card
SHOP = "shop"
WANTED = ("gc", "deployments", "replicasets", "scheduler", "nodes", "pods")


class World(Bench):
    """The bench with words for this stage."""

    def stage(self, **settings: Any):
        return lambda manager: setup(manager, ExecutionSettings(poll=0.2, **settings))

    def start_stand_ins(self) -> None:
        scenario = LiveScenario(Scenario.from_obj({"nodes": [{"name": "node-1"}]}))
        settings = StandInSettings(self.clock.now, random.Random(1), scenario, QUICK, logs=self.cluster.logs)
        for name, run in stand_ins(self.cluster.api, settings).items():
            if name in WANTED:
                self.cluster.run(name, run)

    async def deploy(self, name="api", memory="128Mi", namespace=SHOP, **metadata: Any):
        container = {"name": "app", "image": "app:1", "resources": {"limits": {"memory": memory}}, "env": [{"name": "A", "value": "b"}]}
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
        return (await self.until(KE, SYSTEM, name, lambda obj: bool((obj.get("status") or {}).get("completionTime"))))["status"]

    async def ended_or(self, event: asyncio.Event) -> None:
        """Wait for the end, or for an event."""
        ends = [asyncio.create_task(self.ended()), asyncio.create_task(event.wait())]
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

"""Many remediations in one cluster, and hands that report what their stages would."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.base import Kind, Obj
from kubernaut.api.brake import BRAKE, RemediationBrake
from kubernaut.api.notification import NotificationRequest
from kubernaut.api.processing import RemediationProcessing
from kubernaut.api.remediation import RemediationRequest
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.kube.errors import ApiError
from kubernaut.kube.manager import Manager
from kubernaut.orchestration.reconciler import setup
from kubernaut.orchestration.settings import OrchestrationSettings
from tests.orchestration.cases import SIGNAL, WORKFLOW, Case, unlabelled
from tests.orchestration.staging import Later
from tests.world import World, eventually, running


def place(name, namespace):
    return {"kind": "Deployment", "name": name, "namespace": namespace, "apiVersion": "apps/v1"}


class Crowd:
    """Remediations with targets of their own."""

    def __init__(self, world: World, namespace: str) -> None:
        self.world, self.namespace, self.clock = world, namespace, Later()

    @property
    def client(self):
        return self.world.client

    @asynccontextmanager
    async def at_work(self, *more: Callable[[Manager], None], settings: OrchestrationSettings | None = None) -> AsyncIterator[Manager]:
        """Run the orchestrator, and other stages beside it."""
        manager = Manager(self.client, self.clock, name="test", namespace=self.namespace)
        setup(manager, unlabelled(settings or OrchestrationSettings()))
        for each in more:
            each(manager)
        async with running(manager):
            yield manager

    async def open(self, name, target):
        """Make a remediation, as the gateway would."""
        path = f"{target['namespace']}/deployment/{target['name']}"
        case = Case(name=name, spec={"signalFingerprint": f"{abs(hash(name)):064x}", "target": target, "targetResource": path})
        meta = {"name": name, "namespace": self.namespace}
        return await self.client.create(RemediationRequest.card, {**case.request.wire(), "metadata": meta, "status": None})

    async def get(self, kind: Kind, name: str):
        try:
            return await self.client.get(kind, name, self.namespace)
        except ApiError as fault:
            if fault.not_found:
                return None
            raise

    async def there(self, model, name):
        """Wait until an object is there."""
        return await eventually(lambda: self.get(model.card, name))

    async def report(self, model, name, **status):
        """Report on a stage, once its object is there."""
        await self.there(model, name)
        return await self.client.patch(model.card, name, self.namespace, {"status": status}, subresource="status")

    async def enriched(self, name, target, context=None, **status):
        """Report the enriched signal."""
        signal = {**SIGNAL, "resourceKind": "Deployment", "resourceName": target["name"], "namespace": target["namespace"]}
        signal |= {"kubernetesContext": context or {}}
        await self.report(RemediationProcessing, f"{name}-processing", phase="Completed", enrichedSignal=signal, **status)

    async def planned(self, name, target, **status):
        """Report a plan."""
        plan = {"phase": "Completed", "rootCause": "the limit is too low", "confidence": 0.92, "remediationTarget": target}
        await self.report(AIAnalysis, f"{name}-analysis", **(plan | {"selectedWorkflow": WORKFLOW} | status))

    async def ready(self, name, target):
        """Bring a remediation to the gate."""
        await self.open(name, target)
        await self.enriched(name, target)
        await self.planned(name, target)

    async def status(self, name, **wanted):
        """Wait until a remediation's status says that."""

        async def reached():
            found = (await self.get(RemediationRequest.card, name) or {}).get("status", {})
            return found if all(found.get(key) == value for key, value in wanted.items()) else None

        return await eventually(reached)

    async def brake(self, holds: Callable[[Obj], bool]):
        """Wait until something holds of the brake."""

        async def reached():
            found = await self.get(RemediationBrake.card, BRAKE)
            return found if found is not None and holds(found) else None

        return await eventually(reached)

    async def runs(self):
        return (await self.client.list(WorkflowExecution.card, self.namespace)).items

    async def messages(self):
        return {each["metadata"]["name"]: each for each in (await self.client.list(NotificationRequest.card, self.namespace)).items}

    async def skip(self, *names, **delta):
        """Let time pass, and have remediations and the brake looked at."""
        self.clock.ahead += timedelta(**delta)
        await asyncio.gather(*(self.poke(RemediationRequest, name) for name in names), self.poke(RemediationBrake, BRAKE))

    async def poke(self, model, name):
        """Have an object looked at."""
        body = {"metadata": {"annotations": {"test/at": self.clock.now().isoformat()}}}
        await self.client.patch(model.card, name, self.namespace, body)

    async def leave(self):
        """Take our finalizers off, since nobody else will."""
        for obj in (await self.client.list(RemediationRequest.card, self.namespace)).items:
            await self.client.patch(RemediationRequest.card, obj["metadata"]["name"], self.namespace, {"metadata": {"finalizers": None}})


def facts(obj: Obj) -> list[str]:
    """Return what happened to an object, as far as its journal tells."""
    reasons = [entry["reason"] for entry in obj["status"].get("journal", {}).get("pending", ())]
    return [reason for reason in reasons if reason != "PhaseTransition"]

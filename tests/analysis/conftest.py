"""A cluster with our kinds, the analysis stage running over it, and the kubelet's hand."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubernaut.analysis.investigators.rules.investigator import RuleInvestigator
from kubernaut.analysis.reconciler import setup
from kubernaut.analysis.settings import AnalysisSettings
from kubernaut.api import core
from kubernaut.api.analysis import AIAnalysis
from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.base import JournalEntry, Obj, Resource
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.crd import crd
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.verification import EffectivenessAssessment
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.execution.reconciler import setup as setup_execution
from kubernaut.execution.settings import ExecutionSettings
from kubernaut.kube.client import Client
from kubernaut.kube.journal import JournalShipper
from kubernaut.kube.manager import Manager
from kubernaut.localcluster import ClusterSettings, LocalCluster

asyncio.set_event_loop(None)  # else looptime, asking for a loop, makes Python 3.11 create one that nobody closes
SYSTEM = "kubernaut-system"
QUICK = AnalysisSettings(settling_limit=timedelta())
"""Nobody rolls out anything here: a target that was changed is looked at at once."""


class Clock:
    """The real time, moved at will."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Bench:
    client: Client
    clock: Clock

    async def make(self, kind: Any, obj: Obj) -> Obj:
        status = obj.pop("status", None)
        made = await self.client.create(kind, obj)
        if status is None:
            return made
        return await self.client.patch(
            kind, made["metadata"]["name"], made["metadata"].get("namespace", ""), {"status": status}, subresource="status"
        )

    async def analysis(self, name: str = "rr-1-analysis") -> AIAnalysis:
        return AIAnalysis.model_validate(await self.client.get(AIAnalysis.card, name, SYSTEM))

    async def until(self, holds: Callable[[AIAnalysis], bool], name: str = "rr-1-analysis") -> AIAnalysis:
        """Watch the analysis until something holds of it."""
        async with asyncio.timeout(60), aclosing(self.client.watch(AIAnalysis.card, SYSTEM, resource_version="0")) as events:
            async for type_, obj in events:
                if type_ != "BOOKMARK" and obj["metadata"]["name"] == name and holds(found := AIAnalysis.model_validate(obj)):
                    return found
        raise AssertionError("the watch ended")

    async def request(self, name: str = "approval-rr-1-analysis") -> AIApprovalRequest:
        return AIApprovalRequest.model_validate(await self.client.get(AIApprovalRequest.card, name, SYSTEM))

    async def answer(self, decision: str, name: str = "approval-rr-1-analysis", by: str = "alice") -> None:
        status = {"decision": decision, "decidedBy": by, "decidedVia": "kubectl", "decisionMessage": "seen"}
        await self.client.patch(AIApprovalRequest.card, name, SYSTEM, {"status": status}, subresource="status")

    @asynccontextmanager
    async def running(self, settings: AnalysisSettings | None = None, *, trials: bool = True) -> AsyncIterator[None]:
        """Run the stage, and the one that tries fixes without effect."""
        manager = Manager(self.client, self.clock, name="analysis", namespace=SYSTEM)
        setup(manager, settings or QUICK, [RuleInvestigator()])
        if trials:
            setup_execution(manager, ExecutionSettings(identity_namespace=""))
            JournalShipper(manager, (KubernetesExecution,), _taken)
        task = asyncio.create_task(manager.run())
        ready = asyncio.create_task(manager.ready.wait())
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
        try:
            yield
        finally:
            ready.cancel()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _taken(_resource: Resource, _entries: Sequence[JournalEntry]) -> None:
    """Take facts as data storage would."""


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with LocalCluster(ClusterSettings()) as cluster:
        client = Client(cluster.url, token=cluster.admin_token)
        ours: tuple[type[Resource], ...] = (AIAnalysis, AIApprovalRequest, RemediationWorkflow, KubernetesExecution)
        remembered: tuple[type[Resource], ...] = (WorkflowExecution, EffectivenessAssessment)
        for model in (*ours, *remembered):
            await client.create(core.CUSTOM_RESOURCE_DEFINITION, crd(model))
        for name in (SYSTEM, "shop"):
            await client.create(core.NAMESPACE, {"metadata": {"name": name}})
        yield Bench(client, Clock())
        await client.close()

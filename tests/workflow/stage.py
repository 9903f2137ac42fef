"""The workflow stage over a real API, with a test in the place of Tekton, of the kubelet, and of data storage."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from kubernaut.api.base import JournalEntry, Resource
from kubernaut.api.core import LEASE, PIPELINE_RUN, TASK_RUN
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.kube.journal import JournalShipper
from kubernaut.outbound import Undeliverable
from kubernaut.workflow.reconciler import setup
from kubernaut.workflow.records import deliver
from kubernaut.workflow.settings import WorkflowSettings
from kubernaut.workflow.target import lock_name
from tests.workflow.bench import PATIENCE, RUNS, SYSTEM, Bench
from tests.workflow.executions import execution_of

WFE = WorkflowExecution.card
KE = KubernetesExecution.card
TARGET = "production/deployment/payment-service"
NAME = "rr-1-wfe"


class Records:
    """Data storage: up, down, or hanging."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Any]] = []
        self.down = self.hangs = False
        self._more = asyncio.Event()

    async def post(self, path, body):
        if self.hangs:
            await asyncio.Event().wait()
        if self.down:
            raise Undeliverable("nobody listens")
        self.got.append((path, body.wire()))
        self._more.set()

    async def until(self, event_type):
        """Return the first record of a type as soon as it came, and where to."""
        async with asyncio.timeout(PATIENCE):
            while not (found := [each for each in self.got if each[1]["eventType"] == event_type]):
                self._more.clear()
                await self._more.wait()
        return found[0]


class World(Bench):
    """The bench with words for this stage."""

    records: Records

    def stage(self, **settings: Any):
        return lambda manager: self._at_work(manager, WorkflowSettings(**settings))

    def _at_work(self, manager, settings):
        setup(manager, settings)
        JournalShipper(manager, [WorkflowExecution], self._ship)

    async def _ship(self, execution: Resource, entries: Sequence[JournalEntry]) -> None:
        assert isinstance(execution, WorkflowExecution)
        await deliver(self.records, execution, entries)

    async def execute(self, name=NAME, **spec):
        body = execution_of(name, **spec).wire()
        body["metadata"] = {"name": name, "namespace": SYSTEM, "labels": {"kubernaut.ai/correlation-id": "rr-1"}}
        return await self.client.create(WFE, body)

    async def phase(self, phase, name=NAME):
        return (await self.until(WFE, SYSTEM, name, lambda obj: (obj.get("status") or {}).get("phase") == phase))["status"]

    async def waits(self, condition, name=NAME):
        return (await self.until(WFE, SYSTEM, name, lambda obj: condition in held(obj)))["status"]

    async def run_of(self, name=NAME):
        return await self.until(PIPELINE_RUN, RUNS, name)

    async def tekton(self, status: str, reason: str = "Running", message: str = "", name=NAME, **more: Any) -> None:
        """Write what Tekton would."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        condition = {"type": "Succeeded", "status": status, "reason": reason, "message": message, "lastTransitionTime": now}
        body = {"startTime": now, "conditions": [condition], **({"completionTime": now} if status != "Unknown" else {}), **more}
        await self.client.patch(PIPELINE_RUN, name, RUNS, {"status": body}, subresource="status")

    async def task_run(self, name, status):
        labels = {"kubernaut.ai/workflow-execution": NAME, "kubernaut.ai/source-namespace": SYSTEM}
        await self.client.create(
            TASK_RUN, {"metadata": {"name": name, "namespace": RUNS, "labels": labels}, "spec": {"taskSpec": {"steps": []}}}
        )
        await self.client.patch(TASK_RUN, name, RUNS, {"status": status}, subresource="status")

    async def holder(self):
        lease = await self.until(LEASE, SYSTEM, lock_name(TARGET))
        return lease["spec"]["holderIdentity"].partition("/")[0]


def held(obj):
    return {each["type"] for each in (obj.get("status") or {}).get("conditions", []) if each["status"] == "True"}

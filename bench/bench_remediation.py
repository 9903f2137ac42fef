"""What one remediation costs: Kubernetes API calls by kind and verb, and its wall time against the time spent in those calls.

Stages are instant: typed steps, approved by the policy outside production, no stabilisation, pods that start at once. Everything shares one
process and one core, so the figures are counts and ratios within this run.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import TypeVar

import aiohttp

from kubernaut import manifests
from kubernaut.analysis.settings import AnalysisSettings, PlanMode
from kubernaut.api import core
from kubernaut.api.base import Kind, Obj
from kubernaut.api.remediation import Outcome, RemediationRequest
from kubernaut.datastorage.settings import DataStorageSettings
from kubernaut.gateway.settings import GatewaySettings
from kubernaut.kube.client import Client, ObjList, Patch
from kubernaut.localcluster import ClusterSettings, LocalCluster
from kubernaut.localcluster.controllers import LiveScenario, Pace, Scenario, StandInSettings, stand_ins
from kubernaut.localcluster.pipelines import tekton_crds
from kubernaut.notification.settings import NotificationSettings
from kubernaut.orchestration.settings import OrchestrationSettings
from kubernaut.settings import Settings
from kubernaut.telemetry import configure_logging
from kubernaut.verification.settings import VerificationSettings
from kubernaut.wiring import system

CASES, WARM, SECONDS = 8, 2, 30.0
NAMESPACE = "shop"
PATH = "/api/v1/signals/prometheus"
AT_ONCE = Pace(sandbox=0, image_pull=0, start=0, stop=0, back_off=60, back_off_cap=60, probe=0)
SCENARIO = {"nodes": [{"name": "node-1"}], "rules": [{"match": {"namespace": NAMESPACE}, "needsMemory": {"memory": "200Mi", "after": 0}}]}
QUICK = Settings(
    leader_election=False,
    gateway=GatewaySettings(port=0, count_flush_seconds=0),
    notification=NotificationSettings(port=0),
    datastorage=DataStorageSettings(port=0, database="sqlite+aiosqlite:///:memory:"),
    analysis=AnalysisSettings(mode=PlanMode.STEPS),
    orchestration=OrchestrationSettings(stabilization_window=timedelta(), validity=timedelta(seconds=20)),
    verification=VerificationSettings(look_every=timedelta(milliseconds=50)),
)

T = TypeVar("T")


class Counting(Client):
    """A client that counts its calls and the time they take."""

    calls: Counter[tuple[str, str]]
    seconds: float = 0.0

    async def get(self, kind: Kind, name: str, namespace: str = "", *, subresource: str = "") -> Obj:
        return await self._told("get", kind, subresource, super().get(kind, name, namespace, subresource=subresource))

    async def list(self, kind: Kind, namespace: str = "", **options: object) -> ObjList:
        return await self._told("list", kind, "", super().list(kind, namespace, **options))  # type: ignore[arg-type]  # as they came

    async def create(self, kind: Kind, obj: Obj, *, subresource_of: str = "", subresource: str = "", dry_run: bool = False) -> Obj:
        made = super().create(kind, obj, subresource_of=subresource_of, subresource=subresource, dry_run=dry_run)
        return await self._told("create" if not dry_run else "create, dry run", kind, subresource, made)

    async def update(self, kind: Kind, obj: Obj, *, subresource: str = "", dry_run: bool = False) -> Obj:
        return await self._told("update", kind, subresource, super().update(kind, obj, subresource=subresource, dry_run=dry_run))

    async def patch(self, kind: Kind, name: str, namespace: str, body: Patch, **options: object) -> Obj:
        patched = super().patch(kind, name, namespace, body, **options)  # type: ignore[arg-type]  # as they came
        verb = "patch" if not options.get("dry_run") else "patch, dry run"
        return await self._told(verb, kind, str(options.get("subresource", "")), patched)

    async def delete(self, kind: Kind, name: str, namespace: str = "", **options: object) -> Obj:
        return await self._told("delete", kind, "", super().delete(kind, name, namespace, **options))  # type: ignore[arg-type]  # as they came

    async def _told(self, verb: str, kind: Kind, subresource: str, call: Awaitable[T]) -> T:
        began = perf_counter()
        try:
            return await call
        finally:
            self.calls[f"{kind.kind}/{subresource}".rstrip("/"), verb] += 1
            self.seconds += perf_counter() - began


@asynccontextmanager
async def everything() -> AsyncIterator[tuple[Client, Counting, aiohttp.ClientSession]]:
    """Run all parts over an embedded cluster; give a client that is not counted, the one that is, and a session to the gateway."""
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(LocalCluster(ClusterSettings()))
        client, counting = Client(cluster.url, token=cluster.admin_token), Counting(cluster.url, token=cluster.admin_token)
        counting.calls = Counter()
        stack.push_async_callback(client.close)
        stack.push_async_callback(counting.close)
        scenario = LiveScenario(Scenario.from_obj(SCENARIO))
        stands = StandInSettings(clock=lambda: datetime.now(UTC), rng=random.Random(7), scenario=scenario, pace=AT_ONCE, logs=cluster.logs)
        for name, run in stand_ins(cluster.api, stands).items():
            cluster.run(name, run)
        for obj in (*tekton_crds(), *manifests.everything()):
            await client.apply(_kind(obj), obj, manager="bench", force=True)
        await client.create(core.NAMESPACE, {"metadata": {"name": NAMESPACE, "labels": {"environment": "development"}}})
        running = await stack.enter_async_context(system(QUICK, counting))
        yield client, counting, await stack.enter_async_context(aiohttp.ClientSession(running.endpoints.urls["gateway"]))


def _kind(obj: Obj) -> Kind:
    kind = core.kind_named(obj["kind"])
    if kind is None:
        raise LookupError(obj["kind"])
    return kind


async def crashing(client: Client, name: str) -> str:
    """Create a Deployment whose pod is killed for memory; return the pod's name once it crash-loops."""
    resources = {"limits": {"memory": "128Mi"}, "requests": {"memory": "64Mi"}}
    container = {"name": "app", "image": "registry.example/app:1", "resources": resources}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    await client.create(core.DEPLOYMENT, {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})
    async with asyncio.timeout(SECONDS):
        while True:
            for pod in (await client.list(core.POD, NAMESPACE, label_selector=f"app={name}")).items:
                if any((each.get("lastState") or {}).get("terminated") for each in pod["status"].get("containerStatuses", ())):
                    return str(pod["metadata"]["name"])
            await asyncio.sleep(0.02)


async def post(http: aiohttp.ClientSession, pod: str, status: str) -> str:
    """Send an alert; return the remediation's name."""
    labels = {"alertname": "KubePodCrashLooping", "severity": "critical", "namespace": NAMESPACE, "pod": pod}
    alert = {"status": status, "labels": labels, "annotations": {}, "startsAt": "2026-01-01T00:00:00Z"}
    async with http.post(PATH, json={"version": "4", "status": status, "receiver": "kubernaut", "alerts": [alert]}) as answer:
        return str((await answer.json())["remediationRequestName"])


async def case(client: Client, http: aiohttp.ClientSession, pod: str) -> float:
    """Play one case; the alert resolves as soon as the fix is in. Return its wall time; raise unless it ended well."""
    began = perf_counter()
    name = await post(http, pod, "firing")
    resolved = False
    async with asyncio.timeout(SECONDS):
        async for _, obj in client.watch(RemediationRequest.card, manifests.SYSTEM_NAMESPACE, resource_version="0"):
            if obj["metadata"].get("name") != name or not obj.get("status"):
                continue
            status = RemediationRequest.model_validate(obj).status
            if status.phase.terminal:
                if status.outcome is not Outcome.REMEDIATED:
                    raise RuntimeError(f"{name} ended as {status.phase} {status.outcome}: {status.message}")
                return perf_counter() - began
            if status.effectiveness_assessment_ref and not resolved:
                resolved = True
                await post(http, pod, "resolved")
    raise RuntimeError(f"the watch on {name} ended")


async def main() -> None:
    """Measure and print."""
    configure_logging(level="error", form="console")
    async with everything() as (client, counting, http):
        pods = [await crashing(client, f"app-{number}") for number in range(WARM + CASES)]
        for pod in pods[:WARM]:
            await case(client, http, pod)
        await asyncio.sleep(1)  # what still belongs to the cases before: records on their way
        counting.calls.clear()
        counting.seconds = 0.0
        walls = [await case(client, http, pod) for pod in pods[WARM:]]
        await asyncio.sleep(1)
        report(counting, walls)


def report(counting: Counting, walls: list[float]) -> None:
    """Print the tables."""
    print(f"{'Kubernetes API calls of one remediation (step mode)':<52}{'verb':<18}{'calls':>8}")
    for (kind, verb), count in sorted(counting.calls.items(), key=lambda each: (-each[1], each[0])):
        print(f"{kind:<52}{verb:<18}{count / CASES:>8.1f}")
    print(f"{'in all':<70}{counting.calls.total() / CASES:>8.1f}")
    each, wall = counting.seconds / counting.calls.total(), sum(walls) / CASES
    print(f"\n{'one remediation with instant stages':<60}{'seconds':>10}")
    print(f"{'wall time, alert to end':<60}{wall:>10.3f}")
    print(f"{'sum of the times of its API calls (they overlap)':<60}{counting.seconds / CASES:>10.3f}")
    print(f"{'wall time / sum of its API calls':<60}{wall * CASES / counting.seconds:>10.2f}")
    print(f"{'wall time / one mean API call':<60}{wall / each:>10.0f}")


if __name__ == "__main__":
    asyncio.run(main())

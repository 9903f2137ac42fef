"""What one remediation costs: Kubernetes API calls by kind and verb, and its wall time against the time spent in those calls.

Stages are instant: typed steps, approved by the policy outside production, no stabilisation, pods that start at once. Everything shares one
process and one core, so the figures are counts and ratios within this run.

Then the same with 100 and with 10,000 finished remediations in the store: no figure may grow. These are copies of one that was really
played, with the objects that look-ups into the past read, spread over the hours that finished remediations are kept.
"""

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import TypeVar
from uuid import UUID

import aiohttp
import orjson

from kubernaut import manifests
from kubernaut.analysis.settings import AnalysisSettings, PlanMode
from kubernaut.api import core
from kubernaut.api.base import Kind, Obj
from kubernaut.api.remediation import Outcome, RemediationRequest, RemediationRequestStatus, claim_name
from kubernaut.api.signal import SignalState
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.cli.starting import settled
from kubernaut.datastorage.settings import DataStorageSettings
from kubernaut.gateway.settings import GatewaySettings
from kubernaut.kube import metrics
from kubernaut.kube.client import Client, ObjList, Patch
from kubernaut.localcluster import ClusterSettings, LocalCluster
from kubernaut.localcluster.controllers import LiveScenario, Pace, Scenario, StandInSettings, stand_ins
from kubernaut.localcluster.journal import Journal
from kubernaut.localcluster.pipelines import tekton_crds
from kubernaut.localcluster.store import Store
from kubernaut.manifests import SYSTEM_NAMESPACE
from kubernaut.notification.settings import NotificationSettings
from kubernaut.orchestration.gate.brake import BrakeSettings
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
UNHELD = BrakeSettings(hourly=100_000, hourly_per_namespace=100_000, storm_cases=100_000)
QUICK = Settings(
    leader_election=False,
    gateway=GatewaySettings(port=0, count_flush_seconds=0, managed_only=False),
    notification=NotificationSettings(port=0),
    datastorage=DataStorageSettings(port=0, database="sqlite+aiosqlite:///:memory:"),
    analysis=AnalysisSettings(mode=PlanMode.STEPS),
    orchestration=OrchestrationSettings(managed_only=False, stabilization_window=timedelta(), validity=timedelta(seconds=20), brake=UNHELD),
    verification=VerificationSettings(look_every=timedelta(milliseconds=50)),
)

FEW, MANY, PLAYED = 100, 10_000, 6
KEPT = (RemediationRequest, WorkflowExecution)
"""Of which kinds a finished remediation leaves objects here: those that look-ups into the past read."""
REST_SECONDS = 300
YOUNGEST, OLDEST = timedelta(hours=2), timedelta(hours=23)
"""How long ago they were: kept for 24 hours, and not within the hours that the brake looks at, of which its hourly limit allows few."""
TIME = re.compile(rb'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^"\\]*"')
RESOURCES = [f"{model.card.plural}.{model.card.group}" for model in KEPT]

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
async def everything(
    over: ClusterSettings, settings: Settings = QUICK, environment: str = "development"
) -> AsyncIterator[tuple[Client, Counting, aiohttp.ClientSession]]:
    """Run all parts over an embedded cluster; give a client that is not counted, the one that is, and a session to the gateway."""
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(LocalCluster(over))
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
        shop = {"metadata": {"name": NAMESPACE, "labels": {"environment": environment}}}
        await client.apply(core.NAMESPACE, shop, manager="bench", force=True)
        running = await stack.enter_async_context(system(settings, counting))
        settled()
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
    last = f"{name} was never seen"
    try:
        async with asyncio.timeout(SECONDS):
            async for status in statuses(client, name):
                last = f"{name} is {status.phase} {status.outcome or ''}: {status.message}"
                if status.phase.terminal:
                    break
                if status.effectiveness_assessment_ref and status.signal_state is SignalState.FIRING:
                    await post(http, pod, "resolved")
    except TimeoutError:
        raise RuntimeError(f"after {SECONDS:.0f} s {last}") from None
    if status.outcome is not Outcome.REMEDIATED:
        raise RuntimeError(last)
    return perf_counter() - began


async def statuses(client: Client, name: str) -> AsyncIterator[RemediationRequestStatus]:
    """Yield what the status of a remediation becomes, and what it is now."""
    now = await client.get(RemediationRequest.card, name, SYSTEM_NAMESPACE)
    yield RemediationRequest.model_validate(now).status
    since = now["metadata"]["resourceVersion"]  # not all from the start: that would be the cost of the looking
    async for _, obj in client.watch(RemediationRequest.card, SYSTEM_NAMESPACE, resource_version=since):
        if obj["metadata"].get("name") == name and obj.get("status"):
            yield RemediationRequest.model_validate(obj).status


async def one() -> None:
    """Measure and print what one remediation costs."""
    async with everything(ClusterSettings()) as (client, counting, http):
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


@dataclass(frozen=True)
class Cost:
    """What the measured cases cost, each."""

    calls: float
    reconciles: float
    seconds: float
    by_call: Counter[tuple[str, str]]

    def against(self, other: "Cost") -> tuple[float, float, float]:
        """Return how many times another's costs these are."""
        return self.calls / other.calls, self.reconciles / other.reconciles, self.seconds / other.seconds


def reconciles() -> float:
    """Return how many passes were made in this process."""
    return sum(sample.value for family in metrics.RECONCILES.collect() for sample in family.samples if sample.name.endswith("_total"))


async def quiet(counting: Counting) -> None:
    """Wait until nothing is done any more: what belongs to the past has come to rest. Raise TimeoutError where it never does."""
    before = -1.0
    async with asyncio.timeout(REST_SECONDS):
        while before != counting.calls.total() + reconciles():
            before = counting.calls.total() + reconciles()
            await asyncio.sleep(2)


async def measured(path: Path, start: int) -> tuple[Cost, float]:
    """Run the system over a state and play cases on Deployments numbered from `start`; return the cost, and the seconds of the start."""
    async with AsyncExitStack() as stack:
        began = process_time()
        client, counting, http = await stack.enter_async_context(everything(ClusterSettings(database=str(path))))
        await quiet(counting)
        ready = process_time() - began
        pods = [await crashing(client, f"app-{number}") for number in range(start, start + WARM + PLAYED)]
        for pod in pods[:WARM]:
            await case(client, http, pod)
        await quiet(counting)
        counting.calls.clear()
        passes, began = reconciles(), process_time()
        for pod in pods[WARM:]:
            await case(client, http, pod)
        await quiet(counting)
        cost = Cost(counting.calls.total() / PLAYED, (reconciles() - passes) / PLAYED, (process_time() - began) / PLAYED, +counting.calls)
        await rested(client)
        return cost, ready


async def rested(client: Client) -> None:
    """Raise unless the cases are there, and over."""
    found = (await client.list(RemediationRequest.card, SYSTEM_NAMESPACE)).items
    if open_ := [obj["metadata"]["name"] for obj in found if not obj["status"].get("completionTime")]:
        raise RuntimeError(f"not over: {open_[:5]}")


def preload(path: Path, count: int) -> None:
    """Write copies of one finished remediation into the log of a cluster that does not run, until there are so many."""
    journal = Journal(str(path))
    store = Store(journal)
    family = _family(store)
    present = store.count(RESOURCES[0])
    for number in range(present, count):
        for resource, obj in copied(family, number, count):
            store.put(resource, (obj["metadata"]["namespace"], obj["metadata"]["name"]), obj)
    store.close()
    journal.close()


def _family(store: Store) -> list[tuple[str, Obj]]:
    """Return the newest finished remediation with its objects."""
    request = max((record.copy() for record in store.scan(RESOURCES[0])), key=lambda obj: str(obj["metadata"]["creationTimestamp"]))
    name = request["metadata"]["name"]
    found = [(resource, record.copy()) for resource in RESOURCES for record in store.scan(resource, SYSTEM_NAMESPACE)]
    return [(resource, obj) for resource, obj in found if name in obj["metadata"]["name"]]


def copied(family: Sequence[tuple[str, Obj]], number: int, count: int) -> Iterator[tuple[str, Obj]]:
    """Return one more such family: other names, uids, problem and target, and some time ago."""
    request = family[0][1]
    target, fingerprint = request["spec"]["target"]["name"], request["spec"]["signalFingerprint"]
    new = f"{number:064x}"
    replaced = {request["metadata"]["name"]: f"remediation-p{number:09d}", target: f"past-{number}", fingerprint: new}
    replaced |= {claim_name(fingerprint): claim_name(new)}
    replaced |= {obj["metadata"]["uid"]: str(UUID(int=number * 100 + ordinal)) for ordinal, (_, obj) in enumerate(family)}
    ago = YOUNGEST + (OLDEST - YOUNGEST) * number / count
    for resource, obj in family:
        text = orjson.dumps(obj)
        for old, other in replaced.items():
            text = text.replace(old.encode(), other.encode())
        yield resource, orjson.loads(TIME.sub(lambda found: _earlier(found[0], ago), text))


def _earlier(quoted: bytes, by: timedelta) -> bytes:
    text = quoted.decode().strip('"')
    moment = datetime.fromisoformat(text) - by
    form = "%Y-%m-%dT%H:%M:%SZ" if "." not in text else "%Y-%m-%dT%H:%M:%S.%fZ"
    return f'"{moment.strftime(form)}"'.encode()


def report_scale(few: Cost, many: Cost, starts: tuple[float, float]) -> None:
    """Print the table."""
    ratios = many.against(few)
    rows = (
        ("Kubernetes API calls", few.calls, many.calls, ratios[0]),
        ("reconciles", few.reconciles, many.reconciles, ratios[1]),
        ("seconds of processor, server and controllers", few.seconds, many.seconds, ratios[2]),
    )
    print(f"{'one remediation, with so many finished ones in the store':<60}{FEW:>10}{MANY:>10}{'ratio':>8}")
    for label, before, after, ratio in rows:
        print(f"{label:<60}{before:>10.2f}{after:>10.2f}{ratio:>8.2f}")
    print(f"{'start until all is at rest, seconds of processor':<60}{starts[0]:>10.1f}{starts[1]:>10.1f}")
    for call in sorted(few.by_call.keys() | many.by_call.keys()):
        before, after = few.by_call[call] / PLAYED, many.by_call[call] / PLAYED
        if abs(after - before) > 0.5:
            print(f"  {' '.join(call):<58}{before:>10.2f}{after:>10.2f}")


async def scaled() -> None:
    """Measure and print what the past costs a remediation."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "cluster.db"
        await measured(path, 0)
        preload(path, FEW)
        few, first = await measured(path, 100)
        preload(path, MANY)
        many, second = await measured(path, 200)
        report_scale(few, many, (first, second))


async def main() -> None:
    """Measure and print."""
    configure_logging(level="error", form="console")
    await one()
    await scaled()


if __name__ == "__main__":
    asyncio.run(main())

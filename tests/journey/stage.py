"""A whole embedded system at work, and the questions that journeys ask of it. Everything goes over HTTP, as from outside."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from kubernaut.analysis.settings import PlanMode
from kubernaut.api import core
from kubernaut.api.approval import AIApprovalRequest, Decision
from kubernaut.api.base import Kind, Obj, Resource
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.kinds import ALL, CASE
from kubernaut.api.notification import NotificationRequest
from kubernaut.api.remediation import RemediationRequest
from kubernaut.cli.alerts import AlertSource, crash_looping
from kubernaut.cli.approving import answer
from kubernaut.cli.embedded import Embedded, Ports, embedded, quick_settings
from kubernaut.cli.places import Place
from kubernaut.cli.story import Story, story
from kubernaut.cli.watching import R, View, viewing
from kubernaut.kube.client import Client
from kubernaut.kube.clock import SystemClock
from kubernaut.kube.status import status_of
from kubernaut.manifests import SYSTEM_NAMESPACE
from kubernaut.notification.channels.base import Message
from kubernaut.rights import account_of
from kubernaut.settings import Settings
from tests.world import eventually

PATIENCE = 60.0
"""Seconds that anything may take; only a broken system takes so long."""
NAMESPACE, DEPLOYMENT = "production", "payment-service"


def told(**changes) -> Story:
    """Return the founding documents' story, its one container behaving as the rule fields given say."""
    shipped = story(DEPLOYMENT)
    scenario = deepcopy(shipped.scenario)
    scenario["rules"][0].update(changes)
    return replace(shipped, scenario=scenario)


def alone(played: Story, **spec) -> Story:
    """Return the story with a single replica, and fields of the Deployment's spec changed."""
    objects = deepcopy(played.objects)
    next(each for each in objects if each["kind"] == "Deployment")["spec"].update({"replicas": 1} | spec)
    return replace(played, objects=objects)


def settings_for(place: Place, *, mode: PlanMode = PlanMode.CATALOGUE, **sections) -> Settings:
    """Return the quick settings on free ports, with fields of sections changed, such as `orchestration={"approval_limit": …}`."""
    quick = quick_settings(place, Ports())
    sections["analysis"] = {"mode": mode} | sections.get("analysis", {})
    return quick.model_copy(update={name: getattr(quick, name).model_copy(update=changes) for name, changes in sections.items()})


@dataclass
class Questions:
    """What a test asks of a running system: of its API server, and of data storage."""

    system: Embedded
    http: aiohttp.ClientSession

    @property
    def client(self) -> Client:
        """The administrator's."""
        return self.system.client

    async def objects(self, kind: Kind, namespace: str = "") -> list[Obj]:
        """Return what the cluster has of a kind now."""
        return list((await self.client.list(kind, namespace)).items)

    async def deployment(self) -> Obj:
        """Return the story's Deployment."""
        return await self.client.get(core.DEPLOYMENT, DEPLOYMENT, NAMESPACE)

    async def unlocked(self) -> None:
        """Wait until no target is locked."""

        async def free() -> bool:
            leases = await self.objects(core.LEASE, SYSTEM_NAMESPACE)
            return not any(lease["metadata"]["name"].startswith("target-") for lease in leases)

        await eventually(free, seconds=PATIENCE)

    async def facts(self, correlation_id: str) -> list[Obj]:
        """Return the audit events of a case in order, once no fact is on its way any more."""
        await eventually(self._shipped, seconds=PATIENCE)
        params = {"correlation_id": correlation_id, "limit": "1000"}
        async with self.http.get(self.system.endpoints.urls["datastorage"] + "/api/v1/audit/events", params=params) as reply:
            assert reply.status == 200
            found: list[Obj] = (await reply.json())["data"]
            return found

    async def record(self, name: str) -> Obj:
        """Return data storage's record of a remediation."""
        async with self.http.get(f"{self.system.endpoints.urls['datastorage']}/api/v1/query/remediation/{name}") as reply:
            assert reply.status == 200
            found: Obj = await reply.json()
            return found

    async def _shipped(self) -> bool:
        live = [obj for model in ALL for obj in (await self.client.list(model.card, SYSTEM_NAMESPACE)).items]
        return not any((obj.get("status") or {}).get("journal", {}).get("pending") for obj in live)


@dataclass
class Stage(Questions):
    """A running system, with the alerts and the person that a case needs."""

    view: View
    source: AlertSource
    person: Client

    async def _look(self, pods: int = 1) -> None:
        """Wait until so many pods crash-loop; the alert fires for exactly those."""

        async def enough():
            new = [pod for pod in await self.source.pods() if crash_looping(pod) and pod["metadata"]["name"] not in self.source.firing]
            self.source.note(new[: pods - len(self.source.firing)])
            return len(self.source.firing) >= pods

        await eventually(enough, seconds=PATIENCE)

    async def alert(self, pods: int = 1) -> tuple[int, Obj]:
        """Send the webhook for so many pods; return the gateway's answer."""
        await self._look(pods)
        async with self.http.post(self.system.endpoints.urls["gateway"] + "/api/v1/signals/prometheus", json=self.source.body()) as reply:
            return reply.status, await reply.json()

    @asynccontextmanager
    async def alerting(self) -> AsyncIterator[None]:
        """Let the alert source look at the pods and tell the gateway while the context lasts."""
        work = asyncio.create_task(self.source.run())
        try:
            yield
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    def only(self, model: type[R]) -> R:
        """Return the one resource of a kind; trials of a fix, which go by themselves, do not count."""
        [found] = [each for each in self.view.all(model) if not _is_trial(each)]
        return found

    async def until(self, model: type[R], holds: Callable[[R], bool] = lambda _: True) -> R:
        """Wait for a resource of which something is true."""
        try:
            return await self.view.until(model, holds, seconds=PATIENCE)
        except TimeoutError as fault:
            raise AssertionError("never seen; the case stands so:\n" + "\n".join(map(standing, self.family()))) from fault

    async def ended(self) -> RemediationRequest:
        """Wait for the end of the case."""
        return await self.until(RemediationRequest, lambda each: each.status.phase.terminal)

    async def question(self) -> AIApprovalRequest:
        """Wait until a person is asked and the remediation waits for the answer."""
        await self.until(RemediationRequest, lambda each: each.status.approval_notification_sent)
        return await self.until(AIApprovalRequest, lambda each: each.status.decision is None)

    async def decide(self, decision: Decision, reason: str = "") -> AIApprovalRequest:
        """Answer the open question as the person whose kubeconfig the system wrote."""
        return await answer(self.person, await self.question(), decision, reason, datetime.now(UTC))

    async def patience(self, **limits: str) -> None:
        """Give the one remediation other time limits, as a person would by kubectl patch."""
        [request] = self.view.all(RemediationRequest)
        body = {"spec": {"timeoutConfig": limits}}
        await self.person.patch(RemediationRequest.card, request.metadata.name, SYSTEM_NAMESPACE, body)

    async def message(self, name: str) -> NotificationRequest:
        """Wait until a message was delivered."""
        return await self.until(NotificationRequest, lambda each: each.metadata.name == name and each.status.completion_time is not None)

    def family(self) -> list[Resource]:
        """Return all objects of ours but the catalogue, in the order a signal travels."""
        return [found for model in CASE for found in self.view.all(model)]


def _is_trial(resource: Resource) -> bool:
    return isinstance(resource, KubernetesExecution) and resource.spec.execution_config.dry_run


def standing(resource: Resource) -> str:
    """Say where an object stands, for the message of a failed test."""
    status = status_of(resource)
    return f"  {resource.card.kind} {resource.metadata.name}: {getattr(status, 'phase', '')} {status.message[:300]}"


async def as_part(stack: AsyncExitStack, whole: Embedded, part: str) -> Client:
    """Return a client with a token of a part's service account."""
    wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    made = await whole.client.create(
        core.SERVICE_ACCOUNT,
        {**wanted, "metadata": {"namespace": SYSTEM_NAMESPACE}},
        subresource_of=account_of(part),
        subresource="token",
    )
    trust = ssl.create_default_context(cadata=whole.cluster.certificate)
    client = Client(whole.cluster.url, token=made["status"]["token"], tls=trust)
    stack.push_async_callback(client.close)
    return client


@asynccontextmanager
async def playing(
    path: Path,
    *,
    played: Story | None = None,
    settings: Callable[[Place], Settings] = settings_for,
    source: type[AlertSource] = AlertSource,
    memory: Path | None = None,
    ports: Ports | None = None,
    show: Callable[[Message], None] = lambda _: None,
) -> AsyncIterator[Stage]:
    """Run a system with a story on the state in `path`."""
    place, played = Place(path / "state"), played or told()
    async with AsyncExitStack() as stack:
        stack.enter_context(place.held())
        system = await stack.enter_async_context(embedded(place, ports or Ports(), story=played, settings=settings(place), show=show))
        person = Client.from_kubeconfig(str(place.kubeconfig))
        stack.push_async_callback(person.close)
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)))
        view = await stack.enter_async_context(viewing(system.client, ALL, SYSTEM_NAMESPACE, lambda *_: None))
        alarm = source(system.client, SystemClock(), system.endpoints.urls["gateway"], played.namespace, played.deployment, memory)
        yield Stage(system, http, view, alarm, person)

"""A Kubernetes API to test against: the embedded one, or the one of KUBERNAUT_TEST_KUBECONFIG. Tests see no difference."""

import asyncio
import os
import random
import secrets
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from kubernaut import manifests
from kubernaut.api import core
from kubernaut.api.base import Kind, Obj, Resource
from kubernaut.api.crd import crd
from kubernaut.api.kinds import ALL
from kubernaut.cli import pausing
from kubernaut.kube.client import Client
from kubernaut.kube.clock import SystemClock
from kubernaut.kube.errors import ApiError
from kubernaut.kube.manager import Manager
from kubernaut.localcluster import ClusterSettings, LocalCluster
from kubernaut.localcluster.controllers import QUICK, StandInSettings, stand_ins
from kubernaut.localcluster.pipelines import tekton_crds
from tests.renaming import Renaming, own_names, reach

EXTERNAL = os.environ.get("KUBERNAUT_TEST_KUBECONFIG", "")
BASIC = ("gc", "namespaces")
"""Stand-ins whose work every real API server's controller manager does too."""
FINALIZED = (core.PIPELINE_RUN, core.TASK_RUN, core.JOB, core.CONFIG_MAP)
"""Kinds of others whose objects tests may leave with finalizers."""
WAIT_SECONDS = 60.0
"""Long: a busy machine takes its time, and a test that fails may."""


@dataclass
class World:
    """A cluster and the namespaces that a test may use."""

    client: Client
    system: str = "kubernaut-system"
    workflows: str = "kubernaut-workflows"
    made: list[str] = field(default_factory=list)

    @property
    def external(self) -> bool:
        """Whether this is somebody else's API server."""
        return bool(EXTERNAL)

    async def namespace(self, prefix: str, **labels: str) -> str:
        """Make a namespace of a test's own."""
        name = f"{prefix}-{secrets.token_hex(3)}"
        await self.client.create(core.NAMESPACE, {"metadata": {"name": name, "labels": labels}})
        self.made.append(name)
        return name

    async def create(self, kind: Kind, obj: Obj, status: Obj | None = None) -> Obj:
        """Create an object, and give it a status as whoever is responsible for it would."""
        made = await self.client.create(kind, obj)
        if status is None:
            return made
        meta = made["metadata"]
        return await self.client.patch(kind, meta["name"], meta.get("namespace", ""), {"status": status}, subresource="status")

    def manager(self) -> Manager:
        """Return a manager over this cluster."""
        return Manager(self.client, SystemClock(), name="test", namespace=self.system)


@asynccontextmanager
async def world(*, running: Sequence[str] = BASIC) -> AsyncIterator[World]:
    """Give a world with our definitions and policies installed."""
    if EXTERNAL:
        async with _external() as found:
            yield found
        return
    cluster = LocalCluster(ClusterSettings(anonymous=False, tls=True, rbac=True))
    await cluster.start()
    settings = StandInSettings(clock=lambda: datetime.now(UTC), rng=random.Random(7), pace=QUICK, logs=cluster.logs)
    for name, run in stand_ins(cluster.api, settings).items():
        if name in running:
            cluster.run(name, run)
    client = Client(cluster.url, token=cluster.admin_token, tls=ssl.create_default_context(cadata=cluster.certificate))
    try:
        await _furnish_embedded(cluster)
        yield World(client)
    finally:
        await client.close()
        await cluster.stop()


@asynccontextmanager
async def _external() -> AsyncIterator[World]:
    client = Client.from_kubeconfig(EXTERNAL)
    try:
        await _furnish()
        found = World(client)
        found.system, found.workflows = await found.namespace("kubernaut-test"), await found.namespace("kubernaut-test-runs")
        try:
            yield found
        finally:
            for name in found.made:
                await remove(client, name)
    finally:
        await client.close()


@asynccontextmanager
async def visit(namespaces: Sequence[str], *models: type[Resource]) -> AsyncIterator[Renaming]:
    """Give the way to the foreign cluster with our definitions, on which the namespaces are new ones of the test's own.

    Models are kinds that only tests know: their API group is of the test's own too.
    """
    cards = [model.card for model in models]
    way = reach(EXTERNAL, own_names((*namespaces, *{card.group for card in cards})))
    client = Client.over(way)
    try:
        await _furnish()
        for name in namespaces:
            await client.create(core.NAMESPACE, {"metadata": {"name": name}})
        await serve(client, *models)
        yield way
        for name in namespaces:
            await remove(client, name, cards)
        for card in cards:
            await client.delete(core.CUSTOM_RESOURCE_DEFINITION, f"{card.plural}.{card.group}")
    finally:
        await client.close()


async def serve(client: Client, *models: type[Resource]) -> None:
    """Make the definitions of models, and wait until they are served."""
    for model in models:
        await client.create(core.CUSTOM_RESOURCE_DEFINITION, crd(model))
        await eventually(lambda model=model: listed(client, model.card))


async def remove(client: Client, namespace: str, kinds: Sequence[Kind] = ()) -> None:
    """Delete a namespace; nobody is left who would take finalizers off what is in it, or lift a pause."""
    brake = await pausing.brake_of(client, namespace)
    for pause in brake.spec.pauses if brake else ():
        await pausing.resume(client, namespace, pause.namespace, "a brake that is on may not be deleted")
    for kind in (*(model.card for model in ALL), *FINALIZED, *kinds):
        for obj in (await client.list(kind, namespace)).items:
            if obj["metadata"].get("finalizers"):
                with suppress(ApiError):
                    await client.patch(kind, obj["metadata"]["name"], namespace, {"metadata": {"finalizers": None}})
    with suppress(ApiError):
        await client.delete(core.NAMESPACE, namespace)


_furnished: set[str] = set()


async def _furnish() -> None:
    """Install on the foreign cluster what tests share, once for all of them."""
    if EXTERNAL in _furnished:
        return
    client = Client.from_kubeconfig(EXTERNAL)
    try:
        await install(client)
        await install_tekton(client)
    finally:
        await client.close()
    _furnished.add(EXTERNAL)


async def _furnish_embedded(cluster: LocalCluster) -> None:
    """Put definitions, identities and policies into an embedded cluster, past its HTTP: every test's world begins with it."""
    for obj in manifests.everything():
        kind = core.kind_named(obj["kind"])
        assert kind is not None
        await cluster.api.create(cluster.api.kind(kind.group, kind.plural), obj)


async def install(client: Client) -> None:
    """Install definitions, identities and policies; wait until the definitions are served."""
    for obj in manifests.everything():
        kind = core.kind_named(obj["kind"])
        assert kind is not None
        await client.apply(kind, obj, manager="kubernaut-tests", force=True)
    for definition in manifests.definitions():
        await eventually(lambda name=definition["metadata"]["name"]: _served(client, name))


async def install_tekton(client: Client) -> None:
    """Install Tekton's definitions where they are not."""
    for definition in tekton_crds():
        try:
            await client.create(core.CUSTOM_RESOURCE_DEFINITION, definition)
        except ApiError as error:
            if not error.already_exists:
                raise
    for kind in (core.PIPELINE_RUN, core.TASK_RUN):
        await eventually(lambda kind=kind: listed(client, kind))


async def listed(client: Client, kind: Kind) -> bool:
    """Say whether a kind is served."""
    try:
        await client.list(kind)
    except ApiError as error:
        if not error.not_found:
            raise
        return False
    return True


async def _served(client: Client, name: str) -> bool:
    found = await client.get(core.CUSTOM_RESOURCE_DEFINITION, name)
    return any(each["type"] == "Established" and each["status"] == "True" for each in found.get("status", {}).get("conditions", ()))


async def eventually(holds, *, seconds: float = WAIT_SECONDS, pause: float = 0.02):
    """Ask again until something true comes back; return it. The pause (in seconds) only spares the processor."""
    async with asyncio.timeout(seconds):
        while not (found := await holds()):
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), pause)
    return found


@asynccontextmanager
async def running(manager: Manager) -> AsyncIterator[None]:
    """Run a manager while the context lasts, from the moment that its caches are full."""
    work = asyncio.create_task(manager.run())
    ready = asyncio.create_task(manager.ready.wait())
    done, _ = await asyncio.wait({work, ready}, return_when=asyncio.FIRST_COMPLETED)
    if work in done:
        await work
    try:
        yield
    finally:
        ready.cancel()
        work.cancel()
        await asyncio.gather(work, ready, return_exceptions=True)

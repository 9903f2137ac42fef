"""Parents and children for controllers to look after, a server that knows them, and someone who watches from outside."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from kubernaut.api import core
from kubernaut.api.base import Kind, Model, ObjectMeta, Resource, Status
from kubernaut.kube.client import Client
from kubernaut.kube.events import EVENT
from kubernaut.kube.informer import Informer
from kubernaut.kube.outcome import DONE
from kubernaut.localcluster import ClusterSettings, LocalCluster
from tests.world import EXTERNAL, serve, visit

CRD = Kind(
    kind="CustomResourceDefinition", plural="customresourcedefinitions", group="apiextensions.k8s.io", version="v1", namespaced=False
)
FINALIZER = "test.dev/parent"
HOME = "kube-home"


class Spec(Model):
    size: int = 1


class ParentStatus(Status):
    phase: str = "Pending"
    children: int = 0


class Parent(Resource):
    card = Kind(kind="Parent", plural="parents", group="test.dev", version="v1")
    spec: Spec = Spec()
    status: ParentStatus = ParentStatus()


class Child(Resource):
    card = Kind(kind="Child", plural="children", group="test.dev", version="v1")
    spec: Spec = Spec()
    status: ParentStatus = ParentStatus()


def parent(name="p", **spec):
    return Parent(metadata=ObjectMeta(name=name, namespace=HOME), spec=Spec(**spec))


def child(name="p-child"):
    return Child(metadata=ObjectMeta(name=name, namespace=HOME))


SERVERS = ("double", pytest.param("cluster", marks=pytest.mark.anywhere))
"""The server in memory, and a cluster: the embedded one, or the foreign one."""


@asynccontextmanager
async def connected(server, api):
    """A client of the server in memory (`double`) or of a cluster with our kinds (`cluster`)."""
    if server == "double":
        client = Client(api.url)
        yield client
        await client.close()
    elif EXTERNAL:
        async with visit((HOME,), Parent, Child) as way:
            yield Client.over(way)
    else:
        async with LocalCluster(ClusterSettings()) as cluster:
            client = Client(cluster.url, token=cluster.admin_token)
            await client.create(core.NAMESPACE, {"metadata": {"name": HOME}})
            await serve(client, Parent, Child)
            yield client
            await client.close()


class Observer:
    """Waits for what becomes visible to everyone."""

    def __init__(self, client, running, namespace=HOME):
        self.client, self.running, self.namespace, self.informers = client, running, namespace, {}
        self.change = asyncio.Event()

    def informer(self, kind):
        if kind not in self.informers:
            self.informers[kind] = Informer(self.client, kind, self.namespace)
            self.informers[kind].on_change(lambda old, new: self.change.set())
            self.running(self.informers[kind].run())
        return self.informers[kind]

    async def until(self, holds):
        async with asyncio.timeout(60):
            while not (found := holds()):
                self.change.clear()
                await self.change.wait()
        return found

    async def sees(self, model, name, holds):
        store = self.informer(model.card).store

        def look():
            obj = store.get(self.namespace, name)
            resource = obj and model.model_validate(obj)
            return resource if resource and holds(resource) else None

        return await self.until(look)

    async def misses(self, model, name):
        await self.informer(model.card).synced.wait()
        await self.until(lambda: self.informer(model.card).store.get(self.namespace, name) is None)

    async def event(self, reason):
        store = self.informer(EVENT).store
        return await self.until(lambda: next((event for event in store.all() if event["reason"] == reason), None))


class Passes:
    """A reconciler that does what a test says, pass by pass; the last instruction stays."""

    def __init__(self, *acts):
        self.acts, self.count = list(acts), 0
        self.changed = asyncio.Event()

    async def reconcile(self, one):
        act = self.acts[min(self.count, len(self.acts) - 1)]
        self.count += 1
        self.changed.set()
        return await act(one)

    async def reach(self, count):
        async with asyncio.timeout(60):
            while self.count < count:
                self.changed.clear()
                await self.changed.wait()


async def done(one):
    return DONE


async def complete(one):
    one.status.phase = "Completed"
    return DONE


async def settled(manager, observer):
    """Wait until everything asked for so far has been worked off, by a pass over an object of its own that came last."""
    await manager.cluster.create(parent("zz-last"))
    return await observer.sees(Parent, "zz-last", lambda last: last.status.observed_generation > 0)

"""A cluster in memory whose stand-ins live in simulated time: nothing here waits for real."""

import asyncio
import contextlib
import random
from datetime import UTC, datetime, timedelta

import looptime
import pytest

from kubernaut.localcluster.controllers import NAMES, QUICK, LiveScenario, Scenario, StandInSettings, stand_ins
from kubernaut.localcluster.metadata import Sources
from kubernaut.localcluster.server import ClusterSettings, LocalCluster

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def pytest_asyncio_loop_factories(config, item):
    return {"simulated": looptime.new_event_loop}


class NoLoopByAccident(asyncio.DefaultEventLoopPolicy):
    """looptime asks for the present loop in tests that have none: the usual policy makes one then, which nobody closes."""

    def get_event_loop(self):
        try:
            return asyncio.get_running_loop()
        except RuntimeError:
            return self._held()

    def _held(self):
        if self._loop_set is None:
            raise RuntimeError("no event loop")
        return self._loop_set

    def set_event_loop(self, loop):
        self._loop_set = loop
        super().set_event_loop(loop)

    _loop_set = None


asyncio.set_event_loop_policy(NoLoopByAccident())


class Lab:
    """A cluster, its stand-ins and the questions tests ask."""

    def __init__(self, names=NAMES, scenario=None, pace=QUICK, database=":memory:"):
        self.scenario = LiveScenario(Scenario.from_obj(scenario or {"nodes": [{"name": "node-1"}]}))
        self.cluster = LocalCluster(ClusterSettings(database=database, sources=Sources(clock=self.now)))
        self.api = self.cluster.api
        self.settings = StandInSettings(self.now, random.Random(1), self.scenario, pace, ca_certificate="PEM", logs=self.cluster.logs)
        self.names = names
        self._tasks = []

    @staticmethod
    def now():
        return EPOCH + timedelta(seconds=asyncio.get_running_loop().time())

    def start(self):
        made = stand_ins(self.api, self.settings)
        self._tasks = [asyncio.ensure_future(made[name]()) for name in self.names]

    async def kill(self):
        """End all stand-ins as a crash would: they keep nothing."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def pass_time(self, seconds):
        await asyncio.sleep(seconds)
        for task in self._tasks:
            if task.done():
                task.result()

    def kind(self, plural, group=""):
        return self.api.kind(group, plural)

    async def get(self, plural, name, namespace="shop", group=""):
        return await self.api.get(self.kind(plural, group), name, namespace)

    async def list(self, plural, namespace="shop", group="", labels=""):
        return await self.api.list(self.kind(plural, group), namespace, labels=labels)

    async def create(self, plural, obj, group=""):
        return await self.api.create(self.kind(plural, group), obj)

    async def patch(self, plural, name, patch, namespace="shop", group="", subresource=""):
        return await self.api.patch(self.kind(plural, group), name, namespace, patch, subresource)

    async def delete(self, plural, name, namespace="shop", group="", **options):
        await self.api.delete(self.kind(plural, group), name, namespace, **options)

    async def phases(self, namespace="shop"):
        return {pod["metadata"]["name"]: pod["status"].get("phase") for pod in await self.list("pods", namespace)}

    async def row(self, name, namespace="shop"):
        """The status of a pod's only container."""
        (row,) = (await self.get("pods", name, namespace))["status"]["containerStatuses"]
        return row

    async def gone(self, plural, name, namespace="shop", group=""):
        return name not in [obj["metadata"]["name"] for obj in await self.list(plural, namespace, group)]

    async def events(self, namespace="shop"):
        return [(row["reason"], row["message"]) for row in await self.list("events", namespace)]

    @staticmethod
    def container(name="app", image="registry.example/shop:1", **fields):
        return {"name": name, "image": image, **fields}

    @classmethod
    def pod(cls, name="one", *containers, namespace="shop", labels=None, **spec):
        meta = {"name": name, "namespace": namespace} | ({"labels": labels} if labels else {})
        return {"metadata": meta, "spec": {"containers": list(containers) or [cls.container()], **spec}}

    @classmethod
    def deployment(cls, name="web", *containers, replicas=3, pod=None, **fields):
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": {**cls.pod(name, *containers)["spec"], **(pod or {})}}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **fields}
        return {"metadata": {"name": name, "namespace": "shop"}, "spec": spec}


@pytest.fixture
def new_lab():
    """The class, for tests that need more than one process life."""
    return Lab


@pytest.fixture
async def lab(request):
    """A running cluster with namespace `shop`; parametrized indirectly it takes the arguments of `Lab`."""
    lab = Lab(**getattr(request, "param", {}))
    await lab.api.create(lab.kind("namespaces"), {"metadata": {"name": "shop"}})
    lab.start()
    await lab.pass_time(1)
    yield lab
    await lab.kill()
    await lab.cluster.stop()

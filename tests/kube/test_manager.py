"""Managers together: who leads works, who loses the lease stops at once; background tasks; objects that cannot be read."""

import asyncio
from datetime import timedelta

import pytest

from kubernaut.api.base import Kind, Model, ObjectMeta, Resource, Status
from kubernaut.kube.client import Client
from kubernaut.kube.clock import SystemClock
from kubernaut.kube.cluster import creatable
from kubernaut.kube.leader import LeaderSettings
from kubernaut.kube.manager import Manager
from kubernaut.kube.outcome import DONE
from kubernaut.kube.worker import attempt

THINGS, LEASES, EVENTS = ("test.dev", "things"), ("coordination.k8s.io", "leases"), ("", "events")


class Spec(Model):
    size: int = 1


class Thing(Resource):
    card = Kind(kind="Thing", plural="things", group="test.dev", version="v1")
    spec: Spec
    status: Status = Status()


def thing(name="a", size=1):
    return {"apiVersion": "test.dev/v1", "kind": "Thing", "metadata": {"name": name}, "spec": {"size": size}}


class Replica:
    """A process that signs every object with its name; `hang` makes its passes wait."""

    def __init__(self, api, identity, *, hang=False):
        self.client = Client(api.url, user_agent=identity)
        lease, renew, retry = (timedelta(seconds=seconds) for seconds in (1, 0.5, 0.05))
        election = LeaderSettings(namespace="default", identity=identity, lease=lease, renew=renew, retry=retry)
        self.manager = Manager(self.client, SystemClock(), name="replica", leader_election=election)
        self.manager.controller(Thing, self.reconcile)
        self.manager.background("beat", self.beat)
        self.identity, self.hang = identity, hang
        self.reached, self.cancelled, self.beating = asyncio.Event(), asyncio.Event(), 0

    async def reconcile(self, one):
        self.reached.set()
        try:
            if self.hang:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        one.status.message = self.identity
        return DONE

    async def beat(self):
        self.beating += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.beating -= 1

    async def run(self):
        try:
            await self.manager.run()
        finally:
            await self.client.close()


def signed(api, name, identity):
    return api.objects[THINGS]["default", name].get("status", {}).get("message") == identity


async def test_a_replica_takes_over_from_one_that_is_cut_off(api, running):
    api.put(THINGS, thing("a"))
    one, two = Replica(api, "one", hang=True), Replica(api, "two")
    running(one.run())
    await one.reached.wait()
    running(two.run())
    for method in ("GET", "PUT", "PATCH"):
        api.refuse(method, "", 503, times=100_000, agent="one")
    await one.cancelled.wait()  # in the middle of a pass, before anyone else may lead
    assert not two.reached.is_set()
    await api.until(lambda: signed(api, "a", "two"))
    assert (one.beating, two.beating) == (0, 1)
    assert not one.manager.ready.is_set()
    api.faults.clear()


async def test_a_replica_that_stops_hands_over(api, running):
    api.put(THINGS, thing("a"))
    one, two = Replica(api, "one"), Replica(api, "two")
    task = running(one.run())
    await api.until(lambda: signed(api, "a", "one"))
    running(two.run())
    task.cancel()
    await asyncio.wait({task})
    assert api.get(LEASES, "replica")["spec"]["holderIdentity"] in {"", "two"}
    api.put(THINGS, thing("b"))
    await api.until(lambda: signed(api, "b", "two"))


async def test_a_leader_that_lost_its_lease_works_again_when_it_leads_again(api, running):
    api.put(THINGS, thing("a"))
    one = Replica(api, "one")
    running(one.run())
    await api.until(lambda: signed(api, "a", "one"))
    lease = api.get(LEASES, "replica")
    api.put(LEASES, {**lease, "spec": {**lease["spec"], "holderIdentity": "ghost"}})
    await api.until(lambda: not one.manager.ready.is_set())
    api.put(THINGS, thing("b"))
    await api.until(lambda: signed(api, "b", "one"))


async def test_a_background_task_that_fails_is_started_again(client, running, monkeypatch):
    monkeypatch.setattr("kubernaut.kube.manager.RESTART_SECONDS", (0.001, 0.01))
    manager, starts, fine = Manager(client, SystemClock(), name="test"), [], asyncio.Event()

    async def task():
        starts.append(1)
        if len(starts) < 3:
            raise ValueError("not yet")
        fine.set()

    manager.background("task", task)
    running(manager.run())
    await fine.wait()
    assert len(starts) == 3


async def test_an_object_that_cannot_be_read_is_marked_and_left_alone(api, client, running):
    passes = []

    async def reconcile(one):
        passes.append(one.metadata.name)
        return DONE

    api.put(THINGS, thing("odd", "huge") | {"status": {"conditions": [{"type": "Other", "status": "True"}]}})
    manager = Manager(client, SystemClock(), name="test")
    manager.controller(Thing, reconcile)
    running(manager.run())
    await api.until(lambda: api.objects.get(EVENTS))
    other, stalled = api.get(THINGS, "odd")["status"]["conditions"]
    assert (other["type"], stalled["type"], stalled["status"], stalled["reason"]) == ("Other", "Stalled", "True", "InvalidObject")
    assert stalled["message"].startswith("spec.size: ")
    assert "huge" not in stalled["message"]  # what it holds may be a secret
    [event] = api.objects[EVENTS].values()
    assert (event["type"], event["reason"]) == ("Warning", "InvalidObject")
    api.put(THINGS, {**api.get(THINGS, "odd"), "spec": {"size": 3}})
    await api.until(lambda: api.get(THINGS, "odd")["status"].get("observedGeneration"))
    assert passes[0] == "odd"
    assert api.count("PATCH", "things/odd/status") == 2
    assert "Stalled" not in str(api.get(THINGS, "odd")["status"])


async def test_an_object_that_cannot_even_be_marked_is_left_alone(api, client, running):
    api.put(THINGS, thing("odd") | {"status": {"conditions": ["nonsense"]}})
    api.put(THINGS, thing("fine"))
    api.refuse("PATCH", "things/odd/status", 422, times=1000)
    manager = Manager(client, SystemClock(), name="test")
    manager.controller(Thing, lambda one: done(), workers=1)
    running(manager.run())
    await api.until(lambda: api.get(THINGS, "fine").get("status"))
    assert api.count("PATCH", "things/odd/status") == 1


async def done():
    return DONE


async def test_a_manager_keeps_to_its_namespace(api, client, running):
    manager = Manager(client, SystemClock(), name="test", namespace="default")
    manager.controller(Thing, lambda one: done())
    running(manager.run())
    await manager.ready.wait()
    assert api.count("GET", "/namespaces/default/things") == 1 + api.count("GET", "/namespaces/default/things?watch")
    assert manager.informer(Thing).namespace == "default"
    assert manager.informer(Kind(kind="Pod", plural="pods", group="", version="v1")).namespace == ""


async def test_a_controller_is_not_ready_before_its_caches_are(api, client, running):
    api.refuse("GET", "things", 500, times=1)
    manager = Manager(client, SystemClock(), name="test")
    manager.controller(Thing, lambda one: done())
    running(manager.run())
    await api.until(lambda: api.count("GET", "things"))
    assert not manager.ready.is_set()
    await manager.ready.wait()


async def test_attempt_returns_what_others_raise_but_not_our_own_cancellation():
    async def fail():
        raise KeyError("x")

    assert isinstance(await attempt(fail()), KeyError)
    waiting = asyncio.ensure_future(attempt(asyncio.Event().wait()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_resource_goes_out_without_what_only_the_server_sets():
    metadata = ObjectMeta(name="a", namespace="default", uid="u", resource_version="7", generation=3, labels={"x": "y"})
    assert creatable(Thing(metadata=metadata, spec=Spec())) == {
        "apiVersion": "test.dev/v1",
        "kind": "Thing",
        "metadata": {"name": "a", "namespace": "default", "labels": {"x": "y"}},
        "spec": {"size": 1},
    }

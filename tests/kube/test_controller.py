"""Controllers of a parent and its children, over the server in memory and over a cluster."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from kubernaut.api.base import AuditOutcome, Kind, ObjectMeta
from kubernaut.kube.clock import SystemClock
from kubernaut.kube.cluster import OWNER_INDEX, NotWatched
from kubernaut.kube.controller import _telling
from kubernaut.kube.events import EVENT
from kubernaut.kube.informer import Key, key_of
from kubernaut.kube.manager import Manager
from kubernaut.kube.outcome import DONE, Stalled, again
from tests.kube.family import FINALIZER, HOME, SERVERS, Child, Observer, Parent, Passes, child, complete, connected, done, parent, settled

CONFIG_MAP = Kind(kind="ConfigMap", plural="configmaps", group="", version="v1")


@pytest.fixture(params=SERVERS)
async def client(request, api):
    if request.param == "cluster":
        request.getfixturevalue("anywhere")
    async with connected(request.param, api) as made:
        yield made


@pytest.fixture
def manager(client):
    return Manager(client, SystemClock(), name="test")


@pytest.fixture
def observer(client, running):
    return Observer(client, running)


class Family:
    """Gives each parent a child, and reports what the child reports."""

    def __init__(self, manager):
        self.cluster = manager.cluster
        self.passes = []

    async def reconcile(self, one):
        self.passes.append(one.metadata.name)
        await self.cluster.create_owned(child(f"{one.metadata.name}-child"), one)
        [made] = self.cluster.where(Child, OWNER_INDEX, one.metadata.uid)
        one.status.children = 1
        one.status.phase = "Completed" if made.status.phase == "Completed" else "Waiting"
        one.status.message = "one child"
        return DONE


async def test_a_parent_gets_a_child_and_reports_what_it_reports(manager, client, observer, running):
    family = Family(manager)
    manager.controller(Parent, family.reconcile).owns(Child)
    running(manager.run())
    await client.create(Parent.card, parent().wire())
    await observer.sees(Parent, "p", lambda one: one.status.phase == "Waiting")
    made = await observer.sees(Child, "p-child", lambda one: True)
    [owner] = made.metadata.owner_references
    assert (owner.kind, owner.name, owner.controller, owner.block_owner_deletion) == ("Parent", "p", True, True)
    await manager.cluster.patch_status(made, {"phase": "Completed"})
    one = await observer.sees(Parent, "p", lambda one: one.status.phase == "Completed")
    assert one.status.observed_generation == one.metadata.generation == 1
    entries = one.status.journal.pending
    assert [(entry.ordinal, entry.reason, entry.message) for entry in entries] == [
        (0, "PhaseTransition", "Pending → Waiting: one child"),
        (1, "PhaseTransition", "Waiting → Completed: one child"),
    ]
    assert entries[1].data == {"from": "Waiting", "to": "Completed"}
    event = await observer.event("PhaseTransition")
    assert (event["type"], event["involvedObject"]["kind"], event["involvedObject"]["uid"]) == ("Normal", "Parent", one.metadata.uid)


async def test_a_bad_ending_is_a_failure_and_a_warning(manager, observer, running):
    async def fail(one):
        one.status.phase = "Failed"
        return DONE

    manager.controller(Parent, fail)
    running(manager.run())
    await manager.cluster.create(parent())
    one = await observer.sees(Parent, "p", lambda one: one.status.phase == "Failed")
    assert one.status.journal.pending[0].outcome is AuditOutcome.FAILURE
    assert (await observer.event("PhaseTransition"))["type"] == "Warning"


async def test_a_pass_that_dies_between_create_and_status_write_is_made_good(manager, observer, running):
    family = Family(manager)

    async def die(one):
        await manager.cluster.create_owned(child(), one)
        await asyncio.Event().wait()

    passes = Passes(die, family.reconcile)
    manager.controller(Parent, passes.reconcile, timeout=timedelta(seconds=0.2)).owns(Child)
    running(manager.run())
    await manager.cluster.create(parent())
    one = await observer.sees(Parent, "p", lambda one: one.status.phase == "Waiting")
    assert [entry.ordinal for entry in one.status.journal.pending] == [0]
    assert len(observer.informer(Parent.card).store.all()) == 1
    await observer.sees(Child, "p-child", lambda one: True)
    assert len(observer.informer(Child.card).store.all()) == 1


async def test_a_name_taken_by_another_is_no_child_of_ours(manager, observer, running):
    manager.controller(Parent, Family(manager).reconcile).owns(Child)
    await manager.cluster.create(child())
    running(manager.run())
    await manager.cluster.create(parent())
    one = await observer.sees(Parent, "p", lambda one: one.status.conditions)
    assert [(condition.type, condition.status, condition.reason) for condition in one.status.conditions] == [
        ("Stalled", "True", "NameTaken")
    ]


async def test_a_child_cannot_live_in_another_namespace(manager):
    stray = Child(metadata=ObjectMeta(name="c", namespace="elsewhere"))
    with pytest.raises(ValueError, match="namespace"):
        await manager.cluster.create_owned(stray, parent())


async def test_what_we_wrote_we_read_at_once(manager, running):
    manager.informer(Parent, indexes={"size": lambda obj: [str(obj["spec"]["size"])]})
    manager.controller(Child, done)
    running(manager.run())
    await manager.ready.wait()
    made = await manager.cluster.create(parent(size=7))
    assert manager.cluster.find(Parent, HOME, "p") == made
    assert manager.cluster.where(Parent, "size", "7") == [made]
    changed = await manager.cluster.patch(made, {"spec": {"size": 8}})
    assert (manager.cluster.where(Parent, "size", "7"), manager.cluster.where(Parent, "size", "8")) == ([], [changed])
    assert await manager.cluster.fetch(Parent, HOME, "p") == changed
    await manager.cluster.delete(made)
    await manager.cluster.delete(made)  # gone already is no fault
    assert await manager.cluster.fetch(Parent, HOME, "p") is None


async def test_reading_what_nobody_watches_is_an_error(manager):
    manager.informer(Parent)
    with pytest.raises(NotWatched):
        manager.cluster.find(Child, HOME, "c")
    with pytest.raises(NotWatched):
        manager.cluster.where(Parent, "size", "7")


async def test_a_finalizer_is_set_first_and_goes_last(manager, observer, running):
    ends = Passes(lambda one: soon(), done)

    async def soon():
        return again(datetime.now(UTC) + timedelta(milliseconds=20))

    async def reconcile(one):
        assert FINALIZER in one.metadata.finalizers
        return await complete(one)

    manager.controller(Parent, reconcile, finalizer=FINALIZER, finalize=ends.reconcile)
    running(manager.run())
    made = await manager.cluster.create(parent())
    await observer.sees(Parent, "p", lambda one: one.status.phase == "Completed")
    await manager.cluster.delete(made)
    await observer.misses(Parent, "p")
    assert ends.count >= 2


async def test_a_stalled_object_waits_for_a_changed_spec(manager, client, observer, running):
    async def stall(one):
        one.status.message = "see below"
        raise Stalled("NoSuchThing", "there is no such thing")

    passes = Passes(stall, stall, complete)
    manager.controller(Parent, passes.reconcile)
    running(manager.run())
    made = await manager.cluster.create(parent())
    one = await observer.sees(Parent, "p", lambda one: one.status.conditions)
    assert one.status.message == "see below"
    assert (await observer.event("NoSuchThing"))["type"] == "Warning"
    await passes.reach(2)  # the write of the status is a change of its own, and changes nothing more
    await manager.cluster.patch(made, {"spec": {"size": 2}})
    one = await observer.sees(Parent, "p", lambda one: one.status.phase == "Completed")
    assert one.status.conditions == []
    assert passes.count <= 4


async def test_again_means_a_pass_at_that_moment(manager, observer, running):
    at = []

    async def later(one):
        at.append(datetime.now(UTC) + timedelta(milliseconds=50))
        return again(at[0])

    async def look(one):
        at.append(datetime.now(UTC))
        return await complete(one)

    passes = Passes(later, later, look)
    manager.controller(Parent, passes.reconcile)
    running(manager.run())
    await manager.cluster.create(parent())
    await observer.sees(Parent, "p", lambda one: one.status.phase == "Completed")
    assert at[-1] >= at[0]


async def test_a_failing_pass_is_retried_and_told_of_once(manager, client, observer, running):
    async def fail(one):
        one.status.message = "half done"
        raise RuntimeError("no luck")

    passes = Passes(fail, fail, fail, complete)
    manager.controller(Parent, passes.reconcile)
    running(manager.run())
    await manager.cluster.create(parent())
    one = await observer.sees(Parent, "p", lambda one: one.status.phase == "Completed")
    assert one.status.message == ""
    event = await observer.event("ReconcileFailed")
    assert (event["message"], event["count"]) == ("RuntimeError: no luck", 1)


async def test_something_cancelled_within_a_pass_does_not_end_the_worker(manager, observer, running):
    async def cancelled(one):
        raise asyncio.CancelledError

    passes = Passes(cancelled, complete)
    manager.controller(Parent, passes.reconcile, workers=1)
    running(manager.run())
    await manager.cluster.create(parent())
    await observer.sees(Parent, "p", lambda one: one.status.phase == "Completed")


async def test_a_write_over_someone_elses_is_refused_and_the_pass_repeated(manager, client, observer, running):
    async def overtaken(one):
        live = await client.get(Parent.card, "p", HOME)
        await client.patch(Parent.card, "p", HOME, {"metadata": {"labels": {"seen": live["metadata"]["resourceVersion"]}}})
        one.status.message = "never to be written"
        return DONE

    passes = Passes(overtaken, complete)
    manager.controller(Parent, passes.reconcile)
    running(manager.run())
    await manager.cluster.create(parent())
    one = await observer.sees(Parent, "p", lambda one: one.status.phase == "Completed")
    assert one.status.message == ""
    assert "seen" in one.metadata.labels


async def test_an_object_gone_before_its_status_is_written_is_no_fault(manager, client, observer, running):
    async def lose(one):
        await client.delete(Parent.card, "p", HOME)
        return await complete(one)

    passes = Passes(lose, complete)
    manager.controller(Parent, passes.reconcile, workers=1)
    running(manager.run())
    await manager.cluster.create(parent())
    await passes.reach(1)
    await settled(manager, observer)
    assert passes.count <= 3  # the two of the last object and the one that lost its own
    assert all(event["reason"] != "ReconcileFailed" for event in (await client.list(EVENT, HOME)).items)


async def test_other_kinds_make_passes_due_by_a_mapper(manager, client, observer, running):
    passes = Passes(done, done, complete)
    mapper = lambda obj: [Key(HOME, obj["data"]["parent"])] if "parent" in obj.get("data", {}) else []  # noqa: E731
    manager.controller(Parent, passes.reconcile).watches(CONFIG_MAP, mapper)
    running(manager.run())
    await manager.cluster.create(parent())
    await observer.sees(Parent, "p", lambda one: one.status.observed_generation)
    await passes.reach(2)
    await client.create(CONFIG_MAP, {"metadata": {"name": "m", "namespace": HOME}, "data": {"parent": "p"}})
    await observer.sees(Parent, "p", lambda one: one.status.phase == "Completed")


def test_a_change_that_leaves_alone_what_matters_of_an_object_makes_nothing_due():
    due: list[Key] = []
    hear = _telling(due.append, lambda obj: [key_of(obj)], lambda obj: obj["data"]["said"])
    states = [{"metadata": {"name": "m", "namespace": HOME}, "data": {"said": said, "noise": noise}} for said, noise in ("aa", "ab", "bb")]
    hear(None, states[0])
    assert due == [Key(HOME, "m")]
    hear(states[0], states[1])
    assert due == [Key(HOME, "m")]
    hear(states[1], states[2])
    hear(states[2], None)
    assert due == [Key(HOME, "m")] * 3


async def test_a_stopping_manager_lets_running_passes_finish(manager, client, running):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(one):
        begun.set()
        await go_on.wait()
        return await complete(one)

    manager.controller(Parent, slow)
    task = running(manager.run())
    await manager.cluster.create(parent())
    await begun.wait()
    task.cancel()
    await asyncio.wait({task}, timeout=0)
    go_on.set()
    await asyncio.wait({task})
    assert not manager.ready.is_set()
    assert (await client.get(Parent.card, "p", HOME))["status"]["phase"] == "Completed"


async def test_a_kind_asked_for_late_is_watched_too(manager, client, running):
    manager.controller(Parent, done)
    running(manager.run())
    await manager.ready.wait()
    informer = manager.informer(CONFIG_MAP, namespace=HOME)
    await informer.synced.wait()
    assert manager.informer(CONFIG_MAP, namespace=HOME) is informer

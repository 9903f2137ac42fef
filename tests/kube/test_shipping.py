"""Facts on their way from the objects to data storage, whatever happens beside it."""

import asyncio
from datetime import UTC, datetime

import pytest

from kubernaut.kube.clock import SystemClock
from kubernaut.kube.journal import JournalShipper, record
from kubernaut.kube.manager import Manager
from kubernaut.kube.outcome import DONE
from tests.kube.family import FINALIZER, SERVERS, Observer, Parent, Passes, complete, connected, done, parent, settled


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


class Trail:
    """Data storage that refuses its first deliveries."""

    def __init__(self, refusals=0):
        self.refusals, self.kept, self.tries = refusals, [], 0

    async def deliver(self, resource, entries):
        self.tries += 1
        if self.tries <= self.refusals:
            raise ConnectionError("data storage is away")
        self.kept += [(resource.metadata.uid, entry.ordinal, entry.reason) for entry in entries]


async def test_facts_reach_the_trail_in_order_though_it_fails_at_first(manager, observer, running):
    trail = Trail(refusals=3)
    JournalShipper(manager, [Parent], trail.deliver)

    async def note(one):
        if not one.status.children:
            record(one, "Noted", "", now=datetime.now(UTC))
        one.status.children, one.status.phase = 1, "Completed"
        return DONE

    passes = Passes(note)
    manager.controller(Parent, passes.reconcile)
    running(manager.run())
    made = await manager.cluster.create(parent())
    one = await observer.sees(Parent, "p", lambda one: one.status.journal.count == 2 and not one.status.journal.pending)
    assert trail.kept == [(made.metadata.uid, 0, "Noted"), (made.metadata.uid, 1, "PhaseTransition")]
    assert one.status.phase == "Completed"
    assert passes.count <= 2  # its own status was a change; the emptied journal was none


async def test_shipping_beside_a_running_pass_does_not_repeat_the_pass(manager, client, observer, running):
    """What a pass did to the outside (a message sent) must not happen twice because the journal was emptied meanwhile."""
    trail, shipped = Trail(), asyncio.Event()

    async def first(one):
        record(one, "First", "", now=datetime.now(UTC))
        one.status.children = 1
        return DONE

    async def second(one):
        await shipped.wait()
        record(one, "Second", "", now=datetime.now(UTC))
        one.status.children = 2
        return DONE

    passes = Passes(first, second, done)
    manager.controller(Parent, passes.reconcile)
    JournalShipper(manager, [Parent], trail.deliver)
    running(manager.run())
    await manager.cluster.create(parent())
    await observer.sees(Parent, "p", lambda one: one.status.journal.count == 1 and not one.status.journal.pending)
    shipped.set()
    await observer.sees(Parent, "p", lambda one: one.status.children == 2 and not one.status.journal.pending)
    assert [(ordinal, reason) for _, ordinal, reason in trail.kept] == [(0, "First"), (1, "Second")]


async def test_a_full_journal_puts_passes_off_until_it_drains(manager, client, observer, running):
    trail, open_ = Trail(), asyncio.Event()

    async def deliver(resource, entries):
        await open_.wait()
        await trail.deliver(resource, entries)

    async def fill(one):
        room = 126 - one.status.journal.count
        for number in range(room):
            record(one, f"Fact{number}", "", now=datetime.now(UTC))
        one.status.children = 1
        return DONE

    passes = Passes(fill, complete)
    manager.controller(Parent, passes.reconcile)
    JournalShipper(manager, [Parent], deliver)
    running(manager.run())
    made = await manager.cluster.create(parent())
    await observer.sees(Parent, "p", lambda one: one.status.children == 1)
    await manager.cluster.patch(made, {"spec": {"size": 2}})
    assert passes.count == 1
    open_.set()
    await observer.sees(Parent, "p", lambda one: one.status.phase == "Completed" and not one.status.journal.pending)
    assert [ordinal for _, ordinal, _ in trail.kept] == list(range(127))


async def test_a_deleted_object_leaves_no_fact_behind(manager, observer, running):
    trail = Trail(refusals=2)
    manager.controller(Parent, complete)
    JournalShipper(manager, [Parent], trail.deliver)
    running(manager.run())
    made = await manager.cluster.create(parent())
    await observer.sees(Parent, "p", lambda one: one.status.journal.count == 1)
    await manager.cluster.delete(made)
    await observer.misses(Parent, "p")
    await settled(manager, observer)
    await observer.sees(Parent, "zz-last", lambda one: one.status.journal.count == 1 and not one.status.journal.pending)
    assert (made.metadata.uid, 0, "PhaseTransition") in trail.kept


async def test_a_finalizer_holds_until_every_fact_is_shipped(manager, observer, running):
    trail = Trail(refusals=2)

    async def end(one):
        one.status.phase = "Ended"
        return DONE

    manager.controller(Parent, complete, finalizer=FINALIZER, finalize=end)
    JournalShipper(manager, [Parent], trail.deliver)
    running(manager.run())
    made = await manager.cluster.create(parent())
    await observer.sees(Parent, "p", lambda one: one.status.phase == "Completed")
    await manager.cluster.delete(made)
    await observer.misses(Parent, "p")
    assert [ordinal for _, ordinal, _ in trail.kept] == [0, 1]

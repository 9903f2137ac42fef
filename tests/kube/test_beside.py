"""Two writers of one status: the controller, and somebody who writes a field of his own beside it."""

import pytest

from kubernaut.api.base import Kind, ObjectMeta, Resource, Status
from kubernaut.api.crd import crd
from kubernaut.kube.client import Client
from kubernaut.kube.clock import SystemClock
from kubernaut.kube.manager import Manager
from kubernaut.kube.outcome import DONE
from kubernaut.localcluster import ClusterSettings, LocalCluster
from tests.kube.family import CRD, Observer, Passes


class CountedStatus(Status):
    written_by_others = frozenset({"seen"})
    phase: str = "Pending"
    seen: int = 0
    completion_time: str = ""


class Counted(Resource):
    card = Kind(kind="Counted", plural="counteds", group="test.dev", version="v1")
    status: CountedStatus = CountedStatus()


@pytest.fixture
async def client():
    async with LocalCluster(ClusterSettings()) as cluster:
        found = Client(cluster.url, token=cluster.admin_token)
        await found.create(CRD, crd(Counted))
        yield found
        await found.close()


@pytest.fixture
def controlled(client, running):
    """Run a reconciler over one object; give what waits for the object to be as wanted."""
    observer = Observer(client, running, "default")

    async def until(passes, holds):
        manager = Manager(client, SystemClock(), name="test", namespace="default")
        manager.controller(Counted, passes.reconcile)
        running(manager.run())
        await manager.cluster.create(Counted(metadata=ObjectMeta(name="one", namespace="default")))
        return await observer.sees(Counted, "one", holds)

    return until


def writes(client, fields, **changes):
    """Return a pass beside which somebody writes fields, and which then changes some of its own."""

    async def act(one):
        await client.patch(Counted.card, "one", "default", {"status": fields}, subresource="status")
        for name, value in changes.items():
            setattr(one.status, name, value)
        return DONE

    return act


async def test_a_count_beside_a_pass_does_not_undo_what_the_pass_saw(client, controlled):
    """Each phase is stored: were the pass refused, the next one would see further and skip a phase."""
    passes = Passes(
        writes(client, {"seen": 1}, phase="Processing"),
        writes(client, {"seen": 2}, phase="Analyzing"),
        writes(client, {"seen": 3}, phase="Executing"),
    )
    one = await controlled(passes, lambda one: one.status.phase == "Executing")
    assert one.status.seen == 3
    told = [entry.message for entry in one.status.journal.pending]
    assert told == ["Pending → Processing", "Processing → Analyzing", "Analyzing → Executing"]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        pytest.param({"phase": "Taken"}, {"phase": "Processing"}, id="a field that is not theirs"),
        pytest.param({"seen": 1}, {"phase": "Completed", "completion_time": "now"}, id="an end must know everything"),
        pytest.param({"seen": 1}, {"seen": 7}, id="a field that both write"),
    ],
)
async def test_a_pass_that_saw_too_little_is_repeated(client, controlled, theirs, ours):
    async def second(one):
        assert {name: getattr(one.status, name) for name in theirs} == theirs
        one.status.message = "seen anew"
        return DONE

    one = await controlled(Passes(writes(client, theirs, **ours), second), lambda one: one.status.message == "seen anew")
    assert {name: getattr(one.status, name) for name in theirs} == theirs

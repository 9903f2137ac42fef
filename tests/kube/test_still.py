"""A cluster at one moment: read as the caches are, and never written to."""

from datetime import UTC, datetime

import pytest

from kubernaut.api import core
from kubernaut.kube.cluster import OWNER_INDEX, NotWatched
from kubernaut.kube.errors import ApiError
from kubernaut.kube.still import StillCluster

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def pod(name, namespace="shop", owner=""):
    owners = {"ownerReferences": [{"kind": "ReplicaSet", "name": "web", "uid": owner, "controller": True}]} if owner else {}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, **owners}}


def by_first_letter(obj):
    return (obj["metadata"]["name"][0],)


STILL = StillCluster(
    NOW,
    [
        pod("a-1", owner="u1"),
        pod("b-1"),
        pod("b-2", "data"),
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}},
        {"apiVersion": "example.com/v1", "kind": "Pod", "metadata": {"name": "b-3", "namespace": "shop"}},
    ],
    {core.POD: {"letter": by_first_letter}, core.NODE: {}},
    {core.NODE: "forbidden"},
)


def names(objects):
    return [obj["metadata"]["name"] for obj in objects]


def test_it_is_read_by_name_by_index_and_by_owner():
    found = STILL.read(core.POD, "shop", "a-1")
    assert found is not None
    assert found["metadata"]["name"] == "a-1"
    assert STILL.read(core.POD, "data", "a-1") is None
    assert names(STILL.select(core.POD, "letter", "b")) == ["b-1", "b-2"]
    assert names(STILL.select(core.POD, OWNER_INDEX, "u1")) == ["a-1"]
    assert (STILL.count(), len(STILL.objects(core.POD))) == (3, 3)


def test_a_kind_of_another_group_is_another_kind():
    assert STILL.read(core.POD, "shop", "b-3") is None


def test_a_kind_or_index_that_nobody_named_is_a_fault():
    with pytest.raises(NotWatched):
        STILL.read(core.DEPLOYMENT, "shop", "web")
    with pytest.raises(NotWatched):
        STILL.select(core.POD, "other", "b")


def test_it_says_what_is_not_known():
    why = STILL.unread(core.NODE)
    assert why is not None
    assert (why.why, why.passing, STILL.unread(core.POD)) == ("forbidden", False, None)


def test_its_clock_stands_still():
    assert STILL.clock.now() == NOW


async def test_nothing_can_be_written_or_read_past_it():
    for call in (
        STILL.client.create(core.POD, pod("new")),
        STILL.client.patch(core.POD, "a-1", "shop", {"metadata": {"labels": {"a": "b"}}}),
        STILL.client.delete(core.POD, "a-1", "shop"),
        STILL.client.list(core.POD),
    ):
        with pytest.raises(ApiError, match="no API server behind them"):
            await call

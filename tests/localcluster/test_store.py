import asyncio

import pytest

from kubernaut.localcluster.errors import ApiError
from kubernaut.localcluster.journal import Journal
from kubernaut.localcluster.store import OBJECT_MAX, History, Store

THINGS = "things.example.dev"


def thing(name, **fields):
    return {"apiVersion": "example.dev/v1", "kind": "Thing", "metadata": {"name": name}, **fields}


def put(store, name, resource=THINGS, **fields):
    return store.put(resource, ("ns", name), thing(name, **fields))


def test_each_write_takes_the_next_revision_and_writes_it_into_the_object():
    store = Store()
    first, second = put(store, "a"), put(store, "b")
    assert second.revision == first.revision + 1
    assert second.obj["metadata"]["resourceVersion"] == str(second.revision)


def test_objects_come_by_namespace_and_name():
    store = Store()
    for key in (("b", "x"), ("a", "z"), ("a", "y")):
        store.put(THINGS, key, thing(key[1]))
    assert [record.key for record in store.scan(THINGS)] == [("a", "y"), ("a", "z"), ("b", "x")]
    assert [record.key for record in store.scan(THINGS, "a", after=("a", "y"))] == [("a", "z")]


def test_the_past_can_be_seen_as_it_was():
    store = Store()
    put(store, "a", n=1)
    put(store, "gone")
    then = store.revision
    put(store, "a", n=2)
    put(store, "new")
    store.remove(THINGS, ("ns", "gone"), thing("gone"))
    seen = store.at(THINGS, then)
    assert {key[1]: record.obj.get("n") for key, record in seen.items()} == {"a": 1, "gone": None}


def test_history_is_bounded_and_what_is_forgotten_is_refused():
    store = Store(history=History(revisions=20))
    start = store.revision
    for index in range(60):
        put(store, "a", n=index)
    with pytest.raises(ApiError) as refused:
        store.since(THINGS, start)
    assert (refused.value.code, refused.value.reason) == (410, "Expired")
    assert len(store.since(THINGS, store.floor(THINGS))) <= 20


def test_history_is_bounded_in_bytes_too():
    store = Store(history=History(octets=10_000))
    for _ in range(30):
        put(store, "a", text="x" * 1000)
    kept = store.since(THINGS, store.floor(THINGS))
    assert sum(len(record.data) for record in kept) <= 11_000


def test_a_quiet_resource_can_be_followed_though_others_filled_the_history():
    store = Store(history=History(revisions=10))
    put(store, "quiet", resource="quiet")
    start = store.revision
    for index in range(40):
        put(store, "a", n=index)
    assert store.since("quiet", start) == []


def test_an_object_over_the_limit_is_refused_and_takes_no_revision():
    store = Store()
    before = store.revision
    with pytest.raises(ApiError, match="request is too large"):
        put(store, "big", text="x" * OBJECT_MAX)
    assert store.revision == before


async def test_a_follower_that_waits_is_woken_by_a_change():
    store = Store()
    with store.follow(THINGS, store.revision) as follower:
        waiting = asyncio.create_task(follower.batch())
        await asyncio.sleep(0)
        put(store, "a")
        assert [record.key[1] for record in await waiting] == ["a"]


async def test_a_follower_that_falls_behind_the_history_is_cut_off():
    store = Store(history=History(revisions=10))
    with store.follow(THINGS, store.revision) as follower:
        for index in range(40):
            put(store, "a", n=index)
        with pytest.raises(ApiError, match="too old resource version"):
            await follower.batch()


def test_a_restart_brings_back_objects_revisions_and_history(tmp_path):
    path = str(tmp_path / "db")
    store = Store(Journal(path))
    put(store, "a", n=1)
    middle = store.revision
    put(store, "a", n=2)
    put(store, "gone")
    store.remove(THINGS, ("ns", "gone"), thing("gone"))
    store.close()
    again = Store(Journal(path))
    assert again.revision == store.revision
    assert [record.obj["n"] for record in again.scan(THINGS)] == [2]
    assert [(record.type, record.key[1]) for record in again.since(THINGS, middle)] == [
        ("MODIFIED", "a"),
        ("ADDED", "gone"),
        ("DELETED", "gone"),
    ]
    assert again.at(THINGS, middle)["ns", "a"].obj["n"] == 1
    again.close()


def test_compaction_keeps_every_living_object_and_the_counter(tmp_path):
    path = str(tmp_path / "db")
    store = Store(Journal(path))
    for index in range(5):
        put(store, "a", n=index)
    put(store, "b")
    put(store, "gone")
    store.remove(THINGS, ("ns", "gone"), thing("gone"))
    store.expire()
    store.close()
    journal = Journal(path)
    assert [(row.name, row.type) for row in journal.rows()] == [("a", "MODIFIED"), ("b", "ADDED")]
    again = Store(journal)
    assert again.revision == store.revision
    with pytest.raises(ApiError, match="too old"):
        again.since(THINGS, again.revision - 1)
    again.close()


def test_two_clusters_cannot_have_one_database(tmp_path):
    path = str(tmp_path / "db")
    first = Journal(path)
    with pytest.raises(Exception, match="locked"):
        Journal(path)
    first.close()


def test_records_of_the_past_keep_their_bytes_and_give_their_object_again():
    store = Store()
    old = put(store, "a", n=1)
    put(store, "a", n=2)
    assert old.obj["n"] == 1
    assert old.obj is not old.obj

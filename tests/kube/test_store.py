"""A store and its indexes never disagree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.kube.informer import Cache, Key, controller_owner, key_of

COLOURS = st.lists(st.sampled_from(["red", "green", "blue"]), max_size=3)
STEPS = st.lists(st.tuples(st.sampled_from(["a", "b", "c", "d"]), st.none() | COLOURS), max_size=30)


def thing(name, colours):
    return {"metadata": {"name": name, "namespace": "ns"}, "spec": {"colours": colours}}


def colours(obj):
    return obj["spec"]["colours"]


@given(STEPS, st.integers(0, 30))
def test_an_index_finds_exactly_what_a_search_would(steps, declared_at):
    cache = Cache()
    for number, (name, wanted) in enumerate(steps):
        if number == declared_at:
            cache.add_index("colour", colours)
        if wanted is None:
            cache.remove(Key("ns", name))
        else:
            cache.put(thing(name, wanted))
    if "colour" not in cache.indexes():
        cache.add_index("colour", colours)
    for colour in ("red", "green", "blue"):
        found = sorted(obj["metadata"]["name"] for obj in cache.by("colour", colour))
        assert found == sorted(obj["metadata"]["name"] for obj in cache.all() if colour in colours(obj))


def test_what_is_gone_leaves_nothing_behind():
    cache = Cache()
    cache.add_index("colour", colours)
    cache.put(thing("a", ["red", "red", "blue"]))
    cache.remove(Key("ns", "a"))
    assert (len(cache), cache.keys(), cache._indexes["colour"], cache._values["colour"]) == (0, [], {}, {})


def test_an_index_that_stumbles_over_an_object_files_it_nowhere():
    cache = Cache()
    cache.add_index("colour", colours)
    cache.put({"metadata": {"name": "odd", "namespace": "ns"}})
    assert len(cache) == 1
    assert cache.by("colour", "red") == []


def test_an_index_has_one_meaning():
    cache = Cache()
    cache.add_index("colour", colours)
    cache.add_index("colour", colours)
    with pytest.raises(ValueError, match="twice"):
        cache.add_index("colour", lambda obj: [])


def test_an_index_nobody_declared_is_an_error():
    with pytest.raises(KeyError):
        Cache().by("colour", "red")


@pytest.mark.parametrize(
    ("metadata", "key"),
    [({"name": "a", "namespace": "ns"}, Key("ns", "a")), ({"name": "a"}, Key("", "a")), ({"name": "a", "namespace": None}, Key("", "a"))],
    ids=["namespaced", "cluster-scoped", "null"],
)
def test_key(metadata, key):
    assert key_of({"metadata": metadata}) == key


def test_the_controlling_owner_is_the_one_that_says_so():
    references = [{"uid": "1"}, {"uid": "2", "controller": True}]
    assert controller_owner({"metadata": {"ownerReferences": references}})["uid"] == "2"
    assert controller_owner({"metadata": {}}) == {}

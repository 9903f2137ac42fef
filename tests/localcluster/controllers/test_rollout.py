"""How many pods each ReplicaSet of a Deployment gets next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.localcluster.controllers.rollout import Bounds, Size, bounds_of, proportional_sizes, size_of_new, sizes_of_old

THREE = Bounds(3, 1, 0)


@pytest.mark.parametrize(
    ("replicas", "strategy", "bounds"),
    [
        pytest.param(3, {}, Bounds(3, 1, 0), id="a quarter more rounds up, a quarter fewer down"),
        pytest.param(10, {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}, Bounds(10, 3, 2), id="percentages"),
        pytest.param(4, {"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 1}}, Bounds(4, 2, 1), id="numbers"),
        pytest.param(
            4, {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}, Bounds(4, 0, 1), id="neither more nor fewer would never end"
        ),
        pytest.param(
            2, {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 5}}, Bounds(2, 0, 2), id="no more can be missing than there are"
        ),
        pytest.param(4, {"type": "Recreate"}, Bounds(4, 0, 0, rolling=False), id="recreate"),
    ],
)
def test_bounds_of_a_strategy(replicas, strategy, bounds):
    assert bounds_of({"spec": {"replicas": replicas, "strategy": strategy}}) == bounds


@pytest.mark.parametrize(
    ("bounds", "new", "old", "size"),
    [
        pytest.param(THREE, None, [], 3, id="the first one gets all"),
        pytest.param(THREE, None, [Size("a", 3, 3)], 1, id="a new one starts with the surge"),
        pytest.param(THREE, Size("b", 1, 1), [Size("a", 3, 3)], 1, id="no room yet"),
        pytest.param(THREE, Size("b", 1, 1), [Size("a", 2, 2)], 2, id="room made is taken"),
        pytest.param(THREE, Size("b", 5, 5), [], 3, id="too many are cut"),
        pytest.param(Bounds(3, 0, 0, rolling=False), None, [Size("a", 0)], 3, id="recreate makes all at once"),
    ],
)
def test_size_of_the_new_replica_set(bounds, new, old, size):
    assert size_of_new(bounds, new, old) == size


@pytest.mark.parametrize(
    ("bounds", "new", "old", "sizes"),
    [
        pytest.param(THREE, Size("b", 1, 0), [Size("a", 3, 3)], {}, id="nothing goes before the new pod is there"),
        pytest.param(THREE, Size("b", 1, 1), [Size("a", 3, 3)], {"a": 2}, id="one goes for one that came"),
        pytest.param(THREE, Size("b", 1, 1), [Size("a", 3, 0)], {"a": 2}, id="broken pods go within the same bound"),
        pytest.param(THREE, Size("b", 3, 3), [Size("a", 1, 1)], {"a": 0}, id="the last one goes"),
        pytest.param(Bounds(4, 0, 2), Size("b", 0, 0), [Size("a", 4, 4)], {"a": 2}, id="what may be missing goes first"),
        pytest.param(
            Bounds(4, 2, 0),
            Size("b", 2, 2),
            [Size("x", 2, 0, "1"), Size("y", 2, 2, "2")],
            {"x": 0},
            id="unhealthy ones before healthy ones",
        ),
    ],
)
def test_sizes_of_the_old_replica_sets(bounds, new, old, sizes):
    assert sizes_of_old(bounds, new, old) == sizes


sizes = st.builds(
    lambda name, wanted, share: Size(name, wanted, min(wanted, share)), st.text(min_size=1), st.integers(0, 9), st.integers(0, 9)
)
rolling = st.builds(lambda r, s, u: Bounds(r, max(s, 0 if u else 1), min(u, r)), st.integers(1, 9), st.integers(0, 4), st.integers(0, 4))


@given(rolling, sizes, st.lists(sizes, max_size=3, unique_by=lambda size: size.name))
def test_a_roll_out_never_makes_more_pods_than_allowed(bounds, new, old):
    total = new.wanted + sum(size.wanted for size in old)
    grown = size_of_new(bounds, new, old)
    assert grown <= max(bounds.replicas, new.wanted)
    if grown > new.wanted:
        assert total - new.wanted + grown <= bounds.most


@given(rolling, sizes, st.lists(sizes, max_size=3, unique_by=lambda size: size.name))
def test_a_roll_out_never_takes_available_pods_below_the_minimum(bounds, new, old):
    changed = sizes_of_old(bounds, new, old)
    before = new.available + sum(size.available for size in old)
    # a pod that is removed is taken from the available ones only where none that is broken is left
    after = new.available + sum(min(size.available, changed.get(size.name, size.wanted)) for size in old)
    assert after >= min(before, bounds.least)
    assert all(value >= 0 for value in changed.values())


@pytest.mark.parametrize(
    ("bounds", "new", "old", "result"),
    [
        pytest.param(Bounds(5, 2, 0), Size("b", 3, 3), [], {"b": 5}, id="the only one takes all"),
        pytest.param(Bounds(0, 0, 0), Size("b", 3, 3), [], {"b": 0}, id="to nothing"),
        pytest.param(
            Bounds(5, 2, 0), None, [Size("a", 0, created="1"), Size("b", 0, created="2")], {"b": 5}, id="from nothing the latest takes all"
        ),
        pytest.param(Bounds(10, 2, 0), Size("b", 3, 0, "2", 6), [Size("a", 3, 3, "1", 6)], {"a": 6, "b": 6}, id="shared out by size"),
        pytest.param(Bounds(3, 0, 1), Size("b", 3, 3), [Size("a", 2, 2)], {"a": 0}, id="a saturated new one ends the old"),
    ],
)
def test_scaling_in_the_middle_of_a_roll_out(bounds, new, old, result):
    assert proportional_sizes(bounds, new, old, present=6) == result

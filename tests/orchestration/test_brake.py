"""The brake's judgement: how much at once, how often, and when it is a storm."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.brake import EVERYWHERE, Pause, Storm, namespace_of, pause_over
from kubernaut.orchestration.gate.brake import LIMITED, BrakeSettings, Load, held_by_limits, held_by_storm, storm_at

T0 = datetime(2026, 1, 1, 3, 0, tzinfo=UTC)
LIMITS = BrakeSettings(concurrent=5, concurrent_per_namespace=3, hourly=20, hourly_per_namespace=10)


def ago(*minutes):
    return tuple(T0 - timedelta(minutes=each) for each in minutes)


@pytest.mark.parametrize(
    ("everywhere", "here", "said", "minutes"),
    [
        pytest.param(Load(), Load(), None, 0, id="nothing runs: go"),
        pytest.param(Load(4), Load(2), None, 0, id="one place is left in both: go"),
        pytest.param(Load(3), Load(3), "3 of 3 remediations are running in namespace production", 0.5, id="the namespace is full"),
        pytest.param(Load(5), Load(1), "5 of 5 remediations are running in the cluster", 0.5, id="the cluster is full"),
        pytest.param(
            Load(2),
            Load(2, before=1),
            "2 of 3 remediations are running in namespace production and 1 wait before this one",
            0.5,
            id="the last place is somebody else's",
        ),
        pytest.param(
            Load(0, ago(*range(1, 11))),
            Load(0, ago(*range(1, 11))),
            "10 of 10 remediations an hour were started in namespace production; next look at 03:50:00 UTC",
            50,
            id="the namespace had its ten: the oldest of them leaves the hour in 50 minutes",
        ),
        pytest.param(Load(0, ago(*range(1, 11))), Load(0, ago(*range(1, 10))), None, 0, id="nine in an hour leave one"),
        pytest.param(Load(0, ago(60, 61, *range(1, 10))), Load(0, ago(60, 61, *range(1, 10))), None, 0, id="an hour ago is over"),
        pytest.param(
            Load(0, ago(*range(1, 26))),
            Load(),
            "25 of 20 remediations an hour were started in the cluster; next look at 03:40:00 UTC",
            40,
            id="more than allowed, as after a change of settings: six must leave the hour",
        ),
    ],
)
def test_what_may_start(everywhere, here, said, minutes):
    held = held_by_limits(everywhere, here, "production", LIMITS, T0)
    assert (held and held.message) == said
    if held:
        assert (held.reason, held.until) == (LIMITED, T0 + timedelta(minutes=minutes))


def test_what_has_no_namespace_is_held_by_the_cluster_alone():
    assert held_by_limits(Load(1), Load(99), "", LIMITS, T0) is None
    held = held_by_limits(Load(5), Load(), "", LIMITS, T0)
    assert held is not None
    assert held.message == "5 of 5 remediations are running in the cluster"


def test_a_limit_that_is_not_set_holds_nothing():
    off = BrakeSettings(concurrent=None, concurrent_per_namespace=None, hourly=None, hourly_per_namespace=None, storm_cases=None)
    busy = Load(1000, ago(*range(1, 60)), 1000)
    assert held_by_limits(busy, busy, "production", off, T0) is None
    assert storm_at(ago(*[0] * 1000), off, T0) is None


loads = st.builds(Load, st.integers(0, 9), st.lists(st.integers(0, 90), max_size=30).map(lambda each: ago(*each)), st.integers(0, 3))


@given(loads, loads)
def test_whoever_may_start_breaks_no_limit(everywhere, here):
    if held_by_limits(everywhere, here, "production", LIMITS, T0) is None:
        hour = [sum(moment > T0 - timedelta(hours=1) for moment in load.started) for load in (everywhere, here)]
        assert (everywhere.running < 5, here.running < 3, hour[0] < 20, hour[1] < 10) == (True,) * 4


@given(loads, loads)
def test_who_is_held_is_told_when_to_look_again(everywhere, here):
    held = held_by_limits(everywhere, here, "production", LIMITS, T0)
    assert held is None or (held.until > T0 and held.message)


@given(st.lists(st.integers(0, 59), min_size=1, max_size=40))
def test_the_hourly_limit_is_over_when_it_says(minutes):
    load = Load(0, ago(*minutes))
    while held := held_by_limits(load, Load(), "", LIMITS, T0):
        load = Load(0, tuple(moment for moment in load.started if moment > held.until - timedelta(hours=1)))
    assert len(load.started) < 20


STORMY = BrakeSettings(storm_cases=3, storm_window=timedelta(minutes=5), storm_cooldown=timedelta(minutes=10))


@pytest.mark.parametrize(
    ("created", "since", "until", "cases"),
    [
        pytest.param(ago(), None, None, 0, id="no cases"),
        pytest.param(ago(0, 1, 2), None, None, 0, id="as many as allowed"),
        pytest.param(ago(0, 1, 2, 3), 0, 10, 4, id="one too many"),
        pytest.param(ago(0, 1, 2, 5), None, None, 0, id="five minutes ago is outside the window"),
        pytest.param(ago(9, 10, 11, 12), 9, 1, 4, id="it lasts ten minutes"),
        pytest.param(ago(10, 11, 12, 13), None, None, 0, id="and is over then"),
        pytest.param(ago(1, 2, 2, 2, 4, 8, 9, 10, 11), 8, 9, 5, id="new ones prolong it; the worst moment counts"),
        pytest.param(ago(0, 1, 2, 3, 20, 21, 22, 23), 0, 10, 4, id="an older one is another one"),
        pytest.param((T0 + timedelta(minutes=1),) * 9, None, None, 0, id="what has not happened yet does not count"),
    ],
)
def test_storms(created, since, until, cases):
    storm = storm_at(created, STORMY, T0)
    expected = None if since is None else Storm(since=ago(since)[0], until=T0 + timedelta(minutes=until), cases=cases)
    assert storm == expected


@given(st.lists(st.integers(0, 30), max_size=30))
def test_a_storm_is_the_same_whoever_counts_and_ends_by_itself(minutes):
    storm = storm_at(ago(*minutes), STORMY, T0)
    assert storm == storm_at(ago(*reversed(minutes)), STORMY, T0)
    if storm:
        assert storm.since <= T0 < storm.until <= T0 + timedelta(minutes=10)
        assert storm_at(ago(*minutes), STORMY, storm.until) is None


def test_a_storm_holds_until_it_is_over():
    storm = Storm(since=T0, until=T0 + timedelta(minutes=10), cases=40)
    held = held_by_storm(storm, T0)
    assert held is not None
    assert held.message == "storm mode: 40 new cases came within minutes; nothing new is started before 03:10:00 UTC"
    assert held_by_storm(storm, storm.until) is None
    assert held_by_storm(None, T0) is None


def pause(namespace, by="kim@example.com"):
    return Pause(namespace=namespace, by=by, at=T0)


@pytest.mark.parametrize(
    ("paused", "namespace", "found"),
    [
        pytest.param([], "production", None, id="nobody paused"),
        pytest.param(["production"], "production", "production", id="this namespace"),
        pytest.param(["production"], "staging", None, id="another namespace"),
        pytest.param(["production"], "", None, id="what has no namespace is held by a pause of everything alone"),
        pytest.param([EVERYWHERE], "", EVERYWHERE, id="everything"),
        pytest.param(["production", EVERYWHERE], "production", EVERYWHERE, id="both: everything is said"),
    ],
)
def test_who_is_paused(paused, namespace, found):
    pause_ = pause_over([pause(each) for each in paused], namespace)
    assert (pause_ and pause_.namespace) == found


@pytest.mark.parametrize(("path", "namespace"), [("production/deployment/shop", "production"), ("node/n1", ""), ("", "")])
def test_the_namespace_of_a_target(path, namespace):
    assert namespace_of(path) == namespace

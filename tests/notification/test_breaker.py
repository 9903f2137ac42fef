"""Breakers: after failures in a row nothing is tried for a while, and then one message at a time."""

from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from kubernaut.api.notification import ChannelName, DeliveryAttempt
from kubernaut.notification.breaker import LIMIT, Breakers
from kubernaut.notification.decide import Target
from kubernaut.notification.settings import BreakerSettings
from tests.notification.pieces import START

SLACK = Target(ChannelName.SLACK, "#ops")
MINUTE = timedelta(minutes=1)


def breakers(failures=3):
    return Breakers(BreakerSettings(failures=failures))


def down(failures=3):
    made = breakers(failures)
    for _ in range(failures):
        made.failed(SLACK, START)
    return made


def test_it_opens_after_failures_in_a_row_and_not_before():
    made = breakers()
    assert [made.failed(SLACK, START) for _ in range(4)] == [False, False, True, True]
    assert made.gate(SLACK, START) == START + MINUTE
    assert not made.take(SLACK, START)


def test_an_answer_between_failures_begins_the_count_anew():
    made = breakers()
    made.failed(SLACK, START)
    made.failed(SLACK, START)
    made.answered(SLACK)
    assert not made.failed(SLACK, START)
    assert made.take(SLACK, START)


def test_after_its_time_one_message_finds_out_and_the_others_wait_for_it():
    made, later = down(), START + MINUTE
    assert [made.take(SLACK, later) for _ in range(3)] == [True, False, False]
    made.answered(SLACK)
    assert [made.take(SLACK, later) for _ in range(3)] == [True, True, True]


def test_a_trial_that_fails_closes_the_place_for_another_while():
    made, later = down(), START + MINUTE
    made.take(SLACK, later)
    assert made.failed(SLACK, later)
    assert made.gate(SLACK, later) == later + MINUTE


def test_a_trial_whose_end_is_never_heard_of_holds_the_others_only_for_a_while():
    made, later = down(), START + MINUTE
    assert made.take(SLACK, later)
    assert made.take(SLACK, later + MINUTE)


def test_places_do_not_share_a_breaker():
    assert down().take(Target(ChannelName.SLACK, "#dev"), START)


@pytest.mark.parametrize(("asked", "granted"), [(90, 90), (999_999, 3600), (None, 0)])
def test_a_place_that_asks_for_patience_is_left_alone_for_at_most_an_hour(asked, granted):
    made = breakers()
    made.failed(SLACK, START, timedelta(seconds=asked) if asked else None)
    assert (made.gate(SLACK, START) or START) == START + timedelta(seconds=granted)


def test_what_an_earlier_process_found_down_is_not_taken_for_well():
    made = breakers()
    last = DeliveryAttempt(channel=SLACK.channel, address=SLACK.address, attempt=3, timestamp=START, status="failed", channel_down=True)
    made.learn(SLACK, last)
    assert made.gate(SLACK, START) == START + MINUTE
    assert made.failed(SLACK, START + MINUTE), "one failure more is enough"


def test_open_breakers_are_counted_by_channel():
    down()
    assert REGISTRY.get_sample_value("kubernaut_notification_channel_circuit_breaker_state", {"channel": "slack"}) == 1


def test_memory_is_bounded():
    made = breakers(failures=1)
    for number in range(LIMIT + 1):
        made.failed(Target(ChannelName.EMAIL, f"{number}@example.com"), START)
    assert made.take(Target(ChannelName.EMAIL, "0@example.com"), START), "forgotten"
    assert not made.take(Target(ChannelName.EMAIL, f"{LIMIT}@example.com"), START)

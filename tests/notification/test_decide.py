"""What a message needs next: what is due goes out, what was delivered never again, what cannot be ends."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.notification import ChannelName, DeliveryAttempt, Phase, RetryPolicy
from kubernaut.notification.decide import End, Seen, Send, Wait, backoff, decide, phase_of

NOW = datetime(2026, 1, 1, 3, tzinfo=UTC)
CONSOLE, SLACK, WEBHOOK = ChannelName.CONSOLE, ChannelName.SLACK, ChannelName.WEBHOOK
STATUSES = ("success", "failed", "timeout", "invalid")


def tried(channel, *statuses, last=NOW):
    """Return a channel's attempts, the last of them at a moment."""
    count = len(statuses)
    return [
        DeliveryAttempt(channel=channel, attempt=number, timestamp=last - timedelta(hours=count - number), status=status)
        for number, status in enumerate(statuses, 1)
    ]


def seen(channels, *attempts, **policy):
    return Seen(tuple(channels), [each for some in attempts for each in some], RetryPolicy(**policy))


@pytest.mark.parametrize(
    ("what", "step"),
    [
        pytest.param(seen([WEBHOOK, SLACK]), Send((WEBHOOK, SLACK)), id="new: all at once"),
        pytest.param(seen([WEBHOOK], tried(WEBHOOK, "failed")), Wait(NOW + timedelta(seconds=30)), id="failed: later"),
        pytest.param(seen([WEBHOOK], tried(WEBHOOK, "failed", last=NOW - timedelta(seconds=30))), Send((WEBHOOK,)), id="due"),
        pytest.param(
            seen([WEBHOOK], tried(WEBHOOK, "timeout", "failed")), Wait(NOW + timedelta(seconds=60)), id="failed twice: twice as late"
        ),
        pytest.param(seen([WEBHOOK, SLACK], tried(WEBHOOK, "success")), Send((SLACK,)), id="only what is open"),
        pytest.param(
            seen([WEBHOOK, SLACK], tried(WEBHOOK, "failed", "failed"), tried(SLACK, "failed")),
            Wait(NOW + timedelta(seconds=30)),
            id="the earliest of two",
        ),
        pytest.param(seen([WEBHOOK], tried(CONSOLE, "failed")), Send((WEBHOOK,)), id="another channel's attempts do not count"),
    ],
)
def test_what_goes_out_when(what, step):
    assert decide(what, NOW) == step


@pytest.mark.parametrize(
    ("what", "phase", "reason", "said"),
    [
        pytest.param(seen([]), Phase.FAILED, "NoChannelsResolved", "nobody was told", id="no channel"),
        pytest.param(
            seen([WEBHOOK], tried(WEBHOOK, "success")), Phase.SENT, "AllDeliveriesSucceeded", "delivered to webhook", id="delivered"
        ),
        pytest.param(
            seen([WEBHOOK], tried(WEBHOOK, "failed", "success")), Phase.SENT, "AllDeliveriesSucceeded", "delivered to webhook", id="at last"
        ),
        pytest.param(
            seen([WEBHOOK, SLACK], tried(WEBHOOK, "success"), tried(SLACK, "invalid")),
            Phase.PARTIALLY_SENT,
            "PartialDeliverySuccess",
            "delivered to webhook; not to slack",
            id="one of two",
        ),
        pytest.param(seen([WEBHOOK], tried(WEBHOOK, "invalid")), Phase.FAILED, "AllDeliveriesFailed", "nobody was told", id="permanent"),
        pytest.param(
            seen([WEBHOOK], tried(WEBHOOK, *["failed"] * 5)), Phase.FAILED, "AllDeliveriesFailed", "nobody was told", id="out of attempts"
        ),
    ],
)
def test_how_it_ends(what, phase, reason, said):
    step = decide(what, NOW)
    assert isinstance(step, End)
    assert (step.phase, step.reason) == (phase, reason)
    assert said in step.message


def test_the_pause_doubles_from_half_a_minute_to_eight():
    assert [backoff(RetryPolicy(), failures).total_seconds() for failures in range(1, 8)] == [30, 60, 120, 240, 480, 480, 480]


@pytest.mark.parametrize(
    ("attempts", "phase"),
    [((), Phase.SENDING), (("success",), Phase.SENDING), (("failed",), Phase.RETRYING), (("failed", "success"), Phase.RETRYING)],
)
def test_the_phase_on_the_way(attempts, phase):
    assert phase_of(seen([WEBHOOK], tried(WEBHOOK, *attempts))) is phase


CHANNELS = st.lists(st.sampled_from(list(ChannelName)), unique=True, max_size=4)
ATTEMPTS = st.lists(
    st.builds(
        DeliveryAttempt,
        channel=st.sampled_from(list(ChannelName)),
        attempt=st.integers(1, 9),
        timestamp=st.integers(-10_000, 10_000).map(lambda seconds: NOW + timedelta(seconds=seconds)),
        status=st.sampled_from(STATUSES),
    ),
    max_size=12,
)
POLICIES = st.builds(
    RetryPolicy, max_attempts=st.integers(1, 10), initial_backoff_seconds=st.integers(1, 300), max_backoff_seconds=st.integers(60, 3600)
)


@given(CHANNELS, ATTEMPTS, POLICIES)
def test_a_channel_that_succeeded_is_never_tried_again_nor_one_that_cannot(channels, attempts, policy):
    step = decide(Seen(tuple(channels), attempts, policy), NOW)
    for channel in step.channels if isinstance(step, Send) else ():
        made = [attempt.status for attempt in attempts if attempt.channel is channel]
        assert "success" not in made
        assert made[-1:] != ["invalid"]
        assert len(made) < policy.max_attempts


@given(CHANNELS, ATTEMPTS, POLICIES)
def test_sent_means_that_every_channel_took_it_and_failed_that_none_did(channels, attempts, policy):
    step = decide(Seen(tuple(channels), attempts, policy), NOW)
    if isinstance(step, End):
        took = {channel for channel in channels if any(a.channel is channel and a.status == "success" for a in attempts)}
        expected = Phase.FAILED if not took else Phase.SENT if took == set(channels) else Phase.PARTIALLY_SENT
        assert step.phase is expected


@given(CHANNELS, ATTEMPTS, POLICIES)
def test_waiting_is_always_for_a_moment_to_come(channels, attempts, policy):
    step = decide(Seen(tuple(channels), attempts, policy), NOW)
    if isinstance(step, Wait):
        assert step.until > NOW
        assert isinstance(decide(Seen(tuple(channels), attempts, policy), step.until), Send)


@given(st.lists(st.sampled_from(STATUSES), max_size=12), POLICIES)
def test_following_the_steps_comes_to_an_end_within_the_attempts_allowed(answers, policy):
    attempts: list[DeliveryAttempt] = []
    now, sends = NOW, 0
    script = iter([*answers, *["success"] * 20])
    while not isinstance(step := decide(Seen((WEBHOOK,), attempts, policy), now), End):
        if isinstance(step, Wait):
            now = step.until
            continue
        sends += 1
        attempts.append(DeliveryAttempt(channel=WEBHOOK, attempt=sends, timestamp=now, status=next(script)))
    assert sends <= policy.max_attempts

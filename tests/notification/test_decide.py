"""What a message needs next: what is due goes out, what was delivered never again, what cannot be ends."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubernaut.api.notification import ChannelName, DeliveryAttempt, DeliveryEvent, Phase, RetryPolicy
from kubernaut.notification.decide import KEPT, End, Seen, Send, Target, Wait, added, backoff, decide, is_open, last_of, phase_of, target_of

NOW = datetime(2026, 1, 1, 3, tzinfo=UTC)
DAY = NOW + timedelta(days=1)
CONSOLE, SLACK, WEBHOOK = Target(ChannelName.CONSOLE), Target(ChannelName.SLACK, "#ops"), Target(ChannelName.WEBHOOK)
STATUSES = ("success", "failed", "timeout", "invalid")


def tried(target, *statuses, last=NOW, down=False):
    """Return a place's attempts, the last of them at a moment, and there for the channel being down."""
    count = len(statuses)
    return [
        DeliveryAttempt(
            channel=target.channel,
            address=target.address,
            attempt=number,
            timestamp=last - timedelta(hours=count - number),
            status=status,
            channel_down=down and number == count,
        )
        for number, status in enumerate(statuses, 1)
    ]


def seen(targets, *attempts, expires=DAY, gates=None, held=(), **policy):
    return Seen(tuple(targets), [each for some in attempts for each in some], RetryPolicy(**policy), expires, gates or {}, frozenset(held))


def later(**how):
    return NOW + timedelta(**how)


@pytest.mark.parametrize(
    ("what", "step"),
    [
        pytest.param(seen([WEBHOOK, SLACK]), Send((WEBHOOK, SLACK)), id="new: all at once"),
        pytest.param(seen([WEBHOOK], tried(WEBHOOK, "failed")), Wait(later(seconds=30)), id="failed: later"),
        pytest.param(seen([WEBHOOK], tried(WEBHOOK, "failed", last=later(seconds=-30))), Send((WEBHOOK,)), id="due"),
        pytest.param(seen([WEBHOOK], tried(WEBHOOK, "timeout", "failed")), Wait(later(seconds=60)), id="failed twice: twice as late"),
        pytest.param(seen([WEBHOOK, SLACK], tried(WEBHOOK, "success")), Send((SLACK,)), id="only what is open"),
        pytest.param(
            seen([WEBHOOK, SLACK], tried(WEBHOOK, "failed", "failed"), tried(SLACK, "failed")),
            Wait(later(seconds=30)),
            id="the earliest of two",
        ),
        pytest.param(seen([WEBHOOK], tried(CONSOLE, "failed")), Send((WEBHOOK,)), id="another channel's attempts do not count"),
        pytest.param(seen([SLACK], tried(Target(ChannelName.SLACK), "success")), Send((SLACK,)), id="another address's do not either"),
        pytest.param(seen([SLACK], gates={SLACK: later(minutes=1)}), Wait(later(minutes=1)), id="down: not before it may be tried"),
        pytest.param(
            seen([SLACK], tried(SLACK, *["failed"] * 5, down=True)), Send((SLACK,)), id="back after it was down: a try is left, at once"
        ),
        pytest.param(seen([SLACK, CONSOLE], held=[SLACK]), Send((CONSOLE,)), id="an earlier message goes first there"),
        pytest.param(seen([SLACK], held=[SLACK]), Wait(DAY), id="only held"),
        pytest.param(seen([SLACK], expires=NOW), Send((SLACK,)), id="never tried: never too late"),
    ],
)
def test_what_goes_out_when(what, step):
    assert decide(what, NOW) == step


@pytest.mark.parametrize(
    ("what", "phase", "reason", "said"),
    [
        pytest.param(seen([]), Phase.FAILED, "NoChannelsResolved", "nobody was told", id="no channel"),
        pytest.param(
            seen([SLACK], tried(SLACK, "success")), Phase.SENT, "AllDeliveriesSucceeded", "delivered to slack #ops", id="delivered"
        ),
        pytest.param(
            seen([WEBHOOK], tried(WEBHOOK, "failed", "success")), Phase.SENT, "AllDeliveriesSucceeded", "delivered to webhook", id="at last"
        ),
        pytest.param(
            seen([WEBHOOK, SLACK], tried(WEBHOOK, "success"), tried(SLACK, "invalid")),
            Phase.PARTIALLY_SENT,
            "PartialDeliverySuccess",
            "delivered to webhook; not to slack #ops",
            id="one of two",
        ),
        pytest.param(seen([WEBHOOK], tried(WEBHOOK, "invalid")), Phase.FAILED, "AllDeliveriesFailed", "nobody was told", id="permanent"),
        pytest.param(
            seen([WEBHOOK], tried(WEBHOOK, *["failed"] * 5)), Phase.FAILED, "AllDeliveriesFailed", "nobody was told", id="out of attempts"
        ),
        pytest.param(
            seen([WEBHOOK], tried(WEBHOOK, "failed", down=True), expires=NOW),
            Phase.FAILED,
            "Expired",
            "not delivered in time",
            id="too late",
        ),
        pytest.param(
            seen([WEBHOOK, SLACK], tried(WEBHOOK, "success"), held=[SLACK], expires=NOW),
            Phase.PARTIALLY_SENT,
            "Expired",
            "not in time to slack #ops",
            id="held too long",
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


def test_tries_at_a_channel_that_is_down_take_one_place_however_many_they_are():
    attempts = tried(SLACK, "failed", "failed", down=True)
    for minute in range(1, 500):
        attempts = added(attempts, tried(SLACK, "failed", "failed", last=later(minutes=minute), down=True)[-1:])
    assert [each.attempt for each in attempts] == [1, 2]
    assert attempts[-1].timestamp == later(minutes=499)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from(list(DeliveryEvent))), max_size=40))
def test_the_record_is_bounded_and_keeps_the_last_try_of_every_place_and_event(tries):
    attempts: list[DeliveryAttempt] = []
    last = {}
    for number, (place, event) in enumerate(tries * 20, 1):
        made = DeliveryAttempt(
            channel=ChannelName.EMAIL, address=f"{place}@example.com", event=event, attempt=number, timestamp=NOW, status="failed"
        )
        attempts = added(attempts, [made])
        last[made.address, event] = number
    assert len(attempts) <= KEPT + len(last)
    assert {(each.address, each.event): each.attempt for each in attempts} == last


TARGETS = st.sampled_from([CONSOLE, SLACK, WEBHOOK, Target(ChannelName.SLACK)])
CHANNELS = st.lists(TARGETS, unique=True, max_size=4)
MOMENTS = st.integers(-10_000, 10_000).map(lambda seconds: NOW + timedelta(seconds=seconds))


@st.composite
def _attempts(draw):
    """Draw attempts as they come about: numbered in order at each place."""
    made, count = [], dict[Target, int]()
    for target, status, at, down in draw(st.lists(st.tuples(TARGETS, st.sampled_from(STATUSES), MOMENTS, st.booleans()), max_size=12)):
        count[target] = count.get(target, 0) + 1
        made += [
            DeliveryAttempt(
                channel=target.channel,
                address=target.address,
                attempt=count[target],
                timestamp=at,
                status=status,
                channel_down=down and status in {"failed", "timeout"},
            )
        ]
    return made


ATTEMPTS = _attempts()
POLICIES = st.builds(
    RetryPolicy, max_attempts=st.integers(1, 10), initial_backoff_seconds=st.integers(1, 300), max_backoff_seconds=st.integers(60, 3600)
)


@given(CHANNELS, ATTEMPTS, POLICIES, MOMENTS)
def test_a_place_that_took_it_is_never_tried_again_nor_one_that_cannot(targets, attempts, policy, expires):
    step = decide(Seen(tuple(targets), attempts, policy, expires), NOW)
    for target in step.targets if isinstance(step, Send) else ():
        made = [attempt for attempt in attempts if target_of(attempt) == target]
        assert "success" not in [each.status for each in made]
        assert not made or made[-1].status != "invalid"
        assert not made or made[-1].channel_down or made[-1].attempt < policy.max_attempts


@given(CHANNELS, ATTEMPTS, POLICIES, MOMENTS)
def test_sent_means_that_every_place_took_it_and_failed_that_none_did(targets, attempts, policy, expires):
    step = decide(Seen(tuple(targets), attempts, policy, expires), NOW)
    if isinstance(step, End):
        took = {target for target in targets if (last := last_of(target, attempts)) and last.status == "success"}
        expected = Phase.FAILED if not took else Phase.SENT if took == set(targets) else Phase.PARTIALLY_SENT
        assert step.phase is expected


@given(CHANNELS, ATTEMPTS, POLICIES, st.dictionaries(TARGETS, MOMENTS, max_size=3), st.sets(TARGETS, max_size=2))
def test_waiting_is_always_for_a_moment_to_come_and_nothing_held_goes_out(targets, attempts, policy, gates, held):
    what = Seen(tuple(targets), attempts, policy, DAY, gates, frozenset(held))
    step = decide(what, NOW)
    if isinstance(step, Wait):
        assert step.until > NOW
        assert isinstance(decide(what, step.until), Send | End)
    if isinstance(step, Send):
        assert not held & set(step.targets)
        assert all(gates.get(target, NOW) <= NOW for target in step.targets)


@given(st.lists(st.sampled_from(STATUSES), max_size=12), POLICIES)
def test_following_the_steps_comes_to_an_end_within_the_attempts_allowed(answers, policy):
    attempts: list[DeliveryAttempt] = []
    now, sends = NOW, 0
    script = iter([*answers, *["success"] * 20])
    while not isinstance(step := decide(Seen((WEBHOOK,), attempts, policy, NOW + timedelta(days=9)), now), End):
        if isinstance(step, Wait):
            now = step.until
            continue
        sends += 1
        attempts.append(DeliveryAttempt(channel=WEBHOOK.channel, attempt=sends, timestamp=now, status=next(script)))
    assert sends <= policy.max_attempts
    assert not is_open(WEBHOOK, attempts, policy)

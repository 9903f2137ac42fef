"""Channels that are away for hours in the middle of a case: no message is lost, none doubled, and those of a case keep their order."""

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubernaut.api.notification import ChannelName, NotificationRequest, Phase
from kubernaut.notification.channels.base import NotDelivered
from kubernaut.notification.settings import NotificationSettings
from tests.notification.pieces import CASE, START, TEMPORARY, Desk, Scripted, request

BOTH = ["slack", "email"]
NAMES = ("a-approval", "b-completion", "c-follow")
BUSY = NotDelivered("the receiver answered 429", permanent=False, patience=timedelta(minutes=20))


def case(number, count=3, **changes):
    """Return the messages of one case, in order, made within the same second."""
    ref = {"remediationRequestRef": {"name": f"case-{number}", "namespace": "kubernaut-system"}}
    return [
        request(name=f"case-{number}-{name}", uid=f"{number}-{name}", subject=f"{number}-{name}", channels=BOTH, **ref, **changes)
        for name in NAMES[:count]
    ]


def stored(message):
    """Return a message as another process reads it from the API."""
    return NotificationRequest.model_validate(message.wire())


def pair(fault=None):
    slack, email = Scripted(name=ChannelName.SLACK), Scripted(name=ChannelName.EMAIL)
    slack.away = fault
    return slack, email


def taken(channel):
    """Return what a channel took, in order: what it refused comes again."""
    return list(dict.fromkeys(message.subject for message in channel.sent))


@pytest.mark.parametrize("fault", [TEMPORARY, BUSY], ids=["unavailable", "too many"])
@pytest.mark.parametrize("hours", [1, 6, 20])
async def test_what_could_not_be_told_for_hours_is_told_once_and_in_order(hours, fault):
    slack, email = pair(fault)
    desk = Desk(slack, email)
    desk.messages = case(1)
    await desk.run(START + timedelta(hours=hours))
    assert [message.subject for message in email.sent] == [f"1-{name}" for name in NAMES], "the other channel goes on"
    assert {each.status.phase for each in desk.messages} <= {Phase.RETRYING, Phase.SENDING, Phase.PENDING}
    slack.away, slack.sent = None, []
    await desk.run(START + timedelta(hours=hours + 1))
    assert [message.subject for message in slack.sent] == [f"1-{name}" for name in NAMES]
    assert {each.status.phase for each in desk.messages} == {Phase.SENT}
    assert len(email.sent) == 3
    assert "late" in slack.sent[0].body


async def test_while_a_channel_is_down_it_is_asked_once_a_minute_however_many_messages_wait():
    slack, email = pair(TEMPORARY)
    desk = Desk(slack, email)
    desk.messages = [message for number in range(20) for message in case(number, count=1)]
    await desk.run(START + timedelta(hours=1))
    assert len(slack.sent) <= 20 + 5 + 60
    assert len(email.sent) == 20
    sizes = {len(each.status.delivery_attempts) for each in desk.messages}
    assert max(sizes) <= 1 + 5
    slack.away = None
    await desk.run(START + timedelta(hours=1, minutes=5))
    assert Counter(message.subject for message in email.sent) == Counter(f"{number}-{NAMES[0]}" for number in range(20))
    assert {each.status.phase for each in desk.messages} == {Phase.SENT}


async def test_one_message_that_fails_alone_is_given_up_after_its_attempts():
    """The channel works for others: it is the message."""
    slack, email = pair()
    desk = Desk(slack, email)
    poison = case(1, count=1)[0]
    taking, bad = slack.send, poison.spec.subject

    async def send(message):
        receipt = await taking(message)
        if message.subject == bad:
            raise TEMPORARY
        return receipt

    slack.send = send
    desk.messages = [poison]
    for number in range(2, 12):
        desk.messages = [*desk.messages, *case(number, count=1)]
        await desk.run(START + timedelta(minutes=3 * number))
    assert poison.status.phase is Phase.PARTIALLY_SENT
    assert [each.attempt for each in poison.status.delivery_attempts if each.channel == "slack"] == [1, 2, 3, 4, 5]
    assert {each.status.phase for each in desk.messages[1:]} == {Phase.SENT}


async def test_what_waits_too_long_is_given_up_and_says_so():
    slack, email = pair(TEMPORARY)
    desk = Desk(slack, email, settings=NotificationSettings(expires_after=timedelta(hours=2)))
    desk.messages = case(1, count=1)
    await desk.run(START + timedelta(hours=3))
    status = desk.messages[0].status
    assert (status.phase, status.reason, status.message) == (Phase.PARTIALLY_SENT, "Expired", "delivered to email; not in time to slack")


async def test_that_a_channel_is_down_is_told_once():
    slack, email = pair(TEMPORARY)
    desk = Desk(slack, email)
    desk.messages = case(1, count=1)
    await desk.run(START + timedelta(hours=2))
    told = [entry.message for entry in desk.messages[0].status.journal.pending if entry.reason == "DeliveryDelayed"]
    assert told == ["slack is down: tried again until it is back"]


@settings(max_examples=8, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 200), st.booleans(), st.booleans()), min_size=1, max_size=8),
    st.lists(st.integers(0, 600), min_size=1, max_size=6),
)
async def test_whatever_fails_and_whoever_dies_every_message_arrives_in_order_and_once_but_for_a_death(weather, starts):
    """Each spell of weather: how many minutes, whether Slack is away in it, and whether the process dies at its end."""
    slack, email = pair()
    desk = Desk(slack, email)
    waiting = [message for number in range(len(starts)) for message in case(number, count=2)]
    for minutes, away, dies in weather:
        slack.away = TEMPORARY if away else None
        desk.messages += [waiting.pop(0)] if waiting else []
        await desk.run(desk.clock.moment + timedelta(minutes=minutes))
        if dies:
            desk.messages = [stored(message) for message in desk.messages]
            desk.restart()
    slack.away = None
    desk.messages += waiting
    await desk.run(desk.clock.moment + timedelta(hours=1))
    for message in desk.messages:
        took = [each.channel for each in message.status.delivery_attempts if each.status == "success"]
        if message.status.reason != "Expired":
            assert sorted(took) == ["email", "slack"], message.status.message
    assert Counter(message.id for message in email.sent) == Counter(message.metadata.uid for message in desk.messages)
    for number in range(len(starts)):
        order = [subject for subject in taken(slack) if subject.startswith(f"{number}-")]
        assert order == sorted(order)


@pytest.mark.parametrize("died_after", ["sent", "recorded"])
async def test_a_death_repeats_a_message_at_most_once(died_after):
    channel = Scripted()
    desk, before = Desk(channel), request(**CASE)
    desk.messages = [stored(before)]
    await desk.run(START)
    if died_after == "sent":
        desk.messages = [before]
    desk.restart()
    await desk.run(START + timedelta(hours=1))
    assert len(channel.sent) == (2 if died_after == "sent" else 1)
    assert len({message.id for message in channel.sent}) == 1


async def test_a_message_that_was_deleted_while_it_waited_is_not_sent():
    slack, email = pair(TEMPORARY)
    desk = Desk(slack, email)
    desk.messages = case(1, count=2)
    await desk.run(START + timedelta(hours=1))
    cancelled, kept = desk.messages
    desk.messages = [kept]
    slack.away, slack.sent = None, []
    await desk.run(START + timedelta(hours=2))
    assert [message.subject for message in slack.sent] == [kept.spec.subject]
    assert cancelled.status.completion_time is None

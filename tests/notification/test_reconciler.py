"""The notifier: each channel once, whatever happens to the record of it."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from kubernaut.api.notification import ChannelName, NotificationRequest, Phase
from kubernaut.kube.manager import Manager
from kubernaut.kube.outcome import again
from kubernaut.notification.channels.base import Message, NotDelivered
from kubernaut.notification.channels.console import Console, plain
from kubernaut.notification.reconciler import setup
from kubernaut.notification.settings import NotificationSettings
from tests.notification.pieces import PERMANENT, START, TEMPORARY, Desk, Later, Scripted, note, request, spec
from tests.world import eventually, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEPT = again(START + timedelta(days=7))
"""Nothing more but to be deleted when its retention is over."""


def notifier(*channels, **options):
    desk = Desk(*channels, **options)
    return desk.teller, desk.clock


async def test_a_message_is_delivered_and_its_record_says_so():
    channel = Scripted()
    told = request()
    assert await notifier(channel)[0].reconcile(told) == KEPT
    status = told.status
    assert (status.phase, status.reason, status.message) == (Phase.SENT, "AllDeliveriesSucceeded", "delivered to webhook")
    assert (status.total_attempts, status.successful_deliveries, status.failed_deliveries) == (1, 1, 0)
    assert status.queued_at == status.processing_started_at == status.completion_time == START
    assert [sent.subject for sent in channel.sent] == ["Shop is down"]
    assert [entry.reason for entry in status.journal.pending] == ["MessageSent"]


async def test_a_temporary_failure_is_tried_again_after_its_pause():
    channel, told = Scripted(TEMPORARY, TEMPORARY), request()
    teller, clock = notifier(channel)
    assert (await teller.reconcile(told)).at == START + timedelta(seconds=30)
    assert (told.status.phase, told.status.reason, told.status.message) == (
        Phase.RETRYING,
        "PartialFailureRetrying",
        "last error: webhook: the receiver answered 503",
    )
    clock.moment += timedelta(seconds=29)
    assert (await teller.reconcile(told)).at == START + timedelta(seconds=30)
    clock.moment += timedelta(seconds=1)
    assert (await teller.reconcile(told)).at == START + timedelta(seconds=90)
    clock.moment += timedelta(seconds=60)
    assert (await teller.reconcile(told)).at == clock.moment + timedelta(days=7)
    assert told.status.phase is Phase.SENT
    assert len({sent.id for sent in channel.sent}) == 1, "receivers may drop repeats by the id"


async def test_a_permanent_failure_ends_it_and_is_recorded_as_bad_news():
    told = request()
    assert await notifier(Scripted(PERMANENT))[0].reconcile(told) == KEPT
    assert (told.status.phase, told.status.reason) == (Phase.FAILED, "AllDeliveriesFailed")
    [entry] = told.status.journal.pending
    assert (entry.reason, entry.outcome) == ("MessageFailed", "failure")


async def test_a_channel_that_never_answers_is_given_up_for_now():
    told = request()
    outcome = await notifier(Scripted("hang"))[0].reconcile(told)
    assert told.status.delivery_attempts[0].status == "timeout"
    assert outcome.at == START + timedelta(seconds=30)


async def test_one_channel_does_not_hold_back_another():
    good, bad = Scripted(name=ChannelName.SLACK), Scripted(*[TEMPORARY] * 5)
    told = request(channels=["webhook", "slack"], retryPolicy={"maxAttempts": 4})
    teller, clock = notifier(good, bad)
    while told.status.completion_time is None:
        clock.moment = (await teller.reconcile(told)).at
    assert told.status.phase is Phase.PARTIALLY_SENT
    assert (len(good.sent), len(bad.sent)) == (1, 4)
    assert {each.type: each.status for each in told.status.conditions} == {
        "RoutingResolved": "True",
        "WebhookSent": "False",
        "SlackSent": "True",
    }


async def test_no_channel_at_all_is_a_failure_that_says_that_nobody_was_told():
    told = request(channels=[])
    assert await notifier(Scripted())[0].reconcile(told) == KEPT
    assert (told.status.phase, told.status.reason) == (Phase.FAILED, "NoChannelsResolved")


async def test_a_channel_that_is_not_configured_is_replaced_by_the_console_once():
    shown: list[Message] = []
    told = request(channels=["slack", "pagerduty"])
    await notifier(Console(shown.append))[0].reconcile(told)
    assert told.status.phase is Phase.SENT
    assert len(shown) == 1


async def test_without_a_stand_in_a_channel_that_is_not_configured_leaves_nobody_told():
    told = request(channels=["slack"])
    await notifier(Console(print), settings=NotificationSettings(stand_in=None))[0].reconcile(told)
    assert told.status.reason == "NoChannelsResolved"


async def test_what_has_ended_is_never_sent_again():
    channel, told = Scripted(), request()
    teller, clock = notifier(channel)
    await teller.reconcile(told)
    clock.moment += timedelta(days=1)
    assert await teller.reconcile(told) == KEPT
    assert len(channel.sent) == 1


async def test_a_message_goes_when_its_retention_is_over():
    told, desk = request(retentionDays=2), Desk(Scripted())
    assert (await desk.reconcile(told)).at == START + timedelta(days=2)
    assert desk.removed == []
    desk.clock.moment += timedelta(days=2)
    assert (await desk.reconcile(told)).at is None
    assert desk.removed == ["note"]


async def test_a_fault_of_ours_on_one_channel_does_not_keep_off_the_record_what_another_took():
    broken, good = Scripted(ValueError("a fault of ours"), name=ChannelName.SLACK), Scripted()
    told = request(channels=["webhook", "slack"])
    teller, clock = notifier(broken, good)
    clock.moment = (await teller.reconcile(told)).at
    assert [(each.channel, each.status, each.error) for each in told.status.delivery_attempts] == [
        ("webhook", "success", ""),
        ("slack", "failed", "kubernaut could not write this message: ValueError"),
    ]
    await teller.reconcile(told)
    assert told.status.phase is Phase.SENT
    assert len(good.sent) == 1


async def test_a_record_that_was_not_stored_does_not_send_twice():
    """A status write that met a conflict: the next pass sees the object as if nothing had been sent."""
    channel = Scripted()
    teller, _ = notifier(channel)
    await teller.reconcile(request())
    again = request()
    await teller.reconcile(again)
    assert len(channel.sent) == 1
    assert again.status.phase is Phase.SENT


async def test_another_object_of_the_same_name_is_another_message():
    channel = Scripted()
    teller, _ = notifier(channel)
    await teller.reconcile(request(uid="u-1"))
    await teller.reconcile(request(uid="u-2"))
    assert len(channel.sent) == 2


async def test_secrets_do_not_leave_in_any_part_of_a_message():
    channel = Scripted()
    leaky = {"password": "hunter2", "why": "token=hunter2"}
    await notifier(channel)[0].reconcile(
        request(subject="password=hunter2", body="secret: hunter2", metadata=leaky, details={"env": leaky})
    )
    assert "hunter2" not in repr(channel.sent[0])


async def test_each_channel_gets_its_own_addresses():
    channel = Scripted()
    places = [
        {"channel": "webhook", "address": "a"},
        {"channel": "email", "address": "b@example.com"},
        {"channel": "webhook", "address": "c"},
    ]
    await notifier(channel)[0].reconcile(request(recipients=places))
    assert [sent.address for sent in channel.sent] == ["a", "c"]


async def test_the_console_shows_a_message_as_a_block_of_lines():
    assert plain(note()).splitlines() == ["[High] Approve?", "---------------", "**yes** or no"]


async def test_a_console_that_cannot_be_written_is_a_temporary_failure():
    def broken(_):
        raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(NotDelivered, match="Broken pipe") as fault:
        await Console(broken).send(note())
    assert not fault.value.permanent


class Meddling(Scripted):
    """A channel during whose sending somebody else changes the object, so that the pass's own record meets a conflict."""

    def __init__(self, world, **options):
        super().__init__(**options)
        self._world = world

    async def send(self, message):
        receipt = await super().send(message)
        body = {"metadata": {"labels": {"touched": f"x{len(self.sent)}"}}}
        await self._world.client.patch(NotificationRequest.card, "note", self._world.system, body)
        return receipt


@asynccontextmanager
async def notifying(world, channel):
    manager = Manager(world.client, Later(datetime.now(UTC)), name="test", namespace=world.system)
    setup(manager, NotificationSettings(), (channel,))
    async with running(manager):
        yield


async def sent(world):
    async def ended():
        found = NotificationRequest.model_validate(await world.client.get(NotificationRequest.card, "note", world.system))
        return found if found.status.completion_time else None

    return await eventually(ended)


async def test_a_conflict_over_the_record_does_not_send_twice_on_a_cluster(world):
    channel = Meddling(world)
    await world.create(NotificationRequest.card, {"metadata": {"name": "note", "namespace": world.system}, "spec": spec()})
    async with notifying(world, channel):
        found = await sent(world)
    assert found.metadata.labels == {"touched": "x1"}
    assert (found.status.phase, found.status.total_attempts) == (Phase.SENT, 1)
    assert len(channel.sent) == 1


async def test_a_notifier_that_starts_again_does_not_repeat_what_is_recorded(world):
    first, second = Scripted(), Scripted()
    await world.create(NotificationRequest.card, {"metadata": {"name": "note", "namespace": world.system}, "spec": spec()})
    async with notifying(world, first):
        await sent(world)
    other = {"metadata": {"name": "other", "namespace": world.system}, "spec": spec(subject="another")}
    await world.create(NotificationRequest.card, other)
    async with notifying(world, second):
        await eventually(lambda: asyncio.sleep(0, result=second.sent))
    assert [message.subject for message in second.sent] == ["another"]

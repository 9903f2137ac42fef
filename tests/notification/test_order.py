"""The messages of one case among themselves: the earlier one goes first at each place, and began the thread."""

from datetime import timedelta

import pytest

from kubernaut.api.notification import ChannelName, DeliveryAttempt
from kubernaut.notification.decide import Target
from kubernaut.notification.order import held_by_others, thread_of
from tests.notification.pieces import CASE, START, TEMPORARY, Desk, Scripted, request

SLACK, EMAIL = Target(ChannelName.SLACK), Target(ChannelName.EMAIL)


def message(name, *statuses, made=START, ended=False, channels=("slack", "email")):
    """Return a message of the case, with what came of its tries on Slack."""
    found = request(name=name, uid=name, subject=name, made=made, channels=list(channels), **CASE)
    for number, status in enumerate(statuses, 1):
        attempt = DeliveryAttempt(channel="slack", attempt=number, timestamp=START, status=status, receipt=f"{name}-{number}")
        found.status.delivery_attempts = [*found.status.delivery_attempts, attempt]
    found.status.completion_time = START if ended else None
    return found


def places(found):
    return [Target(channel) for channel in found.spec.channels]


@pytest.mark.parametrize(
    ("sibling", "held"),
    [
        pytest.param(message("a"), {SLACK, EMAIL}, id="earlier by name, within the same second"),
        pytest.param(message("z", made=START - timedelta(seconds=1)), {SLACK, EMAIL}, id="earlier by time"),
        pytest.param(message("c"), set(), id="later by name"),
        pytest.param(message("a", made=START + timedelta(seconds=1)), set(), id="later by time"),
        pytest.param(message("a", channels=["email"]), {EMAIL}, id="at another place only"),
        pytest.param(message("a", "failed"), {SLACK, EMAIL}, id="still tried"),
        pytest.param(message("a", "failed", "success"), {EMAIL}, id="delivered there"),
        pytest.param(message("a", "invalid"), {EMAIL}, id="refused there"),
        pytest.param(message("a", *["failed"] * 5), {EMAIL}, id="given up there"),
        pytest.param(message("a", ended=True), set(), id="at its end"),
    ],
)
def test_a_message_waits_where_an_earlier_one_has_still_to_go(sibling, held):
    assert held_by_others(message("b"), [sibling], places) == held


def test_a_message_that_is_being_deleted_holds_nobody_up():
    leaving = message("a")
    leaving.metadata.deletion_timestamp = START
    assert held_by_others(message("b"), [leaving], places) == set()


def test_the_first_message_that_was_taken_began_the_thread():
    siblings = [message("c", "success"), message("b", "failed", "success"), message("a", "invalid"), message("z", "success")]
    assert thread_of(message("d"), siblings, SLACK) == "b-2"
    assert thread_of(message("b"), siblings, SLACK) == ""
    assert thread_of(message("d"), siblings, EMAIL) == ""


async def test_a_later_message_does_not_overtake_one_that_waits_for_another_try():
    slack, email = Scripted(TEMPORARY, name=ChannelName.SLACK), Scripted(name=ChannelName.EMAIL)
    desk = Desk(slack, email)
    desk.messages = [message("b")]
    await desk.run(START + timedelta(seconds=10))
    desk.messages += [message("a", made=START + timedelta(seconds=10))]
    await desk.run(START + timedelta(minutes=5))
    assert [each.subject for each in slack.sent] == ["b", "b", "a"]
    assert [each.subject for each in email.sent] == ["b", "a"]

"""What becomes of a delivered message: who was asked hears the answer and the end; who was called, that the problem is gone."""

from datetime import timedelta

import pytest

from kubernaut.api.notification import ChannelName, DeliveryEvent
from kubernaut.notification.channels.base import NotDelivered
from kubernaut.notification.closing import follow_up
from kubernaut.notification.surroundings import Surroundings, stand_of_case, stand_of_message, stand_of_question
from tests.notification.pieces import CASE, START, TEMPORARY, Desk, Scripted, request
from tests.notification.world_of import case, question

TOLD, ACKNOWLEDGED, CLOSED = DeliveryEvent
FOLLOWS = (ACKNOWLEDGED, CLOSED)
APPROVED = {"decision": "Approved", "decidedBy": "alice", "decisionMessage": "go on."}
ENDED = {"overallPhase": "Completed", "outcome": "Remediated", "message": "the pods are well"}
RESOLVED = {"overallPhase": "Failed", "signalState": "resolved"}


@pytest.mark.parametrize(
    ("kind", "around", "event", "said"),
    [
        pytest.param("Approval", Surroundings(case=case()), None, "", id="asked"),
        pytest.param("Approval", Surroundings(case=case(), question=question()), None, "", id="asked, no answer yet"),
        pytest.param(
            "Approval", Surroundings(case=case(), question=question(**APPROVED)), ACKNOWLEDGED, "Approved by alice: go on.", id="answered"
        ),
        pytest.param(
            "Approval",
            Surroundings(case=case(), question=question(voidedAt=START, voidReason="the target changed")),
            CLOSED,
            "no longer counts: the target changed.",
            id="void",
        ),
        pytest.param(
            "Approval",
            Surroundings(case=case(**ENDED), question=question(**APPROVED)),
            CLOSED,
            "Approved by alice: go on. The case has ended: Completed, Remediated (the pods are well). Nothing is left to decide.",
            id="over",
        ),
        pytest.param("Approval", Surroundings(), None, "", id="a case that is gone"),
        pytest.param("Escalation", Surroundings(case=case(overallPhase="Failed")), None, "", id="called, and it still fires"),
        pytest.param("Escalation", Surroundings(case=case(**RESOLVED)), CLOSED, "The alert has resolved", id="called, and it resolved"),
        pytest.param("ManualReview", Surroundings(case=case(**RESOLVED)), CLOSED, "The alert has resolved", id="left to people"),
        pytest.param("Escalation", Surroundings(case=case(signalState="resolved")), None, "", id="resolved before the end is told"),
        pytest.param(
            "Escalation",
            Surroundings(case=case(overallPhase="Failed"), later=[case("later", **ENDED)]),
            CLOSED,
            "a later case, later, ended Completed, Remediated",
            id="a later case mended it",
        ),
        pytest.param(
            "Escalation",
            Surroundings(case=case(overallPhase="Failed"), later=[case("later", overallPhase="Failed")]),
            None,
            "",
            id="nor did a later",
        ),
        pytest.param("Completion", Surroundings(case=case(**RESOLVED)), None, "", id="good news stands"),
    ],
)
def test_when_readers_hear_what_became_of_it(kind, around, event, said):
    found = follow_up(request(type=kind, **CASE), around)
    assert (found.event if found else None) == event
    assert said in (found.note if found else "")


def asked(**changes):
    return request(type="Approval", channels=["pagerduty", "console", "email"], **CASE, **changes)


def channels():
    pager = Scripted(name=ChannelName.PAGERDUTY, follows=FOLLOWS)
    return pager, Scripted(name=ChannelName.CONSOLE), Scripted(name=ChannelName.EMAIL, follows=(CLOSED,))


def heard(channel):
    return [message.event for message in channel.sent]


async def test_each_channel_hears_what_it_can_tell_once():
    pager, console, email = channels()
    desk = Desk(pager, console, email)
    desk.messages = [asked()]
    for ended, answer in ({}, {}), ({}, APPROVED), (ENDED, APPROVED):
        desk.around = Surroundings(case=case(**ended), question=question(**answer))
        for _ in range(3):
            await desk.run(desk.clock.moment + timedelta(minutes=10))
    assert heard(pager) == [TOLD, ACKNOWLEDGED, CLOSED]
    assert heard(console) == [TOLD]
    assert heard(email) == [TOLD, CLOSED]
    assert email.sent[1].receipt == "receipt-1"
    [message] = desk.messages
    assert message.status.closed_at is not None
    assert (message.status.phase, message.status.total_attempts) == ("Sent", 3), "the delivery stands as it was"
    assert [entry.reason for entry in message.status.journal.pending] == ["MessageSent", "MessageAcknowledged", "MessageClosed"]


async def test_a_case_that_ends_while_a_channel_is_down_is_told_and_closed_when_it_is_back():
    pager, console, email = channels()
    pager.away = TEMPORARY
    desk = Desk(pager, console, email)
    desk.messages, desk.around = [asked()], Surroundings(case=case())
    await desk.run(START + timedelta(hours=1))
    desk.around = Surroundings(case=case(**ENDED))
    await desk.run(START + timedelta(hours=3))
    assert heard(email) == [TOLD]
    pager.away, pager.sent = None, []
    await desk.run(START + timedelta(hours=4))
    assert (heard(pager), heard(email)) == ([TOLD, CLOSED], [TOLD, CLOSED])


async def test_an_end_that_cannot_be_told_at_first_is_told_later_and_once():
    pager, console, email = channels()
    desk = Desk(pager, console, email)
    desk.messages, desk.around = [asked()], Surroundings(case=case())
    await desk.run(START)
    pager.away, desk.around = TEMPORARY, Surroundings(case=case(**ENDED))
    await desk.run(START + timedelta(hours=5))
    assert heard(email) == [TOLD, CLOSED]
    assert desk.messages[0].status.closed_at is None
    pager.away = None
    await desk.run(START + timedelta(hours=6))
    assert heard(pager)[-1] is CLOSED
    assert heard(email) == [TOLD, CLOSED]
    assert desk.messages[0].status.closed_at is not None


async def test_a_place_that_never_took_the_message_does_not_hear_of_its_end():
    pager, console, email = channels()
    pager.away = NotDelivered("no", permanent=True)
    desk = Desk(pager, console, email)
    desk.messages, desk.around = [asked()], Surroundings(case=case(**ENDED))
    await desk.run(START + timedelta(minutes=1))
    assert (heard(pager), heard(email)) == ([TOLD], [TOLD, CLOSED])


async def test_the_messages_of_a_case_share_a_thread():
    slack = Scripted(name=ChannelName.SLACK, follows=FOLLOWS)
    desk = Desk(slack)
    desk.messages = [request(name="a", uid="a", type="Approval", channels=["slack"], **CASE)]
    desk.messages += [request(name="b", uid="b", type="Completion", channels=["slack"], **CASE)]
    desk.around = Surroundings(case=case())
    await desk.run(START + timedelta(minutes=1))
    desk.around = Surroundings(case=case(**ENDED))
    await desk.run(START + timedelta(minutes=2))
    assert [(message.id, message.event, message.thread, message.receipt) for message in slack.sent] == [
        ("a", TOLD, "", ""),
        ("b", TOLD, "receipt-1", ""),
        ("a", CLOSED, "", "receipt-1"),
    ]


@pytest.mark.parametrize(
    ("stand", "changed"),
    [
        *(pytest.param(stand_of_case, {name: value}, id=name) for name, value in (ENDED | RESOLVED).items()),
        *(pytest.param(stand_of_question, {name: value}, id=name) for name, value in APPROVED.items()),
        *(pytest.param(stand_of_question, {name: "now"}, id=name) for name in ("voidedAt", "voidReason")),
        *(pytest.param(stand_of_message, {name: "now"}, id=name) for name in ("completionTime", "deliveryAttempts")),
    ],
)
def test_what_a_message_goes_by_wakes_it_and_nothing_else_does(stand, changed):
    before = {"metadata": {"resourceVersion": "1"}, "status": {"journal": {"count": 1}, "observedGeneration": 1}}
    other = {"metadata": {"resourceVersion": "2"}, "status": {"journal": {"count": 2}, "observedGeneration": 2, "conditions": [{}]}}
    assert stand(before) == stand(other)
    assert stand(before) != stand({**other, "status": other["status"] | changed})
    assert stand(before) != stand({**other, "metadata": {"deletionTimestamp": "now"}})

"""Answers by link over real HTTP and a real API server: looking changes nothing, one answer counts, and every other is refused and recorded."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from kubernaut.api.approval import AIApprovalRequest, Decision
from kubernaut.api.notification import ChannelName, NotificationRequest
from kubernaut.notification.answering import page
from kubernaut.notification.answering.offers import Offers
from kubernaut.notification.answering.settings import AnswerSettings, Person
from kubernaut.notification.answering.ticket import Purpose
from kubernaut.notification.decide import Target
from kubernaut.notification.settings import EmailSettings, NotificationSettings
from tests.notification.answering.counter import ADA, KIM, LEE, MAX, MESSAGE, ONCALL, PEOPLE, counted, counter
from tests.questions import NAME

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def opened(world, tmp_path):
    return lambda **changes: counter(world, tmp_path, **changes)


async def test_a_scanner_may_open_a_link_as_often_as_it_likes(opened):
    async with opened() as desk:
        await desk.ask()
        link = await desk.link()
        looks = await asyncio.gather(*(desk.send(method, link) for method in ("GET", "HEAD") * 4))
        assert {each.status for each in looks} == {200}
        blind = [await desk.send("POST", link, data={"decision": "Approved"}), await desk.send("POST", link, json={"decision": "Approved"})]
        assert [each.status for each in blind] == [400, 400]
        assert (await desk.question()).status.decision is None
        assert all(looks[0].headers[name] == value for name, value in page.HEADERS.items())


async def test_a_confirmed_answer_is_the_decision_of_that_person_and_the_link_is_used_up(opened):
    async with opened() as desk:
        await desk.ask(policyEvaluation={"approverGroups": [ONCALL]})
        link, refused = await desk.link(), counted("link", "reused")
        shown = await desk.open(link)
        assert "You answer as <strong>ada@example.com</strong>" in shown.text
        done = await desk.answer(link, reason="looks right", form=shown.form)
        assert (done.status, "Approved by ada@example.com." in done.text) == (200, True)
        status = (await desk.question()).status
        assert (status.decision, status.decided_by, status.decided_via) == (Decision.APPROVED, ADA, "email-link")
        assert (status.decision_message, [each.groups for each in status.approvals]) == ("looks right", [[ONCALL]])
        again = [await desk.open(link), await desk.answer(link, "Rejected", form=shown.form), await desk.open(link)]
        assert [each.status for each in again] == [410] * 3
        assert "This was approved by ada@example.com: a decision is final." in again[0].text
        assert (await desk.question()).status == status
        assert await desk.recorded() == [("reused", f"email {ADA}")], "once, however often"
        assert counted("link", "reused") == refused + 3


async def test_of_two_answers_at_once_one_counts(opened):
    async with opened() as desk:
        await desk.ask()
        one, two = await desk.link(), await desk.link(f"email {KIM}")
        forms = [(await desk.open(each)).form for each in (one, two)]
        answers = await asyncio.gather(desk.answer(one, form=forms[0]), desk.answer(two, "Rejected", form=forms[1]))
        assert sorted(each.status for each in answers) == [200, 410]


async def test_two_people_answer_by_their_own_links_and_nobody_twice(opened):
    async with opened() as desk:
        await desk.ask(policyEvaluation={"minApprovers": 2, "approverGroups": [ONCALL]})
        first = await desk.answer(await desk.link())
        assert "1 more person must approve it" in first.text
        again = await desk.open(await desk.link())
        assert (again.status, "have said approved already" in again.text) == (410, True)
        shown = await desk.open(await desk.link(f"email {KIM}"))
        assert "1 of 2: ada@example.com" in shown.text
        await desk.answer(await desk.link(f"email {KIM}"))
        assert [each.approver for each in (await desk.question()).status.approvals] == [ADA, KIM]


@pytest.mark.parametrize(
    ("reader", "said"),
    [(LEE, f"Only members of {ONCALL} decide on this"), (MAX, "The cluster does not allow it")],
    ids=["not in the group", "no role"],
)
async def test_a_link_gives_nobody_more_rights_than_they_have(opened, reader, said):
    async with opened() as desk:
        await desk.ask(policyEvaluation={"approverGroups": [ONCALL]})
        refused = await desk.answer(await desk.link(f"email {reader}"))
        assert (refused.status, said in refused.text) == (403, True)
        assert (await desk.question()).status.decision is None
        assert await desk.recorded() == [("forbidden", f"email {reader}")]


async def _decided(desk):
    await desk.answer(await desk.link(f"email {KIM}"), "Rejected", "not now")


async def _void(desk):
    await desk.status(phase="Void", voidedAt=datetime.now(UTC).isoformat(), voidReason="the Deployment was deleted")


async def _gone(desk):
    await desk.world.client.delete(AIApprovalRequest.card, NAME, desk.world.system)


async def _another(desk):
    await _gone(desk)
    await desk.world.client.delete(NotificationRequest.card, MESSAGE, desk.world.system)
    await desk.ask()


ENDED = {
    "decided by somebody else": (_decided, "reused", "rejected by kim@example.com"),
    "void": (_void, "void", "the Deployment was deleted"),
    "gone": (_gone, "unknown", "is not asked any more"),
    "another of that name": (_another, "unknown", "is not asked any more"),
}


@pytest.mark.parametrize(("happens", "reason", "said"), ENDED.values(), ids=ENDED)
async def test_a_link_to_what_is_not_asked_any_more_is_refused_and_recorded(opened, happens, reason, said):
    async with opened() as desk:
        await desk.ask()
        link = await desk.link()
        form = (await desk.open(link)).form
        await happens(desk)
        refused = await desk.answer(link, form=form)
        assert (refused.status, said in refused.text, "kubernaut " in refused.text) == (410, True, True)
        assert (reason, f"email {ADA}") in await desk.recorded()


async def test_a_link_ends_with_the_time_to_answer(opened):
    async with opened() as desk:
        await desk.ask(requiredBy=(datetime.now(UTC) - timedelta(seconds=1)).isoformat())
        late = await desk.open(await desk.link())
        assert (late.status, "nobody answering is a no" in late.text) == (410, True)
        assert await desk.recorded() == [("expired", f"email {ADA}")]


async def test_a_link_of_somebody_who_is_not_known_any_more_is_refused_and_recorded(opened):
    async with opened(people=PEOPLE[1:]) as desk:
        await desk.ask()
        refused = await desk.open(await desk.link())
        assert (refused.status, "does not know who email ada@example.com is" in refused.text) == (403, True)
        assert await desk.recorded() == [("stranger", f"email {ADA}")]


async def test_what_is_not_a_link_of_ours_is_refused_and_counted(opened, tmp_path):
    async with opened() as desk:
        await desk.ask()
        link, before = await desk.link(), counted("link", "altered")
        changed = link[:40] + ("A" if link[40] != "A" else "B") + link[41:]
        for text in (changed, link[:-4], "", "x" * 5000):
            refused = await desk.open(text)
            assert (refused.status, "not one of ours" in refused.text) == (403, True)
        assert await desk.recorded() == [("altered", "somebody")], "once, however many"
        assert (await desk.open(await desk.button())).status == 403
        assert await desk.recorded() == [("altered", "somebody")] * 2, "a button is no link"
        (tmp_path / "answers.key").write_bytes(Fernet.generate_key())
        assert (await desk.open(link)).status == 403, "of another key"
        assert counted("link", "altered") == before + 6
        assert (await desk.send("GET", changed, about="../../x/y")).status == 403, "of a message that is none"
        assert (await desk.question()).status.decision is None


async def test_an_answer_must_come_from_the_page_of_its_own_link(opened):
    async with opened() as desk:
        await desk.ask()
        link, other = await desk.link(), await desk.link(f"email {KIM}")
        for form in ("", link, (await desk.open(other)).form):
            refused = await desk.answer(link, form=form)
            assert (refused.status, "was not sent from it" in refused.text) == (400, True)
        unsaid = await desk.answer(link, "Expired")
        assert (unsaid.status, "Neither Approve nor Reject" in unsaid.text) == (400, True)
        assert (await desk.question()).status.decision is None


EMAIL = EmailSettings(host="mail.example.com", to="ops@example.com")
BOT = {"token": SecretStr("t"), "signing_secret": SecretStr("s")}


async def _offered(desk, url="https://kubernaut.example", **changes):
    """Return what the message's places get: the reader of the link there, or `button`."""
    people = (*(Person.model_validate(each) for each in PEOPLE), Person(user="me", console=True))
    answers = AnswerSettings(key_file=Path("key"), people=people)
    settings = NotificationSettings.model_validate({"answers": answers, "email": EMAIL, "slack": BOT} | changes)
    request = NotificationRequest.model_validate(await desk.world.client.get(NotificationRequest.card, MESSAGE, desk.world.system))
    offered = await Offers(desk.world.manager().cluster, desk.clerk, settings, url).of(request)

    def reader(place):
        offer = offered(place)
        links = [desk.clerk.open(link.url.rpartition("&t=")[2], Purpose.LINK).reader for link in offer.answers]
        return "button" if offer.ticket and desk.clerk.open(offer.ticket, Purpose.BUTTON) else next(iter(links), "")

    return {str(place): reader(place) for place in PLACES}


PLACES = (
    Target(ChannelName.EMAIL, "Ada@example.com"),
    Target(ChannelName.EMAIL, "team@example.com"),
    Target(ChannelName.EMAIL, f"{ADA}, {KIM}"),
    Target(ChannelName.EMAIL),
    Target(ChannelName.SLACK, "#approvals"),
    Target(ChannelName.CONSOLE),
    Target(ChannelName.FILE),
    Target(ChannelName.WEBHOOK),
    Target(ChannelName.PAGERDUTY),
)
NOBODY = dict.fromkeys(map(str, PLACES), "")
GIVEN = {"email Ada@example.com": f"email {ADA}", "slack #approvals": "button", "console": "console me", "file": "console me"}


async def test_who_reads_alone_gets_a_link_and_slack_gets_buttons(opened):
    async with opened() as desk:
        await desk.ask()
        assert await _offered(desk) == NOBODY | GIVEN
        mine = EmailSettings(host="mail.example.com", to=KIM)
        assert await _offered(desk, email=mine) == NOBODY | GIVEN | {"email": f"email {KIM}"}
        assert await _offered(desk, url="", slack={"token": SecretStr("t")}) == NOBODY, "neither pages nor a secret to know Slack by"


async def test_what_cannot_be_answered_any_more_offers_nothing_and_a_lost_key_keeps_no_message_back(opened, tmp_path):
    async with opened() as desk:
        await desk.ask()
        key = (tmp_path / "answers.key").read_bytes()
        (tmp_path / "answers.key").unlink()
        assert await _offered(desk) == NOBODY
        (tmp_path / "answers.key").write_bytes(key)
        await desk.answer(await desk.link())
        assert await _offered(desk) == NOBODY


async def test_without_its_key_nothing_is_answered_and_nothing_breaks(opened, tmp_path):
    async with opened() as desk:
        await desk.ask()
        link = await desk.link()
        (tmp_path / "answers.key").unlink()
        refused = await desk.open(link)
        assert (refused.status, "key for links cannot be read" in refused.text) == (503, True)

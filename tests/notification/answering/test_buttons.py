"""Answers by button: a counterpart that signs as Slack does, and a real API server."""

import pytest

from kubernaut.api.approval import Decision
from kubernaut.notification.channels.slack_blocks import APPROVE, REJECT
from tests.notification.answering.counter import ADA, KIM, ONCALL, counted, counter, press, submit
from tests.world import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def opened(world, tmp_path):
    return lambda: counter(world, tmp_path)


async def decided(desk):
    async def look():
        found = (await desk.question()).status
        return found if found.decision else None

    return await eventually(look)


async def told(desk, count=1):
    """Wait until Slack was told so much; return it."""

    async def enough():
        return desk.slack.told if len(desk.slack.told) >= count else None

    return await eventually(enough)


async def test_a_press_of_approve_is_the_decision_of_that_member(opened):
    async with opened() as desk:
        await desk.ask(policyEvaluation={"approverGroups": [ONCALL]})
        assert await desk.pressed(press(APPROVE, await desk.button())) == 200
        status = await decided(desk)
        assert (status.decision, status.decided_by, status.decided_via) == (Decision.APPROVED, ADA, "slack-button")


async def test_a_press_of_reject_asks_why_and_the_form_decides(opened):
    async with opened() as desk:
        await desk.ask()
        assert await desk.pressed(press(REJECT, await desk.button(), "U0KIM")) == 200
        [shown] = await told(desk)
        assert (await desk.question()).status.decision is None
        assert await desk.pressed(submit(shown["view"], "not on a Friday", "U0KIM")) == 200
        status = await decided(desk)
        assert (status.decision, status.decided_by, status.decision_message) == (Decision.REJECTED, KIM, "not on a Friday")


async def test_who_presses_first_of_two_is_told_that_one_more_is_needed(opened):
    async with opened() as desk:
        await desk.ask(policyEvaluation={"minApprovers": 2})
        assert await desk.pressed(press(APPROVE, await desk.button())) == 200
        [said] = await told(desk)
        assert (said["user"], said["text"]) == ("U0ADA", "Your answer is recorded. 1 more person must approve it.")


@pytest.mark.parametrize(
    ("user", "reason", "said"),
    [
        ("U0EVE", "stranger", "does not know who slack U0EVE is"),
        ("U0LEE", "forbidden", f"Only members of {ONCALL} decide on this"),
    ],
    ids=["unknown", "not in the group"],
)
async def test_who_may_not_answer_is_told_so_alone_and_it_is_recorded(opened, user, reason, said):
    async with opened() as desk:
        await desk.ask(policyEvaluation={"approverGroups": [ONCALL]})
        assert await desk.pressed(press(APPROVE, await desk.button(), user)) == 200
        [refusal] = await told(desk)
        assert (refusal["method"], refusal["user"], refusal["channel"]) == ("chat.postEphemeral", user, "C024BE91L")
        assert said in refusal["text"]
        assert (await desk.question()).status.decision is None
        assert await desk.recorded() == [(reason, user)]


async def test_a_button_that_was_used_or_altered_does_nothing_more(opened):
    async with opened() as desk:
        await desk.ask()
        button, altered = await desk.button(), counted("slack", "altered")
        await desk.pressed(press(APPROVE, button))
        status = await decided(desk)
        await desk.pressed(press(REJECT, button, "U0KIM"))
        await desk.pressed(press(APPROVE, button[:-8]))
        await desk.pressed(press(APPROVE, await desk.link()))
        texts = sorted(each["text"] for each in await told(desk, 3))
        assert [text.split(".")[0][:30] for text in texts] == ["This link or button is not one"] * 2 + ["This was approved by ada@examp"]
        assert (await desk.question()).status == status
        assert sorted(await desk.recorded()) == [("altered", "U0ADA"), ("reused", "U0KIM")]
        assert counted("slack", "altered") == altered + 2


@pytest.mark.parametrize("changes", [{"secret": "another"}, {"ago": 301}, {"ago": -301}], ids=["foreign", "replayed", "early"])
async def test_what_slack_did_not_sign_just_now_is_refused_and_counted(opened, changes):
    async with opened() as desk:
        await desk.ask()
        before = counted("slack", "unsigned")
        assert await desk.pressed(press(APPROVE, await desk.button()), **changes) == 401
        assert counted("slack", "unsigned") == before + 1
        assert (await desk.question()).status.decision is None


async def test_what_slack_reports_besides_is_taken_and_what_it_would_not_send_is_not(opened):
    async with opened() as desk:
        assert await desk.pressed(press("link-0", "")) == 200
        assert await desk.pressed({"type": "block_actions"}) == 400


async def test_a_form_that_slack_does_not_show_is_told(opened):
    async with opened() as desk:
        await desk.ask()
        desk.slack.refused = {"views.open": "expired_trigger_id"}
        await desk.pressed(press(REJECT, await desk.button()))
        [said] = await told(desk)
        assert "Slack did not show the form that asks why" in said["text"]

"""The page behind a link, in a real browser as wide as a phone: it can be read, its buttons work, and nothing of it is refused."""

from urllib.parse import urlencode

import pytest

from kubernaut.api.approval import Decision
from kubernaut.notification.answering.offers import PATH
from tests.notification.answering.browser import needs_chromium, phone
from tests.notification.answering.counter import ADA, MESSAGE, counter

pytestmark = [pytest.mark.asyncio(loop_scope="module"), needs_chromium]


async def test_a_person_reads_the_question_on_a_phone_and_presses_a_button(world, tmp_path):
    async with counter(world, tmp_path) as desk, phone(tmp_path / "browser") as tab:
        await desk.ask()
        asked = urlencode({"m": f"{world.system}/{MESSAGE}", "t": await desk.link()})
        await tab.go(f"{desk.url}{PATH}?{asked}")
        assert await tab.run("document.querySelector('h1').innerText") == "Approve this fix?"
        assert await tab.run("document.documentElement.scrollWidth") == await tab.run("window.innerWidth"), "nothing is beside the screen"
        assert await tab.run("Math.min(...[...document.querySelectorAll('button')].map(each => each.offsetHeight))") >= 44, "for thumbs"
        await tab.run("document.querySelector('textarea').value = 'seen on the train'")
        await tab.press(".no")
        assert f"Rejected by {ADA}." in await tab.run("document.body.innerText")
        status = (await desk.question()).status
        assert (status.decision, status.decided_by, status.decision_message) == (Decision.REJECTED, ADA, "seen on the train")
        assert tab.complaints == []

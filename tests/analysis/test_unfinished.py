"""Investigators that need longer than one pass: they are asked again, nothing goes on without them, and what stood before does not count."""

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from kubernaut.analysis.investigators.base import Contact, Unfinished
from kubernaut.analysis.investigators.rules.investigator import RuleInvestigator
from kubernaut.analysis.reconciler import setup
from kubernaut.api.analysis import Phase
from kubernaut.kube.manager import Manager
from tests.analysis.checkout import approving, ask, change_target, deploy, offer
from tests.analysis.conftest import QUICK, SYSTEM


class Slow(RuleInvestigator):
    """The rules, which think for some passes before each answer."""

    def __init__(self, passes):
        super().__init__()
        self.passes, self.left, self.questions = passes, passes, []

    async def investigate(self, question, snapshot):
        self.questions.append(question)
        if self.left:
            self.left -= 1
            contact = Contact(retries=1, last_error="busy", message="thinking")
            raise Unfinished("thinking", timedelta(milliseconds=50), contact)
        self.left = self.passes
        return await super().investigate(question, snapshot)


@asynccontextmanager
async def analysing(bench, investigator):
    manager = Manager(bench.client, bench.clock, name="analysis", namespace=SYSTEM)
    setup(manager, QUICK.model_copy(update={"preview_timeout": timedelta(milliseconds=1)}), [investigator])
    task = asyncio.create_task(manager.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_who_needs_longer_is_asked_again_and_people_see_it(bench):
    await deploy(bench)
    await offer(bench)
    slow = Slow(3)
    async with analysing(bench, slow):
        await ask(bench)
        waiting = (await bench.until(lambda found: found.status.message == "thinking")).status
        found = (await bench.until(approving)).status
    assert (waiting.phase, waiting.investigator, waiting.holmes_gpt_retry_attempts) == (Phase.INVESTIGATING, "", 1)
    assert [(each.type, each.status.value) for each in waiting.conditions] == [("HolmesGPTAvailable", "Unknown")]
    assert (found.investigator, len(slow.questions)) == ("rules", 4)
    assert all(each.until is not None and [row.spec.workflow_id for row in each.catalogue()] for each in slow.questions)


async def test_after_the_target_changed_people_are_asked_only_when_the_new_answer_is_there(bench):
    await deploy(bench)
    await offer(bench)
    slow = Slow(2)
    async with analysing(bench, slow):
        await ask(bench)
        first = (await bench.until(approving)).status
        await change_target(bench, "by hand")
        await bench.until(lambda found: found.status.message == "thinking" and found.status.approvals_void == 1)
        second = (await bench.until(lambda found: found.status.approval_request_name.endswith("-r2"))).status
    assert second.binding != first.binding
    assert len(slow.questions) == 6
    assert slow.questions[-1].until is None

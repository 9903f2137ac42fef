"""People answer over a real API server with its rules, while the analysis counts under an account of its own."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY

from kubernaut.analysis.requests import Requests
from kubernaut.api.approval import AIApprovalRequest, Decision, Phase
from kubernaut.cli.approving import CannotDecide, answer, find_request, waiting
from kubernaut.kube.clock import SystemClock
from kubernaut.kube.manager import Manager
from kubernaut.kube.reviews import person
from tests.questions import CASE, NAME, allow, ask
from tests.world import eventually, running

ONCALL = "payments-oncall"
KIM, LEE, ADA = "kim@example.com", "lee@example.com", "ada@example.com"
GROUPS = {KIM: (ONCALL,), LEE: (ONCALL,), ADA: ()}
KEEPER = "keeper@example.com"


class Office:
    """A namespace with people who may answer, and somebody who counts."""

    def __init__(self, world):
        self.world, self.namespace = world, world.system

    async def open(self):
        """Say who may do what."""
        await allow(self.world.client, self.namespace, "approver", ["get", "list", "patch"], GROUPS)
        await allow(self.world.client, self.namespace, "keeper", ["get", "list", "watch", "patch", "settle"], [KEEPER])
        return self

    def client(self, name):
        """Return a client of a person."""
        return self.world.client.impersonating(name, GROUPS.get(name, ()))

    async def ask(self, minutes=15.0, name=NAME, **policy):
        by = datetime.now(UTC) + timedelta(minutes=minutes)
        await ask(self.world.client, self.namespace, name, policyEvaluation=policy, requiredBy=by.isoformat())

    async def say(self, name, decision=Decision.APPROVED, reason=""):
        """Answer as a person, as the command does."""
        client = self.client(name)
        return await answer(client, await find_request(client, self.namespace, CASE), decision, reason, datetime.now(UTC))

    async def until(self, holds):
        async def look():
            found = AIApprovalRequest.model_validate(await self.world.client.get(AIApprovalRequest.card, NAME, self.namespace))
            return found if holds(found) else None

        return await eventually(look)

    def counting(self):
        """Count what people say, as nobody but the keeper."""
        manager = Manager(self.client(KEEPER), SystemClock(), name="analysis", namespace=self.namespace)
        manager.controller(AIApprovalRequest, Requests(manager.cluster).reconcile)
        return running(manager)


@pytest.fixture
async def office(world):
    return await Office(world).open()


async def test_two_people_of_a_group_approve_and_each_is_counted_once(office):
    async with office.counting():
        await office.ask(minApprovers=2, approverGroups=[ONCALL])
        first = await office.say(KIM, reason="looks right")
        assert first.status.decision is None
        waits = await office.until(lambda found: "1 of 2 approvals: kim@example.com" in found.status.message)
        assert waits.status.phase is Phase.PENDING
        with pytest.raises(CannotDecide, match="have said approved to approval-remediation-abcde12345-analysis already"):
            await office.say(KIM)
        with pytest.raises(CannotDecide, match=f"^only members of {ONCALL} decide on this .you are {ADA}, of system:authenticated.$"):
            await office.say(ADA)
        await office.say(LEE)
        done = await office.until(lambda found: found.status.phase is Phase.APPROVED)
    assert (done.status.decision, done.status.decided_by, done.status.decided_via) == (Decision.APPROVED, LEE, "console")
    assert [(each.approver, each.groups) for each in done.status.approvals] == [(KIM, [ONCALL]), (LEE, [ONCALL])]
    assert done.status.message == "Approved by kim@example.com, lee@example.com: kim@example.com: looks right"


async def test_one_no_is_a_no_and_final(office):
    counted = approvals_counted("Rejected")
    async with office.counting():
        await office.ask(minApprovers=2)
        await office.say(KIM)
        await office.say(LEE, Decision.REJECTED, "release in progress")
        done = await office.until(lambda found: found.status.phase is Phase.REJECTED)
        with pytest.raises(CannotDecide, match="a decision is final"):
            await office.say(ADA)
    assert (done.status.decided_by, done.status.decision_message) == (LEE, "release in progress")
    assert approvals_counted("Rejected") == counted + 1


def approvals_counted(decision):
    return REGISTRY.get_sample_value("aianalysis_approval_total", {"decision": decision, "policy": ""}) or 0


async def test_a_decision_made_with_kubectl_is_entered_with_its_maker(office):
    async with office.counting():
        await office.ask()
        body = {"status": {"decision": "Approved", "decidedBy": KIM}}
        await office.client(KIM).patch(AIApprovalRequest.card, NAME, office.namespace, body, subresource="status")
        done = await office.until(lambda found: found.status.phase is Phase.APPROVED)
    assert [(each.approver, each.decision) for each in done.status.approvals] == [(KIM, Decision.APPROVED)]
    assert done.status.decided_at is not None


async def test_one_of_two_in_time_is_a_no_that_says_so(office):
    async with office.counting():
        await office.ask(minutes=0.02, minApprovers=2)
        await office.say(KIM)
        done = await office.until(lambda found: found.status.phase is Phase.EXPIRED)
    assert (done.status.decided_by, done.status.decision_message) == ("system", "1 more of 2 people had to approve.")


async def test_what_waits_is_listed_the_most_urgent_first_and_nothing_else(office):
    await office.ask(minutes=15)
    await office.ask(minutes=5, name="approval-urgent")
    await office.ask(minutes=9, name="approval-void")
    note = {"status": {"voidedAt": datetime.now(UTC).isoformat(), "voidReason": "the target changed"}}
    await office.world.client.patch(AIApprovalRequest.card, "approval-void", office.namespace, note, subresource="status")
    assert [each.metadata.name for each in await waiting(office.client(KIM), office.namespace)] == ["approval-urgent", NAME]


async def test_people_are_known_by_name_and_groups(office):
    found = await person(office.client(KIM))
    assert found.name == KIM
    assert ONCALL in found.groups

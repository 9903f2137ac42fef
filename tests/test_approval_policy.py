"""Who may decide, for whom, and what may change of an answer: the API server holds these rules against people and against ourselves."""

import copy

import pytest

from kubernaut.api import core
from kubernaut.api.approval import AIApprovalRequest
from kubernaut.kube.client import ApiError
from tests.questions import NAME, allow, ask

KIM, LEE, ADA, KEEPER = "kim@example.com", "lee@example.com", "ada@example.com", "system:serviceaccount:kubernaut-system:kubernaut"
PAYMENTS = "payments-oncall"
PEOPLE = {KIM: (PAYMENTS,), LEE: (PAYMENTS, "others"), ADA: ("others",), KEEPER: ()}
VOID = {"voidedAt": "2026-01-01T00:00:00Z", "voidReason": "the target changed"}


class Town:
    """A namespace with a question in it, and people who may write its answer."""

    def __init__(self, world):
        self.world = world

    async def ask(self, approvers=1, groups=()):
        """Open the town: who may do what, and the question."""
        client, namespace = self.world.client, self.world.system
        await allow(client, namespace, "approver", ["get", "patch"], (KIM, LEE, ADA))
        await allow(client, namespace, "keeper", ["get", "patch", "settle"], [KEEPER])
        await ask(client, namespace, policyEvaluation={"minApprovers": approvers, "approverGroups": list(groups)})
        return self

    async def write(self, person, **status):
        """Write to the answer as a person."""
        client = self.world.client.impersonating(person, PEOPLE[person])
        return await client.patch(AIApprovalRequest.card, NAME, self.world.system, {"status": status}, subresource="status")

    async def decide(self, person, decision="Approved", **more):
        """Decide as a person, in their own name."""
        return await self.write(person, **{"decision": decision, "decidedBy": person, **more})

    async def refused(self, person, **status):
        """Write what must not be taken; return why it was not."""
        with pytest.raises(ApiError) as fault:
            await self.write(person, **status)
        assert fault.value.forbidden or fault.value.invalid
        return fault.value.message

    async def answer(self):
        """Return what stands in the answer now."""
        found = await self.world.client.get(AIApprovalRequest.card, NAME, self.world.system)
        return found.get("status", {})


@pytest.fixture
def town(world):
    return Town(world)


def entry(person, decision="Approved", **more):
    return {"approver": person, "decision": decision, **more}


async def test_a_person_decides_once_and_only_for_themselves(town):
    await town.ask()
    assert "nobody decides for somebody else" in await town.refused(KIM, decision="Approved", decidedBy=LEE)
    assert "decidedBy must" in await town.refused(KIM, decision="Approved")
    assert "decidedBy must" in await town.refused(KIM, decision="Expired", decidedBy=KIM)
    assert "decidedBy must" in await town.refused(KIM, decision="Expired", decidedBy="system")
    await town.decide(KIM, decisionMessage="go ahead")
    for change in ({"decision": "Rejected"}, {"decisionMessage": "I said no"}, {"decision": None, "decidedBy": None}):
        assert "final" in await town.refused(KIM, **change)
        assert "final" in await town.refused(KEEPER, **change)
    assert "nobody is asked any more" in await town.refused(LEE, approvals=[entry(LEE)])
    assert (await town.answer())["decisionMessage"] == "go ahead"


async def test_only_members_of_the_groups_that_the_policy_names_decide(town):
    await town.ask(groups=[PAYMENTS])
    said = await town.refused(ADA, decision="Approved", decidedBy=ADA)
    assert f"only members of {PAYMENTS} decide on this" in said
    assert f"only members of {PAYMENTS} decide on this" in await town.refused(ADA, approvals=[entry(ADA)])
    await town.decide(KIM, "Rejected")
    assert (await town.answer())["decidedBy"] == KIM


async def test_an_administrator_decides_without_being_in_a_group(town):
    await town.ask(groups=["nobody-is-in-it"])
    review = await town.world.client.create(core.SELF_SUBJECT_REVIEW, {"metadata": {}})
    me = review["status"]["userInfo"]["username"]
    body = {"status": {"decision": "Approved", "decidedBy": me}}
    stored = await town.world.client.patch(AIApprovalRequest.card, NAME, town.world.system, body, subresource="status")
    assert stored["status"]["decidedBy"] == me


async def test_where_two_must_agree_one_alone_decides_nothing_but_a_no(town):
    await town.ask(approvers=2, groups=[PAYMENTS])
    assert "this needs the approval of 2 different people" in await town.refused(KIM, decision="Approved", decidedBy=KIM)
    await town.decide(KIM, "Rejected")
    assert (await town.answer())["decision"] == "Rejected"


async def test_two_people_of_a_group_say_yes_and_only_then_it_is_one(town):
    await town.ask(approvers=2, groups=[PAYMENTS])
    first = entry(KIM, groups=[PAYMENTS], message="looks right")
    await town.write(KIM, approvals=[first])
    counted = {"decision": "Approved", "decidedBy": KIM}
    assert "2 different people" in await town.refused(KEEPER, **counted)
    stays = "what was said stays"
    assert stays in await town.refused(LEE, approvals=[entry(LEE)]), "taking away what another said"
    assert stays in await town.refused(KIM, approvals=[first | {"decision": "Rejected"}]), "saying something else afterwards"
    assert stays in await town.refused(LEE, approvals=[first, entry(ADA)]), "speaking for another"
    assert stays in await town.refused(LEE, approvals=[first, entry(LEE, groups=["admins"])]), "groups of others"
    assert "only members" in await town.refused(KEEPER, approvals=[first, entry(LEE)]), "kubernaut itself says nothing for people"
    assert stays in await town.refused(LEE, approvals=[first, entry(LEE, "Expired")])
    assert "Duplicate" in await town.refused(KIM, approvals=[first, copy.copy(first)]), "one person is one voice"
    await town.write(LEE, approvals=[first, entry(LEE, groups=[PAYMENTS])])
    assert "nobody decides for somebody else" in await town.refused(KEEPER, decision="Approved", decidedBy=ADA)
    stored = await town.write(KEEPER, decision="Approved", decidedBy=LEE)
    assert [each["approver"] for each in stored["status"]["approvals"]] == [KIM, LEE]


async def test_only_kubernaut_itself_says_that_nobody_answered(town):
    await town.ask(groups=[PAYMENTS])
    assert "decidedBy must" in await town.refused(KEEPER, decision="Expired", decidedBy=KEEPER)
    stored = await town.write(KEEPER, decision="Expired", decidedBy="system", phase="Expired")
    assert stored["status"]["phase"] == "Expired"
    assert "final" in await town.refused(KIM, decision="Approved", decidedBy=KIM)


async def test_kubernaut_itself_enters_who_decided_and_nothing_else(town):
    await town.ask()
    await town.decide(KIM)
    stored = await town.write(KEEPER, approvals=[entry(KIM)], decidedAt="2026-01-01T00:00:00Z", phase="Approved")
    assert stored["status"]["approvals"] == [entry(KIM)]
    assert "what was said stays" in await town.refused(KEEPER, approvals=[entry(KIM), entry(LEE)])


async def test_people_do_not_keep_the_books(town):
    await town.ask()
    fact = {"ordinal": 0, "at": "2026-01-01T00:00:00Z", "reason": "Approved"}
    books = "kept by kubernaut itself"
    assert books in await town.refused(KIM, journal={"count": 1, "pending": [fact]})
    assert books in await town.refused(KIM, conditions=[{"type": "ApprovalDecided", "status": "True"}])
    assert books in await town.refused(KIM, **VOID)
    assert books in await town.refused(KIM, observedGeneration=7)
    await town.write(KEEPER, journal={"count": 1, "pending": [fact]})
    assert books in await town.refused(KIM, journal={"count": 1, "pending": None}), "nor do they take a fact away"
    await town.decide(KIM, phase="Approved", message="approved by Kim")


async def test_what_is_void_is_answered_by_nobody_and_stays_void(town):
    await town.ask()
    await town.write(KEEPER, **VOID)
    for status in ({"decision": "Approved", "decidedBy": KIM}, {"approvals": [entry(KIM)]}):
        assert "void" in await town.refused(KIM, **status)
    assert "kept by kubernaut itself" in await town.refused(KEEPER, voidedAt=None, voidReason=None)
    assert "voidedAt" in await town.answer()


async def test_a_yes_that_became_void_can_still_be_entered_in_the_books(town):
    await town.ask()
    await town.decide(KIM)
    await town.write(KEEPER, **VOID)
    stored = await town.write(KEEPER, approvals=[entry(KIM)], phase="Void")
    assert stored["status"]["decision"] == "Approved"

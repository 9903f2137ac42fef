"""Messages on a cluster: what surrounds them is found, and a change of it makes them due; the routing follows its ConfigMap."""

from contextlib import asynccontextmanager

import pytest

from kubernaut.api import core
from kubernaut.api.approval import AIApprovalRequest
from kubernaut.api.notification import ChannelName, DeliveryEvent, NotificationRequest
from kubernaut.api.remediation import RemediationRequest
from kubernaut.cli.approving import whoami
from kubernaut.notification.reconciler import setup
from kubernaut.notification.settings import NotificationSettings
from tests.notification.pieces import TEMPORARY, Scripted, spec
from tests.notification.world_of import ASKED, NAME, QUESTION, SPEC
from tests.world import eventually, running

pytestmark = pytest.mark.asyncio(loop_scope="module")
FOLLOWS = (DeliveryEvent.ACKNOWLEDGED, DeliveryEvent.CLOSED)
ROUTES = """
route: {receiver: ops}
receivers: [{name: ops, recipients: [{channel: slack, address: "#ops"}]}]
"""


@asynccontextmanager
async def notifying(world, *channels):
    manager = world.manager()
    setup(manager, NotificationSettings(), channels)
    async with running(manager):
        yield manager


async def make(world, model, name, content, **status):
    obj = {"metadata": {"name": name, "namespace": world.system}, "spec": content}
    return await world.create(model.card, obj, status or None)


async def message(world, name, **changes):
    ref = {"remediationRequestRef": {"name": NAME, "namespace": world.system}}
    return await make(world, NotificationRequest, name, spec(channels=["slack"], **ref, **changes))


async def stored(world, name):
    return NotificationRequest.model_validate(await world.client.get(NotificationRequest.card, name, world.system))


async def until(channel, *told):
    async def holds():
        return [(each.subject, each.event) for each in channel.sent] == list(told)

    await eventually(holds)


async def test_an_answer_and_the_end_of_the_case_reach_who_was_asked(world):
    slack = Scripted(name=ChannelName.SLACK, follows=FOLLOWS)
    await make(world, RemediationRequest, NAME, SPEC)
    await make(world, AIApprovalRequest, QUESTION, ASKED)
    await message(world, "asked", type="Approval", subject="Approve?", metadata={"aiApprovalRequest": QUESTION})
    told = [("Approve?", event) for event in DeliveryEvent]
    async with notifying(world, slack):
        await until(slack, *told[:1])
        me = await whoami(world.client)
        decided = {"status": {"phase": "Rejected", "decision": "Rejected", "decidedBy": me}}
        await world.client.patch(AIApprovalRequest.card, QUESTION, world.system, decided, subresource="status")
        await until(slack, *told[:2])
        over = {"status": {"overallPhase": "Failed"}}
        await world.client.patch(RemediationRequest.card, NAME, world.system, over, subresource="status")
        await until(slack, *told)
        await eventually(lambda: _closed(world, "asked"))
    assert slack.sent[1].note.startswith(f"Rejected by {me}.")


async def _closed(world, name):
    return (await stored(world, name)).status.closed_at


async def test_a_later_case_of_the_same_problem_that_went_well_closes_the_alarm_of_an_earlier_one(world):
    slack = Scripted(name=ChannelName.SLACK, follows=FOLLOWS)
    await make(world, RemediationRequest, NAME, SPEC, overallPhase="Failed")
    await message(world, "called", type="Escalation", subject="Help")
    async with notifying(world, slack):
        await until(slack, ("Help", DeliveryEvent.TOLD))

        async def next_second():
            """Times of creation are whole seconds: make the later case until it is later."""
            await world.client.delete(RemediationRequest.card, "later", world.system)
            made = await make(world, RemediationRequest, "later", SPEC)
            first = await world.client.get(RemediationRequest.card, NAME, world.system)
            return made["metadata"]["creationTimestamp"] > first["metadata"]["creationTimestamp"]

        await make(world, RemediationRequest, "later", SPEC)
        await eventually(next_second, pause=0.2)
        well = {"status": {"overallPhase": "Completed", "outcome": "Remediated"}}
        await world.client.patch(RemediationRequest.card, "later", world.system, well, subresource="status")
        await until(slack, ("Help", DeliveryEvent.TOLD), ("Help", DeliveryEvent.CLOSED))


async def test_the_second_message_of_a_case_goes_when_the_first_has_gone(world):
    slack = Scripted(TEMPORARY, name=ChannelName.SLACK)
    await message(world, "a", subject="first", retryPolicy={"initialBackoffSeconds": 1})
    await message(world, "b", subject="second")
    async with notifying(world, slack):
        await until(slack, *((subject, DeliveryEvent.TOLD) for subject in ("first", "first", "second")))


async def test_the_routing_of_a_config_map_holds_and_a_broken_one_leaves_the_last_good_one(world):
    slack = Scripted(name=ChannelName.SLACK)
    await routes(world, ROUTES)
    async with notifying(world, slack):
        await message(world, "first", subject="first")
        await until(slack, ("first", DeliveryEvent.TOLD))
        await routes(world, "route: {receiver: nobody}\nreceivers: []")
        await eventually(lambda: _event(world, "PolicyRejected"))
        await message(world, "second", subject="second")
        await until(slack, ("first", DeliveryEvent.TOLD), ("second", DeliveryEvent.TOLD))
        await routes(world, ROUTES.replace("#ops", "#other"))
        await eventually(lambda: _event(world, "PolicyAccepted", count=2))
        await message(world, "third", subject="third")
        await until(slack, *((subject, DeliveryEvent.TOLD) for subject in ("first", "second", "third")))
    assert [each.address for each in slack.sent] == ["#ops", "#ops", "#other"]
    [resolved] = [each for each in (await stored(world, "second")).status.conditions if each.type == "RoutingResolved"]
    assert "there is no receiver 'nobody'" in resolved.message
    assert resolved.message.startswith("ops: slack #ops; by configmap/kubernaut-notification-routing/routing.yaml")


async def routes(world, text):
    body = {"metadata": {"name": "kubernaut-notification-routing", "namespace": world.system}, "data": {"routing.yaml": text}}
    await world.client.apply(core.CONFIG_MAP, body, manager="tests", force=True)


async def _event(world, reason, count=1):
    events = (await world.client.list(core.EVENT, world.system)).items
    return sum(each["reason"] == reason for each in events) >= count or any(
        each["reason"] == reason and each.get("count", 1) >= count for each in events
    )

"""The escalation endpoint over HTTP: a page asked for is a NotificationRequest, exactly one for each phase of a case."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import pytest

from kubernaut.api.notification import EscalationRequest, NotificationRequest
from kubernaut.api.remediation import RemediationRequest
from kubernaut.notification.app import guards, notification_app
from kubernaut.notification.channels.base import Message
from kubernaut.notification.channels.console import Console
from kubernaut.notification.reconciler import setup
from kubernaut.notification.settings import NotificationSettings
from kubernaut.service import serving
from tests.notification.pieces import ESCALATION
from tests.ways import token
from tests.world import eventually, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/api/v1/notify/escalation"
REQUIRED = [field.alias or "" for field in EscalationRequest.model_fields.values() if field.is_required()]


async def well():
    """A dependency that is."""


@asynccontextmanager
async def service(world, shown=None, **settings):
    """Run the notification service; give a client of it."""
    options = NotificationSettings(**settings)
    manager = world.manager()
    setup(manager, options, (Console((shown if shown is not None else []).append),))
    app = notification_app(manager.cluster, options, {"kubernetes": well}, guards(world.client, options))
    async with running(manager), serving(app, host="127.0.0.1", port=0) as url, aiohttp.ClientSession(url) as http:
        yield http


def body(world, **changes):
    return {**ESCALATION, "remediationRequestNamespace": world.system, **changes}


async def post(http, content, path=PATH, **headers):
    async with http.post(path, json=content, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


async def stored(world):
    found = await world.client.list(NotificationRequest.card, world.system)
    return [NotificationRequest.model_validate(obj) for obj in found.items]


async def test_an_escalation_is_taken_stored_and_shown(world):
    shown: list[Message] = []
    async with service(world, shown) as http:
        status, answer = await post(http, body(world))
        await eventually(lambda: asyncio.sleep(0, result=shown))
    assert (status, answer["status"]) == (202, "queued")
    [request] = await stored(world)
    assert answer["notificationId"] == request.metadata.uid
    assert request.metadata.name == "remediation-abcde12345-escalation-analyzing"
    assert (request.spec.type, request.spec.priority) == ("Escalation", "Critical")
    assert "PodOOMKilled" in shown[0].subject
    assert "production/deployment/shop" in shown[0].body
    assert "kubernaut timeline remediation-abcde12345" in shown[0].body


async def test_the_same_escalation_again_is_the_same_message_and_says_where_it_stands(world):
    shown: list[Message] = []
    async with service(world, shown) as http:
        answers = await asyncio.gather(*(post(http, body(world)) for _ in range(8)))
        await eventually(lambda: asyncio.sleep(0, result=shown))

        async def delivered():
            found = await post(http, body(world))
            return found if found[1]["status"] == "sent" else None

        status, answer = await eventually(delivered)
    assert {status for status, _ in answers} == {202}
    assert len({each["notificationId"] for _, each in answers}) == 1
    assert (status, answer["channelsNotified"]) == (202, ["console"])
    assert (len(await stored(world)), len(shown)) == (1, 1)


async def test_another_phase_of_the_same_case_is_another_message(world):
    async with service(world) as http:
        await post(http, body(world))
        await post(http, body(world, escalationPhase="verification"))
        assert len(await stored(world)) == 2


async def test_a_message_goes_with_its_remediation_while_that_exists(world):
    spec = {
        "signalFingerprint": "a" * 64,
        "signalName": "PodOOMKilled",
        "severity": "critical",
        "targetResource": "production/deployment/shop",
        "target": {"kind": "Deployment", "name": "shop", "namespace": "production"},
        **dict.fromkeys(("firingTime", "receivedTime", "createdAt"), "2026-01-01T00:00:00Z"),
        "originalPayload": "{}",
    }
    name = ESCALATION["remediationRequestName"]
    owner = await world.create(RemediationRequest.card, {"metadata": {"name": name, "namespace": world.system}, "spec": spec})
    async with service(world) as http:
        assert (await post(http, body(world)))[0] == 202
        [request] = await stored(world)
    assert [reference.uid for reference in request.metadata.owner_references] == [owner["metadata"]["uid"]]


async def test_every_missing_field_is_named_at_once(world):
    async with service(world) as http:
        status, answer = await post(http, {})
    assert status == 400
    assert answer["error"]["code"] == "VALIDATION_ERROR"
    assert [each["field"].removeprefix("body.") for each in answer["error"]["details"]["fields"]] == REQUIRED
    assert all(name in answer["detail"] for name in REQUIRED)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        pytest.param({"severity": "awful"}, "severity", id="an unknown word"),
        pytest.param({"channels": []}, "channels", id="no channel"),
        pytest.param({"channels": ["pigeon"]}, "channels", id="an unknown channel"),
        pytest.param({"resource": {"name": "shop"}}, "resource.kind", id="a field inside"),
        pytest.param({"escalationTime": "2026-01-01T02:00:00Z"}, "escalationTime must not be before alertFiringTime", id="out of order"),
        pytest.param({"remediationRequestNamespace": "Not A Namespace"}, "remediationRequestNamespace", id="no namespace"),
        pytest.param(
            {"recommendedActions": [{"action": "look", "category": "hope", "riskLevel": "low"}]}, "category", id="an unknown category"
        ),
    ],
)
async def test_a_wrong_field_is_named(world, changes, named):
    async with service(world) as http:
        status, answer = await post(http, body(world, **changes))
    assert (status, answer["status"]) == (400, 400)
    assert named in answer["detail"]
    assert await stored(world) == []


async def test_a_namespace_that_does_not_exist_is_the_callers_fault(world):
    async with service(world) as http:
        status, answer = await post(http, body(world, remediationRequestNamespace="nowhere"))
    assert (status, answer["error"]["code"]) == (400, "VALIDATION_ERROR")


async def test_a_body_over_the_limit_is_refused(world):
    async with service(world, body_limit=2048) as http:
        status, answer = await post(http, body(world, escalationDetails={"log": "x" * 4000}))
    assert (status, answer["error"]["code"]) == (413, "REQUEST_TOO_LARGE")


SIMPLE = {"channels": ["console"], "subject": "Backup failed", "message": "The nightly backup of **shop** failed.", "severity": "error"}


async def test_a_simple_message_is_stored_once_and_told(world):
    shown: list[Message] = []
    async with service(world, shown, namespace=world.system) as http:
        answers = [await post(http, SIMPLE, "/api/v1/notify/simple") for _ in range(3)]
        await eventually(lambda: asyncio.sleep(0, result=shown))
        await post(http, {**SIMPLE, "subject": "Backup failed again"}, "/api/v1/notify/simple")
    assert {status for status, _ in answers} == {202}
    assert len({answer["notificationId"] for _, answer in answers}) == 1
    assert sorted(each.spec.subject for each in await stored(world)) == ["Backup failed", "Backup failed again"]
    assert (shown[0].priority, shown[0].type) == ("High", "Simple")


async def test_a_simple_message_goes_to_its_recipient_and_without_secrets(world):
    async with service(world, namespace=world.system) as http:
        await post(http, {**SIMPLE, "recipient": "#backup", "message": "password=hunter2"}, "/api/v1/notify/simple")
    [request] = await stored(world)
    assert [(each.channel, each.address) for each in request.spec.recipients] == [("console", "#backup")]
    assert "hunter2" not in str(request.wire())


@pytest.mark.parametrize("missing", ["channels", "subject", "message"])
async def test_a_simple_message_names_what_is_missing(world, missing):
    async with service(world) as http:
        status, answer = await post(http, {key: value for key, value in SIMPLE.items() if key != missing}, "/api/v1/notify/simple")
    assert (status, [each["field"] for each in answer["error"]["details"]["fields"]]) == (400, [f"body.{missing}"])


async def test_who_shows_no_token_is_not_heard(world):
    async with service(world, access={"enabled": True}) as http:
        assert (await post(http, body(world)))[0] == 401
        assert (await post(http, body(world), Authorization="Bearer nonsense"))[0] == 401
    assert await stored(world) == []


async def test_a_token_that_the_api_server_knows_is_heard_and_one_without_the_right_is_not(world):
    good = await token(world)
    async with service(world, access={"enabled": True}) as http:
        assert (await post(http, body(world), Authorization=f"Bearer {good}"))[0] == 202
    async with service(world, access={"enabled": True, "authorize": True}, namespace=world.system) as http:
        status, answer = await post(http, body(world), Authorization=f"Bearer {good}")
    assert status == 403
    assert "create services 'notification-service'" in answer["detail"]


async def test_who_asks_too_often_is_told_to_wait(world):
    async with service(world, rate={"per_source": 0.001, "burst": 1}) as http:
        answers = [await post(http, body(world)) for _ in range(5)]
    assert 429 in [status for status, _ in answers]

"""New values for a Secret: taken from one that a person made for it, and in clear text nowhere beside the two."""

from base64 import b64encode

import orjson
import pytest

from kubernaut.api import core
from kubernaut.execution.actions.secret import COPY_TO
from kubernaut.kube.events import EVENT
from tests.execution.world import KE, SHOP
from tests.workflow.bench import SYSTEM

pytestmark = pytest.mark.cluster
VALUE = "n3w-v4lue"
ENCODED = b64encode(VALUE.encode()).decode()
TAKEN = {"password": {"name": "next", "key": "pw"}}


def update(**parameters):
    return {"action": "update_secret", "parameters": {"namespace": SHOP, "resource_name": "api"} | parameters}


async def furnish(world, **annotations):
    meta = {"name": "next", "namespace": SHOP, "annotations": annotations}
    await world.client.create(
        core.SECRET, {"metadata": {"name": "api", "namespace": SHOP}, "stringData": {"password": "old", "user": "me"}}
    )
    await world.client.create(core.SECRET, {"metadata": meta, "stringData": {"pw": VALUE}})


async def test_a_value_is_copied_and_stands_nowhere_else(world):
    await furnish(world, **{COPY_TO: "api"})
    async with world.at_work(world.stage()):
        await world.execute(update(value_from=TAKEN))
        status = await world.ended()
    assert status["phase"] == "Completed", status
    assert (await world.client.get(core.SECRET, "api", SHOP))["data"] == {"password": ENCODED, "user": b64encode(b"me").decode()}
    assert "password: ***" in status["operationResults"][0]["diff"]
    told = [await world.client.get(KE, "rr-1-execution", SYSTEM), *(await world.client.list(EVENT)).items]
    assert not any(text in orjson.dumps(told).decode() for text in (VALUE, ENCODED))


@pytest.mark.parametrize(
    ("annotations", "parameters", "check", "why"),
    [
        pytest.param({COPY_TO: "api"}, {"data": {"password": VALUE}}, "parameters", "no secret value may stand in it", id="a plain value"),
        pytest.param({}, {"value_from": TAKEN}, "preconditions", "is not made for this", id="a Secret of somebody else's"),
        pytest.param({COPY_TO: "other"}, {"value_from": TAKEN}, "preconditions", "must say api", id="made for another"),
        pytest.param(
            {COPY_TO: "api"},
            {"value_from": {"password": {"name": "next", "key": "no"}}},
            "preconditions",
            "has no key no",
            id="no such key",
        ),
        pytest.param(
            {COPY_TO: "api"}, {"value_from": {"password": {"name": "no", "key": "pw"}}}, "preconditions", "there is no Secret", id="none"
        ),
    ],
)
async def test_what_cannot_be_taken_is_refused_with_the_reason(world, annotations, parameters, check, why):
    await furnish(world, **annotations)
    before = await world.client.get(core.SECRET, "api", SHOP)
    async with world.at_work(world.stage()):
        await world.execute(update(**parameters))
        status = await world.ended()
    failed = status["operationResults"][0]["checks"][-1]
    assert (status["failureReason"], failed["name"], failed["passed"]) == ("validation_error", check, False)
    assert why in failed["message"]
    assert not any(text in orjson.dumps(status).decode() for text in (VALUE, ENCODED))
    assert await world.client.get(core.SECRET, "api", SHOP) == before

"""The gateway as the product puts it together: access, sources and the event watch are where the settings say."""

from datetime import UTC, datetime

import aiohttp

from kubernaut.api import core
from kubernaut.settings import Settings
from kubernaut.wiring import system
from tests.gateway.place import group, post, requests, settings_for
from tests.world import eventually


async def test_the_settings_switch_on_access_and_the_event_watch(world, shop):
    settings = Settings(
        namespace=world.system, leader_election=False, gateway=settings_for(world, watch_events=True, access={"enabled": True})
    )
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {"apiVersion": "v1", "kind": "Pod", "name": "shop-1-0", "namespace": shop}
    said = {"type": "Warning", "reason": "BackOff", "message": "it restarts", "firstTimestamp": now, "lastTimestamp": now}
    async with (
        system(settings, world.client, parts=("gateway",)) as running,
        aiohttp.ClientSession(running.endpoints.urls["gateway"]) as http,
    ):
        assert (await post(http, group(shop, ["shop-1-0"])))[0] == 401
        async with http.get("/readyz") as answer:
            assert {"kubernetes", "caches"} <= (await answer.json())["dependencies"].keys()
        await world.client.create(core.EVENT, {"metadata": {"name": "e", "namespace": shop}, "involvedObject": about, **said})

        async def opened():
            return [each for each in await requests(world) if each.spec.target.namespace == shop]

        [found] = await eventually(opened)
    assert found.spec.signal_type == "kubernetes-event"

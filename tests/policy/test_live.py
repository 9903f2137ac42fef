"""A policy follows its ConfigMap or file; a broken text is told, and leaves the last good one in place."""

from contextlib import asynccontextmanager

import pytest
from prometheus_client import REGISTRY

from kubernaut.api import core
from kubernaut.api.base import Unusable
from kubernaut.kube.client import Client
from kubernaut.kube.clock import SystemClock
from kubernaut.kube.manager import Manager
from kubernaut.policy.live import follow
from kubernaut.policy.settings import PolicySource
from tests.policy.words import MEALS
from tests.ways import account
from tests.world import eventually, running

pytestmark = pytest.mark.asyncio(loop_scope="module")
SHIPPED_MENU = "rules: [{name: shipped, set: {dish: bread}}]"
SOUP = "rules: [{name: soup, set: {dish: soup}}]"
STEW = "rules: [{name: stew, set: {dish: stew}}]"
BROKEN = "rules:\n- name: broken\n  match: angry\n  set: {dish: stones}\n"
NAME = "menu"
SOURCE = PolicySource(config_map=NAME)


def dish(current):
    return current.policy.judge({}).deciding("dish").says.dish


def metric(name, **labels):
    return REGISTRY.get_sample_value(name, {"policy": "meal", **labels})


@asynccontextmanager
async def following(world, manager=None):
    manager = manager or world.manager()
    current = follow(manager, MEALS, SHIPPED_MENU, SOURCE)
    async with running(manager):
        yield current


async def put(world, text, *, key="policy.yaml", name=NAME):
    body = {"metadata": {"name": name, "namespace": world.system}, "data": {key: text}}
    await world.client.apply(core.CONFIG_MAP, body, manager="tests", force=True)


async def becomes(current, *, dish_is):
    async def holds():
        return dish(current) == dish_is

    await eventually(holds)


async def told(world, reason):
    """Return the message of the Event about our ConfigMap that has a reason, once it is there."""

    async def found():
        events = (await world.client.list(core.EVENT, world.system)).items
        return next((each for each in events if each["reason"] == reason and each["involvedObject"].get("name") == NAME), None)

    event = await eventually(found)
    assert event["involvedObject"]["kind"] == "ConfigMap"
    return event["type"], event["message"]


async def test_without_a_config_map_the_shipped_policy_holds(world):
    async with following(world) as current:
        assert (dish(current), current.trouble) == ("bread", "")


async def test_a_config_map_that_was_there_before_holds_from_the_start(world):
    await put(world, SOUP)
    async with following(world) as current:
        assert dish(current) == "soup"
        assert await told(world, "PolicyAccepted") == ("Normal", "rules in force: 1")


async def test_an_edit_is_taken_without_a_restart_and_a_deletion_brings_the_shipped_policy_back(world):
    async with following(world) as current:
        await put(world, SOUP)
        await becomes(current, dish_is="soup")
        await put(world, STEW)
        await becomes(current, dish_is="stew")
        await world.client.delete(core.CONFIG_MAP, NAME, world.system)
        await becomes(current, dish_is="bread")


async def test_a_broken_edit_keeps_the_last_good_policy_and_says_so_everywhere(world):
    async with following(world) as current:
        await put(world, SOUP)
        await becomes(current, dish_is="soup")
        rejected = metric("kubernaut_policy_loads_total", result="rejected") or 0
        await put(world, BROKEN)
        why = (
            "the meal policy cannot be used, and the last good one from configmap/menu/policy.yaml holds: configmap/menu/policy.yaml:3:10: "
            "`match`: undeclared reference to 'angry'. The variables are guest.name, guest.age, hungry, budget, wishes"
        )
        assert await told(world, "PolicyRejected") == ("Warning", why)
        assert (dish(current), current.trouble) == ("soup", why)
        assert metric("kubernaut_policy_rejected") == 1
        assert metric("kubernaut_policy_loads_total", result="rejected") == rejected + 1
        await put(world, STEW)
        await becomes(current, dish_is="stew")
        assert (current.trouble, metric("kubernaut_policy_rejected")) == ("", 0)


async def test_a_broken_text_at_the_start_leaves_the_shipped_policy(world):
    await put(world, BROKEN)
    async with following(world) as current:
        assert dish(current) == "bread"
        assert current.trouble.startswith("the meal policy cannot be used, and the shipped policy holds: configmap/menu/policy.yaml:3:10:")


async def test_a_config_map_without_the_key_is_told(world):
    await put(world, SOUP, key="menu.txt")
    async with following(world) as current:
        told_why = (await told(world, "PolicyRejected"))[1]
        assert told_why.endswith("configmap/menu:1:1: there is no key 'policy.yaml' in its data. Put the policy's text there")
        assert dish(current) == "bread"


async def test_other_config_maps_change_nothing(world):
    async with following(world) as current:
        await put(world, STEW, name="another")
        await put(world, SOUP)
        await becomes(current, dish_is="soup")


async def test_where_config_maps_may_not_be_read_the_shipped_policy_holds_and_work_begins(world):
    await put(world, SOUP)
    async with account(world, {"apiGroups": [""], "resources": ["events"], "verbs": ["*"]}) as (client, _):
        manager = Manager(client, SystemClock(), name="test", namespace=world.system)
        async with following(world, manager) as current:
            assert dish(current) == "bread"


async def test_a_file_is_followed(world, tmp_path):
    file = tmp_path / "menu.yaml"
    file.write_text(SOUP, encoding="utf-8")
    manager = world.manager()
    current = follow(manager, MEALS, SHIPPED_MENU, PolicySource(file=file, file_interval="PT0.1S"))
    assert dish(current) == "soup"
    async with running(manager):
        file.write_text(STEW, encoding="utf-8")
        await becomes(current, dish_is="stew")
        file.unlink()

        async def in_trouble():
            return current.trouble

        assert "the file cannot be read" in await eventually(in_trouble)
        assert dish(current) == "stew"


@pytest.mark.parametrize("content", [BROKEN.encode(), b"\xff\xfe", None], ids=["broken", "no UTF-8", "not there"])
async def test_nothing_starts_with_a_policy_file_that_cannot_be_used(tmp_path, content):
    file = tmp_path / "menu.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Unusable, match="the meal policy cannot be used"):
        follow(Manager(Client(""), SystemClock(), name="test"), MEALS, SHIPPED_MENU, PolicySource(file=file))

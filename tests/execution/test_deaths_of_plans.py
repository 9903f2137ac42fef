"""Killed at any of its API calls, a plan whose last step has no effect takes that step back once, and a person's undo the steps before it."""

import pytest

from kubernaut.api.core import DEPLOYMENT
from tests.drivers.scene import PLACE, at_scene
from tests.execution.mortal import ALIVE, MortalScene
from tests.execution.mortality import Death, content
from tests.execution.world import SHOP

pytestmark = pytest.mark.cluster
STUCK = "stuck"
"""A Deployment whose pods no node takes."""
PLAN = (
    {"action": "scale_deployment", "parameters": PLACE | {"replicas": 3}, "timeout": "20s"},
    {"action": "scale_deployment", "parameters": {"namespace": SHOP, "resource_name": STUCK, "replicas": 1}, "timeout": "300ms"},
)
"""The second step never has its effect."""
EFFECTS = 3
"""Writes of the plan: each step's, and the way back of the second."""


@pytest.fixture
async def shop():
    async with at_scene(MortalScene) as bench:
        template = {
            "metadata": {"labels": {"app": STUCK}},
            "spec": {"nodeSelector": {"no": "where"}, "containers": [{"name": "app", "image": "app:1"}]},
        }
        spec = {"replicas": 0, "selector": {"matchLabels": {"app": STUCK}}, "template": template}
        await bench.client.create(DEPLOYMENT, {"metadata": {"name": STUCK, "namespace": SHOP}, "spec": spec})
        yield bench


async def lives(shop, death=ALIVE, second=ALIVE):
    """Carry the plan out and have the whole taken back, a death in each; check what was done. Return the processes that died."""
    await shop.beginning()
    acting, status = await shop.acts(death, *PLAN)
    kept, failed = status["operationResults"]
    assert (status["phase"], kept["phase"], failed["phase"]) == ("Failed", "Completed", "Failed"), (death, status)
    facts = [(each["reason"], each["data"]["step"]) for each in status["journal"]["pending"] if each["reason"].startswith("Operation")]
    assert facts == [("OperationExecuted", 1), ("OperationExecuted", 2), ("OperationFailed", 2), ("OperationUndone", 2)], death
    log = shop.log(DEPLOYMENT)
    ((before, after),), (up, down) = log.changes("api"), log.changes(STUCK)
    assert content(up[0]) == content(down[1]) != content(up[1]) == content(down[0])
    undoing, undo = await shop.takes_back(second)
    assert undo["outcome"] == "Undone", (second, undo)
    log = shop.log(DEPLOYMENT)
    ((again, back),) = log.changes("api")
    assert (content(again), content(back)) == (content(after), content(before))
    assert log.changes(STUCK) == []
    await shop.rest()
    return acting, undoing


async def test_killed_at_its_writes_a_plan_takes_its_last_step_back_once_and_an_undo_the_one_before(shop):
    whole, undone = await lives(shop)
    effects, [back] = whole.effects(), undone.effects()
    assert len(effects) == EFFECTS
    taking_back = effects[-1]
    for death, second in ((Death(effects[0]), Death(back)), (Death(taking_back), ALIVE), (Death(taking_back, sent=False), ALIVE)):
        acting, _ = await lives(shop, death, second)
        assert acting.dead.is_set()


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("sent", [True, False], ids=["answer lost", "not sent"])
async def test_killed_at_any_of_its_calls_a_plan_takes_its_last_step_back_once_and_an_undo_the_one_before(shop, sent):
    undone = call = 0
    died = True
    while died:
        call += 1
        acting, undoing = await lives(shop, Death(call, sent), Death(1 + call % undone if undone else 0, sent))
        undone = undone or len(undoing.calls)
        died = acting.dead.is_set()
    assert call > EFFECTS

"""Conditions that users write for workflows of the catalogue: before a run begins, and after it has succeeded, whichever engine runs it."""

import pytest

from kubernaut.api.core import DEPLOYMENT, JOB, PIPELINE_RUN
from tests.conditions.texts import CHECKED, condition, put
from tests.workflow.bench import RUNS, SYSTEM
from tests.workflow.stage import NAME, TARGET, WFE
from tests.workflow.test_undoing import PLACE, SHOP, furnished

pytestmark = pytest.mark.cluster
WORKFLOW = "increase-memory-conservative"


async def demanded(world, **guard):
    await put(world, {"workflows": {WORKFLOW: guard}})
    await furnished(world)


async def check(world):
    """Make the condition be met."""
    await world.client.patch(DEPLOYMENT, SHOP, PLACE, {"metadata": {"labels": {"checked": "yes"}}})


async def says(world, what):
    return (await world.until(WFE, SYSTEM, NAME, lambda obj: what in (obj.get("status") or {}).get("message", "")))["status"]


def results(status, key):
    return [(each["conditionType"], each.get("evaluated", False), each.get("passed", False)) for each in status.get(key, [])]


@pytest.mark.parametrize("engine", ["tekton", "job"])
async def test_a_precondition_that_is_not_met_in_time_refuses_the_run(world, engine):
    pre = [condition(CHECKED, timeout="0s"), condition("parameters.NAMESPACE == 'production'", "named")]
    await demanded(world, pre=pre)
    async with world.at_work(world.stage()):
        await world.execute(executionConfig={"engine": engine})
        status = await world.phase("Failed")
    assert status["failureDetails"]["message"] == "preconditions: checked: Somebody must have checked it."
    assert not status["failureDetails"]["wasExecutionFailure"]
    assert results(status, "preConditionResults") == [("checked", True, False), ("named", True, True)]
    assert [each for kind in (PIPELINE_RUN, JOB) for each in (await world.client.list(kind, RUNS)).items] == []


async def test_a_precondition_is_waited_for_and_one_that_need_not_be_is_a_warning(world):
    optional = condition("workflow == 'another'", "thought about", required=False) | {"type": "another"}
    await demanded(world, pre=[condition(CHECKED, timeout="5m"), optional])
    async with world.at_work(world.stage(poll=0.2)):
        await world.execute()
        await says(world, "Waiting for preconditions: checked: Somebody must have checked it.")
        assert (await world.client.list(PIPELINE_RUN, RUNS)).items == []
        await check(world)
        await world.run_of()
        status = await world.phase("Running")
    assert results(status, "preConditionResults") == [("checked", True, True), ("another", True, False)]
    assert (status["warnings"], "checkingSince" in status) == (["another: Somebody must have thought about it."], False)


async def test_a_postcondition_is_waited_for_after_the_run_has_succeeded(world):
    await demanded(world, post=[condition(CHECKED, timeout="5m")])
    async with world.at_work(world.stage(poll=0.2)):
        await world.execute()
        await world.run_of()
        await world.tekton("True", "Succeeded")
        waiting = await says(world, "the run has succeeded; waiting for postconditions: checked: Somebody must have checked it.")
        assert (waiting["phase"], await world.holder()) == ("Running", NAME)
        await check(world)
        status = await world.phase("Completed")
    assert results(status, "postConditionResults") == [("checked", True, True)]


async def test_a_run_without_a_required_postcondition_has_failed_and_its_target_waits_for_a_person(world):
    await demanded(world, post=[condition(CHECKED, timeout="0s")])
    async with world.at_work(world.stage()):
        await world.execute()
        await world.run_of()
        await world.client.patch(DEPLOYMENT, SHOP, PLACE, {"spec": {"replicas": 3}})
        await world.tekton("True", "Succeeded")
        status = await world.phase("Failed")
    details = status["failureDetails"]
    assert (details["reason"], details["wasExecutionFailure"]) == ("PostconditionsNotMet", True)
    assert (
        f"on {TARGET} failed: PostconditionsNotMet: the run has succeeded, but what must be so after it is not: checked"
        in status["message"]
    )
    assert "ClearanceNeeded" in {each["type"] for each in status["conditions"] if each["status"] == "True"}
    assert status["reversal"]["patch"] == {"spec": {"replicas": 2}}

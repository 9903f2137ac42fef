"""Conditions that users write, at work: what they keep from being done, what they wait for, and what they make of what was done."""

from contextlib import asynccontextmanager

import pytest

from kubernaut.api import core
from kubernaut.api.workflow import WorkflowExecution
from tests.conditions.texts import CHECKED, NAME, condition, put
from tests.execution.world import KE, SHOP
from tests.workflow.bench import SYSTEM
from tests.world import eventually

pytestmark = pytest.mark.cluster
PLACE = {"namespace": SHOP, "resource_name": "api"}
MORE = PLACE | {"replicas": 3}
SCALE = {"action": "scale-deployment", "parameters": MORE, "timeout": "20s"}


def of_scaling(**guard):
    return {"actions": {"scale-deployment": guard}}


@asynccontextmanager
async def scene(world, text):
    """Give a deployment, and the stage at work under conditions."""
    await put(world, text)
    before = await world.deploy()
    async with world.at_work(world.stage()):
        yield before


async def label(world, name="api"):
    await world.client.patch(core.DEPLOYMENT, name, SHOP, {"metadata": {"labels": {"checked": "yes"}}})


async def waits(world):
    """Return the status once it says that something is waited for."""
    obj = await world.until(KE, SYSTEM, "rr-1-execution", lambda obj: "checked: Somebody" in (obj.get("status") or {}).get("message", ""))
    return obj["status"]


def results(status, name):
    return [(each["conditionType"], each["evaluated"], each["passed"]) for each in status["operationResults"][0][name]]


async def test_a_required_precondition_that_is_not_met_refuses_and_nothing_is_touched(world):
    pre = [condition("target.spec.replicas == 2", "counted"), condition("target.spec.nope == 1", timeout="0s")]
    async with scene(world, of_scaling(pre=pre)) as before:
        await world.execute(SCALE)
        status = await world.ended()
    assert (status["phase"], status["failureReason"]) == ("Failed", "validation_error")
    assert "preconditions: checked: Somebody must have checked it. (not known: there is no key 'nope'" in status["message"]
    assert results(status, "preConditionResults") == [("counted", True, True), ("checked", False, False)]
    assert [(each["name"], each["passed"]) for each in status["operationResults"][0]["checks"]][-2:] == [
        ("dry-run", True),
        ("preconditions", False),
    ]
    after = await world.deployment()
    assert (after["spec"], after["metadata"].get("annotations")) == (before["spec"], before["metadata"].get("annotations"))


async def test_an_optional_precondition_that_is_not_met_is_a_warning(world):
    async with scene(world, of_scaling(pre=[condition("planned.spec.replicas < 3", "thought about", required=False) | {"type": "few"}])):
        await world.execute(SCALE)
        status = await world.ended()
    assert status["phase"] == "Completed", status
    assert status["operationResults"][0]["warnings"] == ["few: Somebody must have thought about it."]
    assert results(status, "preConditionResults") == [("few", True, False)]


async def test_a_precondition_is_waited_for(world):
    async with scene(world, of_scaling(pre=[condition(CHECKED, timeout="5m")])):
        await world.execute(SCALE)
        status = await waits(world)
        assert status["operationResults"][0]["phase"] == "Validating"
        assert (await world.deployment())["spec"]["replicas"] == 2
        await label(world)
        assert (await world.ended())["phase"] == "Completed"
        assert (await world.deployment())["spec"]["replicas"] == 3


async def test_what_runs_beside_is_seen_to_its_end_meanwhile(world):
    restart = {"action": "rollout_restart", "parameters": PLACE | {"resource_name": "web"}, "timeout": "20s"}
    async with scene(world, {"actions": {"rollout_restart": {"pre": [condition(CHECKED, timeout="5m")]}}}):
        await world.deploy("web")
        await world.execute(SCALE, restart, concurrencyLimit=2)

        def beside(obj):
            return [each["phase"] for each in (obj.get("status") or {}).get("operationResults", ())] == ["Completed", "Validating"]

        await world.until(KE, SYSTEM, "rr-1-execution", beside)
        await label(world, "web")
        assert (await world.ended())["phase"] == "Completed"


async def test_a_dry_run_waits_for_nothing_and_says_what_would_refuse_it(world):
    async with scene(world, of_scaling(pre=[condition(CHECKED, timeout="5m")])):
        await world.execute(SCALE, dryRun=True)
        status = await world.ended()
    assert status["message"].endswith("preconditions: checked: Somebody must have checked it.")


async def test_a_postcondition_is_waited_for_after_the_actions_own(world):
    post = [condition(CHECKED), condition("before.spec.replicas == 2 && parameters.replicas == 3", "compared")]
    async with scene(world, of_scaling(post=post)):
        await world.execute(SCALE)
        status = await waits(world)
        assert status["operationResults"][0]["phase"] == "Executing"
        assert results(status, "postConditionResults") == [("checked", True, False), ("compared", True, True)]
        await label(world)
        status = await world.ended()
    assert status["phase"] == "Completed"
    assert results(status, "postConditionResults") == [("checked", True, True), ("compared", True, True)]
    assert all(each["evaluationTime"] for each in status["operationResults"][0]["postConditionResults"])


async def test_a_required_postcondition_that_is_never_met_fails_and_the_way_back_is_kept(world):
    async with scene(world, of_scaling(post=[condition(CHECKED, timeout="500ms")])) as before:
        await world.execute(SCALE | {"parameters": MORE | {"rollback_on_failure": False}})
        status = await world.ended()
        assert (status["phase"], status["operationResults"][0]["phase"]) == ("Failed", "RollbackReady")
        assert "without effect in time: checked: Somebody must have checked it." in status["message"]
        assert status["operationResults"][0]["checks"][-1]["name"] == "postconditions"
        assert (await world.deployment())["spec"]["replicas"] == 3
        assert (await world.undone())["outcome"] == "Undone"
        assert (await world.deployment())["spec"] == before["spec"]


async def test_an_optional_postcondition_that_is_never_met_is_a_warning(world):
    async with scene(world, of_scaling(post=[condition(CHECKED, timeout="500ms", required=False)])):
        await world.execute(SCALE)
        status = await world.ended()
    assert (status["phase"], status["operationResults"][0]["phase"]) == ("Completed", "Completed")
    assert status["operationResults"][0]["warnings"] == ["checked: Somebody must have checked it."]


async def test_pods_and_the_namespace_may_be_asked(world):
    calm = "size(pods) == 3 && pods.all(pod, pod.status.containerStatuses.all(each, each.restartCount < 3))"
    post = [condition(calm, "calmed"), condition("namespaceObject.metadata.name == target.metadata.namespace", "named")]
    async with scene(world, of_scaling(post=post)):
        await world.execute(SCALE)
        status = await world.ended()
    assert results(status, "postConditionResults") == [("calmed", True, True), ("named", True, True)], status


async def test_conditions_of_a_plan_hold_for_its_operations_only(world):
    text = {"workflows": {"grow": {"pre": [condition("workflow == 'shrink'", timeout="0s")]}}}
    plan = {"name": "grow", "steps": [SCALE | {"stepNumber": 1}]}
    spec = {"remediationRequestRef": {"name": "rr-1"}, "targetResource": "shop/deployment/api", "workflowDefinition": plan}
    async with scene(world, text):
        await world.client.create(WorkflowExecution.card, {"metadata": {"name": "plan", "namespace": SYSTEM}, "spec": spec})
        steps = {"remediationRequestRef": {"name": "rr-1"}, "workflowExecutionRef": {"name": "plan"}, "operations": plan["steps"]}
        await world.client.create(KE, {"metadata": {"name": "planned", "namespace": SYSTEM}, "spec": steps})
        assert (await world.ended("planned"))["failureReason"] == "validation_error"
        await world.execute(SCALE)
        status = await world.ended()
    assert status["phase"] == "Completed"
    assert "preConditionResults" not in status["operationResults"][0]


async def test_conditions_hold_as_soon_as_they_are_stored_and_a_broken_text_leaves_the_last_good_one(world):
    async with scene(world, of_scaling(pre=[condition(CHECKED, timeout="0s")])):
        await put(world, "actions: {scale_deployment: {pre: [{type: broken, description: x, when: tarjet}]}}")

        async def rejected():
            events = (await world.client.list(core.EVENT, SYSTEM)).items
            return any(each["reason"] == "PolicyRejected" and "undeclared reference to 'tarjet'" in each["message"] for each in events)

        await eventually(rejected)
        await world.execute(SCALE)
        status = await world.ended()
        assert status["message"].endswith("checked: Somebody must have checked it.")
        [warning] = status["operationResults"][0]["warnings"]
        assert f"the last good one from configmap/{NAME}/conditions.yaml holds" in warning
        await put(world, of_scaling(pre=[condition(CHECKED, timeout="10m")]))
        await world.execute(SCALE, name="rr-2-execution")
        await world.until(KE, SYSTEM, "rr-2-execution", lambda obj: "waits for" in (obj.get("status") or {}).get("message", ""))
        await world.client.delete(core.CONFIG_MAP, NAME, SYSTEM)
        assert (await world.ended("rr-2-execution"))["phase"] == "Completed"

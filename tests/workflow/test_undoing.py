"""A run from the catalogue taken back: its target is put back to the byte, under a name, and not over the head of somebody else."""

from typing import Any

import pytest

from kubernaut.api.brake import EVERYWHERE
from kubernaut.api.catalog import RemediationWorkflow
from kubernaut.api.core import DEPLOYMENT
from kubernaut.api.keyed import unkeyed
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.cli import pausing
from kubernaut.cli.approving import whoami
from kubernaut.execution.reconciler import setup as execution
from kubernaut.execution.settings import ExecutionSettings
from kubernaut.kube.client import JSON_PATCH
from kubernaut.kube.errors import ApiError
from kubernaut.undo import name_of_work
from kubernaut.workflow.reconciler import setup as workflow
from kubernaut.workflow.settings import WorkflowSettings
from tests.workflow.bench import RUNS, SYSTEM
from tests.workflow.executions import IMAGE
from tests.workflow.stage import KE, NAME, TARGET, WFE
from tests.world import eventually

pytestmark = pytest.mark.cluster
PLACE, SHOP = "production", "payment-service"


def deployment(**env):
    container: dict[str, Any] = {"name": "app", "image": "app:1", "resources": {"limits": {"memory": "128Mi"}}}
    container["env"] = [{"name": name, "value": value} for name, value in env.items()]
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"schedulerName": "nobody", "containers": [container]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "a"}}, "template": template}
    return {"metadata": {"name": SHOP, "namespace": PLACE}, "spec": spec}


def stages(**settings):
    def setup(manager):
        workflow(manager, WorkflowSettings())
        execution(manager, ExecutionSettings(poll=0.2, **settings))

    return setup


async def live(world):
    return await world.client.get(DEPLOYMENT, SHOP, PLACE)


async def change(world, memory="256Mi"):
    """Change a limit, and nothing beside it."""
    path = "/spec/template/spec/containers/0/resources/limits/memory"
    body = [{"op": "replace", "path": path, "value": memory}]
    await world.client.patch(DEPLOYMENT, SHOP, PLACE, body, content_type=JSON_PATCH)


async def furnished(world, **env):
    await world.client.create(DEPLOYMENT, deployment(**env))


async def ran(world, *, effect=True):
    """Play a run that changes its target, to its end."""
    await world.execute()
    await world.run_of()
    if effect:
        await change(world)
    await world.tekton("True", "Succeeded")
    return await world.phase("Completed")


async def undone(world, **more):
    undo = {"requestedBy": await whoami(world.client), "requestedAt": "2026-01-01T00:00:00Z", **more}
    await world.client.patch(WFE, NAME, SYSTEM, {"spec": {"undo": undo}})
    found = await world.until(WFE, SYSTEM, NAME, lambda obj: (obj["status"].get("undo") or {}).get("completionTime"))
    return found["status"]


async def test_what_a_run_changed_of_its_target_is_put_back(world):
    await furnished(world)
    before = await live(world)
    async with world.at_work(stages()):
        ended = await ran(world)
        containers = {"[app]": {"resources": {"limits": {"memory": "128Mi"}}}}
        assert ended["changed"]["before"]["spec"] == {"template": {"spec": {"containers": containers}}}
        assert "targetBefore" not in ended
        status = await undone(world)
    assert (status["undo"]["outcome"], status["phase"]) == ("Undone", "Completed")
    assert {each["type"]: each["status"] for each in status["conditions"]}["RolledBack"] == "True"
    assert (await live(world))["spec"] == before["spec"]
    [work] = (await world.client.list(KE, SYSTEM)).items
    assert work["metadata"]["ownerReferences"][0]["name"] == NAME
    assert "as system:serviceaccount:kubernaut-system:restore-object-sa" in str(work["status"]["operationResults"][0]["checks"])
    assert [each["reason"] for each in status["journal"]["pending"] if "nd" in each["reason"]] == ["UndoRequested", "Undone"]


async def test_the_target_is_on_record_before_the_run_begins(world):
    await furnished(world)
    async with world.at_work(stages()):
        await world.execute()
        run = await world.run_of()
        kept = (await world.until(WFE, SYSTEM, NAME, lambda obj: "targetBefore" in (obj.get("status") or {})))["status"]["targetBefore"]
    assert unkeyed(kept["content"]["spec"]) == (await live(world))["spec"]
    assert run["metadata"]["namespace"] == RUNS


async def test_what_somebody_else_changed_since_is_left_and_told(world):
    await furnished(world)
    async with world.at_work(stages()):
        await ran(world)
        await change(world, "512Mi")
        status = await undone(world)
    assert status["undo"]["outcome"] == "Conflict"
    assert "somebody else changed the same fields" in status["undo"]["message"]
    assert "spec.template.spec.containers" in status["undo"]["message"]
    assert (await live(world))["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] == {"memory": "512Mi"}


async def test_what_others_changed_beside_it_stays(world):
    await furnished(world)
    async with world.at_work(stages()):
        await ran(world)
        await world.client.patch(DEPLOYMENT, SHOP, PLACE, {"spec": {"replicas": 7}})
        status = await undone(world)
    assert status["undo"]["outcome"] == "Undone"
    spec = (await live(world))["spec"]
    assert (spec["replicas"], spec["template"]["spec"]["containers"][0]["resources"]["limits"]) == (7, {"memory": "128Mi"})


async def test_a_run_that_changed_nothing_leaves_nothing_to_take_back(world):
    await furnished(world)
    async with world.at_work(stages()):
        await ran(world, effect=False)
        assert (await undone(world))["undo"]["outcome"] == "Nothing"


async def test_of_a_target_with_a_secret_in_clear_all_else_is_kept_and_put_back(world):
    await furnished(world, DB_PASSWORD="hunter2")
    before = await live(world)
    async with world.at_work(stages()):
        await ran(world)
        status = await undone(world)
    assert status["undo"]["outcome"] == "Undone"
    assert (await live(world))["spec"] == before["spec"]
    works = (await world.client.list(KE, SYSTEM)).items
    assert "hunter2" not in str([status, works])


async def test_an_undo_by_itself_is_left_to_a_person_where_the_settings_say_so(world):
    await furnished(world)
    async with world.at_work(stages(automatic_undo="never")):
        await ran(world)
        undo = (await undone(world, automatic=True))["undo"]
    assert (undo["outcome"], "leave an undo to a person" in undo["message"]) == ("Refused", True)
    assert (await live(world))["metadata"]["generation"] == 2


ID, BACK = "increase-memory-conservative", "lower-memory"


async def offered(world, workflow_id, image=IMAGE, **more):
    """Put a workflow on offer."""
    spec = {
        "workflowId": workflow_id,
        "version": "1.0.0",
        "description": "d",
        "actionType": "IncreaseMemoryLimits",
        "execution": {"engine": "tekton", "bundle": image},
        "parameters": [
            {"name": name, "description": "d"} for name in ("NAMESPACE", "DEPLOYMENT_NAME") if workflow_id == ID or name == "NAMESPACE"
        ],
        **more,
    }
    await world.client.create(RemediationWorkflow.card, {"metadata": {"name": workflow_id, "namespace": SYSTEM}, "spec": spec})
    body = {"status": {"catalogStatus": "Active"}}
    await world.client.patch(RemediationWorkflow.card, workflow_id, SYSTEM, body, subresource="status")


async def test_a_workflow_that_the_catalogue_names_for_it_is_run_where_a_person_asks(world):
    await furnished(world)
    await offered(world, ID, rollbackWorkflow=BACK)
    await offered(world, BACK, image=IMAGE.replace("increase", "lower"))
    async with world.at_work(stages()):
        await ran(world)
        undo = {"requestedBy": await whoami(world.client), "requestedAt": "2026-01-01T00:00:00Z"}
        await world.client.patch(WFE, NAME, SYSTEM, {"spec": {"undo": undo}})

        async def begun():
            return next((each for each in (await world.client.list(WFE, SYSTEM)).items if each["metadata"]["name"] != NAME), None)

        work = await eventually(begun)
        name = work["metadata"]["name"]
        assert (work["spec"]["workflowRef"]["workflowId"], work["spec"]["parameters"]) == (BACK, {"NAMESPACE": "production"})
        await world.run_of(name)
        await world.tekton("True", "Succeeded", name=name)
        said = await world.until(WFE, SYSTEM, NAME, lambda obj: (obj["status"].get("undo") or {}).get("completionTime"))
    undo = said["status"]["undo"]
    assert (undo["outcome"], undo["message"]) == ("Undone", f"the workflow {BACK} was run, which takes it back")


async def paused(world):
    await pausing.pause(world.client, SYSTEM, EVERYWHERE, "a release is on its way", world.clock.now(), cancel=False)


async def test_a_persons_undo_is_not_held_by_a_pause(world):
    await furnished(world)
    before = await live(world)
    async with world.at_work(stages()):
        await ran(world)
        await paused(world)
        assert (await undone(world))["undo"]["outcome"] == "Undone"
    assert (await live(world))["spec"] == before["spec"]


async def test_an_undo_that_nobody_asked_for_waits_until_work_is_resumed(world):
    await furnished(world)
    async with world.at_work(stages()):
        await ran(world)
        await paused(world)
        undo = {"requestedBy": await whoami(world.client), "requestedAt": "2026-01-01T00:00:00Z", "automatic": True}
        await world.client.patch(WFE, NAME, SYSTEM, {"spec": {"undo": undo}})
        found = await eventually(lambda: halted(world))
        assert "paused everywhere" in found["status"]["message"]
        await pausing.resume(world.client, SYSTEM, EVERYWHERE, "it is out")
        assert (await undone(world, automatic=True))["undo"]["outcome"] == "Undone"


async def halted(world):
    """Return the work of an undo once it says that it waits."""
    [work] = (await world.client.list(KE, SYSTEM)).items or [{}]
    return work if "paused" in (work.get("status") or {}).get("message", "") else None


async def test_no_pause_holds_the_workflow_that_a_persons_undo_runs(world):
    await furnished(world)
    await offered(world, ID, rollbackWorkflow=BACK)
    await offered(world, BACK, image=IMAGE.replace("increase", "lower"))
    async with world.at_work(stages()):
        await ran(world)
        await paused(world)
        undo = {"requestedBy": await whoami(world.client), "requestedAt": "2026-01-01T00:00:00Z"}
        asked = await world.client.patch(WFE, NAME, SYSTEM, {"spec": {"undo": undo}})
        asked = WorkflowExecution.model_validate(asked)
        assert asked.spec.undo
        await world.run_of(name_of_work(asked, asked.spec.undo))
        await world.execute("another", targetResource="production/deployment/other")
        assert "paused" in (await world.phase("Pending", "another"))["message"]


async def test_by_itself_only_the_target_is_put_back(world):
    await furnished(world)
    await offered(world, ID, rollbackWorkflow=BACK)
    async with world.at_work(stages()):
        await ran(world)
        assert (await undone(world, automatic=True))["undo"]["outcome"] == "Undone"
    assert len((await world.client.list(WFE, SYSTEM)).items) == 1
    assert (await live(world))["metadata"]["generation"] == 3


async def test_a_workflow_that_is_not_on_offer_takes_nothing_back(world):
    await furnished(world)
    await offered(world, ID, rollbackWorkflow=BACK)
    async with world.at_work(stages()):
        await ran(world)
        undo = (await undone(world))["undo"]
    assert (undo["outcome"], "is not on offer" in undo["message"]) == ("Failed", True)


async def test_nothing_else_of_a_spec_may_change(world):
    await furnished(world)
    await world.execute()
    for patch in ({"targetResource": f"{TARGET}-2"}, {"parameters": {"A": "b"}}):
        with pytest.raises(ApiError, match="spec cannot be changed, but for undo"):
            await world.client.patch(WFE, NAME, SYSTEM, {"spec": patch})

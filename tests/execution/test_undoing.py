"""Taking an ended execution back: exactly, by request, on record, and not over the head of somebody who changed the same since."""

import pytest
from pydantic import ValidationError

from kubernaut.api.core import CONFIG_MAP, DEPLOYMENT
from kubernaut.execution.actions.objects import PatchParameters
from kubernaut.kube.client import ApiError
from tests.execution.world import KE, SHOP
from tests.workflow.bench import SYSTEM

pytestmark = pytest.mark.cluster
PLACE = {"namespace": SHOP, "resource_name": "api"}
SCALE = {"action": "scale_deployment", "parameters": PLACE | {"replicas": 3}, "timeout": "20s"}
MORE = {"action": "increase_resources", "parameters": PLACE | {"memory": "256Mi", "container_name": "app"}, "timeout": "20s"}
NOTE = {"action": "notify_only", "parameters": {"message": "hello"}}


def content(deployment):
    annotations = {name: text for name, text in deployment["metadata"]["annotations"].items() if "deployment.kubernetes.io" not in name}
    return deployment["spec"], deployment["metadata"].get("labels"), annotations


async def done(world, *operations, **config):
    """Carry operations out to their end."""
    await world.execute(*operations, **config)
    status = await world.ended()
    assert status["phase"] == "Completed", status
    return status


async def test_steps_on_one_object_are_taken_back_in_reverse_to_the_byte(world):
    before = await world.deploy()
    async with world.at_work(world.stage()):
        await done(world, SCALE, MORE, NOTE)
        said = await world.undone(reason="it did not help")
    assert said["outcome"] == "Undone", said
    assert [(each["stepNumber"], each["outcome"]) for each in said["results"]] == [(3, "Nothing"), (2, "Undone"), (1, "Undone")]
    assert content(await world.deployment()) == content(before)
    obj = await world.client.get(KE, "rr-1-execution", SYSTEM)
    conditions = {each["type"]: each["status"] for each in obj["status"]["conditions"]}
    assert conditions["RolledBack"] == "True"
    facts = {each["reason"]: each for each in obj["status"]["journal"]["pending"]}
    assert facts["Undone"]["data"]["requestedBy"] == said["requestedBy"]
    assert "it did not help" in facts["UndoRequested"]["message"]


async def test_the_audit_trail_has_the_way_back_and_none_of_the_secrets_beside_it(world):
    await world.deploy()
    async with world.at_work(world.stage()):
        status = await done(world, MORE)
    (fact,) = [each for each in status["journal"]["pending"] if each["reason"] == "OperationExecuted"]
    assert fact["data"]["undo"] == "exact"
    limits = {"[app]": {"resources": {"limits": {"memory": "128Mi"}}}}
    assert fact["data"]["undoPatch"]["spec"] == {"template": {"spec": {"containers": limits}}}
    assert len(fact["data"]["undoPatchSha256"]) == 64


@pytest.mark.parametrize(
    "patch",
    [
        pytest.param([{"op": "add", "path": "/metadata/annotations/apiToken", "value": "hunter2"}], id="a JSON patch"),
        pytest.param({"spec": {"template": {"spec": {"containers": [{"name": "app", "args": ["--token=hunter2"]}]}}}}, id="a merge patch"),
    ],
)
def test_a_plan_with_a_secret_in_clear_is_refused(patch):
    kind = "json" if isinstance(patch, list) else "strategic"
    with pytest.raises(ValidationError, match="a plan can be read by many") as refused:
        PatchParameters(namespace=SHOP, resource_name="api", patch=patch, patch_type=kind)
    assert "hunter2" not in str(refused.value.errors(include_input=False))


async def test_a_change_of_a_secret_in_clear_is_not_kept_and_says_beforehand_that_it_cannot_be_taken_back(world):
    await world.deploy()
    gone = [{"op": "remove", "path": "/spec/template/spec/containers/0/env/1"}]
    async with world.at_work(world.stage()):
        parameters = PLACE | {"patch": gone, "patch_type": "json"}
        status = await done(world, {"action": "patch_deployment", "parameters": parameters, "timeout": "20s"})
        undo = await world.undone()
    (result,) = status["operationResults"]
    assert (result["undo"]["kind"], result["warnings"][-1]) == ("none", result["undo"]["note"])
    assert (undo["outcome"], undo["results"][0]["message"]) == ("NotUndoable", result["undo"]["note"])
    assert "spec.template.spec.containers.[app].env.[DB_PASSWORD]" in result["undo"]["note"]


async def test_what_others_changed_beside_it_stays(world):
    before = await world.deploy()
    async with world.at_work(world.stage()):
        await done(world, MORE)
        await world.client.patch(DEPLOYMENT, "api", SHOP, {"metadata": {"labels": {"team": "a"}}, "spec": {"replicas": 4}})
        assert (await world.undone())["outcome"] == "Undone"
    after = await world.deployment()
    assert after["spec"] == before["spec"] | {"replicas": 4}
    assert after["metadata"]["labels"] == {"team": "a"}


async def test_a_conflict_is_shown_three_ways_nothing_is_touched_and_one_may_ask_again(world):
    before = await world.deploy()
    async with world.at_work(world.stage()):
        await done(world, SCALE, MORE)
        await world.client.patch(DEPLOYMENT, "api", SHOP, {"spec": {"replicas": 7}})
        standing = await world.deployment()
        said = await world.undone()
        assert (said["outcome"], said["message"].split(":")[0]) == ("Conflict", "nothing was taken back")
        (clash,) = [each for each in said["results"] if each["outcome"] == "Conflict"]
        assert clash["conflicts"] == [{"path": "spec.replicas", "before": "2", "ours": "3", "now": "7"}]
        assert (await world.deployment())["spec"] == standing["spec"]
        await world.client.patch(DEPLOYMENT, "api", SHOP, {"spec": {"replicas": 3}})
        assert (await world.undone())["outcome"] == "Undone"
    assert content(await world.deployment()) == content(before)


async def test_an_object_that_was_replaced_is_left_alone(world):
    await world.deploy()
    async with world.at_work(world.stage()):
        await done(world, SCALE)
        await world.client.delete(DEPLOYMENT, "api", SHOP)
        assert "gone" in (await world.undone())["message"]
        await world.deploy()
        said = await world.undone()
    assert (said["outcome"], (await world.deployment())["spec"]["replicas"]) == ("Conflict", 2)
    assert "replaced by another of its name" in said["message"]


async def test_what_was_made_is_deleted_unless_somebody_else_changed_it(world):
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made"}, "data": {"a": "b"}}
    make = {"action": "apply_manifest", "parameters": {"manifest": manifest, "namespace": SHOP}}
    async with world.at_work(world.stage()):
        await done(world, make)
        await world.client.patch(CONFIG_MAP, "made", SHOP, {"data": {"a": "c"}})
        assert (await world.undone())["outcome"] == "Conflict"
        await world.client.patch(CONFIG_MAP, "made", SHOP, {"data": {"a": "b"}})
        assert (await world.undone())["outcome"] == "Undone"
        await world.gone(CONFIG_MAP, SHOP, "made")


@pytest.mark.parametrize(
    ("allowed", "wanted", "outcome"),
    [
        pytest.param("exact", SCALE, "Undone", id="exact where exact is allowed"),
        pytest.param("exact", {**SCALE, "action": "rollout_restart", "parameters": PLACE}, "Refused", id="a restart is left to a person"),
        pytest.param("always", {**SCALE, "action": "rollout_restart", "parameters": PLACE}, "NotUndoable", id="or told to be none"),
        pytest.param("never", SCALE, "Refused", id="never"),
    ],
)
async def test_an_automatic_undo_is_as_the_settings_allow(world, allowed, wanted, outcome):
    await world.deploy()
    async with world.at_work(world.stage(automatic_undo=allowed)):
        await done(world, wanted)
        assert (await world.undone(automatic=True))["outcome"] == outcome


async def test_replicas_that_do_not_get_ready_in_time_go_back_by_themselves(world):
    await world.deploy()
    lost = {"spec": {"template": {"spec": {"nodeSelector": {"no": "such-node"}}}}}
    before = await world.client.patch(DEPLOYMENT, "api", SHOP, lost)
    async with world.at_work(world.stage()):
        await world.execute({**SCALE, "timeout": "1s"})
        status = await world.ended()
    assert (status["phase"], status["operationResults"][0]["phase"]) == ("Failed", "Failed")
    assert status["operationResults"][0]["errorMessage"].endswith("put back as it was before")
    assert {each["type"]: each["status"] for each in status["conditions"]}["RolledBack"] == "True"
    assert (await world.deployment())["spec"] == before["spec"]


async def test_a_dry_run_has_nothing_to_be_taken_back(world):
    await world.deploy()
    async with world.at_work(world.stage()):
        await done(world, SCALE, dryRun=True)
        assert (await world.undone())["outcome"] == "Refused"


async def test_an_undo_asked_for_too_early_waits_for_the_end(world):
    before = await world.deploy()
    await world.execute(SCALE)
    await world.ask_undo()
    async with world.at_work(world.stage()):
        ended = await world.until(KE, SYSTEM, "rr-1-execution", lambda obj: "completionTime" in obj.get("status", {}).get("undo", {}))
    assert ended["status"]["undo"]["outcome"] == "Undone"
    assert content(await world.deployment()) == content(before)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        pytest.param({"operations": [{"stepNumber": 1, **NOTE}]}, "spec cannot be changed", id="the plan"),
        pytest.param({"executionConfig": {"dryRun": True}}, "spec cannot be changed", id="how it is carried out"),
        pytest.param({"undo": None}, "an undo that was asked for stays on record", id="the request is withdrawn"),
    ],
)
async def test_only_an_undo_may_be_added_to_the_plan(world, spec, why):
    await world.execute(SCALE)
    await world.ask_undo()
    with pytest.raises(ApiError, match=why):
        await world.client.patch(KE, "rr-1-execution", SYSTEM, {"spec": spec})


@pytest.mark.parametrize("writes", range(1, 6))
async def test_a_process_killed_after_any_write_of_an_undo_takes_back_once(world, writes):
    before = await world.deploy()
    async with world.at_work(world.stage()):
        await done(world, SCALE, {**SCALE, "parameters": PLACE | {"replicas": 4}})
    await world.ask_undo()
    client = world.killing(writes)

    def answered(obj):
        return "completionTime" in obj["status"].get("undo", {})

    async with world.at_work(world.stage(), client):
        await world.either(client.dead, KE, "rr-1-execution", answered)
    async with world.at_work(world.stage()):
        obj = await world.until(KE, SYSTEM, "rr-1-execution", answered)
    assert obj["status"]["undo"]["outcome"] == "Undone", obj["status"]["undo"]
    after = await world.deployment()
    assert content(after) == content(before)
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 4

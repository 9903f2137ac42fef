"""Every action over the embedded cluster: checked, tried dry, carried out, recorded, and taken back by what was recorded."""

from typing import Any

import pytest

from kubernaut.api.core import DEPLOYMENT, NAMESPACE, POD, REPLICA_SET, ROLE, ROLE_BINDING
from kubernaut.api.execution import KubernetesExecution
from tests.execution.world import SHOP, World
from tests.workflow.bench import bench_of

pytestmark = pytest.mark.cluster
PLACE = {"namespace": SHOP, "resource_name": "api"}
ALL_CHECKS = ["parameters", "access", "target", "policy", "dry-run", "preconditions", "postconditions"]


def operation(action, **parameters: Any):
    return {"action": action, "parameters": PLACE | parameters, "timeout": "20s"}


def memory(deployment):
    return deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]


EXACT = [
    pytest.param(operation("scale_deployment", replicas=3), "replicas: 3", id="scale_deployment"),
    pytest.param(operation("increase_resources", memory="256Mi", container_name="app"), "memory: 256Mi", id="increase_resources"),
    pytest.param(
        operation("patch_deployment", patch={"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "app:2"}]}}}}),
        "image: app:2",
        id="patch_deployment strategic",
    ),
    pytest.param(
        operation(
            "patch_deployment",
            patch=[{"op": "replace", "path": "/spec/template/spec/containers/1/image", "value": "side:2"}],
            patch_type="json",
        ),
        "image: side:2",
        id="patch_deployment json",
    ),
    pytest.param(
        operation("patch_deployment", patch={"metadata": {"labels": {"tier": "web"}}}, patch_type="merge"),
        "tier: web",
        id="patch_deployment merge",
    ),
]


@pytest.mark.parametrize(("wanted", "shown"), EXACT)
async def test_an_exact_action_and_its_undo(world, wanted, shown):
    before = await world.deploy()
    async with world.at_work(world.stage()):
        await world.execute(wanted)
        status = await world.ended()
    assert status["phase"] == "Completed", status
    (result,) = status["operationResults"]
    assert [check["name"] for check in result["checks"]] == ALL_CHECKS
    assert all(check["passed"] for check in result["checks"])
    assert any(line.startswith("+") and shown in line for line in result["diff"].splitlines())
    after = await world.rolled_out()
    assert after["spec"] != before["spec"] or after["metadata"]["labels"] == {"tier": "web"}
    assert result["undo"]["kind"] == "exact"
    await world.put_back(result["undo"])
    undone = await world.rolled_out()
    assert undone["spec"] == before["spec"]
    assert undone["metadata"].get("labels") == before["metadata"].get("labels")
    assert "kubernaut.ai/operation" not in undone["metadata"]["annotations"]


async def test_what_was_changed_is_recorded_before_and_after(world):
    await world.deploy()
    async with world.at_work(world.stage()):
        made = await world.execute(operation("scale_deployment", replicas=3))
        (result,) = (await world.ended())["operationResults"]
    (changed,) = result["resourcesAffected"]
    assert (changed["kind"], changed["namespace"], changed["name"]) == ("Deployment", SHOP, "api")
    assert (changed["before"]["spec"], changed["after"]["spec"]) == ({"replicas": 2}, {"replicas": 3})
    assert changed["after"]["metadata"]["annotations"]["kubernaut.ai/operation"] == f"{made['metadata']['uid']}/1"
    assert (await world.rolled_out())["spec"]["replicas"] == 3


async def test_a_dry_run_changes_nothing(world):
    before = await world.deploy()
    async with world.at_work(world.stage()):
        await world.execute(
            operation("increase_resources", memory="256Mi", container_name="app"), operation("rollout_restart"), dryRun=True
        )
        status = await world.ended()
    assert (status["phase"], status["message"]) == ("Completed", "2 of 2 operations validated, nothing was changed (dry run)")
    assert [result["phase"] for result in status["operationResults"]] == ["Validated", "Validated"]
    assert "memory: 256Mi" in status["operationResults"][0]["diff"]
    assert (await world.deployment())["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


async def test_a_restart_replaces_every_pod_once(world):
    await world.deploy()
    before = await world.pods()
    async with world.at_work(world.stage()):
        await world.execute(operation("restart_pod", resource_type="deployment"))
        assert (await world.ended())["phase"] == "Completed"
    assert not set(before.values()) & set((await world.pods()).values())
    assert len((await world.client.list(REPLICA_SET, SHOP)).items) == 2


async def test_a_pod_is_deleted_and_replaced(world):
    await world.deploy()
    before = await world.pods()
    victim = min(before)
    async with world.at_work(world.stage()):
        await world.execute(
            {
                "action": "delete_pod",
                "parameters": {"namespace": SHOP, "resource_name": victim, "grace_period_seconds": 1},
                "timeout": "20s",
            }
        )
        status = await world.ended()
    assert status["phase"] == "Completed", status
    await world.rolled_out()
    assert before[victim] not in (await world.pods()).values()
    assert "undo" not in status["operationResults"][0] or status["operationResults"][0]["undo"]["kind"] == "none"


async def test_a_roll_back_puts_the_earlier_template_back(world):
    first = await world.deploy()
    await world.client.patch(DEPLOYMENT, "api", SHOP, {"spec": {"template": {"metadata": {"annotations": {"broken": "yes"}}}}})
    second = await world.rolled_out()
    async with world.at_work(world.stage()):
        await world.execute(operation("rollback_deployment"))
        (result,) = (await world.ended())["operationResults"]
    assert (await world.rolled_out())["spec"]["template"] == first["spec"]["template"]
    await world.put_back(result["undo"])
    assert (await world.rolled_out())["spec"]["template"] == second["spec"]["template"]


async def test_a_message_changes_nothing(world):
    async with world.at_work(world.stage()):
        await world.execute({"action": "notify_only", "parameters": {"message": "look at the database"}})
        status = await world.ended()
    assert status["phase"] == "Completed"
    assert any("look at the database" in entry["message"] for entry in status["journal"]["pending"])


@pytest.mark.parametrize(
    ("wanted", "check", "why"),
    [
        pytest.param(operation("scale_deployment", replicas=500), "parameters", "less than or equal to 100", id="bad parameters"),
        pytest.param(operation("scale_deployment", resource_name="nobody", replicas=1), "target", "does not exist", id="no such object"),
        pytest.param(
            operation("scale_deployment", namespace="kube-system", replicas=1), "target", "is protected", id="a protected namespace"
        ),
        pytest.param(
            operation("patch_deployment", patch={"spec": {"replicas": -1}}),
            "dry-run",
            "must be greater than or equal to 0",
            id="the server refuses",
        ),
        pytest.param(
            operation("increase_resources", memory="64Mi", container_name="app"), "preconditions", "only raises", id="less than there is"
        ),
        pytest.param(operation("increase_resources", memory="1Gi"), "preconditions", "which of app, side", id="which container"),
        pytest.param(operation("rollback_deployment"), "preconditions", "no earlier revision", id="nothing to go back to"),
        pytest.param(operation("rollback_deployment", revision=7), "preconditions", "no revision 7; known: 1", id="an unknown revision"),
        pytest.param(
            operation("patch_deployment", patch={"status": {"replicas": 9}}), "preconditions", "changes nothing", id="a patch of the status"
        ),
    ],
)
async def test_what_fails_a_check_is_not_done(world, wanted, check, why):
    before = await world.deploy()
    async with world.at_work(world.stage()):
        await world.execute(wanted)
        status = await world.ended()
    assert (status["phase"], status["failureReason"]) == ("Failed", "dry_run_failed" if check == "dry-run" else "validation_error")
    failed = status["operationResults"][0]["checks"][-1]
    assert (failed["name"], failed["passed"]) == (check, False)
    assert why in failed["message"]
    after = await world.deployment()
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


async def test_what_a_repository_manages_is_not_patched_but_may_restart(world):
    await world.deploy(labels={"argocd.argoproj.io/instance": "shop"})
    async with world.at_work(world.stage()):
        await world.execute(operation("scale_deployment", replicas=3))
        assert "change it there" in (await world.ended())["message"]
        await world.execute(operation("rollout_restart"), name="restart")
        assert (await world.ended("restart"))["phase"] == "Completed"


async def test_settings_say_what_is_allowed(world):
    await world.deploy()
    async with world.at_work(world.stage(allowed_actions=frozenset({"notify_only"}))):
        await world.execute(operation("scale_deployment", replicas=3))
        assert "not allowed by the settings" in (await world.ended())["message"]


async def test_an_action_acts_as_its_own_identity_and_needs_its_rights():
    scaler = "system:serviceaccount:kubernaut-system:scale-deployment-sa"
    async with bench_of(World, KubernetesExecution, rbac=True) as bench:
        await bench.client.create(NAMESPACE, {"metadata": {"name": SHOP}})
        bench.start_stand_ins()
        await bench.deploy()
        async with bench.at_work(bench.stage(identities={"scale_deployment": scaler})):
            await bench.execute(operation("scale_deployment", replicas=3))
            status = await bench.ended()
            check = status["operationResults"][0]["checks"][-1]
            assert (check["name"], check["passed"]) == ("access", False)
            assert "not allowed to get deployments in namespace shop" in check["message"]
            rules = [
                {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"]},
                {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": ["list"]},
            ]
            await bench.client.create(ROLE, {"metadata": {"name": "scaler", "namespace": SHOP}, "rules": rules})
            subject = {"kind": "ServiceAccount", "name": "scale-deployment-sa", "namespace": "kubernaut-system"}
            role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "scaler"}
            await bench.client.create(
                ROLE_BINDING, {"metadata": {"name": "scaler", "namespace": SHOP}, "subjects": [subject], "roleRef": role}
            )
            await bench.execute(operation("scale_deployment", replicas=3), name="again")
            assert (await bench.ended("again"))["phase"] == "Completed"


async def test_a_pod_that_nobody_would_replace_is_left_alone(world):
    await world.client.create(
        POD, {"metadata": {"name": "lonely", "namespace": SHOP}, "spec": {"containers": [{"name": "a", "image": "a:1"}]}}
    )
    async with world.at_work(world.stage()):
        await world.execute({"action": "delete_pod", "parameters": {"namespace": SHOP, "resource_name": "lonely"}})
        assert "nobody would replace it" in (await world.ended())["message"]


async def test_operations_run_in_order_and_a_failure_that_matters_stops_them(world):
    await world.deploy()
    broken = operation("scale_deployment", resource_name="nobody", replicas=1)
    async with world.at_work(world.stage()):
        await world.execute(
            {**broken, "criticalStep": False}, operation("scale_deployment", replicas=3), broken, operation("scale_deployment", replicas=4)
        )
        status = await world.ended()
    assert [result["phase"] for result in status["operationResults"]] == ["Failed", "Completed", "Failed", "Pending"]
    assert (await world.deployment())["spec"]["replicas"] == 3


async def test_an_effect_that_does_not_come_leaves_what_is_needed_to_take_it_back(world):
    await world.deploy()
    patch = {"spec": {"template": {"spec": {"nodeSelector": {"no": "such-node"}}}}}
    async with world.at_work(world.stage()):
        await world.execute({**operation("patch_deployment", patch=patch), "timeout": "1s"})
        status = await world.ended()
    (result,) = status["operationResults"]
    assert (status["phase"], result["phase"]) == ("Failed", "RollbackReady")
    assert "without effect in time" in result["errorMessage"]
    await world.put_back(result["undo"])
    assert "nodeSelector" not in (await world.rolled_out())["spec"]["template"]["spec"]


@pytest.mark.parametrize("action", ["rollout_restart", "increase_resources"])
@pytest.mark.parametrize("writes", range(1, 6))
async def test_a_process_killed_after_any_write_makes_one_change(world, action, writes):
    wanted = operation(action, **({"memory": "256Mi", "container_name": "app"} if action == "increase_resources" else {}))
    before = await world.deploy()
    client = world.killing(writes)
    async with world.at_work(world.stage(), client):
        await world.execute(wanted)
        await world.ended_or(client.dead)
    async with world.at_work(world.stage()):
        status = await world.ended()
    assert status["phase"] == "Completed", status
    after = await world.rolled_out()
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
    assert len((await world.client.list(REPLICA_SET, SHOP)).items) == 2
    (changed,) = status["operationResults"][0]["resourcesAffected"]
    assert changed["before"] != changed["after"]

"""Bad input and bad moments: each ends with a clear reason and an untouched cluster."""

import pytest

from kubernaut.api import core
from kubernaut.api.brake import RemediationBrake
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.workflow import WorkflowExecution
from tests.execution.world import SHOP, WANTED, World
from tests.workflow.bench import bench_of

pytestmark = pytest.mark.cluster
PLACE = {"namespace": SHOP, "resource_name": "api"}
MEGABYTE = "x" * 1_000_000


def op(action, **parameters):
    return {"action": action, "parameters": parameters}


def config_map(**changes):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made", "namespace": SHOP}, "data": {"a": "b"}} | changes


BAD = {
    "shell metacharacters": (op("scale_deployment", namespace=SHOP, resource_name="api;reboot", replicas=1), "parameters", "resource_name"),
    "a newline": (op("rollout_restart", namespace=SHOP, resource_name="api\nrm"), "parameters", "resource_name"),
    "a megabyte": (op("rollout_restart", **PLACE, reason=MEGABYTE), "parameters", "at most 1024 characters"),
    "a megabyte of data": (op("update_configmap", **PLACE, data={"a": MEGABYTE}), "parameters", "at most 65536"),
    "a wrong type": (op("scale_deployment", **PLACE, replicas={"now": 3}), "parameters", "replicas"),
    "too many": (op("scale_deployment", **PLACE, replicas=101), "parameters", "less than or equal to 100"),
    "an unknown action": (op("format_disk"), "parameters", "'format_disk' is unknown"),
    "an action beyond plain Kubernetes": (
        op("create_heap_dump", **PLACE),
        "parameters",
        "use a catalogue workflow, or collect_diagnostics",
    ),
    "a protected namespace": (op("rollout_restart", namespace="kube-system", resource_name="dns"), "target", "is protected"),
    "a protected object": (op("rollout_restart", namespace=SHOP, resource_name="kept"), "target", "kubernaut.ai/protected says so"),
    "a node of the control plane": (op("cordon_node", node_name="master"), "target", "of the control plane"),
    "an object that is not there": (op("rollout_restart", namespace=SHOP, resource_name="nobody"), "target", "does not exist"),
    "a kind that is not applied": (
        op("apply_manifest", manifest=config_map(kind="ClusterRole")),
        "parameters",
        "v1 ClusterRole cannot be applied; what can is ConfigMap, CronJob",
    ),
    "a manifest without a name": (op("apply_manifest", manifest=config_map(metadata={"namespace": SHOP})), "parameters", "metadata.name"),
    "a manifest with a status": (op("apply_manifest", manifest=config_map(status={})), "parameters", "leave out status"),
    "a manifest the server refuses": (op("apply_manifest", manifest=config_map(data={"a b": "c"})), "dry-run", "data"),
    "another namespace in the manifest": (
        op("apply_manifest", manifest=config_map(metadata={"name": "made", "namespace": "kube-system"})),
        "target",
        "is protected",
    ),
    "a replica count that an autoscaler sets": (
        op("scale_deployment", namespace=SHOP, resource_name="scaled", replicas=3),
        "preconditions",
        "HorizontalPodAutoscaler scaled keeps its replicas between 1 and 5: use update_hpa",
    ),
    "more than a quota has": (
        op("increase_resources", **PLACE, memory="4Gi", container_name="app"),
        "preconditions",
        "ResourceQuota small allows 1Gi of limits.memory",
    ),
    "an autoscaler upside down": (op("update_hpa", namespace=SHOP, resource_name="scaled", min_replicas=9), "dry-run", "maxReplicas"),
    "a paused workload": (op("rollout_restart", namespace=SHOP, resource_name="paused"), "preconditions", "is paused"),
    "a drain that a disruption budget forbids": (
        op("drain_node", node_name="node-1"),
        "preconditions",
        "may not be evicted now: The disruption budget api needs 2 healthy pods and has 2 currently",
    ),
    "a node that is not cordoned": (op("uncordon_node", node_name="node-1"), "preconditions", "node node-1 is not cordoned"),
    "a taint that is not there": (op("untaint_node", resource_name="node-1", key="x"), "preconditions", "it has none"),
    "a taint of the system's": (
        op("untaint_node", resource_name="node-1", key="node.kubernetes.io/not-ready"),
        "parameters",
        "set by Kubernetes itself",
    ),
    "a node to move to that is not there": (
        op("migrate_workload", **PLACE, resource_type="deployment", target_node="nowhere"),
        "preconditions",
        "node/nowhere does not exist",
    ),
    "a key to remove that is not there": (
        op("update_configmap", namespace=SHOP, resource_name="settings", remove_keys=["x"]),
        "preconditions",
        "there is no key x",
    ),
    "a ConfigMap that is immutable": (
        op("update_configmap", namespace=SHOP, resource_name="settings", data={"a": "c"}),
        "dry-run",
        "immutable",
    ),
    "steps that wait for a step that is not there": (
        op("notify_only", message="x") | {"dependsOn": [7]},
        "",
        "waits for steps that never come: 7",
    ),
}


class Bad(World):
    """A cluster with everything that stands in the way."""

    wanted = (*WANTED, "budgets", "quotas")

    async def build(self):
        await self.client.create(core.NAMESPACE, {"metadata": {"name": SHOP}})
        await self.client.create(core.NODE, {"metadata": {"name": "master", "labels": {"node-role.kubernetes.io/control-plane": ""}}})
        place = {"namespace": SHOP}
        budget = {"minAvailable": 2, "selector": {"matchLabels": {"app": "api"}}}
        await self.client.create(core.POD_DISRUPTION_BUDGET, {"metadata": place | {"name": "api"}, "spec": budget})
        await self.client.create(core.CONFIG_MAP, {"metadata": place | {"name": "settings"}, "data": {"a": "b"}, "immutable": True})
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled"}
        scaler = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 5}
        await self.client.create(core.HORIZONTAL_POD_AUTOSCALER, {"metadata": place | {"name": "scaled"}, "spec": scaler})
        await self.deploy()
        template = (await self.deployment())["spec"]["template"]
        for name, extra, annotations in (
            ("scaled", {}, {}),
            ("paused", {"paused": True}, {}),
            ("kept", {}, {"kubernaut.ai/protected": "true"}),
        ):
            spec = {"replicas": 0, "selector": {"matchLabels": {"app": "api"}}, "template": template} | extra
            await self.client.create(core.DEPLOYMENT, {"metadata": place | {"name": name, "annotations": annotations}, "spec": spec})
        quota = {"metadata": place | {"name": "small"}, "spec": {"hard": {"limits.memory": "1Gi"}}}
        await self.client.create(core.RESOURCE_QUOTA, quota)
        await self.until(core.RESOURCE_QUOTA, SHOP, "small", lambda obj: "limits.memory" in obj.get("status", {}).get("hard", {}))
        await self.until(core.POD_DISRUPTION_BUDGET, SHOP, "api", lambda obj: obj.get("status", {}).get("currentHealthy") == 2)

    async def written(self):
        """Return what people write, of everything that could have been touched."""
        kinds = (core.DEPLOYMENT, core.CONFIG_MAP, core.HORIZONTAL_POD_AUTOSCALER, core.POD)
        found = [obj for kind in kinds for obj in (await self.client.list(kind, SHOP)).items]
        nodes = (await self.client.list(core.NODE)).items
        return {
            (obj["kind"], obj["metadata"]["name"]): (obj["metadata"]["uid"], obj.get("spec"), obj.get("data")) for obj in (*found, *nodes)
        }


async def test_whatever_is_wrong_is_told_and_nothing_is_touched():
    """One scene serves all cases: none of them leaves a trace."""
    async with bench_of(Bad, KubernetesExecution, WorkflowExecution, RemediationBrake) as bench:
        bench.start_stand_ins()
        await bench.build()
        before = await bench.written()
        async with bench.at_work(bench.stage()):
            for number, (what, (wanted, check, why)) in enumerate(BAD.items()):
                await bench.execute(wanted, name=f"rr-{number}-execution")
                status = await bench.ended(f"rr-{number}-execution")
                assert (status["phase"], status["failureReason"]) == (
                    "Failed",
                    "dry_run_failed" if check == "dry-run" else "validation_error",
                ), what
                assert why in status["message"], (what, status["message"])
                checks = status["operationResults"][0].get("checks", [])
                assert [each["name"] for each in checks if not each["passed"]] == ([check] if check else []), what
        assert await bench.written() == before

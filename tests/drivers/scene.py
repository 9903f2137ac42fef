"""A scene in which every action has something to act on: one object of each kind, all called `api`, and what each action is told there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple, TypeVar

import pytest

from kubernaut.api import core
from kubernaut.api.base import Obj
from kubernaut.api.brake import RemediationBrake
from kubernaut.api.core import DAEMON_SET, DEPLOYMENT, NODE, POD, REPLICA_SET, STATEFUL_SET
from kubernaut.api.execution import KubernetesExecution
from kubernaut.api.workflow import WorkflowExecution
from kubernaut.execution.actions.capacity import STORAGE_CLASS
from kubernaut.execution.actions.registry import built
from kubernaut.execution.actions.rollouts import REVISION_ANNOTATION
from kubernaut.execution.actions.secret import COPY_TO
from kubernaut.execution.reconciler import setup
from kubernaut.execution.settings import ExecutionSettings
from tests.execution.world import SHOP, WANTED, World
from tests.workflow.bench import bench_of

FLAT = (core.PERSISTENT_VOLUME_CLAIM, core.HORIZONTAL_POD_AUTOSCALER, core.CONFIG_MAP, core.SECRET, core.NETWORK_POLICY)
WORKLOADS = (DEPLOYMENT, STATEFUL_SET, DAEMON_SET)
PLACE = {"namespace": SHOP, "resource_name": "api"}
POD_NAME = "api-0"
"""The pod is the StatefulSet's first, whose name is known beforehand."""
CONTAINER_PATCH = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "app:9"}]}}}}
MANIFEST = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made", "namespace": SHOP}, "data": {"a": "b"}}
TOLD = {
    "scale_deployment": PLACE | {"replicas": 3},
    "scale_statefulset": PLACE | {"replicas": 3},
    "update_hpa": PLACE | {"max_replicas": 9, "target_cpu_utilization": 70},
    "migrate_workload": PLACE | {"resource_type": "statefulset", "target_node": "node-2"},
    "rollout_restart": PLACE,
    "restart_daemonset": PLACE,
    "rollback_deployment": PLACE,
    "increase_resources": PLACE | {"memory": "256Mi"},
    "expand_pvc": PLACE | {"size": "2Gi", "wait_for_expansion": False},
    "delete_pod": {"namespace": SHOP, "resource_name": POD_NAME, "grace_period_seconds": 1},
    "restart_pod": {"namespace": SHOP, "resource_name": POD_NAME, "grace_period_seconds": 1},
    "quarantine_pod": {"namespace": SHOP, "resource_name": POD_NAME},
    "collect_diagnostics": {"namespace": SHOP},
    "notify_only": {"message": "look at the database"},
    "cordon_node": {"node_name": "node-1"},
    "uncordon_node": {"node_name": "node-3"},
    "drain_node": {"node_name": "node-1", "grace_period_seconds": 1},
    "taint_node": {"resource_name": "node-1", "key": "maintenance", "effect": "NoSchedule"},
    "untaint_node": {"resource_name": "node-3", "key": "old"},
    "patch_deployment": PLACE | {"patch": CONTAINER_PATCH},
    "apply_manifest": {"manifest": MANIFEST},
    "update_configmap": PLACE | {"data": {"level": "debug"}, "remove_keys": ["old"]},
    "update_secret": PLACE | {"value_from": {"password": {"name": "api-next", "key": "password"}}},
    "restore_object": PLACE
    | {
        "kind": "ConfigMap",
        "before": {"data": {"level": "debug"}},
        "after": {"data": {"level": "info"}},
        "patch": {"data": {"level": "debug"}},
    },
    "update_network_policy": PLACE | {"rules": {"ingress": [{}]}},
}
"""What each action is told in the scene."""
OWN = {kind.kind for kind in (*WORKLOADS, *FLAT, NODE)}
every_action = pytest.mark.parametrize("action", built(), ids=lambda action: action.name)


def parameters(action):
    return TOLD[action.name]


def target(action):
    return action.target(action.parameters.model_validate(parameters(action)))


def operation(action, **changes):
    return {"action": action.name, "parameters": parameters(action) | changes, "timeout": "20s"}


class Standing(NamedTuple):
    """What people write of an object, and what tells it from another of its name."""

    uid: str
    generation: int | None
    labels: Obj
    content: Obj

    @classmethod
    def of(cls, obj):
        meta = obj["metadata"]
        content = {name: value for name, value in obj.items() if name not in {"apiVersion", "kind", "metadata", "status"}}
        if obj["kind"] == NODE.kind:  # what its controllers write by themselves
            taints = [each for each in content["spec"].get("taints") or () if not each["key"].startswith("node.kubernetes.io/")]
            content = {"unschedulable": content["spec"].get("unschedulable", False), "taints": taints}
        return cls(meta["uid"], meta.get("generation"), meta.get("labels") or {}, content)


class Scene(World):
    """One object of each kind, the Deployment in its second revision, and the controllers that roll them out."""

    wanted = (*WANTED, "statefulsets", "daemonsets", "volumes")

    async def build(self):
        await self.client.create(core.NAMESPACE, {"metadata": {"name": SHOP}})
        await self._furnish()
        for kind in WORKLOADS:
            await self.client.create(kind, {"metadata": {"name": "api", "namespace": SHOP}, "spec": self._spec(kind)})
        await self.until(DEPLOYMENT, SHOP, "api", lambda obj: REVISION_ANNOTATION in (obj["metadata"].get("annotations") or {}))
        await self.client.patch(DEPLOYMENT, "api", SHOP, {"spec": {"template": {"metadata": {"annotations": {"second": "yes"}}}}})
        await self.rest()

    async def _furnish(self):
        await self.until(NODE, "", "node-3")
        aside = {"unschedulable": True, "taints": [{"key": "old", "effect": "NoSchedule"}]}
        await self.client.patch(NODE, "node-3", "", {"spec": aside})
        meta, labels = {"name": "api", "namespace": SHOP}, {"matchLabels": {"app": "api"}}
        await self.client.create(STORAGE_CLASS, {"metadata": {"name": "fast"}, "provisioner": "test", "allowVolumeExpansion": True})
        claim = {"storageClassName": "fast", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        scaler = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "other"}, "minReplicas": 2, "maxReplicas": 4}
        await self.client.create(core.PERSISTENT_VOLUME_CLAIM, {"metadata": meta, "spec": claim})
        await self.client.create(core.HORIZONTAL_POD_AUTOSCALER, {"metadata": meta, "spec": scaler})
        await self.client.create(core.CONFIG_MAP, {"metadata": meta, "data": {"level": "info", "old": "1"}})
        await self.client.create(core.SECRET, {"metadata": meta, "stringData": {"password": "b3fore"}})
        await self.offer("n3w-v4lue")
        await self.client.create(core.NETWORK_POLICY, {"metadata": meta, "spec": {"podSelector": labels, "policyTypes": ["Ingress"]}})
        await self.client.create(core.SERVICE, {"metadata": meta, "spec": {"selector": {"serves": "yes"}, "ports": [{"port": 80}]}})
        await self.until(core.PERSISTENT_VOLUME_CLAIM, SHOP, "api", lambda obj: obj["status"].get("phase") == "Bound")

    async def offer(self, password):
        """Put a new password where update_secret finds it."""
        meta = {"name": "api-next", "namespace": SHOP, "annotations": {COPY_TO: "api"}}
        await self.client.apply(core.SECRET, {"metadata": meta, "stringData": {"password": password}}, manager="a person")

    def _spec(self, kind):
        labels = {"app": f"api-{kind.plural}"}
        container = {"name": "app", "image": "app:1", "resources": {"limits": {"memory": "128Mi"}}}
        template = {"metadata": {"labels": labels | {"serves": "yes"}}, "spec": {"containers": [container]}}
        spec = {"selector": {"matchLabels": labels}, "template": template}
        return spec if kind is DAEMON_SET else spec | {"replicas": 2} | ({"serviceName": "api"} if kind is STATEFUL_SET else {})

    async def rest(self):
        """Wait until every workload has rolled out."""
        for kind in WORKLOADS:
            newest = (await self.client.get(kind, "api", SHOP))["metadata"]["generation"]
            await self.until(kind, SHOP, "api", partial(at_rest, newest=newest))

    async def state(self):
        """Return everything that people write, by kind and name, with what tells one object from another of its name."""
        spaced = [(kind, obj) for kind in (*WORKLOADS, *FLAT, REPLICA_SET, POD) for obj in (await self.client.list(kind, SHOP)).items]
        nodes = [(NODE, obj) for obj in (await self.client.list(NODE)).items]
        return {
            (kind.kind, obj["metadata"]["name"]): Standing.of(obj)
            for kind, obj in (*spaced, *nodes)
            if "deletionTimestamp" not in obj["metadata"]
        }

    def changed(self, before, after):
        """Return what was changed, made or replaced; a workload that changed twice is a fault. What follows of itself does not count."""
        steps = {
            (after[key].generation or 0) - (each.generation or 0)
            for key, each in before.items()
            if key in after and key[0] in {kind.kind for kind in WORKLOADS}
        }
        assert steps <= {0, 1}
        parts = {key: (each.labels, each.content) for key, each in before.items()}
        own = {key for key, each in after.items() if key[0] in OWN and parts.get(key) != (each.labels, each.content)}
        pod = (POD.kind, POD_NAME)
        moved = after[pod].uid != before[pod].uid or after[pod].labels != before[pod].labels
        return own or ({pod} if moved else set())


def stage(manager):
    setup(manager, ExecutionSettings(poll=0.2))


def at_rest(obj, newest):
    status, spec = obj.get("status") or {}, obj["spec"]
    wanted = status.get("desiredNumberScheduled", 0) if "replicas" not in spec else spec["replicas"]
    updated = status.get("updatedReplicas", status.get("updatedNumberScheduled", 0))
    there = status.get("availableReplicas", status.get("numberAvailable", 0))
    present = status.get("replicas", status.get("currentNumberScheduled", 0))
    seen = obj["metadata"]["generation"] >= newest and status.get("observedGeneration") == obj["metadata"]["generation"]
    return seen and wanted > 0 and updated == there == present == wanted


S = TypeVar("S", bound=Scene)


@asynccontextmanager
async def at_scene(make: type[S]) -> AsyncIterator[S]:
    """Give the scene on an embedded cluster."""
    async with bench_of(make, KubernetesExecution, WorkflowExecution, RemediationBrake) as bench:
        bench.start_stand_ins("node-1", "node-2", "node-3")
        await bench.build()
        yield bench

"""Actions on how many and where: replicas, the limits of an autoscaler, the node that a workload's pods go to."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from kubernaut.api.base import Obj
from kubernaut.api.core import HORIZONTAL_POD_AUTOSCALER, NODE, REPLICA_SET
from kubernaut.api.execution import UndoKind
from kubernaut.execution.actions.base import (
    SCALABLE,
    WORKLOADS,
    Access,
    Effect,
    NodeName,
    ObjectParameters,
    OnKind,
    Plan,
    Standard,
    Target,
    node,
    on,
    read,
    read_and_patch,
    read_or_none,
)
from kubernaut.execution.actions.rollouts import OnWorkload, WorkloadParameters, WorkloadType, rolled_out, rolls_by_itself
from kubernaut.kube.client import Client

HOSTNAME = "kubernetes.io/hostname"
Percent = Annotated[int, Field(ge=1, le=100)]


class ScaleParameters(ObjectParameters):
    """How many."""

    replicas: Annotated[int, Field(ge=0, le=100)]
    resource_type: Literal["deployment", "statefulset", "replicaset"] | None = None
    rollback_on_failure: bool = True
    """Whether the old number comes back where the new one does not get ready in time."""
    wait_for_ready: bool = True


class Scale(Standard[ScaleParameters]):
    """Sets the number of replicas."""

    parameters = ScaleParameters
    undo = UndoKind.EXACT

    def __init__(self, name: str, resource_type: str) -> None:
        self.name = name
        self._resource_type = resource_type
        self.rights = (*on(*SCALABLE.values()), *on(HORIZONTAL_POD_AUTOSCALER, verbs=["list"]))

    def target(self, given: ScaleParameters) -> Target:
        """Return the workload."""
        return Target(SCALABLE[given.resource_type or self._resource_type], given.namespace, given.resource_name)

    def access(self, given: ScaleParameters) -> list[Access]:
        """Read and patch it, and look whether an autoscaler has it."""
        return [*read_and_patch(self.target(given)), Access("list", HORIZONTAL_POD_AUTOSCALER, given.namespace)]

    async def plan(self, client: Client, given: ScaleParameters, mark: str) -> Plan:
        """Patch spec.replicas, unless somebody else sets them."""
        del mark
        target = self.target(given)
        current = await read(client, target)
        owner = next((each for each in current["metadata"].get("ownerReferences") or () if each.get("controller")), None)
        if owner is not None:
            why = f"{target} belongs to {owner['kind'].lower()}/{owner['name']}, which sets its replicas: scale that"
            return Plan(Effect.PATCH, current, {}, faults=(why,))
        faults = await _autoscaled(client, target)
        if current["spec"].get("replicas") == given.replicas:
            faults = (*faults, f"{target} has {given.replicas} replicas already")
        return Plan(Effect.PATCH, current, {"spec": {"replicas": given.replicas}}, faults=faults)

    def awaits(self, given: ScaleParameters, current: Obj | None, uid: str) -> str:
        """Wait for the replicas, unless told not to."""
        del uid
        if current is not None and current.get("kind") == REPLICA_SET.kind:
            ready = int((current.get("status") or {}).get("availableReplicas") or 0)
            return "" if not given.wait_for_ready or ready == given.replicas else f"{ready} of {given.replicas} replicas are available"
        return rolled_out(current) if given.wait_for_ready else ""


async def _autoscaled(client: Client, target: Target) -> tuple[str, ...]:
    """Return that an autoscaler would set the replicas anew, if one has the target."""
    for each in (await client.list(HORIZONTAL_POD_AUTOSCALER, target.namespace)).items:
        ref, spec = each["spec"]["scaleTargetRef"], each["spec"]
        if (ref.get("kind"), ref.get("name")) == (target.kind.kind, target.name):
            between = f"between {spec.get('minReplicas', 1)} and {spec['maxReplicas']}"
            return (f"HorizontalPodAutoscaler {each['metadata']['name']} keeps its replicas {between}: use update_hpa",)
    return ()


class HpaParameters(ObjectParameters):
    """The autoscaler's limits; at least one."""

    min_replicas: Annotated[int, Field(ge=1, le=100)] | None = None
    max_replicas: Annotated[int, Field(ge=1, le=1000)] | None = None
    target_cpu_utilization: Percent | None = None
    target_memory_utilization: Percent | None = None

    @model_validator(mode="after")
    def _something(self) -> "HpaParameters":
        if self.model_dump(exclude={"namespace", "resource_name", "reason"}, exclude_none=True) == {}:
            raise ValueError("give min_replicas, max_replicas, target_cpu_utilization or target_memory_utilization")
        if self.min_replicas and self.max_replicas and self.min_replicas > self.max_replicas:
            raise ValueError("min_replicas must not be more than max_replicas")
        return self


class UpdateHpa(OnKind[HpaParameters]):
    """Moves the limits and targets of a HorizontalPodAutoscaler."""

    name = "update_hpa"
    parameters = HpaParameters
    kind = HORIZONTAL_POD_AUTOSCALER
    undo = UndoKind.EXACT
    rights = on(HORIZONTAL_POD_AUTOSCALER)

    async def plan(self, client: Client, given: HpaParameters, mark: str) -> Plan:
        """Patch the limits that are given, and the metrics' list with the new targets."""
        del mark
        current = await read(client, self.target(given))
        spec: Obj = current["spec"]
        wanted: Obj = {"minReplicas": given.min_replicas, "maxReplicas": given.max_replicas}
        patch: Obj = {name: value for name, value in wanted.items() if value}
        targets = {"cpu": given.target_cpu_utilization, "memory": given.target_memory_utilization}
        for resource, percent in targets.items():
            if percent is not None:
                metrics: list[Obj] = (spec | patch).get("metrics") or []
                patch["metrics"] = _with_target(metrics, resource, percent)
        after: Obj = {"minReplicas": 1} | spec | patch
        low, high = after["minReplicas"], after["maxReplicas"]
        faults = (f"minReplicas would be {low}, more than maxReplicas {high}",) if low > high else ()
        return Plan(Effect.PATCH, current, {"spec": patch}, faults=faults)


def _with_target(metrics: list[Obj], resource: str, percent: int) -> list[Obj]:
    """Return the metrics with one resource's utilization set; a metric that is not there is added."""
    wanted = {"type": "Resource", "resource": {"name": resource, "target": {"type": "Utilization", "averageUtilization": percent}}}
    known = [each.get("type") == "Resource" and (each.get("resource") or {}).get("name") == resource for each in metrics]
    replaced = [wanted if is_it else each for each, is_it in zip(metrics, known, strict=True)]
    return replaced if any(known) else [*metrics, wanted]


class MigrateParameters(WorkloadParameters):
    """Where to."""

    resource_type: WorkloadType
    target_node: NodeName | None = None
    target_cluster: str | None = Field(default=None, max_length=253)
    drain_source: Literal[False] = False

    @model_validator(mode="after")
    def _one(self) -> "MigrateParameters":
        if (self.target_node is None) == (self.target_cluster is None):
            raise ValueError("give exactly one of target_node and target_cluster")
        if self.target_cluster is not None:
            raise ValueError("target_cluster: nothing is moved between clusters; deploy it there, then scale it down here")
        if self.resource_type == "daemonset":
            raise ValueError("resource_type: a daemonset has a pod on every node; nothing of it can be moved")
        return self


class MigrateWorkload(OnWorkload[MigrateParameters]):
    """Makes the pods of a workload go to one node, by its nodeSelector."""

    name = "migrate_workload"
    parameters = MigrateParameters
    undo = UndoKind.EXACT
    rights = (*on(*WORKLOADS.values()), *on(NODE, verbs=["get"]))

    def access(self, given: MigrateParameters) -> list[Access]:
        """Read and patch it, and read the node."""
        return [*read_and_patch(self.target(given)), Access("get", NODE, "", given.target_node or "")]

    async def plan(self, client: Client, given: MigrateParameters, mark: str) -> Plan:
        """Patch the pod template's nodeSelector to the node's hostname."""
        del mark
        target, to = self.target(given), node(given.target_node or "")
        current, there = await read(client, target), await read_or_none(client, to)
        host = ((there or {}).get("metadata") or {}).get("labels", {}).get(HOSTNAME, to.name)
        faults = (*rolls_by_itself(target, current), *_unusable(to, there))
        return Plan(Effect.PATCH, current, {"spec": {"template": {"spec": {"nodeSelector": {HOSTNAME: host}}}}}, faults=faults)


def _unusable(target: Target, there: Obj | None) -> tuple[str, ...]:
    if there is None:
        return (f"{target} does not exist",)
    return (f"{target} takes no pods: it is cordoned",) if there["spec"].get("unschedulable") else ()

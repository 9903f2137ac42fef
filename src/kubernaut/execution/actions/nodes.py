"""Actions on a node: whether it takes pods, and which of them."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, StringConstraints, model_validator

from kubernaut.api.base import Obj
from kubernaut.api.core import NODE
from kubernaut.api.execution import UndoKind
from kubernaut.execution.actions.base import Access, ActionParameters, Effect, NodeName, Plan, Standard, Target, node, on, read
from kubernaut.kube.client import Client

TaintEffect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]
TaintKey = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9/_.-]+$", min_length=1, max_length=316)]
TaintValue = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$", max_length=63)]


class NodeParameters(ActionParameters):
    """Which node."""

    node_name: NodeName


N = TypeVar("N", bound=NodeParameters)


class OnNode(Standard[N]):
    """An action on whether a node takes pods."""

    lasting = False
    rights: tuple[Access, ...] = on(NODE)

    def target(self, given: N) -> Target:
        """Return the node."""
        return node(given.node_name)


class Cordon(OnNode[NodeParameters]):
    """Makes a node take no new pods."""

    name = "cordon_node"
    parameters = NodeParameters
    undo = UndoKind.EXACT

    async def plan(self, client: Client, given: NodeParameters, mark: str) -> Plan:
        """Patch spec.unschedulable."""
        del mark
        current = await read(client, self.target(given))
        faults = (f"node {given.node_name} is cordoned already",) if current["spec"].get("unschedulable") else ()
        return Plan(Effect.PATCH, current, {"spec": {"unschedulable": True}}, faults=faults)


class UncordonParameters(NodeParameters):
    """Which node, and whether its health matters."""

    verify_health: bool = True


class Uncordon(OnNode[UncordonParameters]):
    """Makes a node take pods again."""

    name = "uncordon_node"
    parameters = UncordonParameters
    undo = UndoKind.EXACT

    async def plan(self, client: Client, given: UncordonParameters, mark: str) -> Plan:
        """Patch spec.unschedulable away; a node that is not ready stays cordoned unless told otherwise."""
        del mark
        current = await read(client, self.target(given))
        faults = unhealthy(current) if given.verify_health else ()
        if not current["spec"].get("unschedulable"):
            faults = (*faults, f"node {given.node_name} is not cordoned")
        return Plan(Effect.PATCH, current, {"spec": {"unschedulable": None}}, faults=faults)


class TaintParameters(ActionParameters):
    """The taint."""

    resource_name: NodeName
    key: TaintKey
    effect: TaintEffect
    value: TaintValue = ""
    overwrite: bool = False


class Taint(Standard[TaintParameters]):
    """Keeps pods that do not tolerate it off a node."""

    name = "taint_node"
    parameters = TaintParameters
    undo = UndoKind.COMPENSATING
    lasting = False
    rights = on(NODE)

    def target(self, given: TaintParameters) -> Target:
        """Return the node."""
        return node(given.resource_name)

    async def plan(self, client: Client, given: TaintParameters, mark: str) -> Plan:
        """Patch the list of taints whole, as merge patches do."""
        del mark
        current = await read(client, self.target(given))
        taints: list[Obj] = current["spec"].get("taints") or []
        wanted: dict[str, Any] = {"key": given.key, "effect": given.effect} | ({"value": given.value} if given.value else {})
        same = next((each for each in taints if (each["key"], each["effect"]) == (given.key, given.effect)), None)
        faults = () if same is None or given.overwrite else (f"it has the taint {told(same)} already: overwrite replaces it",)
        evicts = ("pods that do not tolerate it are evicted at once, and disruption budgets are not asked",)
        patch = {"spec": {"taints": [*(each for each in taints if each is not same), wanted]}}
        return Plan(Effect.PATCH, current, patch, faults=faults, notes=evicts if given.effect == "NoExecute" else ())


class UntaintParameters(ActionParameters):
    """Which taint; of all effects, unless one is named."""

    resource_name: NodeName
    key: TaintKey
    effect: TaintEffect | None = None
    verify_health: bool = True

    @model_validator(mode="after")
    def _not_the_systems(self) -> "UntaintParameters":
        if self.key.startswith("node.kubernetes.io/") and self.key != "node.kubernetes.io/out-of-service":
            raise ValueError(f"key: {self.key} is set by Kubernetes itself as long as its cause lasts")
        return self


class Untaint(Standard[UntaintParameters]):
    """Takes a taint off a node."""

    name = "untaint_node"
    parameters = UntaintParameters
    undo = UndoKind.COMPENSATING
    lasting = False
    rights = on(NODE)

    def target(self, given: UntaintParameters) -> Target:
        """Return the node."""
        return node(given.resource_name)

    async def plan(self, client: Client, given: UntaintParameters, mark: str) -> Plan:
        """Patch the list of taints without it."""
        del mark
        current = await read(client, self.target(given))
        taints: list[Obj] = current["spec"].get("taints") or []
        left = [each for each in taints if each["key"] != given.key or (given.effect and each["effect"] != given.effect)]
        faults = unhealthy(current) if given.verify_health else ()
        if len(left) == len(taints):
            known = ", ".join(map(told, taints)) or "none"
            faults = (*faults, f"it has no such taint; it has {known}")
        return Plan(Effect.PATCH, current, {"spec": {"taints": left or None}}, faults=faults)


def told(taint: Obj) -> str:
    """Write a taint as kubectl does."""
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"


def unhealthy(current: Obj) -> tuple[str, ...]:
    """Return that a node is not ready, if so."""
    conditions = (current.get("status") or {}).get("conditions") or ()
    ready = next((each for each in conditions if each.get("type") == "Ready"), None)
    if ready is not None and ready.get("status") == "True":
        return ()
    why = f": {ready['message']}" if ready and ready.get("message") else ""
    return (f"node {current['metadata']['name']} is not ready{why}",)


class DrainParameters(NodeParameters):
    """How the node is emptied."""

    grace_period_seconds: Annotated[int, Field(ge=0, le=3600)] = 300
    ignore_daemonsets: bool = True
    delete_local_data: bool = False
    force: bool = False
    """Whether pods are evicted that nobody would replace."""

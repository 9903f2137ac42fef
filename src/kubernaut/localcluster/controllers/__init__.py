"""Stand-ins for the parts of a cluster beside its API server: each a plain controller over the same API, each with an off switch.

`loop` is under all of them. Garbage: `gc`, `namespaces`. Workloads: `deployments` -> `replicasets`, `statefulsets`, `daemonsets`, `jobs`.
Pods: `scheduler` gives them a node, `nodes` keeps the nodes, `leases` their heartbeats, `pods` plays the kubelets as `scenario` data says,
`endpoints` tells Services.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from kubernaut.localcluster.api import Api
from kubernaut.localcluster.controllers.budgets import Budgets
from kubernaut.localcluster.controllers.daemonsets import DaemonSets
from kubernaut.localcluster.controllers.deployments import Deployments
from kubernaut.localcluster.controllers.endpoints import EndpointControllers
from kubernaut.localcluster.controllers.expiry import EventExpiry
from kubernaut.localcluster.controllers.gc import GarbageCollector
from kubernaut.localcluster.controllers.jobs import Jobs
from kubernaut.localcluster.controllers.leases import NodeLeases
from kubernaut.localcluster.controllers.namespaces import Namespaces
from kubernaut.localcluster.controllers.nodes import Nodes
from kubernaut.localcluster.controllers.pods import Pods
from kubernaut.localcluster.controllers.quotas import ResourceQuotas
from kubernaut.localcluster.controllers.replicasets import ReplicaSets
from kubernaut.localcluster.controllers.scenario import LiveScenario, NodeRule, Scenario, ScenarioError
from kubernaut.localcluster.controllers.scheduler import Scheduler
from kubernaut.localcluster.controllers.settings import QUICK, REAL, Pace, StandInSettings
from kubernaut.localcluster.controllers.statefulsets import StatefulSets
from kubernaut.localcluster.controllers.volumes import Volumes

__all__ = ["NAMES", "QUICK", "REAL", "LiveScenario", "NodeRule", "Pace", "Scenario", "ScenarioError", "StandInSettings", "stand_ins"]


class _StandIn(Protocol):
    async def run(self) -> None: ...


_STAND_INS: Final[Mapping[str, Callable[[Api, StandInSettings], _StandIn]]] = {
    "gc": GarbageCollector,
    "namespaces": Namespaces,
    "deployments": Deployments,
    "replicasets": ReplicaSets,
    "statefulsets": StatefulSets,
    "daemonsets": DaemonSets,
    "jobs": Jobs,
    "endpoints": EndpointControllers,
    "volumes": Volumes,
    "events": EventExpiry,
    "budgets": Budgets,
    "quotas": ResourceQuotas,
    "scheduler": Scheduler,
    "nodes": Nodes,
    "leases": NodeLeases,
    "pods": Pods,
}
NAMES = frozenset(_STAND_INS)


def stand_ins(api: Api, settings: StandInSettings) -> Mapping[str, Callable[[], Awaitable[None]]]:
    """Return all stand-ins by name; each coroutine works until cancelled and leaves nothing but objects behind."""
    return {name: make(api, settings).run for name, make in _STAND_INS.items()}

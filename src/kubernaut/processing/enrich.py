"""What stands around a target, read from the informer caches."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubernaut.api import core
from kubernaut.api.base import Kind, Obj, ResourceIdentifier
from kubernaut.api.processing import OwnerLink
from kubernaut.kube.cluster import OWNER_INDEX, Cluster
from kubernaut.kube.manager import Manager

INVOLVED_INDEX = "involved"
NAMESPACE_INDEX = "namespace"
MAX_OWNERS = 8
OWNING = (core.POD, core.REPLICA_SET, core.DEPLOYMENT, core.STATEFUL_SET, core.DAEMON_SET, core.JOB, core.CRON_JOB)
BESIDE = (
    core.SERVICE,
    core.HORIZONTAL_POD_AUTOSCALER,
    core.POD_DISRUPTION_BUDGET,
    core.NETWORK_POLICY,
    core.RESOURCE_QUOTA,
    core.CONFIG_MAP,
)


@dataclass(frozen=True)
class Surroundings:
    """A target with everything around it that may matter; read-only objects."""

    target: Obj | None
    owners: tuple[OwnerLink, ...] = ()
    workload: Obj | None = None
    """The top of the owner chain."""
    pods: tuple[Obj, ...] = ()
    revisions: tuple[Obj, ...] = ()
    """A Deployment's ReplicaSets."""
    events: tuple[Obj, ...] = ()
    nodes: tuple[Obj, ...] = ()
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    beside: Mapping[str, tuple[Obj, ...]] = field(default_factory=dict)
    """Other objects of the namespace, by kind."""


def watch(manager: Manager) -> None:
    """Ask for the caches and indexes that `surroundings` reads."""
    for kind in (*OWNING, core.NODE, core.NAMESPACE):
        manager.informer(kind)
    manager.informer(core.EVENT, indexes={INVOLVED_INDEX: lambda obj: (obj["involvedObject"].get("uid", ""),)})
    for kind in BESIDE:
        manager.informer(kind, indexes={NAMESPACE_INDEX: _namespace})


def surroundings(cluster: Cluster, target: ResourceIdentifier) -> Surroundings:
    """Gather what the caches have around a target; the target itself may be missing."""
    namespace = (cluster.read(core.NAMESPACE, "", target.namespace) or {}).get("metadata", {})
    labels = namespace.get("labels") or {}
    kind = core.kind_named(target.kind)
    found = cluster.read(kind, target.namespace, target.name) if kind in (*OWNING, *BESIDE, core.NODE) and kind is not None else None
    if found is None or kind is None:
        return Surroundings(None, namespace_labels=labels)
    chain = _chain(cluster, kind, found)
    top_kind, top = chain[-1]
    revisions = tuple(cluster.select(core.REPLICA_SET, OWNER_INDEX, top["metadata"]["uid"])) if top_kind == core.DEPLOYMENT else ()
    pods = _pods(cluster, kind, found, revisions)
    return Surroundings(
        target=found,
        owners=tuple(_link(each_kind, each) for each_kind, each in chain),
        workload=top,
        pods=pods,
        revisions=revisions,
        events=_events(cluster, (found, top, *revisions, *pods)),
        nodes=_nodes(cluster, pods),
        namespace_labels=labels,
        beside={each.kind: tuple(cluster.select(each, NAMESPACE_INDEX, target.namespace)) for each in BESIDE},
    )


def _namespace(obj: Obj) -> tuple[str]:
    return (obj["metadata"].get("namespace", ""),)


def _chain(cluster: Cluster, kind: Kind, obj: Obj) -> list[tuple[Kind, Obj]]:
    """Follow controllers upwards from an object, itself first."""
    chain = [(kind, obj)]
    while len(chain) < MAX_OWNERS:
        last = chain[-1][1]
        ref = next((ref for ref in last["metadata"].get("ownerReferences", ()) if ref.get("controller")), None)
        above = core.kind_named(ref["kind"]) if ref else None
        found = cluster.read(above, last["metadata"].get("namespace", ""), ref["name"]) if ref and above in OWNING and above else None
        if found is None or above is None:
            break
        chain.append((above, found))
    return chain


def _link(kind: Kind, obj: Obj) -> OwnerLink:
    meta = obj["metadata"]
    return OwnerLink(kind=kind.kind, name=meta["name"], namespace=meta.get("namespace", ""), api_version=kind.api_version)


def _pods(cluster: Cluster, kind: Kind, obj: Obj, revisions: tuple[Obj, ...]) -> tuple[Obj, ...]:
    if kind == core.POD:
        return (obj,)
    owners = (obj, *revisions)
    return tuple(pod for owner in owners for pod in cluster.select(core.POD, OWNER_INDEX, owner["metadata"]["uid"]))


def _events(cluster: Cluster, objects: tuple[Obj, ...]) -> tuple[Obj, ...]:
    uids = dict.fromkeys(obj["metadata"]["uid"] for obj in objects)
    events = [event for uid in uids for event in cluster.select(core.EVENT, INVOLVED_INDEX, uid)]
    return tuple(sorted(events, key=_last_seen, reverse=True))


def _last_seen(event: Obj) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")


def _nodes(cluster: Cluster, pods: tuple[Obj, ...]) -> tuple[Obj, ...]:
    names = dict.fromkeys(name for pod in pods if (name := pod["spec"].get("nodeName")))
    return tuple(node for name in names if (node := cluster.read(core.NODE, "", name)) is not None)


def scales(hpa: Obj, workload: Obj | None) -> bool:
    """Whether an autoscaler is about a workload."""
    ref = hpa.get("spec", {}).get("scaleTargetRef", {})
    return workload is not None and (ref.get("kind"), ref.get("name")) == (workload.get("kind"), workload["metadata"]["name"])

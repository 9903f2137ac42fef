"""What stands around a target, read from the informer caches; what they cannot tell is named."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from kubernaut.api import core
from kubernaut.api.base import Kind, Obj, ResourceIdentifier
from kubernaut.api.gitops import keeper_of
from kubernaut.api.processing import OwnerLink
from kubernaut.kube.cluster import OWNER_INDEX, Cluster
from kubernaut.kube.errors import ApiError
from kubernaut.kube.informer import IndexFn, controller_owner
from kubernaut.kube.manager import Manager

INVOLVED_INDEX = "processing.involved"
NAMESPACE_INDEX = "processing.namespace"
NODE_INDEX = "processing.node"
MAX_OWNERS = 8
OWNING = (core.POD, core.REPLICA_SET, core.DEPLOYMENT, core.STATEFUL_SET, core.DAEMON_SET, core.JOB, core.CRON_JOB)
BESIDE = (
    core.SERVICE,
    core.HORIZONTAL_POD_AUTOSCALER,
    core.POD_DISRUPTION_BUDGET,
    core.NETWORK_POLICY,
    core.RESOURCE_QUOTA,
    core.LIMIT_RANGE,
    core.CONFIG_MAP,
    core.PERSISTENT_VOLUME_CLAIM,
)
READ = (*OWNING, *BESIDE, core.NODE, core.NAMESPACE, core.EVENT, core.CONTROLLER_REVISION)
"""All kinds that are read; none is required."""
TARGETS = (*OWNING, *BESIDE, core.NODE)
"""Kinds of which an object can be looked up as a target."""
REVISIONS: Final[Mapping[Kind, Kind]] = {
    core.DEPLOYMENT: core.REPLICA_SET,
    core.STATEFUL_SET: core.CONTROLLER_REVISION,
    core.DAEMON_SET: core.CONTROLLER_REVISION,
}
"""In which kind each workload keeps its past roll-outs."""


@dataclass(frozen=True)
class Surroundings:
    """A target with everything around it that may matter; read-only objects."""

    target: Obj | None
    owners: tuple[OwnerLink, ...] = ()
    workload: Obj | None = None
    """The top of the owner chain."""
    pods: tuple[Obj, ...] = ()
    revisions: tuple[Obj, ...] = ()
    """The workload's roll-outs: ReplicaSets or ControllerRevisions."""
    events: tuple[Obj, ...] = ()
    """The newest first."""
    nodes: tuple[Obj, ...] = ()
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    namespace_annotations: Mapping[str, str] = field(default_factory=dict)
    beside: Mapping[str, tuple[Obj, ...]] = field(default_factory=dict)
    """Other objects of the namespace, by kind."""
    source: Obj | None = None
    """The Application, Kustomization or HelmRelease that the workload comes from."""
    missing: tuple[str, ...] = ()
    """What was not found or could not be read, and why."""
    passing: bool = False
    """Some of that may be there in a moment."""

    @property
    def degraded(self) -> bool:
        """Whether something is missing."""
        return bool(self.missing)


def watch(manager: Manager) -> None:
    """Ask for the caches and indexes that `surroundings` reads; where one cannot be read, work goes on without."""
    for kind, functions in indexes().items():
        manager.informer(kind, indexes=functions, required=False)


def indexes() -> dict[Kind, Mapping[str, IndexFn]]:
    """Return the kinds that `surroundings` reads, with the indexes they are read by."""
    known: dict[Kind, Mapping[str, IndexFn]] = {kind: {NAMESPACE_INDEX: _namespace} for kind in BESIDE}
    known |= {core.EVENT: {INVOLVED_INDEX: _involved}, core.POD: {NODE_INDEX: _node_name}}
    return {kind: known.get(kind, {}) for kind in READ}


def surroundings(cluster: Cluster, target: ResourceIdentifier) -> Surroundings:
    """Gather what the caches have around a target; the target itself may be missing."""
    bare = _bare(cluster, target.namespace)
    kind = core.kind_named(target.kind)
    if kind is None or kind not in TARGETS:
        return replace(bare, missing=(f"{target.path()}: objects of this kind are not looked up", *bare.missing))
    found = cluster.read(kind, target.namespace if kind.namespaced else "", target.name)
    if found is None:
        return replace(bare, missing=(f"{target.path()} was not found in the cluster", *bare.missing))
    return replace(bare, **_around(cluster, kind, found))


def _bare(cluster: Cluster, namespace: str) -> Surroundings:
    """Return what is known without the target."""
    unread = {kind.kind: why for kind in READ if (why := cluster.unread(kind))}
    metadata = (cluster.read(core.NAMESPACE, "", namespace) or {}).get("metadata", {})
    return Surroundings(
        None,
        namespace_labels=metadata.get("labels") or {},
        namespace_annotations=metadata.get("annotations") or {},
        missing=tuple(f"{kind} could not be read: {each.why}" for kind, each in unread.items()),
        passing=any(each.passing for each in unread.values()),
    )


def _around(cluster: Cluster, kind: Kind, found: Obj) -> dict[str, Any]:
    """Return the parts of the surroundings that belong to an object."""
    chain = _chain(cluster, kind, found)
    top_kind, top = chain[-1]
    revisions = tuple(cluster.select(REVISIONS[top_kind], OWNER_INDEX, top["metadata"]["uid"])) if top_kind in REVISIONS else ()
    pods = _pods(cluster, kind, found, revisions)
    namespace = found["metadata"].get("namespace", "")
    return {
        "target": found,
        "owners": tuple(_link(each_kind, each) for each_kind, each in chain),
        "workload": top,
        "pods": pods,
        "revisions": revisions,
        "events": _events(cluster, (found, top, *revisions, *pods)),
        "nodes": (found,) if kind == core.NODE else _nodes(cluster, pods),
        "beside": {each.kind: tuple(cluster.select(each, NAMESPACE_INDEX, namespace)) for each in BESIDE} if namespace else {},
    }


async def gitops_source(cluster: Cluster, workload: Obj | None, seconds: float) -> tuple[Obj | None, str]:
    """Read what a GitOps tool applies the workload from, and why that was not possible; one request, for managed workloads alone."""
    keeper = keeper_of(workload) if workload else None
    if workload is None or keeper is None or keeper.kind is None or not keeper.name:
        return None, ""
    try:
        async with asyncio.timeout(seconds):
            return await cluster.client.get(keeper.kind, keeper.name, keeper.namespace or workload["metadata"].get("namespace", "")), ""
    except ApiError as fault:
        return None, "" if fault.not_found else f"{keeper} could not be read: {str(fault)[:200]}"
    except TimeoutError:
        return None, f"{keeper} could not be read in {seconds:g} seconds"


def _namespace(obj: Obj) -> tuple[str]:
    return (obj["metadata"].get("namespace", ""),)


def _involved(event: Obj) -> tuple[str]:
    """File an event under the object it is about; events about nodes carry the node's name where the uid belongs."""
    return (event["involvedObject"].get("uid", ""),)


def _node_name(pod: Obj) -> tuple[str, ...]:
    name = pod["spec"].get("nodeName")
    return (name,) if name else ()


def _chain(cluster: Cluster, kind: Kind, obj: Obj) -> list[tuple[Kind, Obj]]:
    """Follow controllers upwards from an object, itself first."""
    chain = [(kind, obj)]
    while len(chain) < MAX_OWNERS:
        last = chain[-1][1]
        ref = controller_owner(last)
        above = core.kind_named(ref["kind"]) if ref else None
        found = cluster.read(above, last["metadata"].get("namespace", ""), ref["name"]) if above in OWNING and above else None
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
    if kind == core.NODE:
        return tuple(cluster.select(core.POD, NODE_INDEX, obj["metadata"]["name"]))
    jobs = cluster.select(core.JOB, OWNER_INDEX, obj["metadata"]["uid"]) if kind == core.CRON_JOB else ()
    owners = (obj, *revisions, *jobs)
    return tuple(pod for owner in owners for pod in cluster.select(core.POD, OWNER_INDEX, owner["metadata"]["uid"]))


def _events(cluster: Cluster, objects: tuple[Obj, ...]) -> tuple[Obj, ...]:
    ids = dict.fromkeys(each for obj in objects for each in _ids(obj))
    events = [event for each in ids for event in cluster.select(core.EVENT, INVOLVED_INDEX, each)]
    return tuple(sorted(events, key=last_seen, reverse=True))


def _ids(obj: Obj) -> tuple[str, ...]:
    meta = obj["metadata"]
    return (meta["uid"], meta["name"]) if obj.get("kind") == "Node" else (meta["uid"],)


def last_seen(event: Obj) -> str:
    """Return when an event happened last, whoever wrote it; empty when it does not say."""
    series = (event.get("series") or {}).get("lastObservedTime")
    return str(series or event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")


def _nodes(cluster: Cluster, pods: tuple[Obj, ...]) -> tuple[Obj, ...]:
    names = dict.fromkeys(name for pod in pods if (name := pod["spec"].get("nodeName")))
    return tuple(node for name in names if (node := cluster.read(core.NODE, "", name)) is not None)


def scales(hpa: Obj, workload: Obj | None) -> bool:
    """Whether an autoscaler is about a workload."""
    ref = hpa.get("spec", {}).get("scaleTargetRef", {})
    return workload is not None and (ref.get("kind"), ref.get("name")) == (workload.get("kind"), workload["metadata"]["name"])

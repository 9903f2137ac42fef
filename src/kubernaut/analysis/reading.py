"""Bounded reads of the caches for a snapshot: which kinds, by which indexes, how many, and a note of what could not be read."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from kubernaut.analysis.containers import pod_ready
from kubernaut.analysis.rollouts import REVISION
from kubernaut.analysis.snapshot import moment
from kubernaut.api import core
from kubernaut.api.base import Kind, Obj
from kubernaut.kube.cluster import OWNER_INDEX, Cluster, NotWatched
from kubernaut.kube.informer import IndexFn, controller_owner

BY_NAMESPACE: Final = "analysis.namespace"
BY_SUBJECT: Final = "analysis.subject"
BY_ALL: Final = "analysis.all"
RELATED: Final = (
    core.POD,
    core.SERVICE,
    core.SERVICE_ACCOUNT,
    core.ROLE,
    core.ROLE_BINDING,
    core.RESOURCE_QUOTA,
    core.LIMIT_RANGE,
    core.PERSISTENT_VOLUME_CLAIM,
    core.HORIZONTAL_POD_AUTOSCALER,
    core.POD_DISRUPTION_BUDGET,
    core.NETWORK_POLICY,
    core.INGRESS,
    core.DEPLOYMENT,
    core.STATEFUL_SET,
    core.DAEMON_SET,
    core.JOB,
    core.CRON_JOB,
)
"""Kinds of the target's namespace that rules may look at."""
SHARED: Final = (
    core.NAMESPACE,
    core.PERSISTENT_VOLUME,
    core.STORAGE_CLASS,
    core.INGRESS_CLASS,
    core.VALIDATING_WEBHOOKS,
    core.MUTATING_WEBHOOKS,
)
"""Kinds of the whole cluster that rules may look at."""
RIGHTS: Final = (core.CLUSTER_ROLE, core.CLUSTER_ROLE_BINDING)
"""Kinds that are looked at where the API server forbids a program something."""
OWNERS: Final = (core.POD, core.REPLICA_SET, core.DEPLOYMENT, core.STATEFUL_SET, core.DAEMON_SET, core.JOB, core.CRON_JOB, core.NODE)
NEEDED: Final = frozenset({core.POD, core.REPLICA_SET, core.DEPLOYMENT, core.STATEFUL_SET, core.DAEMON_SET})
"""Kinds without which nothing can be said: work begins when they are known. Of the others a snapshot says that they are unread."""
_MADE_BY_OTHERS: Final = (core.DEPLOYMENT, core.STATEFUL_SET, core.DAEMON_SET, core.REPLICA_SET, core.JOB, core.POD)
CHAIN_LIMIT: Final = 8
LIMITS: Final[Mapping[str, int]] = {"Pod": 100, "ReplicaSet": 20, "Event": 200, "Node": 1000, "ConfigMap": 1000}
LIMIT: Final = 1000
"""Of the kinds that LIMITS does not name."""
NEIGHBOURS: Final = 2000
"""Pods of the namespace."""


def indexes() -> dict[Kind, Mapping[str, IndexFn]]:
    """Return the kinds a snapshot is made of, with the indexes they are read by."""
    by_namespace = {BY_NAMESPACE: _namespace}
    asked: dict[Kind, Mapping[str, IndexFn]] = dict.fromkeys((*OWNERS, *RELATED, core.CONFIG_MAP, core.CONTROLLER_REVISION), by_namespace)
    return asked | {core.EVENT: {BY_SUBJECT: _event_subject}} | {kind: {BY_ALL: _everything} for kind in (core.NODE, *SHARED, *RIGHTS)}


def _namespace(obj: Obj) -> Iterable[str]:
    return (obj["metadata"].get("namespace", ""),)


def _everything(_: Obj) -> Iterable[str]:
    return ("*",)


def _event_subject(event: Obj) -> Iterable[str]:
    involved = event.get("involvedObject") or {}
    return (subject_key(involved.get("kind", ""), involved.get("namespace", ""), involved.get("name", "")),)


def subject_key(kind: str, namespace: str, name: str) -> str:
    """Return what events are filed under by the name of what they are about."""
    return f"{kind}/{namespace}/{name}"


def key_of(obj: Obj) -> str:
    """Return what events are filed under that are about an object."""
    return subject_key(obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


@dataclass(slots=True)
class Reader:
    """Reads the caches, and notes what could not be read and of what there was too much."""

    cluster: Cluster
    unread: set[str] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)

    def named(self, kind: str, namespace: str, name: str) -> Obj | None:
        """Return an object by the words that name it."""
        card = core.kind_named(kind)
        return self.read(card, namespace if card.namespaced else "", name) if card else None

    def read(self, kind: Kind, namespace: str, name: str) -> Obj | None:
        """Return an object; None where it is not there or cannot be read."""
        try:
            if self.cluster.unread(kind):
                self.unread.add(kind.kind)
            return self.cluster.read(kind, namespace, name)
        except NotWatched:
            self.unread.add(kind.kind)
            return None

    def select(self, kind: Kind, index: str, value: str) -> list[Obj]:
        """Return the objects that an index files under a value."""
        try:
            if self.cluster.unread(kind):
                self.unread.add(kind.kind)
            return self.cluster.select(kind, index, value)
        except NotWatched:
            self.unread.add(kind.kind)
            return []

    def bounded(self, kind: str, objects: list[Obj], order: Callable[[Obj], Any], limit: int = 0) -> list[Obj]:
        """Return the first objects in an order, as many as a snapshot holds."""
        limit = limit or LIMITS.get(kind, LIMIT)
        if len(objects) > limit:
            self.cut.add(kind)
        return sorted(objects, key=order)[:limit]

    def owner(self, obj: Obj) -> Obj | None:
        """Return the object that controls another, if it is that very one; a static pod, which a node mirrors, stands for itself."""
        reference = controller_owner(obj)
        if not reference or reference["kind"] == core.NODE.kind:
            return None
        owner = self.named(reference["kind"], obj["metadata"].get("namespace", ""), reference["name"])
        return owner if owner and owner["metadata"].get("uid") == reference.get("uid") else None

    def owners(self, first: Obj) -> list[Obj]:
        """Return an object and its owners upwards."""
        chain = [first]
        while len(chain) < CHAIN_LIMIT and (owner := self.owner(chain[-1])):
            chain.append(owner)
        return chain

    def beneath(self, kind: str, namespace: str, name: str) -> Obj | None:
        """Return the largest workload that an object of a kind we do not know controls, such as an Argo Rollout's ReplicaSet."""
        for card in _MADE_BY_OTHERS if core.kind_named(kind) is None else ():
            rows = [obj for obj in self.select(card, BY_NAMESPACE, namespace) if _controlled_by(obj, kind, name)]
            if rows:
                return max(rows, key=_size)
        return None

    def made_by(self, chain: list[Obj]) -> tuple[list[Obj], list[Obj]]:
        """Return the ReplicaSets and pods of the chain's top."""
        top = chain[-1]
        if top["kind"] == "Pod":
            return [], [top]
        makers, replica_sets = [top], []
        if top["kind"] == "Deployment":
            found = self.select(core.REPLICA_SET, OWNER_INDEX, top["metadata"]["uid"])
            makers = replica_sets = self.bounded("ReplicaSet", found, _by_revision)
        elif top["kind"] == "CronJob":
            makers = self.select(core.JOB, OWNER_INDEX, top["metadata"]["uid"])
        pods = [pod for maker in makers for pod in self.select(core.POD, OWNER_INDEX, maker["metadata"]["uid"])]
        return replica_sets, sorted(self.bounded("Pod", pods, _failing_first), key=by_name)

    def related(self, namespace: str) -> dict[str, tuple[Obj, ...]]:
        """Return what stands in a namespace, by kind."""
        found = {}
        for kind in RELATED if namespace else ():
            rows, order = self.select(kind, BY_NAMESPACE, namespace), _failing_first if kind == core.POD else by_name
            found[kind.kind] = tuple(self.bounded(kind.kind, rows, order, NEIGHBOURS if kind == core.POD else 0))
        return found

    def shared(self) -> dict[str, tuple[Obj, ...]]:
        """Return what the whole cluster shares, by kind."""
        return {kind.kind: tuple(self.bounded(kind.kind, self.select(kind, BY_ALL, "*"), by_name)) for kind in SHARED}

    def rights(self, namespaces: Iterable[str]) -> dict[str, tuple[Obj, ...]]:
        """Return roles and bindings of the whole cluster and of some namespaces, by kind."""
        wide = {kind.kind: tuple(self.bounded(kind.kind, self.select(kind, BY_ALL, "*"), by_name)) for kind in RIGHTS}
        places = sorted(set(namespaces))
        for kind in (core.ROLE, core.ROLE_BINDING):
            rows = [obj for place in places for obj in self.select(kind, BY_NAMESPACE, place)]
            wide[kind.kind] = tuple(self.bounded(kind.kind, rows, by_name))
        return wide

    def events(self, keys: Iterable[str], since: datetime) -> list[Obj]:
        """Return the events about objects, by key."""
        found = [event for key in sorted(set(keys)) for event in self.select(core.EVENT, BY_SUBJECT, key)]
        return self.bounded("Event", [event for event in found if (last_seen(event) or since) >= since], newest_first)


def _controlled_by(obj: Obj, kind: str, name: str) -> bool:
    owner = controller_owner(obj)
    return (owner.get("kind"), owner.get("name")) == (kind, name)


def _size(obj: Obj) -> tuple[int, str, str]:
    meta = obj["metadata"]
    return int((obj.get("spec") or {}).get("replicas") or 0), str(meta.get("creationTimestamp") or ""), meta["name"]


def last_seen(event: Obj) -> datetime | None:
    """Return when an event last happened, whoever wrote it: series, lastTimestamp, eventTime, creation."""
    series = (event.get("series") or {}).get("lastObservedTime")
    return moment(series or event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp"))


def by_name(obj: Obj) -> tuple[str, str]:
    """Order by namespace and name."""
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _failing_first(pod: Obj) -> tuple[bool, str]:
    return pod_ready(pod), pod["metadata"]["name"]


def _by_revision(obj: Obj) -> tuple[int, str]:
    text = (obj["metadata"].get("annotations") or {}).get(REVISION, "0")
    return -int(text) if text.isdecimal() else 0, obj["metadata"]["name"]


def by_number(obj: Obj) -> tuple[int, str]:
    """Order ControllerRevisions, the newest first."""
    return -int(obj.get("revision") or 0), obj["metadata"]["name"]


def newest_first(event: Obj) -> tuple[float, str]:
    """Order events by when they last happened."""
    seen = last_seen(event)
    return -seen.timestamp() if seen else 0.0, event["metadata"]["name"]

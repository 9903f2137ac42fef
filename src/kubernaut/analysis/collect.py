"""Fills a snapshot from the caches: the subject, who owns it, its pods, and what stands around them. Reads by index, bounded in number."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from kubernaut.analysis.containers import pod_ready
from kubernaut.analysis.rollouts import REVISION
from kubernaut.analysis.snapshot import Snapshot, moment
from kubernaut.api import core
from kubernaut.api.analysis import AlertContext, AnalysisRequest, ScopeItem
from kubernaut.api.base import Kind, Obj, ResourceIdentifier
from kubernaut.api.durations import parse_duration
from kubernaut.kube.cluster import OWNER_INDEX, Cluster, NotWatched
from kubernaut.kube.informer import IndexFn, controller_owner

BY_NAMESPACE: Final = "analysis.namespace"
BY_SUBJECT: Final = "analysis.subject"
BY_ALL: Final = "analysis.all"
RELATED: Final = (
    core.SERVICE,
    core.RESOURCE_QUOTA,
    core.LIMIT_RANGE,
    core.HORIZONTAL_POD_AUTOSCALER,
    core.POD_DISRUPTION_BUDGET,
    core.DEPLOYMENT,
    core.STATEFUL_SET,
    core.DAEMON_SET,
)
"""Kinds of the target's namespace that rules may look at."""
OWNERS: Final = (core.POD, core.REPLICA_SET, core.DEPLOYMENT, core.STATEFUL_SET, core.DAEMON_SET, core.JOB, core.CRON_JOB, core.NODE)
NEEDED: Final = frozenset({core.POD, core.REPLICA_SET, core.DEPLOYMENT, core.STATEFUL_SET, core.DAEMON_SET})
"""Kinds without which nothing can be said: work begins when they are known. Of the others a snapshot says that they are unread."""
DEFAULT_WINDOW: Final = timedelta(hours=24)
CHAIN_LIMIT: Final = 8
LIMITS: Final[Mapping[str, int]] = {"Pod": 100, "ReplicaSet": 20, "Event": 200, "Node": 1000, "ConfigMap": 500}
LIMIT: Final = 200
"""Of the kinds that LIMITS does not name."""


def indexes() -> dict[Kind, Mapping[str, IndexFn]]:
    """Return the kinds a snapshot is made of, with the indexes they are read by."""
    by_namespace = {BY_NAMESPACE: _namespace}
    asked: dict[Kind, Mapping[str, IndexFn]] = dict.fromkeys((*OWNERS, *RELATED, core.CONFIG_MAP), by_namespace)
    return asked | {core.EVENT: {BY_SUBJECT: _event_subject}, core.NODE: {BY_ALL: _everything}, core.NAMESPACE: {}}


def _namespace(obj: Obj) -> Iterable[str]:
    return (obj["metadata"].get("namespace", ""),)


def _everything(_: Obj) -> Iterable[str]:
    return ("*",)


def _event_subject(event: Obj) -> Iterable[str]:
    involved = event.get("involvedObject") or {}
    return (_subject_key(involved.get("kind", ""), involved.get("namespace", ""), involved.get("name", "")),)


def _subject_key(kind: str, namespace: str, name: str) -> str:
    return f"{kind}/{namespace}/{name}"


@dataclass(slots=True)
class _Notes:
    """What could not be read, and of what there was too much."""

    unread: set[str]
    cut: set[str]


class Collector:
    """Takes snapshots of a cluster."""

    def __init__(self, cluster: Cluster, *, window_limit: timedelta) -> None:
        self._cluster = cluster
        self._window_limit = window_limit

    def subjects(self, request: AnalysisRequest) -> list[ResourceIdentifier]:
        """Return what to look at: the resources of the scope, else the signal's own."""
        alert = request.alert_context
        items = request.investigation_scope.resource_scope or [_item(alert)]
        return [_identifier(item) for item in items]

    def collect(self, request: AnalysisRequest, subject: ResourceIdentifier, now: datetime) -> Snapshot:
        """Return the cluster around a subject, as far back and as wide as the scope allows."""
        notes = _Notes(set(), set())
        since = now - self._window(request.investigation_scope.time_window)
        chain = self._chain(subject, request.alert_context, notes)
        replica_sets, pods = self._made_by(chain, notes) if chain else ([], [])
        wide = request.investigation_scope.correlation_depth.casefold() != "basic"
        namespace = chain[-1]["metadata"].get("namespace", "") if chain else subject.namespace
        about = (*chain, *(obj for obj in replica_sets if obj not in chain), *(pod for pod in pods if pod not in chain))
        return Snapshot(
            at=now,
            since=since,
            subject=subject,
            chain=tuple(chain),
            pods=tuple(pods),
            replica_sets=tuple(replica_sets),
            events=tuple(self._events(about, subject, since, notes)),
            nodes=tuple(self._bounded("Node", self._select(core.NODE, BY_ALL, "*", notes), _by_name, notes)),
            namespace=self._read(core.NAMESPACE, "", namespace, notes) if namespace else None,
            config_maps=self._config_maps(namespace, notes) if wide else None,
            related={kind.kind: self._related(kind, namespace, notes) for kind in RELATED} if wide and namespace else {},
            unread=tuple(sorted(notes.unread)),
            cut=tuple(sorted(notes.cut)),
        )

    def pods_of(self, target: ResourceIdentifier) -> list[Obj]:
        """Return the pods that an object has made, or is."""
        notes = _Notes(set(), set())
        obj = self._named(target.kind, target.namespace, target.name, notes)
        return self._made_by([obj], notes)[1] if obj else []

    def _window(self, text: str) -> timedelta:
        try:
            return min(parse_duration(text), self._window_limit)
        except ValueError:
            return DEFAULT_WINDOW

    def _chain(self, subject: ResourceIdentifier, alert: AlertContext, notes: _Notes) -> list[Obj]:
        """Return the subject and its owners; where the subject is gone, what of its owners is known and still there."""
        first = self._named(subject.kind, subject.namespace, subject.name, notes)
        if first is None:
            hints = (self._named(kind, subject.namespace, name, notes) for kind, name in _owner_hints(alert))
            first = next((obj for obj in hints if obj is not None), None)
        chain = [first] if first else []
        while chain and len(chain) < CHAIN_LIMIT and (owner := self._owner(chain[-1], notes)):
            chain.append(owner)
        return chain

    def _owner(self, obj: Obj, notes: _Notes) -> Obj | None:
        reference = controller_owner(obj)
        if not reference:
            return None
        owner = self._named(reference["kind"], obj["metadata"].get("namespace", ""), reference["name"], notes)
        return owner if owner and owner["metadata"].get("uid") == reference.get("uid") else None

    def _made_by(self, chain: list[Obj], notes: _Notes) -> tuple[list[Obj], list[Obj]]:
        """Return the ReplicaSets and pods of the chain's top."""
        top = chain[-1]
        if top["kind"] == "Pod":
            return [], [top]
        makers, replica_sets = [top], []
        if top["kind"] == "Deployment":
            found = self._select(core.REPLICA_SET, OWNER_INDEX, top["metadata"]["uid"], notes)
            makers = replica_sets = self._bounded("ReplicaSet", found, _by_revision, notes)
        elif top["kind"] == "CronJob":
            makers = self._select(core.JOB, OWNER_INDEX, top["metadata"]["uid"], notes)
        pods = [pod for maker in makers for pod in self._select(core.POD, OWNER_INDEX, maker["metadata"]["uid"], notes)]
        return replica_sets, sorted(self._bounded("Pod", pods, _failing_first, notes), key=_by_name)

    def _events(self, about: Iterable[Obj], subject: ResourceIdentifier, since: datetime, notes: _Notes) -> list[Obj]:
        keys = {_subject_key(obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]) for obj in about}
        keys.add(_subject_key(subject.kind, subject.namespace, subject.name))
        found = [event for key in sorted(keys) for event in self._select(core.EVENT, BY_SUBJECT, key, notes)]
        return self._bounded("Event", [event for event in found if (last_seen(event) or since) >= since], _newest_first, notes)

    def _config_maps(self, namespace: str, notes: _Notes) -> Mapping[str, frozenset[str]]:
        found = self._bounded("ConfigMap", self._select(core.CONFIG_MAP, BY_NAMESPACE, namespace, notes), _by_name, notes)
        return {obj["metadata"]["name"]: frozenset((obj.get("data") or {}) | (obj.get("binaryData") or {})) for obj in found}

    def _related(self, kind: Kind, namespace: str, notes: _Notes) -> tuple[Obj, ...]:
        return tuple(self._bounded(kind.kind, self._select(kind, BY_NAMESPACE, namespace, notes), _by_name, notes))

    def _named(self, kind: str, namespace: str, name: str, notes: _Notes) -> Obj | None:
        card = core.kind_named(kind)
        return self._read(card, namespace if card.namespaced else "", name, notes) if card else None

    def _read(self, kind: Kind, namespace: str, name: str, notes: _Notes) -> Obj | None:
        try:
            if self._cluster.unread(kind):
                notes.unread.add(kind.kind)
            return self._cluster.read(kind, namespace, name)
        except NotWatched:
            notes.unread.add(kind.kind)
            return None

    def _select(self, kind: Kind, index: str, value: str, notes: _Notes) -> list[Obj]:
        try:
            if self._cluster.unread(kind):
                notes.unread.add(kind.kind)
            return self._cluster.select(kind, index, value)
        except NotWatched:
            notes.unread.add(kind.kind)
            return []

    def _bounded(self, kind: str, objects: list[Obj], order: Callable[[Obj], Any], notes: _Notes) -> list[Obj]:
        limit = LIMITS.get(kind, LIMIT)
        if len(objects) > limit:
            notes.cut.add(kind)
        return sorted(objects, key=order)[:limit]


def last_seen(event: Obj) -> datetime | None:
    """Return when an event last happened, whoever wrote it: series, lastTimestamp, eventTime, creation."""
    series = (event.get("series") or {}).get("lastObservedTime")
    return moment(series or event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp"))


def _item(alert: AlertContext) -> ScopeItem:
    return ScopeItem(kind=alert.resource_kind, namespace=alert.namespace, name=alert.resource_name)


def _identifier(item: ScopeItem) -> ResourceIdentifier:
    card = core.kind_named(item.kind)
    kind = card.kind if card else item.kind[:1].upper() + item.kind[1:]
    namespace = item.namespace if card is None or card.namespaced else ""
    return ResourceIdentifier(kind=kind, name=item.name, namespace=namespace, api_version=card.api_version if card else "")


def _owner_hints(alert: AlertContext) -> Iterable[tuple[str, str]]:
    """Yield kind and name of the owners that enrichment saw, the nearest first: `Kind/name` texts."""
    links = alert.kubernetes_context.get("ownerChain")
    for link in links if isinstance(links, list) else ():
        kind, slash, name = str(link).partition("/")
        if slash and kind and name:
            yield kind, name


def _by_name(obj: Obj) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _failing_first(pod: Obj) -> tuple[bool, str]:
    return pod_ready(pod), pod["metadata"]["name"]


def _by_revision(obj: Obj) -> tuple[int, str]:
    text = (obj["metadata"].get("annotations") or {}).get(REVISION, "0")
    return -int(text) if text.isdecimal() else 0, obj["metadata"]["name"]


def _newest_first(event: Obj) -> tuple[float, str]:
    seen = last_seen(event)
    return -seen.timestamp() if seen else 0.0, event["metadata"]["name"]

"""Fills a snapshot from the caches: the subject, who owns it, its pods, what stands around them, and where they lead.

Reads by index, bounded in number. Of what the subject's pods call, and of what stands behind it, there are snapshots too (`leads`).
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from kubernaut.analysis.containers import pod_ready
from kubernaut.analysis.leads import backends, called, claims_of, failing_webhooks, labels_of, matches, selector_of
from kubernaut.analysis.rollouts import REVISION
from kubernaut.analysis.snapshot import Lead, Snapshot, Through, identity, moment, source
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
TOLD_OF: Final = (
    core.SERVICE,
    core.PERSISTENT_VOLUME_CLAIM,
    core.HORIZONTAL_POD_AUTOSCALER,
    core.POD_DISRUPTION_BUDGET,
    core.INGRESS,
    core.JOB,
    core.CRON_JOB,
)
"""Related kinds whose events are read too."""
OWNERS: Final = (core.POD, core.REPLICA_SET, core.DEPLOYMENT, core.STATEFUL_SET, core.DAEMON_SET, core.JOB, core.CRON_JOB, core.NODE)
NEEDED: Final = frozenset({core.POD, core.REPLICA_SET, core.DEPLOYMENT, core.STATEFUL_SET, core.DAEMON_SET})
"""Kinds without which nothing can be said: work begins when they are known. Of the others a snapshot says that they are unread."""
DEFAULT_WINDOW: Final = timedelta(hours=24)
CHAIN_LIMIT: Final = 8
LIMITS: Final[Mapping[str, int]] = {"Pod": 100, "ReplicaSet": 20, "Event": 200, "Node": 1000, "ConfigMap": 500, "Namespace": 1000}
LIMIT: Final = 200
"""Of the kinds that LIMITS does not name."""
_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_APPLIED_LIMIT: Final = 262_144
NEIGHBOURS: Final = 400
"""Pods of the namespace."""
LEADS: Final = 8
"""How many ways are followed from one object."""
DEPTH: Final = 2
"""How many steps from the subject."""


def indexes() -> dict[Kind, Mapping[str, IndexFn]]:
    """Return the kinds a snapshot is made of, with the indexes they are read by."""
    by_namespace = {BY_NAMESPACE: _namespace}
    asked: dict[Kind, Mapping[str, IndexFn]] = dict.fromkeys((*OWNERS, *RELATED, core.CONFIG_MAP, core.CONTROLLER_REVISION), by_namespace)
    return asked | {core.EVENT: {BY_SUBJECT: _event_subject}} | dict.fromkeys((core.NODE, *SHARED), {BY_ALL: _everything})


def _namespace(obj: Obj) -> Iterable[str]:
    return (obj["metadata"].get("namespace", ""),)


def _everything(_: Obj) -> Iterable[str]:
    return ("*",)


def _event_subject(event: Obj) -> Iterable[str]:
    involved = event.get("involvedObject") or {}
    return (_subject_key(involved.get("kind", ""), involved.get("namespace", ""), involved.get("name", "")),)


def _subject_key(kind: str, namespace: str, name: str) -> str:
    return f"{kind}/{namespace}/{name}"


def _key(obj: Obj) -> str:
    return _subject_key(obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


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
        scope = request.investigation_scope
        wide = scope.correlation_depth.casefold() != "basic"
        taking = _Taking(_Reader(self._cluster), now, now - self._window(scope.time_window), wide=wide)
        return taking.snapshot(subject, request.alert_context, DEPTH if wide else 0)

    def pods_of(self, target: ResourceIdentifier) -> list[Obj]:
        """Return the pods that an object has made, or is."""
        reader = _Reader(self._cluster)
        obj = reader.named(target.kind, target.namespace, target.name)
        return reader.made_by([obj])[1] if obj else []

    def _window(self, text: str) -> timedelta:
        try:
            return min(parse_duration(text), self._window_limit)
        except ValueError:
            return DEFAULT_WINDOW


@dataclass(slots=True)
class _Reader:
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
        """Return the object that controls another, if it is that very one."""
        reference = controller_owner(obj)
        if not reference:
            return None
        owner = self.named(reference["kind"], obj["metadata"].get("namespace", ""), reference["name"])
        return owner if owner and owner["metadata"].get("uid") == reference.get("uid") else None

    def owners(self, first: Obj) -> list[Obj]:
        """Return an object and its owners upwards."""
        chain = [first]
        while len(chain) < CHAIN_LIMIT and (owner := self.owner(chain[-1])):
            chain.append(owner)
        return chain

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
        return replica_sets, sorted(self.bounded("Pod", pods, _failing_first), key=_by_name)

    def related(self, namespace: str) -> dict[str, tuple[Obj, ...]]:
        """Return what stands in a namespace, by kind."""
        found = {}
        for kind in RELATED if namespace else ():
            rows, order = self.select(kind, BY_NAMESPACE, namespace), _failing_first if kind == core.POD else _by_name
            found[kind.kind] = tuple(self.bounded(kind.kind, rows, order, NEIGHBOURS if kind == core.POD else 0))
        return found

    def shared(self) -> dict[str, tuple[Obj, ...]]:
        """Return what the whole cluster shares, by kind."""
        return {kind.kind: tuple(self.bounded(kind.kind, self.select(kind, BY_ALL, "*"), _by_name)) for kind in SHARED}

    def events(self, keys: Iterable[str], since: datetime) -> list[Obj]:
        """Return the events about objects, by key."""
        found = [event for key in sorted(set(keys)) for event in self.select(core.EVENT, BY_SUBJECT, key)]
        return self.bounded("Event", [event for event in found if (last_seen(event) or since) >= since], _newest_first)


class _Taking:
    """One taking: the subject's snapshot and those it leads to, what they share read once."""

    def __init__(self, reader: _Reader, now: datetime, since: datetime, *, wide: bool) -> None:
        self._reader, self._now, self._since, self._wide = reader, now, since, wide
        self._shared = reader.shared() if wide else {}
        self._nodes = tuple(reader.bounded("Node", reader.select(core.NODE, BY_ALL, "*"), _by_name))
        self._related: dict[str, Mapping[str, tuple[Obj, ...]]] = {}
        self._seen: set[str] = set()

    def snapshot(self, subject: ResourceIdentifier, alert: AlertContext | None, depth: int) -> Snapshot:
        reader, chain = self._reader, self._chain(subject, alert)
        replica_sets, pods = reader.made_by(chain) if chain else ([], [])
        self._seen |= {_key(obj) for obj in chain}
        namespace = _place(chain[-1]) if chain else subject.namespace
        config_maps = self._config_maps(namespace) if self._wide else []
        related = self._around(namespace)
        about = {_key(obj) for obj in (*chain, *replica_sets, *pods)} | {_subject_key(subject.kind, subject.namespace, subject.name)}
        around = {_key(obj) for kind in TOLD_OF for obj in related.get(kind.kind, ())} - about
        found = Snapshot(
            at=self._now,
            since=self._since,
            subject=subject,
            chain=tuple(chain),
            pods=tuple(pods),
            replica_sets=tuple(replica_sets),
            revisions=tuple(self._revisions(chain)),
            events=tuple(reader.events(about, self._since)),
            around=tuple(reader.events(around, self._since)),
            nodes=self._nodes,
            namespace=reader.read(core.NAMESPACE, "", namespace) if namespace else None,
            config_maps={obj["metadata"]["name"]: _keys(obj) for obj in config_maps} if self._wide else None,
            applied_keys={obj["metadata"]["name"]: keys for obj in config_maps if (keys := _applied(obj))},
            related=related,
        )
        leads = tuple(self._leads(found, config_maps, depth - 1)) if depth else ()
        return replace(found, leads=leads, unread=tuple(sorted(reader.unread)), cut=tuple(sorted(reader.cut)))

    def _chain(self, subject: ResourceIdentifier, alert: AlertContext | None) -> list[Obj]:
        """Return the subject and its owners; where the subject is gone, what of its owners is known and still there."""
        first = self._reader.named(subject.kind, subject.namespace, subject.name)
        if first is None and alert is not None:
            hints = (self._reader.named(kind, subject.namespace, name) for kind, name in _owner_hints(alert))
            first = next((obj for obj in hints if obj is not None), None)
        return self._reader.owners(first) if first else []

    def _around(self, namespace: str) -> Mapping[str, tuple[Obj, ...]]:
        if not self._wide:
            return {}
        if namespace not in self._related:
            self._related[namespace] = self._reader.related(namespace) | self._shared
        return self._related[namespace]

    def _revisions(self, chain: list[Obj]) -> list[Obj]:
        if not chain or chain[-1]["kind"] not in {"StatefulSet", "DaemonSet"}:
            return []
        found = self._reader.select(core.CONTROLLER_REVISION, OWNER_INDEX, chain[-1]["metadata"]["uid"])
        return self._reader.bounded("ControllerRevision", found, _by_number)

    def _config_maps(self, namespace: str) -> list[Obj]:
        return self._reader.bounded("ConfigMap", self._reader.select(core.CONFIG_MAP, BY_NAMESPACE, namespace), _by_name)

    def _leads(self, found: Snapshot, config_maps: list[Obj], depth: int) -> Iterator[Lead]:
        """Yield where the subject leads: to what stands behind it, to what its pods call, to what admits them."""
        values = {obj["metadata"]["name"]: obj.get("data") or {} for obj in config_maps}
        top = found.top
        if top is None:
            return
        yield from self._behind(found, top, depth)
        yield from self._calls(found, top, values, depth)
        yield from self._admits(found, depth)

    def _behind(self, found: Snapshot, top: Obj, depth: int) -> Iterator[Lead]:
        owners: dict[str, tuple[str, Obj]] = {}
        for where, obj in _chosen(found, top):
            owner = self._reader.owners(obj)[-1]
            owners.setdefault(_key(owner), (where, owner))
        for where, owner in list(owners.values())[:LEADS]:
            if _key(owner) not in self._seen:
                value = source(owner)
                yield Lead(through=Through.STANDS_FOR, source=source(top), field=where, value=value, snapshot=self._deeper(owner, depth))

    def _calls(self, found: Snapshot, top: Obj, values: Mapping[str, Mapping[str, str]], depth: int) -> Iterator[Lead]:
        namespace, followed = top["metadata"].get("namespace", ""), 0
        for row in called(found.template, namespace, values):
            service = self._reader.read(core.SERVICE, row.namespace, row.name)
            known = row.namespace == namespace or self._reader.read(core.NAMESPACE, "", row.namespace) is not None
            if followed >= LEADS or (service is None and not (row.certain and known)):
                continue
            followed += 1
            yield Lead(
                through=Through.CALLS,
                source=source(top),
                field=row.field if top["kind"] == "Pod" else f"spec.template.{row.field}",
                value=row.value,
                host=f"{row.name}.{row.namespace}",
                port=row.port,
                service=service,
                snapshot=self._of_service(service, depth),
            )

    def _admits(self, found: Snapshot, depth: int) -> Iterator[Lead]:
        messages = (str(event.get("message") or "") for event in found.events_of("FailedCreate", "FailedUpdate"))
        hooks = (*found.of("ValidatingWebhookConfiguration"), *found.of("MutatingWebhookConfiguration"))
        for configuration, hook in failing_webhooks(messages, hooks)[:LEADS]:
            named = (hook.get("clientConfig") or {}).get("service")
            if not named:
                continue
            service = self._reader.read(core.SERVICE, named["namespace"], named["name"])
            yield Lead(
                through=Through.ADMITS,
                source=source(configuration),
                field=f"webhooks[{hook['name']}].clientConfig.service",
                value=f"{named['namespace']}/{named['name']}",
                host=f"{named['name']}.{named['namespace']}",
                port=int(named.get("port") or 443),
                service=service,
                snapshot=self._of_service(service, depth),
            )

    def _of_service(self, service: Obj | None, depth: int) -> Snapshot | None:
        """Return what stands around the workload behind a Service: by its pods, else by the pod templates it would select."""
        if service is None:
            return None
        namespace, selector = service["metadata"]["namespace"], selector_of(service)
        around = self._around(namespace)
        pods = [pod for pod in around.get("Pod", ()) if matches(selector, labels_of(pod))]
        owners = [self._reader.owners(pods[0])[-1]] if pods else _templates(around, selector)
        return self._deeper(owners[0], depth) if owners and _key(owners[0]) not in self._seen else None

    def _deeper(self, top: Obj, depth: int) -> Snapshot:
        return self.snapshot(identity(top), None, depth)


def _chosen(found: Snapshot, top: Obj) -> Iterator[tuple[str, Obj]]:
    """Yield the pods and workloads that stand behind an object beside them, with the field that says so."""
    match top["kind"]:
        case "Service":
            selector = selector_of(top)
            yield from (("spec.selector", pod) for pod in found.of("Pod") if matches(selector, labels_of(pod)))
            yield from (("spec.selector", obj) for obj in _templates(found.related, selector))
        case "PodDisruptionBudget" | "NetworkPolicy":
            selector = selector_of(top)
            yield from (("spec.selector", pod) for pod in found.of("Pod") if matches(selector, labels_of(pod)))
        case "HorizontalPodAutoscaler":
            named = (top.get("spec") or {}).get("scaleTargetRef") or {}
            scaled = found.named(str(named.get("kind", "")), str(named.get("name", "")))
            yield from (("spec.scaleTargetRef", obj) for obj in (scaled,) if obj)
        case "PersistentVolumeClaim":
            yield from (("metadata.name", pod) for pod in found.of("Pod") if top["metadata"]["name"] in claims_of(pod))
        case "Ingress":
            for where, name, _ in backends(top):
                selector = selector_of(found.named("Service", name) or {"kind": ""})
                yield from ((where, pod) for pod in found.of("Pod") if matches(selector, labels_of(pod)))
                yield from ((where, obj) for obj in _templates(found.related, selector))
        case "Namespace" | "ResourceQuota" | "LimitRange":
            short = (obj for kind in ("Deployment", "StatefulSet", "DaemonSet") for obj in found.of(kind) if _short(obj))
            yield from (("metadata.namespace", obj) for obj in short)


def _short(obj: Obj) -> bool:
    """Tell whether a workload lacks pods that serve."""
    status = obj.get("status") or {}
    if obj["kind"] == "DaemonSet":
        return int(status.get("numberReady") or 0) < int(status.get("desiredNumberScheduled") or 0)
    return int(status.get("readyReplicas") or 0) < int(obj["spec"].get("replicas", 1))


def _templates(around: Mapping[str, tuple[Obj, ...]], selector: Obj | None) -> list[Obj]:
    """Return the workloads whose pods a selector would take."""
    rows = [obj for kind in ("Deployment", "StatefulSet", "DaemonSet") for obj in around.get(kind, ())]
    return [obj for obj in rows if matches(selector, ((obj["spec"].get("template") or {}).get("metadata") or {}).get("labels"))]


def _place(obj: Obj) -> str:
    """Return the namespace that an object is in, or is."""
    return str(obj["metadata"]["name"] if obj["kind"] == "Namespace" else obj["metadata"].get("namespace", ""))


def _keys(config_map: Obj) -> frozenset[str]:
    return frozenset((config_map.get("data") or {}) | (config_map.get("binaryData") or {}))


def _applied(config_map: Obj) -> frozenset[str]:
    """Return the keys that kubectl apply last gave; none where it was not applied so, or nobody can read it."""
    text = str((config_map["metadata"].get("annotations") or {}).get(_APPLIED) or "")
    try:
        found = json.loads(text[:_APPLIED_LIMIT]) if text else {}
    except ValueError:
        return frozenset()
    data = found.get("data") if isinstance(found, dict) else None
    return frozenset(map(str, data)) if isinstance(data, dict) else frozenset()


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


def _by_number(obj: Obj) -> tuple[int, str]:
    return -int(obj.get("revision") or 0), obj["metadata"]["name"]


def _newest_first(event: Obj) -> tuple[float, str]:
    seen = last_seen(event)
    return -seen.timestamp() if seen else 0.0, event["metadata"]["name"]

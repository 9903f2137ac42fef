"""One taking of a snapshot: the subject with all around it, and the same for the workloads that it leads to, a few steps deep."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from kubernaut.analysis.containers import condition, idle, pod_ready
from kubernaut.analysis.hints import COREFILE, SAID, blamed, denied_zone, left_undone, mounted, times_out
from kubernaut.analysis.leads import (
    GOVERNING,
    Called,
    backends,
    called,
    claims_of,
    failing_webhooks,
    governing,
    labels_of,
    matches,
    misses,
    names_fail,
    said_last,
    secrets_of,
    selector_of,
)
from kubernaut.analysis.logs import UNREAD, Logs
from kubernaut.analysis.permissions import refusals
from kubernaut.analysis.reading import BY_ALL, BY_NAMESPACE, Reader, by_name, by_number, key_of, subject_key
from kubernaut.analysis.rollouts import under_way
from kubernaut.analysis.snapshot import Lead, Snapshot, Through, identity, moment, source
from kubernaut.api import core
from kubernaut.api.analysis import AlertContext
from kubernaut.api.base import Obj, ResourceIdentifier
from kubernaut.kube.cluster import OWNER_INDEX

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
LEADS: Final = 8
"""How many ways are followed from one object."""
DEPTH: Final = 2
"""How many steps from the subject."""
DNS_NAMESPACE: Final = "kube-system"
_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_APPLIED_LIMIT: Final = 262_144


class Taking:
    """One taking: the subject's snapshot and those it leads to, what they share read once."""

    def __init__(self, reader: Reader, now: datetime, since: datetime, *, wide: bool, logs: Logs) -> None:
        self._reader, self._now, self._since, self._wide, self._logs = reader, now, since, wide, logs
        if logs.unread:
            reader.unread.add(UNREAD)
        self._shared = reader.shared() if wide else {}
        self._nodes = tuple(reader.bounded("Node", reader.select(core.NODE, BY_ALL, "*"), by_name))
        self._related: dict[str, Mapping[str, tuple[Obj, ...]]] = {}
        self._seen: set[str] = set()
        """What is being taken, or was: the ways that lead back to it end."""
        self._taken: dict[str, Snapshot | None] = {}

    def snapshot(self, subject: ResourceIdentifier, alert: AlertContext | None, depth: int) -> Snapshot:
        """Return what stands around a subject, and around what it leads to, so many steps deep."""
        reader, chain = self._reader, self._chain(subject, alert)
        replica_sets, pods = reader.made_by(chain) if chain else ([], [])
        self._seen |= {key_of(obj) for obj in chain}
        namespace = _place(chain[-1]) if chain else subject.namespace
        config_maps = self._config_maps(namespace) if self._wide else []
        related = dict(self._around(namespace))
        about = {key_of(obj) for obj in (*chain, *replica_sets, *pods)} | {subject_key(subject.kind, subject.namespace, subject.name)}
        about |= set(_beside(chain, pods))
        around = {key_of(obj) for kind in TOLD_OF for obj in related.get(kind.kind, ())} - about
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
            logs=self._said(pods),
        )
        leads = tuple(self._leads(found, config_maps, depth - 1)) if depth else ()
        return replace(
            found,
            leads=leads,
            related=related | self._rights(found, namespace),
            unread=tuple(sorted(reader.unread)),
            cut=tuple(sorted(reader.cut)),
        )

    def _chain(self, subject: ResourceIdentifier, alert: AlertContext | None) -> list[Obj]:
        """Return the subject and its owners; where the subject is gone, what of its owners is known and still there."""
        first = self._reader.named(subject.kind, subject.namespace, subject.name)
        if first is None and alert is not None:
            hints = (self._reader.named(kind, subject.namespace, name) for kind, name in _owner_hints(alert))
            first = next((obj for obj in hints if obj is not None), None)
        first = first or self._reader.beneath(subject.kind, subject.namespace, subject.name)
        return self._reader.owners(first) if first else []

    def _around(self, namespace: str) -> Mapping[str, tuple[Obj, ...]]:
        if not self._wide:
            return {}
        if namespace not in self._related:
            self._related[namespace] = self._reader.related(namespace) | self._shared
        return self._related[namespace]

    def _said(self, pods: list[Obj]) -> Mapping[str, str]:
        """Return what was read of these pods' logs."""
        places = {f"{pod['metadata'].get('namespace', '')}/{pod['metadata']['name']}" for pod in pods}
        return {key: text for key, text in self._logs.texts.items() if key.rpartition("/")[0] in places}

    def _rights(self, found: Snapshot, namespace: str) -> dict[str, tuple[Obj, ...]]:
        """Return who may do what, where pods complain that they may not do something."""
        refused = refusals(said_last(found)) if self._wide else []
        return self._reader.rights({namespace, *(each.namespace for each in refused if each.namespace)}) if refused else {}

    def _revisions(self, chain: list[Obj]) -> list[Obj]:
        if not chain or chain[-1]["kind"] not in {"StatefulSet", "DaemonSet"}:
            return []
        found = self._reader.select(core.CONTROLLER_REVISION, OWNER_INDEX, chain[-1]["metadata"]["uid"])
        return self._reader.bounded("ControllerRevision", found, by_number)

    def _config_maps(self, namespace: str) -> list[Obj]:
        return self._reader.bounded("ConfigMap", self._reader.select(core.CONFIG_MAP, BY_NAMESPACE, namespace), by_name)

    def _leads(self, found: Snapshot, config_maps: list[Obj], depth: int) -> Iterator[Lead]:
        """Yield where the subject leads: to what stands behind it, to what its pods call, to what admits them."""
        values = {obj["metadata"]["name"]: obj.get("data") or {} for obj in config_maps}
        top = found.top
        if top is None:
            return
        yield from self._behind(found, top, depth)
        yield from (calls := list(self._calls(found, top, values, depth)))
        yield from self._admits(found, depth)
        yield from self._resolves(found, calls, depth)
        yield from self._controls(found, depth)

    def _behind(self, found: Snapshot, top: Obj, depth: int) -> Iterator[Lead]:
        owners: dict[str, tuple[str, Obj]] = {}
        for where, obj in _chosen(found, top):
            owner = self._reader.owners(obj)[-1]
            owners.setdefault(key_of(owner), (where, owner))
        for where, owner in list(owners.values())[:LEADS]:
            if key_of(owner) not in self._seen:
                value = source(owner)
                yield Lead(through=Through.STANDS_FOR, source=source(top), field=where, value=value, snapshot=self._deeper(owner, depth))

    def _calls(self, found: Snapshot, top: Obj, values: Mapping[str, Mapping[str, str]], depth: int) -> Iterator[Lead]:
        namespace, words, followed = top["metadata"].get("namespace", ""), said_last(found), 0
        for row in _told(found, namespace, values, words):
            service = self._reader.read(core.SERVICE, row.namespace, row.name)
            if followed >= LEADS or (service is None and not self._missed(row, namespace, words)):
                continue
            if row.aside and not misses(words, row.name):
                continue
            followed += 1
            yield Lead(
                through=Through.CALLS,
                source=source(top),
                field=row.field if top["kind"] == "Pod" or row.field in {GOVERNING, SAID} else f"spec.template.{row.field}",
                value=row.value,
                host=f"{row.name}.{row.namespace}",
                port=row.port,
                certain=row.certain,
                service=service,
                snapshot=self._of_service(service, depth),
            )

    def _missed(self, row: Called, namespace: str, words: str) -> bool:
        """Tell whether a name that no Service has was meant for one: two of its form, its namespace and the program's words say so."""
        known = row.namespace == namespace or self._reader.read(core.NAMESPACE, "", row.namespace) is not None
        return known + row.certain + misses(words, row.name) > 1

    def _resolves(self, found: Snapshot, calls: list[Lead], depth: int) -> Iterator[Lead]:
        """Yield the cluster's DNS where names do not resolve; Kubernetes itself marks its Service by a label."""
        if not names_fail(said_last(found)):
            return
        told = self._reader.read(core.CONFIG_MAP, DNS_NAMESPACE, "coredns")
        hosts = [lead.host for lead in calls]
        if told and (zone := denied_zone(str((told.get("data") or {}).get("Corefile") or ""), hosts)):
            yield Lead(through=Through.RESOLVES, source=source(told), field=COREFILE, value=zone)
        for service in self._around(DNS_NAMESPACE).get("Service", ()):
            if labels_of(service).get("k8s-app") == "kube-dns":
                yield Lead(
                    through=Through.RESOLVES,
                    source=source(service),
                    field="metadata.labels[k8s-app]",
                    value="kube-dns",
                    service=service,
                    snapshot=self._of_service(service, depth),
                )

    def _controls(self, found: Snapshot, depth: int) -> Iterator[Lead]:
        """Yield what of Kubernetes itself is not ready and should have gone on with the subject, or carry what its pods send."""
        parts = {("component", name) for name in left_undone(found)}
        nodes = {pod["spec"].get("nodeName") for pod in found.pods} if times_out(said_last(found)) else set[str]()
        for pod in self._around(DNS_NAMESPACE).get("Pod", ()) if parts or nodes else ():
            labels = labels_of(pod)
            carries = labels.get("k8s-app") == "kube-proxy" and pod["spec"].get("nodeName") in nodes
            part = next((key for key, value in parts if labels.get(key) == value), "k8s-app" if carries else "")
            if part and not pod_ready(pod):
                owner = self._reader.owners(pod)[-1]
                yield Lead(
                    through=Through.CONTROLS,
                    source=source(pod),
                    field=f"metadata.labels[{part}]",
                    value=labels[part],
                    snapshot=self._deeper(owner, depth),
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
        return self._deeper(owners[0] if owners else service, depth)

    def _deeper(self, top: Obj, depth: int) -> Snapshot | None:
        """Return what stands around something that is led to; None where the way leads back."""
        key = key_of(top)
        if key not in self._taken:
            self._taken[key] = None if key in self._seen else self.snapshot(identity(top), None, depth)
        return self._taken[key]


def _beside(chain: list[Obj], pods: list[Obj]) -> Iterator[str]:
    """Yield what events are filed under about what a case stands on: the nodes of its pods, the certificates of an Ingress."""
    yield from {subject_key("Node", "", node) for pod in pods if (node := str(pod["spec"].get("nodeName") or ""))}
    for ingress in (obj for obj in chain if obj["kind"] == "Ingress"):
        yield from (subject_key("Certificate", _place(ingress), name) for _, name in secrets_of(ingress))


def _told(found: Snapshot, namespace: str, values: Mapping[str, Mapping[str, str]], words: str) -> list[Called]:
    """Return the Services that a workload is told to call or complains of, those it complains of first; its own aside."""
    services = {obj["metadata"]["name"]: obj for obj in found.of("Service")}
    labels = (found.template.get("metadata") or {}).get("labels")
    own = {name for name, obj in services.items() if matches(selector_of(obj), labels)} if labels else set()
    addresses = {str(address): name for name, obj in services.items() if (address := (obj.get("spec") or {}).get("clusterIP"))}
    complaints = list(blamed(words, namespace, services, addresses))
    hurt = {(row.name, row.namespace) for row in complaints}
    rows: dict[tuple[str, str, int | None], Called] = {}
    told = called(found.template, namespace, values)
    files = mounted(found.template, namespace, values, services.keys())
    aside = [*(row for row in told if row.aside), *governing(found.top or {"kind": ""})]
    for row in (*(row for row in told if not row.aside), *files, *complaints, *aside):
        known = {key[2] for key in rows if key[:2] == (row.name, row.namespace)}
        if not (row.namespace == namespace and row.name in own) and (not known or (row.port and row.port not in known)):
            rows[row.name, row.namespace, row.port] = row
    return sorted(rows.values(), key=lambda row: (row.name, row.namespace) not in hurt)


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
        case "Namespace":
            yield from (("metadata.namespace", obj) for obj in (*_lacking(found), *_stuck(found)))
        case "ResourceQuota" | "LimitRange":
            yield from (("metadata.namespace", obj) for obj in _lacking(found))


def _lacking(found: Snapshot) -> list[Obj]:
    return [obj for kind in ("Deployment", "StatefulSet", "DaemonSet") for obj in found.of(kind) if _short(obj)]


def _stuck(found: Snapshot) -> Iterator[Obj]:
    """Yield what else is not well in a namespace: pods that do not serve though enough others do, roll-outs and Jobs that get nowhere."""
    yield from (pod for pod in found.of("Pod") if _failing(pod, found.since))
    yield from (obj for kind in ("Deployment", "StatefulSet") for obj in found.of(kind) if under_way(obj))
    yield from (job for job in found.of("Job") if _failed(job, found.since) or idle(job, found.at))


def _failing(pod: Obj, since: datetime) -> bool:
    """Tell whether a pod does not serve and is not done, was evicted, or has lately been started again and again."""
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp") or status.get("phase") in {"Succeeded", "Failed"}:
        return status.get("reason") == "Evicted"
    rows = (row for row in status.get("containerStatuses") or () if row.get("restartCount"))
    ends = (moment(((row.get("lastState") or {}).get("terminated") or {}).get("finishedAt")) for row in rows)
    return not pod_ready(pod) or any(ended >= since for ended in ends if ended)


def _failed(job: Obj, since: datetime) -> bool:
    row = condition(job, "Failed")
    ended = moment(row.get("lastTransitionTime"))
    return row.get("status") == "True" and (ended is None or ended >= since)


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


def _owner_hints(alert: AlertContext) -> Iterator[tuple[str, str]]:
    """Yield kind and name of the owners that enrichment saw, the nearest first: `Kind/name` texts."""
    links = alert.kubernetes_context.get("ownerChain")
    for link in links if isinstance(links, list) else ():
        kind, slash, name = str(link).partition("/")
        if slash and kind and name:
            yield kind, name

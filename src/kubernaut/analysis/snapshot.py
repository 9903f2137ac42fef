"""What an investigator sees: the cluster around a subject at one moment, as plain data. `collect.py` fills it, rules judge it.

Objects are decoded Kubernetes objects, sorted, bounded in number, never to be changed. Of ConfigMaps only the keys are here, of Secrets
nothing but what others say of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from kubernaut.api.base import Obj, ResourceIdentifier

TEMPLATED = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"})
"""Kinds whose `spec.template` makes pods."""


class Through(StrEnum):
    """How one object leads to a workload."""

    STANDS_FOR = "stands for"
    """The workload is behind the subject: a Service's, an Ingress', an autoscaler's, a claim's."""
    CALLS = "calls"
    """The subject's pods are told to call it."""
    ADMITS = "admits"
    """It answers the webhook that admits the subject's pods."""
    CONTROLS = "controls"
    """It places the subject's pods, makes them, or carries what they send: a part of Kubernetes itself."""
    RESOLVES = "resolves"
    """It resolves names for the subject's pods, which complain that names do not resolve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """Something in the cluster that leads from the subject to another workload."""

    through: Through
    source: str
    """The object that says so: `kind/namespace/name`."""
    field: str
    value: str
    host: str = ""
    """`service.namespace`, as the caller names it."""
    port: int | None = None
    """The port that is called, where one is named."""
    certain: bool = True
    """Whether the text can mean nothing but a Service of the cluster."""
    service: Obj | None = None
    """The Service called; None where none has that name."""
    snapshot: "Snapshot | None" = None
    """What stands around the workload; None where there is none, or where the way ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The cluster around a subject."""

    at: datetime
    """When it was taken; all ages are told against it."""
    since: datetime
    """Start of the investigation's time window: what ended before is history."""
    subject: ResourceIdentifier
    """What the signal named."""
    chain: tuple[Obj, ...] = ()
    """The subject and its owners upwards; begins higher up where the subject itself is gone, empty when nothing of it is there."""
    pods: tuple[Obj, ...] = ()
    """The pods of the chain's top; the subject itself where it is a pod of nobody."""
    replica_sets: tuple[Obj, ...] = ()
    """The ReplicaSets of the chain's top, the highest revision first."""
    revisions: tuple[Obj, ...] = ()
    """The ControllerRevisions of the chain's top, the highest revision first."""
    events: tuple[Obj, ...] = ()
    """Events about the chain, its ReplicaSets and pods, the newest first, none older than the window."""
    around: tuple[Obj, ...] = ()
    """Events about the related objects, the newest first, none older than the window."""
    nodes: tuple[Obj, ...] = ()
    namespace: Obj | None = None
    config_maps: Mapping[str, frozenset[str]] | None = None
    """Keys by name; None where they were not read."""
    applied_keys: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Keys that kubectl apply last gave a ConfigMap, by its name."""
    logs: Mapping[str, str] = field(default_factory=dict)
    """The last lines of containers before they ended, by `namespace/pod/container`, where somebody read them; data, never instructions."""
    related: Mapping[str, tuple[Obj, ...]] = field(default_factory=dict)
    """Everything else of the namespace, by kind, and what the whole cluster shares: namespaces, volumes, classes, webhooks."""
    leads: tuple[Lead, ...] = ()
    """Where else the cause may be."""
    unread: tuple[str, ...] = ()
    """Kinds that could not be read."""
    cut: tuple[str, ...] = ()
    """Kinds of which there was more than the snapshot holds."""

    @property
    def top(self) -> Obj | None:
        """The workload (or node, or lone pod) that a fix would change."""
        return self.chain[-1] if self.chain else None

    @property
    def target(self) -> ResourceIdentifier:
        """The top's identity; the subject's where nothing of it is there."""
        return identity(self.top) if self.top else self.subject

    @property
    def template(self) -> Obj:
        """The pod template of the top; a lone pod is its own; empty otherwise."""
        top = self.top
        if top is None:
            return {}
        if top["kind"] == "CronJob":
            return _template(top.get("spec", {}).get("jobTemplate", {}))
        return _template(top) if top["kind"] in TEMPLATED else top if top["kind"] == "Pod" else {}

    def of(self, kind: str) -> tuple[Obj, ...]:
        """Return the related objects of a kind."""
        return self.related.get(kind, ())

    def named(self, kind: str, name: str) -> Obj | None:
        """Return a related object by its name; None where there is none."""
        return next((obj for obj in self.of(kind) if obj["metadata"]["name"] == name), None)

    def knows(self, kind: str) -> bool:
        """Tell whether the related objects of a kind were read, so that what is not among them does not exist."""
        return kind in self.related and kind not in self.unread and kind not in self.cut

    def events_of(self, reason: str, *more: str) -> Iterator[Obj]:
        """Yield the events with one of these reasons, the newest first."""
        wanted = {reason, *more}
        return (event for event in self.events if event.get("reason") in wanted)

    def events_about(self, obj: Obj, *reasons: str) -> Iterator[Obj]:
        """Yield the events about one object, with one of these reasons where any is named, the newest first."""
        meta = obj["metadata"]
        wanted = (obj["kind"], meta.get("namespace", ""), meta["name"])
        for event in (*self.events, *self.around):
            involved = event.get("involvedObject") or {}
            found = (involved.get("kind"), involved.get("namespace", ""), involved.get("name"))
            if found == wanted and (not reasons or event.get("reason") in reasons):
                yield event

    def seen(self) -> tuple[str, ...]:
        """Tell in words what was looked at, for an honest 'I don't know'."""
        counts = {
            "owner": len(self.chain),
            "pod": len(self.pods),
            "ReplicaSet": len(self.replica_sets),
            "event": len(self.events),
            "node": len(self.nodes),
            "ConfigMap": len(self.config_maps or ()),
            **{kind: len(objects) for kind, objects in sorted(self.related.items())},
        }
        neighbours = counts.pop("Pod", 0)
        told = [f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items() if count]
        return (*told, f"{neighbours} pod{'' if neighbours == 1 else 's'} in the namespace") if neighbours else tuple(told)


def _template(obj: Obj) -> Obj:
    template: Obj = obj.get("spec", {}).get("template") or {}
    return template


def identity(obj: Obj) -> ResourceIdentifier:
    """Return the name of an object as people and alerts write it."""
    meta = obj["metadata"]
    return ResourceIdentifier(
        kind=obj["kind"], name=meta["name"], namespace=meta.get("namespace", ""), api_version=obj.get("apiVersion", "")
    )


def source(obj: Obj) -> str:
    """Return an object's name for evidence: `kind/namespace/name`, the kind in lower case."""
    meta = obj["metadata"]
    return "/".join(part for part in (obj["kind"].lower(), meta.get("namespace", ""), meta["name"]) if part)


def moment(text: str | None) -> datetime | None:
    """Read a Kubernetes time; None where there is none."""
    return datetime.fromisoformat(text) if text else None

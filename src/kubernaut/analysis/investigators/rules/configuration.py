"""Configuration: a ConfigMap, a Secret, or a key of one that a pod refers to and that is not there, in kubelet's words."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kubernaut.analysis.containers import containers_of, judged_pods
from kubernaut.analysis.investigators.base import Evidence, plain
from kubernaut.analysis.investigators.rules.judging import SYMPTOMS, Candidate, Rule, evidence, place, pod_key, sure, told_by
from kubernaut.analysis.investigators.rules.remedies import regression
from kubernaut.analysis.rollouts import Change
from kubernaut.analysis.snapshot import Snapshot
from kubernaut.api.base import Obj

_OBJECT = re.compile(r'^(?:MountVolume\.SetUp failed for volume "[^"]+" : )?\[?(configmap|secret) "([^"]+)" not found(?:, .*)?\]?$')
_KEY = re.compile(r"^couldn't find key (\S+) in (ConfigMap|Secret) [^/\s]+/(\S+)$")
_MOUNTED_KEY = re.compile(
    r'^MountVolume\.SetUp failed for volume "([^"]+)" : \[?(?:configmap |secret )?references non-existent (config|secret) key: ([^\s,\]]+)'
)
RESTORE = "RestoreConfigMapKey"
_WAITS = frozenset({"ContainerCreating", "CreateContainerConfigError", "PodInitializing"})
_WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
_KINDS = {"configmap": "ConfigMap", "secret": "Secret", "config": "ConfigMap"}


@dataclass(frozen=True, slots=True)
class Missing:
    """Something a pod refers to that kubelet did not find."""

    pod: Obj
    kind: str
    name: str
    key: str
    told: Evidence

    @property
    def cause(self) -> str:
        """The cause's name: ConfigMapMissing, SecretMissing, ConfigMapKeyMissing or SecretKeyMissing."""
        return f"{self.kind}{'Key' if self.key else ''}Missing"


def missing(snapshot: Snapshot) -> Iterator[Missing]:
    """Yield what kubelet did not find for the pods that are not up: from waiting containers, then from mount events."""
    for pod in judged_pods(snapshot):
        for container in containers_of(pod):
            if container.waiting.get("reason") == "CreateContainerConfigError":
                message = str(container.waiting.get("message") or "")
                told = told_by(container, "state.waiting.message", message, "kubelet cannot build the container's environment")
                yield from _read(pod, message, told)
        for event in _mounts(snapshot, pod):
            message = str(event.get("message") or "")
            yield from _read(pod, message, evidence(event, "message", message, "kubelet cannot mount the volume"))


def referred(snapshot: Snapshot) -> Iterator[Missing]:
    """Yield ConfigMaps and keys that waiting pods refer to and that are not there, where kubelet's words are not left."""
    held = snapshot.config_maps
    if held is None or "ConfigMap" in snapshot.unread or "ConfigMap" in snapshot.cut:
        return
    for pod in judged_pods(snapshot):
        waits = any(row.waiting.get("reason") in _WAITS for row in containers_of(pod)) and not any(row.ends() for row in containers_of(pod))
        for where, name, key in _references(pod) if waits else ():
            if name not in held or (key and key not in held[name]):
                yield Missing(
                    pod,
                    "ConfigMap",
                    name,
                    key if name in held else "",
                    evidence(pod, where, f"{name} {key}".strip(), "the pod refers to it"),
                )


def _references(pod: Obj) -> Iterator[tuple[str, str, str]]:
    """Yield field, ConfigMap and key ("": the whole) of each reference that is not optional."""
    for row in (*(pod["spec"].get("initContainers") or ()), *(pod["spec"].get("containers") or ())):
        at = f"spec.containers[{row['name']}]"
        for item in row.get("env") or ():
            found = (item.get("valueFrom") or {}).get("configMapKeyRef") or {}
            if found and not found.get("optional"):
                yield f"{at}.env[{item['name']}]", str(found.get("name")), str(found.get("key"))
        for item in row.get("envFrom") or ():
            found = item.get("configMapRef") or {}
            if found and not found.get("optional"):
                yield f"{at}.envFrom", str(found.get("name")), ""
    for volume in pod["spec"].get("volumes") or ():
        for found in (volume.get("configMap") or {}, *(row.get("configMap") or {} for row in _projected(volume))):
            if found and not found.get("optional"):
                yield f"spec.volumes[{volume['name']}]", str(found.get("name")), ""


def _projected(volume: Obj) -> tuple[Obj, ...]:
    return tuple((volume.get("projected") or {}).get("sources") or ())


def _mounts(snapshot: Snapshot, pod: Obj) -> Iterator[Obj]:
    """Yield mount failures of a pod none of whose containers was ever started: of one that runs they are history."""
    started = any("running" in (row.status.get("state") or {}) or row.ends() for row in containers_of(pod))
    for event in snapshot.events_of("FailedMount"):
        involved = event.get("involvedObject") or {}
        if not started and involved.get("kind") == "Pod" and involved.get("name") == pod["metadata"]["name"]:
            yield event


def _read(pod: Obj, message: str, told: Evidence) -> Iterator[Missing]:
    text = message.strip()
    if found := _OBJECT.match(text):
        yield Missing(pod, _KINDS[found[1]], found[2], "", told)
    elif found := _KEY.match(text):
        yield Missing(pod, found[2], found[3], found[1], told)
    elif found := _MOUNTED_KEY.match(text):
        yield Missing(pod, _KINDS[found[2]], _mounted(pod, found[1]), found[3], told)


def _mounted(pod: Obj, volume: str) -> str:
    """Return the name of the object behind a volume."""
    found: Obj = next((row for row in pod["spec"].get("volumes") or () if row["name"] == volume), {})
    parts = [found, *_projected(found)]
    names = [str((row.get("configMap") or {}).get("name") or "") for row in parts]
    names += [str((row.get("secret") or {}).get(field) or "") for row in parts for field in ("secretName", "name")]
    return next((name for name in names if name), "")


def _judge(snapshot: Snapshot, cause: str) -> Candidate | None:
    told = list(missing(snapshot))
    found = [row for row in told or referred(snapshot) if row.cause == cause]
    if not found:
        return None
    first = found[0]
    rows = [row for row in found if (row.name, row.key) == (first.name, first.key)]
    there = _there_now(snapshot, first)
    what = f"key {first.key} of {first.kind} {first.name}" if first.key else f"{first.kind} {first.name}"
    back = regression(snapshot, [row.pod for row in rows], _refers_to(first))
    summary = f"Pods of {snapshot.target.path()} cannot start: they refer to {what}, which does not exist."
    return Candidate(
        cause=cause,
        summary=f"{summary} {back.sentence()}" if back else summary,
        confidence=sure(0.8 if told else 0.7, back.weight if back else 0.05, -0.45 if there else 0.0),
        target=snapshot.target,
        evidence=(first.told, *_presence(snapshot, first, there=there), *(back.evidence() if back else ())),
        action=back.action if back else RESTORE if _restorable(snapshot, first) else "",
        advice="" if back else f"Create {what}, or correct the reference: what should stand in it only a person knows.",
        facts=(back.facts(snapshot) if back else place(snapshot))
        | {"missing.kind": first.kind, "missing.name": first.name}
        | ({"missing.key": first.key} if first.key else {}),
        subjects=frozenset(pod_key(row.pod) for row in rows),
    )


def _restorable(snapshot: Snapshot, row: Missing) -> bool:
    """Tell whether the key was applied to the ConfigMap once and taken out since, so that its value is known."""
    if row.kind != "ConfigMap" or not row.key or snapshot.target.kind not in _WORKLOADS:
        return False
    return row.key in (snapshot.applied_keys or {}).get(row.name, ()) and not _there_now(snapshot, row)


def _there_now(snapshot: Snapshot, row: Missing) -> bool:
    """Tell whether it exists by now, so that kubelet will find it at its next try."""
    if row.kind != "ConfigMap" or snapshot.config_maps is None or row.name not in snapshot.config_maps:
        return False
    return not row.key or row.key in snapshot.config_maps[row.name]


def _presence(snapshot: Snapshot, row: Missing, *, there: bool) -> tuple[Evidence, ...]:
    if row.kind != "ConfigMap" or snapshot.config_maps is None:
        return ()
    where = plain(f"configmap/{row.pod['metadata'].get('namespace', '')}/{row.name}")
    names = ", ".join(sorted(snapshot.config_maps.get(row.name, ()))) or "none"
    says = "speaks against it: it is there by now" if there else "it is not there"
    return (Evidence(where, "data", plain(f"keys: {names}"), says),)


def _refers_to(row: Missing) -> Callable[[Change], bool]:
    def about(change: Change) -> bool:
        return change.new is not None and (row.name in str(change.new) or (bool(row.key) and row.key in str(change.new)))

    return about


def config_map_missing(snapshot: Snapshot) -> Candidate | None:
    """A pod refers to a ConfigMap that does not exist: a person must create it, or the revision that brought the reference goes back."""
    return _judge(snapshot, "ConfigMapMissing")


def secret_missing(snapshot: Snapshot) -> Candidate | None:
    """A pod refers to a Secret that does not exist (judged from kubelet's message alone: we never read Secrets)."""
    return _judge(snapshot, "SecretMissing")


def config_key_missing(snapshot: Snapshot) -> Candidate | None:
    """A pod refers to a key that its ConfigMap does not have."""
    return _judge(snapshot, "ConfigMapKeyMissing")


def secret_key_missing(snapshot: Snapshot) -> Candidate | None:
    """A pod refers to a key that its Secret does not have (judged from kubelet's message alone)."""
    return _judge(snapshot, "SecretKeyMissing")


RULES = (
    Rule("ConfigMapMissing", config_map_missing, explains=SYMPTOMS),
    Rule("SecretMissing", secret_missing, explains=SYMPTOMS),
    Rule("ConfigMapKeyMissing", config_key_missing, explains=SYMPTOMS),
    Rule("SecretKeyMissing", secret_key_missing, explains=SYMPTOMS),
)

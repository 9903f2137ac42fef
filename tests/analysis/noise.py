"""What else stands in a cluster: workloads of other teams, most of them well, some not, in other namespaces and in the same.

Objects are whole, as an API server gives them. Nothing in them has to do with any case: other names, other labels, other nodes.
"""

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import count, islice

from kubernaut.api import core
from kubernaut.api.base import Obj

WORDS = (
    "ledger",
    "basket",
    "mailer",
    "quota-keeper",
    "thumbnails",
    "crawler",
    "billing",
    "search",
    "audit",
    "exports",
    "tenants",
    "geocoder",
)
HOMES = tuple(f"team-{letter}" for letter in "abcdefghijklmnopqrst")
IMAGE = "registry.example.net/{}:2.{}.1"
SICK_EVERY = 23
"""One in so many workloads elsewhere is broken."""
NODES = 24


class Crowd:
    """Makes the objects, the same for the same seed."""

    def __init__(self, at: datetime, seed: int = 7) -> None:
        self._at, self._rng = at, random.Random(seed)
        self._uids = count(1)

    def elsewhere(self, size: int) -> list[Obj]:
        """Return so many objects of other namespaces and of the whole cluster; one workload in twenty-three is broken."""
        found = [*self._homes(), *self._nodes()]
        numbers = count()
        while len(found) < size:
            number = next(numbers)
            found += self.workload(HOMES[number % len(HOMES)], number, sick=number % SICK_EVERY == SICK_EVERY - 1)
        return found[:size]

    def beside(self, namespaces: Sequence[str], size: int, *, sick: bool) -> list[Obj]:
        """Return so many objects of some namespaces; with `sick` one workload in each is broken."""
        if not namespaces:
            return []
        each = (
            obj
            for number in count()
            for obj in self.workload(namespaces[number % len(namespaces)], 5000 + number, sick=sick and number < len(namespaces))
        )
        return list(islice(each, size))

    def workload(self, namespace: str, number: int, *, sick: bool) -> Iterator[Obj]:
        """Yield a Deployment with all that goes with it."""
        name = f"{WORDS[number % len(WORDS)]}-{number}"
        labels = {"app.kubernetes.io/name": name, "team": namespace}
        replicas = 1 + number % 3
        spec = self._pod_spec(name, namespace, number)
        owner = self._meta("Deployment", name, namespace, labels, days=40)
        template = {"metadata": {"labels": labels}, "spec": spec}
        ready = 0 if sick else replicas
        counts = {"observedGeneration": 1, "replicas": replicas, "updatedReplicas": replicas, "readyReplicas": ready}
        wanted = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        yield self._obj("apps/v1", "Deployment", owner, wanted, counts)
        for revision, size in ((1, 0), (2, replicas)):
            meta = self._meta("ReplicaSet", f"{name}-{revision:010x}", namespace, labels, days=40 - 10 * revision, of=("Deployment", owner))
            meta["annotations"] = {"deployment.kubernetes.io/revision": str(revision)}
            state = {"replicas": size, "readyReplicas": min(size, ready)}
            yield self._obj("apps/v1", "ReplicaSet", meta, {**wanted, "replicas": size}, state)
        for index in range(replicas):
            pod = self._meta("Pod", f"{name}-{2:010x}-{index:05x}", namespace, labels, days=20, of=("ReplicaSet", meta))
            yield self._obj("v1", "Pod", pod, {**spec, "nodeName": f"pool-{(number + index) % NODES}"}, self._pod_status(name, sick=sick))
            yield self._event(pod, index, sick=sick)
        yield from self._besides(namespace, name, number, labels)

    def _pod_spec(self, name: str, namespace: str, number: int) -> Obj:
        resources = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}
        probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10, "failureThreshold": 3, "timeoutSeconds": 1}
        env = [
            {"name": "UPSTREAM", "value": f"http://{name}.{namespace}.svc.cluster.local:80"},
            {"name": "MODE", "value": "a"},
        ]
        container = {
            "name": "app",
            "image": IMAGE.format(name, number),
            "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}],
            "env": env,
            "envFrom": [{"configMapRef": {"name": f"{name}-config"}}],
            "resources": resources,
            "readinessProbe": probe,
            "livenessProbe": probe,
        }
        return {"serviceAccountName": name, "restartPolicy": "Always", "containers": [container]}

    def _pod_status(self, name: str, *, sick: bool) -> Obj:
        since, now = self._ago(days=20), self._ago(minutes=2)
        image = IMAGE.format(name, 0)
        ended = {"exitCode": 1, "reason": "Error", "message": "panic: nil map", "startedAt": now, "finishedAt": now}
        back_off = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container=app"}}
        state = (
            {"state": back_off, "lastState": {"terminated": ended}}
            if sick
            else {"state": {"running": {"startedAt": since}}, "lastState": {}}
        )
        row = {
            "name": "app",
            "image": image,
            "imageID": f"{image}@sha256:00",
            "ready": not sick,
            "started": not sick,
            "restartCount": 9 if sick else 0,
        }
        kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
        down = {"Ready", "ContainersReady"} if sick else set()
        rows = [{"type": kind, "status": "False" if kind in down else "True", "lastTransitionTime": since} for kind in kinds]
        return {"phase": "Running", "podIP": "10.9.8.7", "startTime": since, "conditions": rows, "containerStatuses": [row | state]}

    def _event(self, pod: Obj, index: int, *, sick: bool) -> Obj:
        meta = self._meta("Event", f"{pod['name']}.{index}", pod["namespace"], {}, days=0)
        reason, message = (
            ("BackOff", "Back-off restarting failed container app in pod") if sick else ("Pulled", "Container image already present")
        )
        involved = {"apiVersion": "v1", "kind": "Pod", "name": pod["name"], "namespace": pod["namespace"], "uid": pod["uid"]}
        told = {"reason": reason, "message": message, "type": "Warning" if sick else "Normal", "count": 3}
        when = {"firstTimestamp": self._ago(hours=3), "lastTimestamp": self._ago(minutes=4)}
        return {"apiVersion": "v1", "kind": "Event", "metadata": meta, "involvedObject": involved, **told, **when}

    def _besides(self, namespace: str, name: str, number: int, labels: dict[str, str]) -> Iterator[Obj]:
        """Yield what stands around a workload: some of it around each, the rest around some."""
        ports = [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
        yield self._made(
            "v1", "Service", name, namespace, {"selector": labels, "ports": ports, "type": "ClusterIP", "clusterIP": "10.96.7.7"}
        )
        meta = self._meta("ConfigMap", f"{name}-config", namespace, labels, days=40)
        yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"LEVEL": "info", "PEER": f"http://{name}:80"}}
        yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": self._meta("ServiceAccount", name, namespace, labels, days=40)}
        if number % 3 == 0:
            reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
            spec = {"scaleTargetRef": reference, "minReplicas": 1, "maxReplicas": 9}
            status = {"currentReplicas": 1, "desiredReplicas": 1, "conditions": [{"type": "ScalingActive", "status": "True"}]}
            yield self._made("autoscaling/v2", "HorizontalPodAutoscaler", name, namespace, spec, status)
        if number % 4 == 0:
            status = {"disruptionsAllowed": 1, "currentHealthy": 3, "desiredHealthy": 1, "expectedPods": 3}
            yield self._made(
                "policy/v1", "PodDisruptionBudget", name, namespace, {"maxUnavailable": 1, "selector": {"matchLabels": labels}}, status
            )
        if number % 5 == 0:
            spec = {"podSelector": {"matchLabels": labels}, "policyTypes": ["Ingress"], "ingress": [{}]}
            yield self._made("networking.k8s.io/v1", "NetworkPolicy", name, namespace, spec)
        if number % 7 == 0:
            spec = {"accessModes": ["ReadWriteOnce"], "volumeName": f"pv-{number}", "resources": {"requests": {"storage": "1Gi"}}}
            yield self._made("v1", "PersistentVolumeClaim", f"{name}-data", namespace, spec, {"phase": "Bound"})
        if number % 11 == 0:
            rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]
            head = {"apiVersion": "rbac.authorization.k8s.io/v1"}
            yield {**head, "kind": "Role", "metadata": self._meta("Role", name, namespace, labels, days=40), "rules": rules}
            yield {
                **head,
                "kind": "RoleBinding",
                "metadata": self._meta("RoleBinding", name, namespace, labels, days=40),
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
            }

    def _homes(self) -> Iterator[Obj]:
        for name in HOMES:
            meta = self._meta("Namespace", name, "", {"environment": "staging", "kubernetes.io/metadata.name": name}, days=90)
            yield self._obj("v1", "Namespace", meta, {}, {"phase": "Active"})

    def _nodes(self) -> Iterator[Obj]:
        """Yield the nodes of another pool: too small and too full for anything else, and kept for others by a taint."""
        for number in range(NODES):
            labels = {"kubernetes.io/hostname": f"pool-{number}", "kubernetes.io/arch": "amd64", "pool": "crowd"}
            meta = self._meta("Node", f"pool-{number}", "", labels, days=90)
            ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastTransitionTime": self._ago(days=60)}
            room = {"cpu": "2", "memory": "4Gi", "pods": "110"}
            taints = [{"key": "pool", "value": "crowd", "effect": "NoSchedule"}]
            yield self._obj("v1", "Node", meta, {"taints": taints}, {"allocatable": room, "capacity": room, "conditions": [ready]})

    def _made(self, version: str, kind: str, name: str, namespace: str, spec: Obj, status: Obj | None = None) -> Obj:
        return self._obj(version, kind, self._meta(kind, name, namespace, {}, days=40), spec, status or {})

    @staticmethod
    def _obj(version: str, kind: str, meta: Obj, spec: Obj, status: Obj) -> Obj:
        return {"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec, "status": status}

    def _meta(self, kind: str, name: str, namespace: str, labels: dict[str, str], *, days: int, of: tuple[str, Obj] | None = None) -> Obj:
        uid = f"{next(self._uids):08x}-0000-4000-8000-{self._rng.getrandbits(48):012x}"
        found: Obj = {"name": name, "uid": uid, "creationTimestamp": self._ago(days=days), "labels": labels, "resourceVersion": "1"}
        if namespace:
            found["namespace"] = namespace
        if of:
            head = {"apiVersion": "apps/v1", "kind": of[0], "controller": True, "blockOwnerDeletion": True}
            found["ownerReferences"] = [{**head, "name": of[1]["name"], "uid": of[1]["uid"]}]
        manager = {"manager": f"{kind.casefold()}-writer", "operation": "Update", "time": self._ago(days=days), "fieldsType": "FieldsV1"}
        found["managedFields"] = [{**manager, "fieldsV1": {"f:metadata": {"f:labels": {f"f:{key}": {} for key in labels}}, "f:spec": {}}}]
        return found

    def _ago(self, **span: float) -> str:
        return f"{self._at - timedelta(**span):%Y-%m-%dT%H:%M:%SZ}"


def plural_of(kind: str) -> str:
    """Return what a kind is called in paths."""
    card = core.kind_named(kind)
    assert card is not None, kind
    return card.plural


def namespaces_of(objects: Sequence[Obj]) -> list[str]:
    """Return the namespaces that objects are in."""
    return sorted({str(obj["metadata"].get("namespace")) for obj in objects} - {"None", ""})

"""Faults made in a namespace of a test's own, and how they look: broken, and cured. `cures.py` says which workflow is for which."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from kubernaut.api import core
from kubernaut.api.base import Kind, Obj
from kubernaut.kube.client import Client
from kubernaut.kube.errors import ApiError
from tests.world import eventually

STORAGE_CLASS = Kind(kind="StorageClass", plural="storageclasses", group="storage.k8s.io", version="v1", namespaced=False)
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
IMAGE = "registry.example.com/shop/web"
SICK = {"sick": "true"}
"""A label put on pods that are to fail; those that take their place do not have it."""


@dataclass
class Place:
    """One case's namespace in the cluster."""

    client: Client
    namespace: str

    async def make(self, kind: Kind, name: str, **content: Any) -> Obj:
        meta = {"name": name} | ({"namespace": self.namespace} if kind.namespaced else {}) | content.pop("metadata", {})
        return await self.client.create(kind, {"metadata": meta, **content})

    async def get(self, kind: Kind, name: str) -> Obj:
        return await self.client.get(kind, name, self.namespace if kind.namespaced else "")

    async def change(self, kind: Kind, name: str, spec: Obj) -> None:
        await self.client.patch(kind, name, self.namespace if kind.namespaced else "", {"spec": spec})

    async def state(self, kind: Kind, name: str, status: Obj) -> None:
        await self.client.patch(kind, name, self.namespace, {"status": status}, subresource="status")

    async def say(self, namespace: str, about: Obj, reason: str, message: str, count: int = 1) -> None:
        """Report what a controller would that does not run here."""
        meta = about["metadata"]
        involved = {"apiVersion": about["apiVersion"], "kind": about["kind"], "name": meta["name"], "uid": meta["uid"]}
        involved |= {"namespace": meta["namespace"]} if "namespace" in meta else {}
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        told = {"reason": reason, "message": message, "count": count, "type": "Warning", "firstTimestamp": now, "lastTimestamp": now}
        event = {"metadata": {"name": f"{meta['name']}.{reason.lower()}", "namespace": namespace}, "involvedObject": involved, **told}
        await self.client.create(core.EVENT, event)

    async def pods(self) -> list[Obj]:
        return list((await self.client.list(core.POD, self.namespace)).items)

    async def sicken(self) -> None:
        """Let the pods that are there fail, and none that comes after them."""
        for pod in await self.pods():
            await self._sicken(pod)

    async def sicken_one(self) -> None:
        """Let one of the pods that are there fail."""
        await self._sicken((await self.pods())[0])

    async def _sicken(self, pod: Obj) -> None:
        await self.client.patch(core.POD, pod["metadata"]["name"], self.namespace, {"metadata": {"labels": SICK}})


Look = Callable[[Place], Awaitable[bool]]
Make = Callable[[Place], Awaitable[object]]


def template(image: str = f"{IMAGE}:1", **more: Any) -> Obj:
    container = {"name": "web", "image": image, "ports": [{"containerPort": 8080}], **more.pop("container", {})}
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container], **more}}


def workload(kind: Kind = core.DEPLOYMENT, replicas: int = 1, **more: Any) -> Make:
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": template(**more)}
    counted = {} if kind is core.DAEMON_SET else {"replicas": replicas}
    return lambda place: place.make(kind, "web", spec=spec | counted)


def memory(limit: str) -> Obj:
    return {"resources": {"requests": {"memory": limit}, "limits": {"memory": limit}}}


def probed(**probe: Any) -> Obj:
    return {"readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1} | probe}


def _is(pod: Obj, type_: str) -> bool:
    return any(row["type"] == type_ and row["status"] == "True" for row in (pod.get("status") or {}).get("conditions") or ())


def _living(pods: list[Obj]) -> list[Obj]:
    return [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]


def serving(count: int = 1, kind: Kind = core.DEPLOYMENT) -> Look:
    """So many pods are ready, none of them sick, and the workload is rolled out."""

    async def look(place: Place) -> bool:
        pods, owner = _living(await place.pods()), await place.get(kind, "web")
        seen = (owner.get("status") or {}).get("observedGeneration") == owner["metadata"]["generation"]
        sick = any(SICK.items() <= (pod["metadata"].get("labels") or {}).items() for pod in pods)
        return seen and len(pods) == count and not sick and all(_is(pod, "Ready") for pod in pods)

    return look


async def restarting(place: Place) -> bool:
    rows = [row for pod in await place.pods() for row in (pod.get("status") or {}).get("containerStatuses") or ()]
    return any(row["restartCount"] and not row["ready"] for row in rows)


async def unready(place: Place) -> bool:
    return any((pod.get("status") or {}).get("phase") == "Running" and not _is(pod, "Ready") for pod in _living(await place.pods()))


def waiting(*reasons: str) -> Look:
    async def look(place: Place) -> bool:
        rows = [row for pod in await place.pods() for row in (pod.get("status") or {}).get("containerStatuses") or ()]
        return any(((row.get("state") or {}).get("waiting") or {}).get("reason") in reasons for row in rows)

    return look


async def unscheduled(place: Place) -> bool:
    return any(
        row["type"] == "PodScheduled" and row.get("reason") == "Unschedulable"
        for pod in await place.pods()
        for row in (pod.get("status") or {}).get("conditions") or ()
    )


def field_is(kind: Kind, name: str, path: str, value: object) -> Look:
    async def look(place: Place) -> bool:
        found: Any = await place.get(kind, name)
        for part in path.split("."):
            found = (found or {}).get(part)
        return bool(found == value)

    return look


def there(kind: Kind, name: str) -> Look:
    async def look(place: Place) -> bool:
        try:
            await place.get(kind, name)
        except ApiError as error:
            if not error.not_found:
                raise
            return False
        return True

    return look


def gone(kind: Kind, name: str) -> Look:
    found = there(kind, name)

    async def look(place: Place) -> bool:
        return not await found(place)

    return look


def both(one: Look, other: Look) -> Look:
    async def look(place: Place) -> bool:
        return await one(place) and await other(place)

    return look


def limited(kind: Kind, memory: str) -> Look:
    async def look(place: Place) -> bool:
        [container] = (await place.get(kind, "web"))["spec"]["template"]["spec"]["containers"]
        return bool(container["resources"]["limits"]["memory"] == memory)

    return look


def once_stood(make: Make) -> Make:
    """Break something once its containers have run for as long as Kubernetes' times, which are in seconds, can tell."""

    async def stood(place: Place) -> bool:
        rows = [row for pod in await place.pods() for row in pod["status"]["containerStatuses"]]
        now = datetime.now(UTC)
        return all(now - datetime.fromisoformat(row["state"]["running"]["startedAt"]) > timedelta(seconds=2) for row in rows)

    async def then(place: Place) -> None:
        await eventually(lambda: stood(place), seconds=30, pause=0.2)
        await make(place)

    return then


def new_image(kind: Kind = core.DEPLOYMENT) -> Make:
    return lambda place: place.change(kind, "web", {"template": template(f"{IMAGE}:2")})


def on_node(pool: str) -> Obj:
    return {"nodeSelector": {"pool": pool}}


async def cordoned(place: Place) -> None:
    await place.change(core.NODE, "node-cordoned", {"unschedulable": True})
    await workload(**on_node("cordoned"))(place)


async def on_failing_node(place: Place) -> None:
    await place.change(core.NODE, "node-spare", {"unschedulable": True})
    await workload(**on_node("draining"))(place)


async def flapping(place: Place) -> None:
    """Free the other node, and let the node controller have said that this one came and went."""
    await place.change(core.NODE, "node-spare", {"unschedulable": None})
    node = await place.get(core.NODE, "node-failing")
    await place.say("default", node, "NodeNotReady", "Node node-failing status is now: NodeNotReady", count=5)


async def scaled_down(place: Place) -> None:
    await place.change(core.DEPLOYMENT, "web", {"replicas": 0})


async def emptied(place: Place) -> bool:
    return not await place.pods()


async def moved(place: Place) -> bool:
    node, pods = await place.get(core.NODE, "node-failing"), _living(await place.pods())
    elsewhere = all(pod["spec"].get("nodeName") == "node-spare" and _is(pod, "Ready") for pod in pods)
    return bool(node["spec"].get("unschedulable") and pods and elsewhere)


async def quota(place: Place) -> None:
    await place.make(core.RESOURCE_QUOTA, "pods", spec={"hard": {"pods": "1"}})
    await workload(replicas=2)(place)


async def short_of_pods(place: Place) -> bool:
    status = (await place.get(core.DEPLOYMENT, "web")).get("status") or {}
    return any(row["type"] == "ReplicaFailure" for row in status.get("conditions") or ())


async def autoscaler(place: Place) -> None:
    await workload()(place)
    scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    await place.make(core.HORIZONTAL_POD_AUTOSCALER, "web", spec={"maxReplicas": 2, "scaleTargetRef": scaled})
    limited = {"type": "ScalingLimited", "status": "True", "reason": "TooManyReplicas", "message": "it wants more than its maximum"}
    status = {"currentReplicas": 2, "desiredReplicas": 2, "conditions": [limited]}
    await place.state(core.HORIZONTAL_POD_AUTOSCALER, "web", status)


async def keyless(place: Place) -> None:
    applied = '{"apiVersion":"v1","data":{"mode":"fast \\"and\\" $(safe)\\n"},"kind":"ConfigMap","metadata":{"name":"settings"}}'
    await place.make(core.CONFIG_MAP, "settings", data={"other": "1"}, metadata={"annotations": {APPLIED: applied}})
    reference = {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "mode"}}}
    await workload(container={"env": [reference]})(place)


async def key_is_back(place: Place) -> bool:
    held = (await place.get(core.CONFIG_MAP, "settings"))["data"]
    return held == {"other": "1", "mode": 'fast "and" $(safe)\n'} and await serving()(place)


async def unselected(place: Place) -> None:
    await place.make(core.SERVICE, "web", spec={"selector": {"app": "wbe"}, "ports": [{"port": 80, "targetPort": 8080}]})
    await workload()(place)
    client = {"metadata": {"labels": {"app": "client"}}, "spec": {"containers": [{"name": "client", "image": f"{IMAGE}-client:1"}]}}
    await place.make(core.DEPLOYMENT, "client", spec={"replicas": 1, "selector": {"matchLabels": {"app": "client"}}, "template": client})


async def misled(place: Place) -> None:
    ports = [{"name": "http", "port": 80, "targetPort": 8081}, {"name": "admin", "port": 81, "targetPort": 8082}]
    await place.make(core.SERVICE, "web", spec={"selector": {"app": "web"}, "ports": ports})
    await workload()(place)


async def led_right(place: Place) -> bool:
    ports = (await place.get(core.SERVICE, "web"))["spec"]["ports"]
    return [(row["port"], row["targetPort"]) for row in ports] == [(80, 8080), (81, 8082)]


async def evicted(place: Place) -> None:
    await workload()(place)
    for name in ("old-1", "old-2"):
        await place.make(core.POD, name, spec={"containers": [{"name": "web", "image": f"{IMAGE}:1"}], "nodeName": "nowhere"})
        await place.state(core.POD, name, {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."})


async def some_evicted(place: Place) -> bool:
    return any((pod.get("status") or {}).get("reason") == "Evicted" for pod in await place.pods())


async def none_evicted(place: Place) -> bool:
    return not await some_evicted(place)


def _job_spec() -> Obj:
    return {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "job", "image": f"{IMAGE}-job:1"}]}}}


async def suspended(place: Place) -> None:
    spec = {"schedule": "0 3 * * *", "suspend": True, "jobTemplate": {"spec": _job_spec()}}
    await place.make(core.CRON_JOB, "nightly", spec=spec)


async def stuck(place: Place) -> None:
    spec = {"schedule": "0 3 * * *", "concurrencyPolicy": "Forbid", "jobTemplate": {"spec": _job_spec()}}
    owner = await place.make(core.CRON_JOB, "nightly", spec=spec)
    reference = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "uid": owner["metadata"]["uid"], "controller": True}
    await place.make(core.JOB, "nightly-1", metadata={"ownerReferences": [reference]}, spec=_job_spec())
    words = "Not starting job because prior execution is running and concurrency policy is Forbid"
    await place.say(place.namespace, owner, "JobAlreadyActive", words)


async def closed(place: Place) -> None:
    await workload()(place)
    await place.make(core.SERVICE, "web", spec={"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]})
    await place.make(core.NETWORK_POLICY, "deny", spec={"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]})
    container = {"name": "client", "image": f"{IMAGE}-client:1", "env": [{"name": "UPSTREAM", "value": "http://web:80"}]}
    template = {"metadata": {"labels": {"app": "client"}}, "spec": {"containers": [container]}}
    await place.make(core.DEPLOYMENT, "client", spec={"replicas": 1, "selector": {"matchLabels": {"app": "client"}}, "template": template})


async def all_ready(place: Place) -> bool:
    pods = _living(await place.pods())
    return len(pods) > 1 and all(_is(pod, "Ready") for pod in pods)


async def opened(place: Place) -> bool:
    name = f"deny-from-{place.namespace}-8080"
    if not await there(core.NETWORK_POLICY, name)(place):
        return False
    spec = (await place.get(core.NETWORK_POLICY, name))["spec"]
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.namespace}}}
    return bool(spec["podSelector"] == {"matchLabels": {"app": "web"}} and spec["ingress"][0]["from"] == [peer])


async def strict(place: Place) -> None:
    await workload()(place)
    await place.make(core.POD_DISRUPTION_BUDGET, "web", spec={"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}})


async def full(place: Place) -> None:
    await place.make(STORAGE_CLASS, "elastic", provisioner="example.com/disks", allowVolumeExpansion=True)
    requests = {"accessModes": ["ReadWriteOnce"], "storageClassName": "elastic", "resources": {"requests": {"storage": "5Gi"}}}
    await place.make(core.PERSISTENT_VOLUME_CLAIM, "data", spec=requests)
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    await workload(container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]}, volumes=volumes)(place)

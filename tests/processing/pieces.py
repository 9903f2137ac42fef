"""Objects that processing's tests put together."""

from kubernaut.api.processing import OwnerLink
from kubernaut.processing.enrich import Surroundings


def meta(name, **more):
    return {"name": name, "namespace": "shop", "uid": f"uid-{name}", **more}


def pod(name="web-1-a", *, restarts=0, ready=True, labels=None, node="node-1", containers=("app",), message=""):
    return {
        "kind": "Pod",
        "metadata": meta(name, labels=labels or {"app": "web"}),
        "spec": {
            "nodeName": node,
            "containers": [
                {"name": each, "image": f"registry.example/{each}:1", "resources": {"limits": {"memory": "128Mi"}}} for each in containers
            ],
        },
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False", "reason": "ContainersNotReady", "message": message}],
            "containerStatuses": [
                {
                    "name": each,
                    "restartCount": restarts,
                    "ready": ready,
                    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": message}} if restarts else {"running": {}},
                    "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}} if restarts else {},
                }
                for each in containers
            ],
        },
    }


def deployment(name="web", *, kind="Deployment", labels=None, annotations=None, volumes=()):
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}], "volumes": list(volumes)},
    }
    return {
        "kind": kind,
        "apiVersion": "apps/v1",
        "metadata": meta(
            name, labels=labels or {}, annotations={"deployment.kubernetes.io/revision": "4", **(annotations or {})}, generation=7
        ),
        "spec": {"replicas": 3, "template": template},
        "status": {"readyReplicas": 1, "unavailableReplicas": 2},
    }


def replica_set(revision):
    annotations = {"deployment.kubernetes.io/revision": str(revision)}
    return {
        "kind": "ReplicaSet",
        "metadata": meta(f"web-{revision}", annotations=annotations),
        "status": {"replicas": 3, "readyReplicas": 1},
    }


def event(number=1, *, message="Back-off restarting failed container"):
    return {
        "reason": "BackOff",
        "involvedObject": {"kind": "Pod", "name": "web-1-a"},
        "message": message,
        "count": number,
        "metadata": meta(f"e-{number}"),
    }


def node(name="node-1"):
    conditions = [{"type": "Ready", "status": "True"}, {"type": "MemoryPressure", "status": "False"}]
    return {
        "metadata": {"name": name},
        "spec": {},
        "status": {"conditions": conditions, "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110", "hugepages": "0"}},
    }


def hpa(target="web"):
    return {
        "metadata": meta(f"scale-{target}"),
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": target}, "minReplicas": 2, "maxReplicas": 5},
    }


def budget(labels):
    return {"metadata": meta("budget"), "spec": {"selector": {"matchLabels": labels}}}


def network_policy(labels):
    return {"metadata": meta("policy"), "spec": {"podSelector": {"matchLabels": labels}}}


def quota(*, hard, used):
    return {"metadata": meta("quota"), "spec": {"hard": hard}, "status": {"hard": hard, "used": used}}


def around(**changes):
    parts = {
        "target": pod(),
        "owners": (
            OwnerLink(kind="Pod", name="web-1-a"),
            OwnerLink(kind="ReplicaSet", name="web-4"),
            OwnerLink(kind="Deployment", name="web"),
        ),
        "workload": deployment(),
        "pods": (pod(),),
        "revisions": (replica_set(3), replica_set(4)),
        "events": (event(),),
        "nodes": (node(),),
        "namespace_labels": {"environment": "production"},
        "beside": {},
    }
    return Surroundings(**(parts | changes))

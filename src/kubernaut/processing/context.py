"""The context of a signal in few words: at most 10 KB of JSON, the most telling parts kept. Reads nothing, writes nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from kubernaut.api.base import Obj
from kubernaut.processing.enrich import Surroundings, scales

MAX_PODS = 5
MAX_EVENTS = 12
TEXT_LIMIT = 240
DROP_ORDER = (
    *("configMaps", "networkPolicies", "resourceQuotas", "services", "node", "namespaceLabels", "events", "revisions"),
    *("pdb", "hpa", "pods", "workload", "ownerChain"),
)
"""What is left out first when the whole is too large; pods go one by one."""


def kubernetes_context(around: Surroundings, limit: int) -> Obj:
    """Return the context, at most `limit` bytes of JSON."""
    context = {key: value for key, value in _parts(around).items() if value not in (None, [], {})}
    for key in DROP_ORDER:
        while key in context and len(orjson.dumps(context)) > limit:
            context = _shortened(context, key)
    return context


def _shortened(context: Obj, key: str) -> Obj:
    """Return the context with one pod fewer, or without a part, and the part's name among what is left out."""
    fewer = context[key][:-1] if key == "pods" else []
    rest = {name: value for name, value in context.items() if name != key} | ({key: fewer} if fewer else {})
    return {**rest, "leftOut": sorted({*context.get("leftOut", ()), key})}


def _parts(around: Surroundings) -> dict[str, Any]:
    beside = around.beside
    return {
        "ownerChain": [f"{link.kind}/{link.name}" for link in around.owners],
        "workload": _workload(around.workload),
        "pods": [_pod(pod) for pod in sorted(around.pods, key=_trouble, reverse=True)[:MAX_PODS]],
        "podCount": len(around.pods),
        "revisions": [_revision(each) for each in sorted(around.revisions, key=_revision_number, reverse=True)[:3]],
        "events": [_event(event) for event in around.events[:MAX_EVENTS]],
        "node": [_node(node) for node in around.nodes[:3]],
        "namespaceLabels": dict(sorted(around.namespace_labels.items())[:20]),
        "services": _selecting(beside.get("Service", ()), around),
        "hpa": [_hpa(each) for each in beside.get("HorizontalPodAutoscaler", ()) if scales(each, around.workload)],
        "pdb": [each["metadata"]["name"] for each in beside.get("PodDisruptionBudget", ())][:5],
        "networkPolicies": [each["metadata"]["name"] for each in beside.get("NetworkPolicy", ())][:5],
        "resourceQuotas": [
            {"name": each["metadata"]["name"], **_kept(each.get("status", {}), ("hard", "used"))}
            for each in beside.get("ResourceQuota", ())
        ][:3],
        "configMaps": {each["metadata"]["name"]: sorted(each.get("data") or {})[:10] for each in beside.get("ConfigMap", ())[:10]},
    }


def _kept(obj: Mapping[str, Any], keys: Sequence[str]) -> Obj:
    return {key: obj[key] for key in keys if obj.get(key) not in (None, "", [], {})}


def _workload(obj: Obj | None) -> Obj | None:
    if obj is None:
        return None
    spec, status = obj.get("spec", {}), obj.get("status", {})
    template = spec.get("template", {}).get("spec", {})
    return {
        "kind": obj.get("kind", ""),
        "name": obj["metadata"]["name"],
        "generation": obj["metadata"].get("generation", 0),
        **_kept(spec, ("replicas",)),
        **_kept(status, ("readyReplicas", "updatedReplicas", "unavailableReplicas", "observedGeneration")),
        "images": [container.get("image", "") for container in template.get("containers", ())],
        "revision": (obj["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision", ""),
    }


def _pod(pod: Obj) -> Obj:
    spec, status = pod.get("spec", {}), pod.get("status", {})
    states = {each["name"]: each for each in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))}
    return {
        "name": pod["metadata"]["name"],
        **_kept(status, ("phase", "reason")),
        **_kept(spec, ("nodeName",)),
        "containers": [
            _container(each, states.get(each["name"], {})) for each in (*spec.get("initContainers", ()), *spec.get("containers", ()))
        ],
        "conditions": [
            f"{each['type']}={each['status']} {each.get('reason', '')}: {each.get('message', '')}"[:TEXT_LIMIT]
            for each in status.get("conditions", ())
            if each.get("status") != "True"
        ],
    }


def _container(container: Obj, status: Obj) -> Obj:
    return {
        "name": container["name"],
        "image": container.get("image", ""),
        **_kept(container.get("resources", {}), ("limits", "requests")),
        "restarts": status.get("restartCount", 0),
        "ready": status.get("ready", False),
        "state": _state(status.get("state", {})),
        "lastState": _state(status.get("lastState", {})),
    }


def _state(state: Obj) -> Obj:
    for name in ("terminated", "waiting", "running"):
        if name in state:
            detail = _kept(state[name], ("reason", "exitCode", "startedAt", "finishedAt"))
            message = str(state[name].get("message") or "")[:TEXT_LIMIT]
            return {name: {**detail, "message": message} if message else detail}
    return {}


def _trouble(pod: Obj) -> tuple[int, int, str]:
    """Order pods by how much is wrong with them: not ready first, then restarts."""
    statuses = pod.get("status", {}).get("containerStatuses", ())
    unready = sum(not each.get("ready") for each in statuses)
    return unready, sum(each.get("restartCount", 0) for each in statuses), pod["metadata"]["name"]


def _revision_number(replica_set: Obj) -> int:
    text = (replica_set["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision", "0")
    return int(text) if text.isdecimal() else 0


def _revision(replica_set: Obj) -> Obj:
    status = replica_set.get("status", {})
    return {
        "name": replica_set["metadata"]["name"],
        "revision": _revision_number(replica_set),
        "createdAt": replica_set["metadata"].get("creationTimestamp", ""),
        **_kept(status, ("replicas", "readyReplicas")),
    }


def _event(event: Obj) -> Obj:
    return {
        "reason": event.get("reason", ""),
        "object": f"{event['involvedObject'].get('kind', '')}/{event['involvedObject'].get('name', '')}",
        "message": str(event.get("message") or event.get("note") or "")[:TEXT_LIMIT],
        "count": event.get("count", 1),
        "lastSeen": event.get("lastTimestamp") or event.get("eventTime") or "",
    }


def _node(node: Obj) -> Obj:
    status = node.get("status", {})
    return {
        "name": node["metadata"]["name"],
        "conditions": {each["type"]: each["status"] for each in status.get("conditions", ())},
        "allocatable": _kept(status.get("allocatable", {}), ("cpu", "memory", "pods")),
        "unschedulable": bool(node.get("spec", {}).get("unschedulable")),
    }


def _selecting(services: Sequence[Obj], around: Surroundings) -> list[str]:
    """Name the services whose selector matches the pods."""
    labels = (around.pods[0]["metadata"].get("labels") or {}) if around.pods else {}
    selectors = ((each, each.get("spec", {}).get("selector") or {}) for each in services)
    return [each["metadata"]["name"] for each, selector in selectors if selector and selector.items() <= labels.items()][:5]


def _hpa(hpa: Obj) -> Obj:
    return {"name": hpa["metadata"]["name"], **_kept(hpa.get("spec", {}), ("minReplicas", "maxReplicas"))}

"""Kubernetes objects in few words: what tells something about a problem, without what is secret or says nothing. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from kubernaut.api.base import Obj
from kubernaut.api.redact import redact
from kubernaut.processing.detect import tight
from kubernaut.processing.enrich import last_seen

TEXT_LIMIT: Final = 240
BAD_WHEN_TRUE: Final = frozenset({"ReplicaFailure", "Failed", "FailureTarget", "DisruptionTarget", "ScalingLimited"})
"""Conditions that are bad news when they hold; of all others it is good news."""
REVISION: Final = "deployment.kubernetes.io/revision"


def kept(obj: Mapping[str, Any], keys: Sequence[str]) -> Obj:
    """Return the members that say something."""
    return {key: obj[key] for key in keys if obj.get(key) not in (None, "", [], {})}


def told(text: Any) -> str:
    """Return a message without secrets, cut to its bound."""
    return redact(str(text or ""))[:TEXT_LIMIT]


def workload(obj: Obj) -> Obj:
    """Describe the top of an owner chain."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    template = (spec.get("template") or {}).get("spec") or {}
    annotations = obj["metadata"].get("annotations") or {}
    return {
        "kind": obj.get("kind", ""),
        "name": obj["metadata"]["name"],
        "generation": obj["metadata"].get("generation", 0),
        **kept(spec, ("replicas", "paused", "suspend")),
        **kept(status, ("readyReplicas", "updatedReplicas", "unavailableReplicas", "observedGeneration", "failed", "succeeded", "active")),
        "images": [container.get("image", "") for container in template.get("containers") or ()],
        "revision": annotations.get(REVISION, ""),
        **kept({"conditions": _unwell(status)}, ("conditions",)),
    }


def pod(obj: Obj) -> Obj:
    """Describe a pod with its containers, their last terminations, and the conditions that do not hold."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    states = {each["name"]: each for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))}
    containers = (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
    return {
        "name": obj["metadata"]["name"],
        **kept(status, ("phase", "reason")),
        **kept(spec, ("nodeName",)),
        "containers": [_container(each, states.get(each["name"], {})) for each in containers],
        "conditions": _unwell(status),
    }


def _unwell(status: Obj) -> list[str]:
    """Return the conditions that are not as they should be, in words."""
    found = (each for each in status.get("conditions") or () if (each.get("status") == "True") == (each.get("type") in BAD_WHEN_TRUE))
    return [f"{each.get('type')}={each.get('status')} {each.get('reason', '')}: {told(each.get('message'))}"[:TEXT_LIMIT] for each in found]


def _container(container: Obj, status: Obj) -> Obj:
    return {
        "name": container["name"],
        "image": container.get("image", ""),
        **kept(container.get("resources") or {}, ("limits", "requests")),
        "restarts": status.get("restartCount", 0),
        "ready": status.get("ready", False),
        "state": _state(status.get("state") or {}),
        "lastState": _state(status.get("lastState") or {}),
    }


def _state(state: Obj) -> Obj:
    for name in ("terminated", "waiting", "running"):
        if name in state:
            detail = kept(state[name] or {}, ("reason", "exitCode", "startedAt", "finishedAt"))
            message = told((state[name] or {}).get("message"))
            return {name: {**detail, "message": message} if message else detail}
    return {}


def trouble(obj: Obj) -> tuple[int, int, str]:
    """Order pods by how much is wrong with them: not ready first, then restarts."""
    statuses = (obj.get("status") or {}).get("containerStatuses") or ()
    unready = sum(not each.get("ready") for each in statuses)
    return unready, sum(each.get("restartCount", 0) for each in statuses), obj["metadata"]["name"]


def revision_number(obj: Obj) -> int:
    """Return which roll-out a ReplicaSet or ControllerRevision is, or 0."""
    text = str(obj.get("revision") or (obj["metadata"].get("annotations") or {}).get(REVISION, "0"))
    return int(text) if text.isdecimal() else 0


def revision(obj: Obj) -> Obj:
    """Describe a roll-out."""
    template = ((obj.get("spec") or {}).get("template") or {}).get("spec") or {}
    cause = (obj["metadata"].get("annotations") or {}).get("kubernetes.io/change-cause")
    return {
        "name": obj["metadata"]["name"],
        "revision": revision_number(obj),
        "createdAt": obj["metadata"].get("creationTimestamp") or "",
        **kept(obj.get("status") or {}, ("replicas", "readyReplicas")),
        **kept({"images": [each.get("image", "") for each in template.get("containers") or ()], "cause": told(cause)}, ("images", "cause")),
    }


def event(obj: Obj) -> Obj:
    """Describe an Event."""
    involved = obj.get("involvedObject") or {}
    return {
        "reason": obj.get("reason", ""),
        "object": f"{involved.get('kind', '')}/{involved.get('name', '')}",
        "message": told(obj.get("message") or obj.get("note")),
        "count": (obj.get("series") or {}).get("count") or obj.get("count") or 1,
        "lastSeen": last_seen(obj),
    }


def node(obj: Obj) -> Obj:
    """Describe a node."""
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    return {
        "name": obj["metadata"]["name"],
        "conditions": {each["type"]: each["status"] for each in status.get("conditions") or ()},
        "allocatable": kept(status.get("allocatable") or {}, ("cpu", "memory", "pods")),
        "unschedulable": bool(spec.get("unschedulable")),
        **kept({"taints": [f"{each.get('key')}:{each.get('effect')}" for each in spec.get("taints") or ()][:5]}, ("taints",)),
    }


def autoscaler(obj: Obj) -> Obj:
    """Describe a HorizontalPodAutoscaler."""
    status = obj.get("status") or {}
    return {
        "name": obj["metadata"]["name"],
        **kept(obj.get("spec") or {}, ("minReplicas", "maxReplicas")),
        **kept(status, ("currentReplicas", "desiredReplicas")),
        **kept({"conditions": _unwell(status)}, ("conditions",)),
    }


def budget(obj: Obj) -> Obj:
    """Describe a PodDisruptionBudget."""
    spec = kept(obj.get("spec") or {}, ("minAvailable", "maxUnavailable"))
    status = obj.get("status") or {}
    allowed = {"disruptionsAllowed": status["disruptionsAllowed"]} if "disruptionsAllowed" in status else {}
    return {"name": obj["metadata"]["name"], **spec, **allowed}


def quota(obj: Obj) -> Obj:
    """Describe a ResourceQuota, and of what it is nearly used up."""
    return {"name": obj["metadata"]["name"], **kept(obj.get("status") or {}, ("hard", "used")), **kept({"tight": tight(obj)}, ("tight",))}


def limit_range(obj: Obj) -> Obj:
    """Describe a LimitRange."""
    keys = ("type", "default", "defaultRequest", "min", "max")
    return {"name": obj["metadata"]["name"], "limits": [kept(each, keys) for each in (obj.get("spec") or {}).get("limits") or ()][:4]}


def claim(obj: Obj) -> Obj:
    """Describe a PersistentVolumeClaim."""
    requests = ((obj.get("spec") or {}).get("resources") or {}).get("requests") or {}
    return {"name": obj["metadata"]["name"], **kept(obj.get("status") or {}, ("phase",)), **kept(requests, ("storage",))}

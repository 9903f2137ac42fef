"""The context of a signal in few words: at most 10 KB of JSON, the most telling parts kept. Reads nothing, writes nothing."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from kubernaut.api.base import Obj
from kubernaut.processing import describe
from kubernaut.processing.changes import changes
from kubernaut.processing.detect import selecting
from kubernaut.processing.enrich import Surroundings, scales
from kubernaut.processing.selecting import labels_of

MAX_PODS: Final = 5
MAX_EVENTS: Final = 12
MAX_REVISIONS: Final = 4
MAX_OTHERS: Final = 5
MAX_MAPS: Final = 10
DROP_ORDER: Final = (
    *("networkPolicies", "configMaps", "limitRanges", "services", "claims", "namespaceLabels", "resourceQuotas", "node", "pdb", "hpa"),
    *("events", "changes", "revisions", "pods", "workload", "ownerChain"),
)
"""What is left out first when the whole is too large."""
SHRINKING: Final = frozenset({"events", "changes", "revisions", "pods"})
"""Lists that lose their least telling items one by one."""


def kubernetes_context(around: Surroundings, limit: int) -> Obj:
    """Return the context, at most `limit` bytes of JSON; `leftOut` names what was cut."""
    context = {key: value for key, value in _parts(around).items() if value not in (None, [], {})}
    for key in DROP_ORDER:
        while key in context and len(orjson.dumps(context)) > limit:
            context = _shortened(context, key)
    return context


def _shortened(context: Obj, key: str) -> Obj:
    """Return the context with one item of a list fewer, or without a part, and the part's name among what is left out."""
    fewer = context[key][:-1] if key in SHRINKING else []
    rest = {name: value for name, value in context.items() if name != key} | ({key: fewer} if fewer else {})
    return {**rest, "leftOut": sorted({*context.get("leftOut", ()), key})}


def _parts(around: Surroundings) -> dict[str, Any]:
    return {
        "ownerChain": [f"{link.kind}/{link.name}" for link in around.owners],
        "workload": describe.workload(around.workload) if around.workload else None,
        "pods": [describe.pod(pod) for pod in sorted(around.pods, key=describe.trouble, reverse=True)[:MAX_PODS]],
        "podCount": len(around.pods),
        "revisions": [
            describe.revision(each) for each in sorted(around.revisions, key=describe.revision_number, reverse=True)[:MAX_REVISIONS]
        ],
        "changes": changes(around.workload) if around.workload else [],
        "events": [describe.event(event) for event in around.events[:MAX_EVENTS]],
        "eventCount": len(around.events) or None,
        "node": [describe.node(node) for node in around.nodes[:3]],
        "namespaceLabels": dict(sorted(around.namespace_labels.items())[:20]),
        **_beside(around),
    }


def _beside(around: Surroundings) -> dict[str, Any]:
    beside, claims = around.beside, set(_named(around, "persistentVolumeClaim", "claimName"))
    return {
        "services": _selecting_services(around),
        "hpa": [describe.autoscaler(each) for each in beside.get("HorizontalPodAutoscaler", ()) if scales(each, around.workload)][
            :MAX_OTHERS
        ],
        "pdb": [describe.budget(each) for each in selecting(around, "PodDisruptionBudget", "selector")][:MAX_OTHERS],
        "networkPolicies": [each["metadata"]["name"] for each in selecting(around, "NetworkPolicy", "podSelector")][:MAX_OTHERS],
        "resourceQuotas": [describe.quota(each) for each in beside.get("ResourceQuota", ())][:3],
        "limitRanges": [describe.limit_range(each) for each in beside.get("LimitRange", ())][:3],
        "claims": [describe.claim(each) for each in beside.get("PersistentVolumeClaim", ()) if each["metadata"]["name"] in claims][
            :MAX_OTHERS
        ],
        "configMaps": _config_maps(around),
    }


def _selecting_services(around: Surroundings) -> list[str]:
    """Name the services whose selector matches the pods."""
    labels = labels_of(around.pods[0]) if around.pods else {}
    selectors = ((each, (each.get("spec") or {}).get("selector") or {}) for each in around.beside.get("Service", ()))
    return [each["metadata"]["name"] for each, selector in selectors if selector and selector.items() <= labels.items()][:MAX_OTHERS]


def _config_maps(around: Surroundings) -> Obj:
    """Return the keys of ConfigMaps, never their values: those that the pods use first; one of these that is not there is `absent`."""
    if "ConfigMap" not in around.beside:
        return {}
    found = {each["metadata"]["name"]: each for each in around.beside["ConfigMap"]}
    names = dict.fromkeys([*_used_maps(around), *found])
    return {name: _keys(found.get(name)) for name in list(names)[:MAX_MAPS]}


def _keys(config_map: Obj | None) -> list[str] | str:
    if config_map is None:
        return "absent"
    return sorted({**(config_map.get("data") or {}), **(config_map.get("binaryData") or {})})[:10]


def _used_maps(around: Surroundings) -> Iterator[str]:
    yield from _named(around, "configMap", "name")
    for container in _containers(around):
        references = [(each.get("configMapRef") or {}) for each in container.get("envFrom") or ()]
        references += [((each.get("valueFrom") or {}).get("configMapKeyRef") or {}) for each in container.get("env") or ()]
        yield from (str(each["name"]) for each in references if each.get("name"))


def _named(around: Surroundings, source: str, key: str) -> Iterator[str]:
    """Yield what the pods' volumes of a kind are named."""
    for volume in _pod_spec(around).get("volumes") or ():
        if name := (volume.get(source) or {}).get(key):
            yield str(name)


def _containers(around: Surroundings) -> list[Mapping[str, Any]]:
    spec = _pod_spec(around)
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def _pod_spec(around: Surroundings) -> Mapping[str, Any]:
    """Return the spec of the pods, as they are or as they will be made."""
    if around.pods:
        return around.pods[0].get("spec") or {}
    return (((around.workload or {}).get("spec") or {}).get("template") or {}).get("spec") or {}

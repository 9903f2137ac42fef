"""What manages and guards a workload, told from its labels and neighbours. Reads nothing, writes nothing."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from kubernaut.api.base import Obj
from kubernaut.api.gitops import Tool, keeper_of, suspended
from kubernaut.api.quantity import parse_quantity
from kubernaut.processing.enrich import Surroundings, scales
from kubernaut.processing.selecting import labels_of, selects

MESH_CONTAINERS: Final = {"istio-proxy": "istio", "linkerd-proxy": "linkerd"}
MESH_MARKS: Final = {
    "sidecar.istio.io/status": "istio",
    "linkerd.io/proxy-version": "linkerd",
}
"""Annotations that injectors leave on pods."""
HELM_RELEASE: Final = "meta.helm.sh/release-name"
AMBIENT: Final = "istio.io/dataplane-mode"
QUOTA_TIGHT: Final = Decimal("0.9")
"""From this share of a quota on, a workload counts as constrained by it."""
LABEL_LIMIT: Final = 253


def detected_labels(around: Surroundings) -> dict[str, str]:
    """Return what was recognised; absent means not recognised, never proven absent."""
    workload = around.workload
    if workload is None:
        return {}
    facts = {
        **_gitops(workload, around.source),
        **_helm(workload),
        "hpaEnabled": _flag(any(scales(each, workload) for each in around.beside.get("HorizontalPodAutoscaler", ()))),
        "pdbProtected": _flag(bool(selecting(around, "PodDisruptionBudget", "selector"))),
        "networkIsolated": _flag(bool(selecting(around, "NetworkPolicy", "podSelector"))),
        "stateful": _flag(_stateful(workload)),
        "serviceMesh": _mesh(around),
        "quotaConstrained": _flag(any(tight(each) for each in around.beside.get("ResourceQuota", ()))),
    }
    return {key: value[:LABEL_LIMIT] for key, value in facts.items() if value}


def selecting(around: Surroundings, kind: str, key: str) -> list[Obj]:
    """Return the objects of a kind beside the workload whose selector means its pods, or those it will make."""
    labels = [labels_of(pod) for pod in around.pods] or [_template(around.workload).get("metadata", {}).get("labels") or {}]
    return [
        each for each in around.beside.get(kind, ()) if any(selects(each.get("spec", {}).get(key), each_labels) for each_labels in labels)
    ]


def tight(quota: Obj) -> list[str]:
    """Return the resources of which a quota is used up, or nearly so."""
    status = quota.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    return sorted(name for name in hard if name in used and _share(used[name], hard[name]) >= QUOTA_TIGHT)


def _share(used: Any, hard: Any) -> Decimal:
    try:
        whole = parse_quantity(str(hard))
        return parse_quantity(str(used)) / whole if whole else Decimal(1)
    except ValueError:
        return Decimal(0)


def _flag(value: bool) -> str:
    return "true" if value else ""


def _gitops(workload: Obj, source: Obj | None) -> dict[str, str]:
    keeper = keeper_of(workload)
    if keeper is None or keeper.tool is Tool.HELM:
        return {}
    off = keeper.suspended or (source is not None and suspended(keeper, source))
    where = "/".join(part for part in (keeper.kind.kind, keeper.namespace, keeper.name) if part) if keeper.kind else ""
    return {"gitOpsManaged": "true", "gitOpsTool": keeper.tool.value, "gitOpsSource": where, "gitOpsSuspended": _flag(off)}


def _helm(workload: Obj) -> dict[str, str]:
    """Tell whether Helm made it; Argo CD and Flux use charts, too."""
    release = (workload["metadata"].get("annotations") or {}).get(HELM_RELEASE, "")
    managed = bool(release) or labels_of(workload).get("app.kubernetes.io/managed-by") == "Helm"
    return {"helmManaged": _flag(managed), "helmRelease": release}


def _template(workload: Obj | None) -> Mapping[str, Any]:
    return ((workload or {}).get("spec") or {}).get("template") or {}


def _stateful(workload: Obj) -> bool:
    spec = workload.get("spec") or {}
    pod = _template(workload).get("spec") or (spec if workload.get("kind") == "Pod" else {})
    claims = any("persistentVolumeClaim" in volume for volume in pod.get("volumes") or ())
    return claims or workload.get("kind") == "StatefulSet" or bool(spec.get("volumeClaimTemplates"))


def _mesh(around: Surroundings) -> str:
    found = (mesh for pod in around.pods for mesh in _meshes(pod))
    ambient = (mode == "ambient" for mode in (around.namespace_labels.get(AMBIENT), *(labels_of(pod).get(AMBIENT) for pod in around.pods)))
    return next(found, "") or ("istio" if any(ambient) else "")


def _meshes(pod: Obj) -> Iterable[str]:
    """Yield the meshes a pod is in: sidecars may be init containers, too."""
    spec, annotations = pod.get("spec") or {}, pod["metadata"].get("annotations") or {}
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        if mesh := MESH_CONTAINERS.get(container.get("name", "")):
            yield mesh
    yield from (mesh for mark, mesh in MESH_MARKS.items() if mark in annotations)

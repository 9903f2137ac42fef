"""What manages and guards a workload, told from its labels and neighbours. Reads nothing, writes nothing."""

from collections.abc import Mapping

from kubernaut.api.base import Obj
from kubernaut.processing.enrich import Surroundings, scales

ARGO_KEYS = ("argocd.argoproj.io/instance", "argocd.argoproj.io/tracking-id")
FLUX_KEYS = ("kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name")
HELM_ANNOTATION = "meta.helm.sh/release-name"
MESH_CONTAINERS = {"istio-proxy": "istio", "linkerd-proxy": "linkerd"}


def detected_labels(around: Surroundings) -> dict[str, str]:
    """Return what was recognised; absent means not recognised, never proven absent."""
    workload = around.workload
    if workload is None:
        return {}
    facts = {
        "gitOpsTool": _gitops(workload),
        "helmManaged": _flag(_helm(workload)),
        "hpaEnabled": _flag(any(scales(each, workload) for each in around.beside.get("HorizontalPodAutoscaler", ()))),
        "pdbProtected": _flag(any(_selects(each, around) for each in around.beside.get("PodDisruptionBudget", ()))),
        "networkIsolated": _flag(bool(around.beside.get("NetworkPolicy"))),
        "stateful": _flag(workload.get("kind") == "StatefulSet" or _claims(workload)),
        "serviceMesh": _mesh(around),
    }
    if facts["gitOpsTool"]:
        facts["gitOpsManaged"] = "true"
    return {key: value for key, value in facts.items() if value}


def _flag(value: bool) -> str:
    return "true" if value else ""


def _marks(obj: Obj) -> Mapping[str, str]:
    return {**(obj["metadata"].get("labels") or {}), **(obj["metadata"].get("annotations") or {})}


def _gitops(workload: Obj) -> str:
    marks = _marks(workload)
    if any(key in marks for key in ARGO_KEYS):
        return "argocd"
    return "flux" if any(key in marks for key in FLUX_KEYS) else ""


def _helm(workload: Obj) -> bool:
    marks = _marks(workload)
    return HELM_ANNOTATION in marks or marks.get("app.kubernetes.io/managed-by") == "Helm"


def _selects(budget: Obj, around: Surroundings) -> bool:
    wanted = budget.get("spec", {}).get("selector", {}).get("matchLabels") or {}
    return bool(wanted) and any(wanted.items() <= (pod["metadata"].get("labels") or {}).items() for pod in around.pods)


def _claims(workload: Obj) -> bool:
    volumes = workload.get("spec", {}).get("template", {}).get("spec", {}).get("volumes", ())
    return any("persistentVolumeClaim" in volume for volume in volumes)


def _mesh(around: Surroundings) -> str:
    names = {container["name"] for pod in around.pods for container in pod.get("spec", {}).get("containers", ())}
    return next((mesh for name, mesh in MESH_CONTAINERS.items() if name in names), "")

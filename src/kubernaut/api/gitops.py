"""Who keeps an object as it is: Argo CD, Flux or Helm, told from its labels, annotations and field managers. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from kubernaut.api.base import Kind, Obj

ARGO_APPLICATION: Final = Kind(kind="Application", plural="applications", group="argoproj.io", version="v1alpha1")
FLUX_KUSTOMIZATION: Final = Kind(kind="Kustomization", plural="kustomizations", group="kustomize.toolkit.fluxcd.io", version="v1")
FLUX_HELM_RELEASE: Final = Kind(kind="HelmRelease", plural="helmreleases", group="helm.toolkit.fluxcd.io", version="v2")
ARGO_NAMESPACE: Final = "argocd"
"""Where Argo CD's Applications are unless the tracking id says otherwise."""


class Tool(StrEnum):
    """What keeps the object."""

    ARGOCD = "argocd"
    FLUX = "flux"
    HELM = "helm"

    @property
    def title(self) -> str:  # type: ignore[override]  # a name for people, in place of str.title
        """The tool's name as people write it."""
        return {"argocd": "Argo CD", "flux": "Flux", "helm": "Helm"}[self.value]


@dataclass(frozen=True, slots=True)
class Keeper:
    """The tool that keeps an object, and the tool's own object that says so."""

    tool: Tool
    name: str = ""
    """Of the Application, Kustomization or HelmRelease; empty where it cannot be told."""
    namespace: str = ""
    kind: Kind | None = None
    """None for plain Helm, which has no object."""
    suspended: bool = False
    """The object itself says that the tool leaves it alone."""

    @property
    def reverts(self) -> bool:
        """Whether the tool takes a live change back; Helm does only at its next upgrade."""
        return self.tool is not Tool.HELM and not self.suspended

    def __str__(self) -> str:
        return f"{self.tool.title} ({self.kind.kind if self.kind else 'release'} {self.name})" if self.name else self.tool.title


def keeper_of(obj: Obj) -> Keeper | None:
    """Return who keeps an object, or None. Argo CD and Flux come before Helm: they may use its charts."""
    metadata = obj.get("metadata") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    judges = (_argo, _flux, _by_manager, _helm)
    return next((found for judge in judges if (found := judge(labels, annotations, metadata)) is not None), None)


def _argo(labels: Mapping[str, str], annotations: Mapping[str, str], _metadata: Obj) -> Keeper | None:
    """Read the tracking id (`app:group/kind:namespace/name`, the app as `namespace_app` outside Argo's own), else the instance label."""
    tracking = annotations.get("argocd.argoproj.io/tracking-id", "")
    app = tracking.partition(":")[0] or labels.get("argocd.argoproj.io/instance", "")
    if not app:
        return None
    namespace, divided, name = app.partition("_")
    suspended = annotations.get("argocd.argoproj.io/skip-reconcile") == "true"
    return Keeper(Tool.ARGOCD, name if divided else app, namespace if divided else ARGO_NAMESPACE, ARGO_APPLICATION, suspended)


def _flux(labels: Mapping[str, str], annotations: Mapping[str, str], _metadata: Obj) -> Keeper | None:
    for kind in (FLUX_KUSTOMIZATION, FLUX_HELM_RELEASE):
        name = labels.get(f"{kind.group}/name")
        if name:
            suspended = annotations.get("kustomize.toolkit.fluxcd.io/reconcile") == "disabled"
            return Keeper(Tool.FLUX, name, labels.get(f"{kind.group}/namespace", ""), kind, suspended)
    return None


MANAGERS: Final = {
    "argocd-controller": Tool.ARGOCD,
    "argocd-application-controller": Tool.ARGOCD,
    "kustomize-controller": Tool.FLUX,
    "helm-controller": Tool.FLUX,
}
"""The field managers under which the tools write."""


def _by_manager(_labels: Mapping[str, str], _annotations: Mapping[str, str], metadata: Obj) -> Keeper | None:
    tools = (MANAGERS.get(str(entry.get("manager"))) for entry in metadata.get("managedFields") or ())
    found = next((tool for tool in tools if tool is not None), None)
    return None if found is None else Keeper(found)


def _helm(labels: Mapping[str, str], annotations: Mapping[str, str], _metadata: Obj) -> Keeper | None:
    release = annotations.get("meta.helm.sh/release-name", "")
    if not release and labels.get("app.kubernetes.io/managed-by") != "Helm":
        return None
    return Keeper(Tool.HELM, release, annotations.get("meta.helm.sh/release-namespace", ""))


def keeps_field(obj: Obj, *path: str) -> bool:
    """Tell whether a tool manages a field (such as `spec`, `replicas`) of an object that it keeps.

    Where no field manager of a tool is on record (older Argo CD applies as kubectl does), every field counts as managed.
    """
    fields = list(_fields_of_tools(obj))
    return not fields or any(_holds(each, path) for each in fields)


def _fields_of_tools(obj: Obj) -> Iterator[Mapping[str, Any]]:
    for entry in (obj.get("metadata") or {}).get("managedFields") or ():
        if str(entry.get("manager")) in MANAGERS and not entry.get("subresource"):
            yield entry.get("fieldsV1") or {}


def _holds(fields: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    """Follow a path through fieldsV1; an ancestor that is a leaf is held whole."""
    node: Mapping[str, Any] = fields
    for name in path:
        below = node.get(f"f:{name}")
        if below is None:
            return False
        node = below
    return True


def suspended(keeper: Keeper, kept_by: Obj) -> bool:
    """Tell from the tool's own object whether it leaves what it keeps alone for now."""
    spec = kept_by.get("spec") or {}
    if keeper.tool is Tool.FLUX:
        return bool(spec.get("suspend"))
    annotations = (kept_by.get("metadata") or {}).get("annotations") or {}
    return annotations.get("argocd.argoproj.io/skip-reconcile") == "true"


def source_hint(kept_by: Obj) -> str:
    """Say where the tool takes the object from, as far as its own object tells: repository, path, revision."""
    spec = kept_by.get("spec") or {}
    sources: list[Obj] = spec.get("sources") or []
    source: Obj = spec.get("source") or (sources[0] if sources else {})
    parts = {
        "repository": source.get("repoURL") or _reference(spec.get("sourceRef")),
        "path": source.get("path") or spec.get("path"),
        "chart": source.get("chart") or ((spec.get("chart") or {}).get("spec") or {}).get("chart"),
        "revision": source.get("targetRevision"),
    }
    return ", ".join(f"{name} {value}" for name, value in parts.items() if value)


def _reference(ref: Mapping[str, str] | None) -> str:
    return f"{ref.get('kind', 'source')} {ref['name']}" if ref and ref.get("name") else ""

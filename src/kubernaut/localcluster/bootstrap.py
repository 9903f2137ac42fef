"""What a new cluster starts with: namespaces, default roles and the `default` service account of each namespace."""

from collections.abc import Sequence

from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.authn import SERVICE_ACCOUNTS
from kubernaut.localcluster.calls import Call
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.kinds import builtin
from kubernaut.localcluster.rbac import CLUSTER_BINDINGS, CLUSTER_ROLES
from kubernaut.localcluster.registry import NAMESPACES, Registry
from kubernaut.localcluster.store import Record

BOOTSTRAP_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_CONFIGMAPS = builtin("", "configmaps")
_RBAC = "rbac.authorization.k8s.io"
_READ, _WRITE = ("get", "list", "watch"), ("create", "delete", "deletecollection", "patch", "update")
_DISCOVERY = ("/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version", "/version/")
_PUBLIC = ("/healthz", "/livez", "/readyz", "/version", "/version/")
_APPS = ("daemonsets", "deployments", "deployments/scale", "replicasets", "replicasets/scale", "statefulsets", "statefulsets/scale")
_CORE = ("configmaps", "endpoints", "events", "persistentvolumeclaims", "pods", "pods/log", "pods/status", "serviceaccounts", "services")

Rules = Sequence[Obj]


def _on(groups: Sequence[str], resources: Sequence[str], verbs: Sequence[str]) -> Obj:
    return {"apiGroups": list(groups), "resources": list(resources), "verbs": list(verbs)}


_VIEW: Rules = (
    _on([""], [*_CORE, "limitranges", "namespaces", "resourcequotas"], _READ),
    _on(["apps"], [*_APPS, "controllerrevisions"], _READ),
    _on(["batch"], ["cronjobs", "jobs"], _READ),
    _on(["autoscaling"], ["horizontalpodautoscalers"], _READ),
    _on(["networking.k8s.io"], ["ingresses", "networkpolicies"], _READ),
    _on(["policy"], ["poddisruptionbudgets"], _READ),
    _on(["discovery.k8s.io"], ["endpointslices"], _READ),
)
_EDIT: Rules = (
    *_VIEW,
    _on([""], [*_CORE, "secrets", "pods/eviction", "pods/exec"], _WRITE),
    _on([""], ["secrets"], _READ),
    _on(["apps"], _APPS, _WRITE),
    _on(["batch"], ["cronjobs", "jobs"], _WRITE),
    _on(["autoscaling"], ["horizontalpodautoscalers"], _WRITE),
    _on(["networking.k8s.io"], ["ingresses", "networkpolicies"], _WRITE),
    _on(["policy"], ["poddisruptionbudgets"], _WRITE),
    _on(["coordination.k8s.io"], ["leases"], (*_READ, *_WRITE)),
)
_ADMIN: Rules = (
    *_EDIT,
    _on([_RBAC], ["rolebindings", "roles"], (*_READ, *_WRITE)),
    _on(["authorization.k8s.io"], ["localsubjectaccessreviews"], ["create"]),
)
_ROLES: dict[str, Rules] = {
    "cluster-admin": ({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, {"nonResourceURLs": ["*"], "verbs": ["*"]}),
    "admin": _ADMIN,
    "edit": _EDIT,
    "view": _VIEW,
    "system:basic-user": (
        _on(["authorization.k8s.io"], ["selfsubjectaccessreviews", "selfsubjectrulesreviews"], ["create"]),
        _on(["authentication.k8s.io"], ["selfsubjectreviews"], ["create"]),
    ),
    "system:discovery": ({"nonResourceURLs": list(_DISCOVERY), "verbs": ["get"]},),
    "system:public-info-viewer": ({"nonResourceURLs": list(_PUBLIC), "verbs": ["get"]},),
}
_BINDINGS: dict[str, tuple[str, ...]] = {
    "cluster-admin": ("system:masters",),
    "system:basic-user": ("system:authenticated",),
    "system:discovery": ("system:authenticated",),
    "system:public-info-viewer": ("system:authenticated", "system:unauthenticated"),
}
_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_ROOT_CA = "kube-root-ca.crt"


def _ensure(registry: Registry, kind: ResourceKind, namespace: str, name: str, body: Obj) -> None:
    if registry.find(kind, namespace, name) is None:
        obj = {"apiVersion": kind.api_version, "kind": kind.kind, **body, "metadata": {"name": name, **body.get("metadata", {})}}
        registry.create(kind, namespace, obj, Call())


def furnish(registry: Registry, certificate: str) -> None:
    """Make what every cluster has and this one lacks, and furnish each namespace to come; `certificate` is what its pods are to trust."""
    registry.written.append(lambda kind, record: _furnish_new(registry, certificate, kind, record))
    for name in BOOTSTRAP_NAMESPACES:
        _ensure(registry, NAMESPACES, "", name, {})
    meta = {"metadata": {"labels": dict(_LABELS), "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"}}}
    for name, rules in _ROLES.items():
        _ensure(registry, CLUSTER_ROLES, "", name, {**meta, "rules": list(rules)})
    for name, groups in _BINDINGS.items():
        subjects = [{"apiGroup": _RBAC, "kind": "Group", "name": group} for group in groups]
        role = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": name}
        _ensure(registry, CLUSTER_BINDINGS, "", name, {**meta, "roleRef": role, "subjects": subjects})


def _furnish_new(registry: Registry, certificate: str, kind: ResourceKind, record: Record) -> None:
    """Give a new namespace its service account; give it back where it is deleted from a living namespace."""
    if kind.resource == NAMESPACES.resource and record.type == "ADDED":
        _furnish_namespace(registry, certificate, record.key[1])
    lost = kind.resource == SERVICE_ACCOUNTS.resource and record.type == "DELETED" and record.key[1] == "default"
    if lost and (home := registry.find(NAMESPACES, "", record.key[0])) and "deletionTimestamp" not in home.obj["metadata"]:
        _furnish_namespace(registry, certificate, record.key[0])


def _furnish_namespace(registry: Registry, certificate: str, namespace: str) -> None:
    """Make a namespace's service account `default` and the config map with the cluster's certificate."""
    _ensure(registry, SERVICE_ACCOUNTS, namespace, "default", {})
    _ensure(registry, _CONFIGMAPS, namespace, _ROOT_CA, {"data": {"ca.crt": certificate}})

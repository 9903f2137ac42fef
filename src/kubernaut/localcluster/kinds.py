"""The built-in kinds as a table: one row a kind, in the order discovery lists groups."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.errors import no_resource

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
READ_WRITE = ("get", "patch", "update")


@dataclass(frozen=True, slots=True)
class Subresource:
    """What a subresource takes and gives; empty kind means that of its parent."""

    verbs: tuple[str, ...]
    kind: str = ""
    group: str = ""
    version: str = ""


SUBRESOURCES: Mapping[str, Subresource] = {
    "status": Subresource(READ_WRITE),
    "scale": Subresource(READ_WRITE, "Scale", "autoscaling", "v1"),
    "finalize": Subresource(("update",)),
    "attach": Subresource(("create", "get"), "PodAttachOptions"),
    "binding": Subresource(("create",), "Binding"),
    "ephemeralcontainers": Subresource(READ_WRITE),
    "eviction": Subresource(("create",), "Eviction", "policy", "v1"),
    "exec": Subresource(("create", "get"), "PodExecOptions"),
    "log": Subresource(("get",)),
    "portforward": Subresource(("create", "get"), "PodPortForwardOptions"),
    "proxy": Subresource(("create", "delete", "get", "patch", "update"), "PodProxyOptions"),
    "resize": Subresource(READ_WRITE),
    "token": Subresource(("create",), "TokenRequest", "authentication.k8s.io", "v1"),
}

_POD = ("attach", "binding", "ephemeralcontainers", "eviction", "exec", "log", "portforward", "proxy", "resize", "status")
_STATUS = ("status",)
_SCALED = ("scale", "status")


def _row(
    group: str,
    kind: str,
    plural: str,
    short: str = "",
    *,
    version: str = "v1",
    namespaced: bool = True,
    categories: str = "",
    subs: tuple[str, ...] = (),
    verbs: tuple[str, ...] = ALL_VERBS,
    generation: bool = False,
) -> ResourceKind:
    row = ResourceKind(
        group,
        version,
        kind,
        plural,
        namespaced,
        singular=kind.lower(),
        list_kind=f"{kind}List",
        short_names=tuple(short.split()),
        categories=tuple(categories.split()),
        subresources=subs,
        verbs=verbs,
        generation=generation,
    )
    return replace(row, stored=row.resource, hub=row.api_version)


def _review(group: str, kind: str, plural: str, *, namespaced: bool = False) -> ResourceKind:
    return _row(group, kind, plural, namespaced=namespaced, verbs=("create",))


_NAMESPACE_VERBS = tuple(verb for verb in ALL_VERBS if verb != "deletecollection")
_AUTHN, _AUTHZ, _ADMISSION, _RBAC = (
    "authentication.k8s.io",
    "authorization.k8s.io",
    "admissionregistration.k8s.io",
    "rbac.authorization.k8s.io",
)
_NET = "networking.k8s.io"

_ROWS = (
    _row("", "Binding", "bindings", verbs=("create",)),
    _row("", "ConfigMap", "configmaps", "cm"),
    _row("", "Endpoints", "endpoints", "ep"),
    _row("", "Event", "events", "ev"),
    _row("", "LimitRange", "limitranges", "limits"),
    _row("", "Namespace", "namespaces", "ns", namespaced=False, subs=("finalize", "status"), verbs=_NAMESPACE_VERBS),
    _row("", "Node", "nodes", "no", namespaced=False, subs=_STATUS),
    _row("", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc", subs=_STATUS),
    _row("", "PersistentVolume", "persistentvolumes", "pv", namespaced=False, subs=_STATUS),
    _row("", "Pod", "pods", "po", categories="all", subs=_POD, generation=True),
    _row("", "PodTemplate", "podtemplates"),
    _row("", "ReplicationController", "replicationcontrollers", "rc", categories="all", subs=_SCALED, generation=True),
    _row("", "ResourceQuota", "resourcequotas", "quota", subs=_STATUS),
    _row("", "Secret", "secrets"),
    _row("", "ServiceAccount", "serviceaccounts", "sa", subs=("token",)),
    _row("", "Service", "services", "svc", categories="all", subs=_STATUS),
    _row("apps", "ControllerRevision", "controllerrevisions"),
    _row("apps", "DaemonSet", "daemonsets", "ds", categories="all", subs=_STATUS, generation=True),
    _row("apps", "Deployment", "deployments", "deploy", categories="all", subs=_SCALED, generation=True),
    _row("apps", "ReplicaSet", "replicasets", "rs", categories="all", subs=_SCALED, generation=True),
    _row("apps", "StatefulSet", "statefulsets", "sts", categories="all", subs=_SCALED, generation=True),
    _row("events.k8s.io", "Event", "events", "ev"),
    _review(_AUTHN, "SelfSubjectReview", "selfsubjectreviews"),
    _review(_AUTHN, "TokenReview", "tokenreviews"),
    _review(_AUTHZ, "LocalSubjectAccessReview", "localsubjectaccessreviews", namespaced=True),
    _review(_AUTHZ, "SelfSubjectAccessReview", "selfsubjectaccessreviews"),
    _review(_AUTHZ, "SelfSubjectRulesReview", "selfsubjectrulesreviews"),
    _review(_AUTHZ, "SubjectAccessReview", "subjectaccessreviews"),
    _row("autoscaling", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", version="v2", categories="all", subs=_STATUS),
    _row("batch", "CronJob", "cronjobs", "cj", categories="all", subs=_STATUS, generation=True),
    _row("batch", "Job", "jobs", categories="all", subs=_STATUS, generation=True),
    _row(_NET, "IngressClass", "ingressclasses", namespaced=False, generation=True),
    _row(_NET, "Ingress", "ingresses", "ing", subs=_STATUS, generation=True),
    _row(_NET, "NetworkPolicy", "networkpolicies", "netpol", generation=True),
    _row("policy", "PodDisruptionBudget", "poddisruptionbudgets", "pdb", subs=_STATUS, generation=True),
    _row(_RBAC, "ClusterRoleBinding", "clusterrolebindings", namespaced=False),
    _row(_RBAC, "ClusterRole", "clusterroles", namespaced=False),
    _row(_RBAC, "RoleBinding", "rolebindings"),
    _row(_RBAC, "Role", "roles"),
    _row("storage.k8s.io", "StorageClass", "storageclasses", "sc", namespaced=False),
    _row(
        _ADMISSION,
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        categories="api-extensions",
        namespaced=False,
        generation=True,
    ),
    _row(
        _ADMISSION,
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
        categories="api-extensions",
        namespaced=False,
        subs=_STATUS,
        generation=True,
    ),
    _row(
        _ADMISSION,
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        categories="api-extensions",
        namespaced=False,
        generation=True,
    ),
    _row(
        _ADMISSION,
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        categories="api-extensions",
        namespaced=False,
        generation=True,
    ),
    _row(
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        "crd crds",
        categories="api-extensions",
        namespaced=False,
        subs=_STATUS,
        generation=True,
    ),
    _row("scheduling.k8s.io", "PriorityClass", "priorityclasses", "pc", namespaced=False, generation=True),
    _row("coordination.k8s.io", "Lease", "leases"),
    _row("discovery.k8s.io", "EndpointSlice", "endpointslices", generation=True),
)


def _shared_events(row: ResourceKind) -> ResourceKind:
    # one object, two faces: both groups read and write what core v1 stores
    return replace(row, stored="events", hub="v1") if row.plural == "events" else row


BUILTIN: tuple[ResourceKind, ...] = tuple(_shared_events(row) for row in _ROWS)
_BY_NAME: Mapping[tuple[str, str], ResourceKind] = {(row.group, row.plural): row for row in BUILTIN}


def builtin(group: str, plural: str) -> ResourceKind:
    """Return a built-in kind by group and plural; raise ApiError 404."""
    if found := _BY_NAME.get((group, plural)):
        return found
    raise no_resource()

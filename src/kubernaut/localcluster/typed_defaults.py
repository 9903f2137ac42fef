"""The defaults that kube-apiserver gives to built-in kinds and OpenAPI does not tell: one table by Go type, and its interpreter."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubernaut.localcluster.nodes import Node

Obj = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Default:
    """Set `field` to `value` where it is absent and all members named in `when` have these values (a tuple: one of these; None: absent)."""

    field: str
    value: Any
    when: Mapping[str, Any] | None = None
    only_in: str = ""
    """The kind this default is for, where it is not for every object that has the type in it (a Pod, but no template of one)."""


@dataclass(frozen=True, slots=True)
class CopyOf:
    """Set `field` to what the member `source` holds, where that is there and `field` is absent or zero."""

    field: str
    source: str


@dataclass(frozen=True, slots=True)
class PullPolicy:
    """Set imagePullPolicy: Always for images without a tag or tagged latest, else IfNotPresent."""


@dataclass(frozen=True, slots=True)
class Requests:
    """In a Pod (but no template of one), set requests to limits, resource by resource, where limits are given and requests are not."""

    only_in: str = "core.v1.Pod"


@dataclass(frozen=True, slots=True)
class Derived:
    """Set `field` to a text made of what the member `source` holds, where `field` is absent."""

    field: str
    source: str
    make: Callable[[str], str]


Row = Default | CopyOf | Derived | PullPolicy | Requests

_PROBE: Sequence[Row] = (
    Default("timeoutSeconds", 1),
    Default("periodSeconds", 10),
    Default("successThreshold", 1),
    Default("failureThreshold", 3),
)
_CONTAINER: Sequence[Row] = (
    PullPolicy(),
    Default("terminationMessagePath", "/dev/termination-log"),
    Default("terminationMessagePolicy", "File"),
)
_ROLLING = {"type": "RollingUpdate"}

TABLE: Mapping[str, Sequence[Row]] = {
    "apiextensions.v1.CustomResourceDefinitionSpec": (Default("conversion", {"strategy": "None"}),),
    "apiextensions.v1.CustomResourceDefinitionNames": (
        Derived("singular", "kind", str.lower),
        Derived("listKind", "kind", "{}List".format),
    ),
    "apps.v1.DaemonSetSpec": (Default("revisionHistoryLimit", 10),),
    "apps.v1.DaemonSetUpdateStrategy": (Default("type", "RollingUpdate"), Default("rollingUpdate", {}, _ROLLING)),
    "apps.v1.DeploymentSpec": (
        Default("replicas", 1),
        Default("revisionHistoryLimit", 10),
        Default("progressDeadlineSeconds", 600),
    ),
    "apps.v1.DeploymentStrategy": (Default("type", "RollingUpdate"), Default("rollingUpdate", {}, _ROLLING)),
    "apps.v1.ReplicaSetSpec": (Default("replicas", 1),),
    "apps.v1.RollingUpdateDaemonSet": (Default("maxUnavailable", 1), Default("maxSurge", 0)),
    "apps.v1.RollingUpdateDeployment": (Default("maxUnavailable", "25%"), Default("maxSurge", "25%")),
    "apps.v1.RollingUpdateStatefulSetStrategy": (Default("partition", 0), Default("maxUnavailable", 1)),
    "apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy": (
        Default("whenDeleted", "Retain"),
        Default("whenScaled", "Retain"),
    ),
    "apps.v1.StatefulSetSpec": (
        Default("replicas", 1),
        Default("podManagementPolicy", "OrderedReady"),
        Default("revisionHistoryLimit", 10),
        Default("persistentVolumeClaimRetentionPolicy", {}),
    ),
    "apps.v1.StatefulSetUpdateStrategy": (Default("type", "RollingUpdate"), Default("rollingUpdate", {}, _ROLLING)),
    "autoscaling.v2.HorizontalPodAutoscalerSpec": (
        Default("minReplicas", 1),
        Default(
            "metrics", [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]
        ),
    ),
    "batch.v1.CronJobSpec": (
        Default("concurrencyPolicy", "Allow"),
        Default("suspend", value=False),
        Default("successfulJobsHistoryLimit", 3),
        Default("failedJobsHistoryLimit", 1),
    ),
    "batch.v1.JobSpec": (
        Default("completions", 1, {"completions": None, "parallelism": None}),
        Default("parallelism", 1),
        Default("backoffLimit", 6),
        Default("completionMode", "NonIndexed"),
        Default("suspend", value=False),
        Default("podReplacementPolicy", "TerminatingOrFailed", {"podFailurePolicy": None}),
        Default("podReplacementPolicy", "Failed"),
        Default("manualSelector", value=False),
    ),
    "core.v1.ConfigMapVolumeSource": (Default("defaultMode", 420),),
    "core.v1.Container": _CONTAINER,
    "core.v1.DownwardAPIVolumeSource": (Default("defaultMode", 420),),
    "core.v1.EphemeralContainer": _CONTAINER,
    "core.v1.ContainerPort": (Default("protocol", "TCP"),),
    "core.v1.EndpointPort": (Default("protocol", "TCP"),),
    "core.v1.GRPCAction": (Default("service", ""),),
    "core.v1.HTTPGetAction": (Default("path", "/"), Default("scheme", "HTTP")),
    "core.v1.HostPathVolumeSource": (Default("type", ""),),
    "core.v1.ObjectFieldSelector": (Default("apiVersion", "v1"),),
    "core.v1.PersistentVolumeClaimSpec": (Default("volumeMode", "Filesystem"),),
    "core.v1.PersistentVolumeClaimStatus": (Default("phase", "Pending"),),
    "core.v1.PersistentVolumeSpec": (Default("persistentVolumeReclaimPolicy", "Retain"), Default("volumeMode", "Filesystem")),
    "core.v1.PersistentVolumeStatus": (Default("phase", "Pending"),),
    "core.v1.PodSpec": (
        Default("enableServiceLinks", value=True, only_in="core.v1.Pod"),
        Default("restartPolicy", "Always"),
        Default("terminationGracePeriodSeconds", 30),
        Default("dnsPolicy", "ClusterFirst"),
        CopyOf("serviceAccountName", "serviceAccount"),
        CopyOf("serviceAccount", "serviceAccountName"),
        Default("securityContext", {}),
        Default("schedulerName", "default-scheduler"),
    ),
    "core.v1.Probe": _PROBE,
    "core.v1.ProjectedVolumeSource": (Default("defaultMode", 420),),
    "core.v1.ReplicationControllerSpec": (Default("replicas", 1),),
    "core.v1.ResourceRequirements": (Requests(),),
    "core.v1.Secret": (Default("type", "Opaque"),),
    "core.v1.SecretVolumeSource": (Default("defaultMode", 420),),
    "core.v1.ServiceAccountTokenProjection": (Default("expirationSeconds", 3600),),
    "core.v1.ServicePort": (Default("protocol", "TCP"), CopyOf("targetPort", "port")),
    "core.v1.ServiceSpec": (
        Default("type", "ClusterIP"),
        Default("sessionAffinity", "None"),
        Default("sessionAffinityConfig", {"clientIP": {"timeoutSeconds": 10800}}, {"sessionAffinity": "ClientIP"}),
        Default("internalTrafficPolicy", "Cluster", {"type": ("ClusterIP", "NodePort", "LoadBalancer")}),
        Default("externalTrafficPolicy", "Cluster", {"type": ("NodePort", "LoadBalancer")}),
        Default("allocateLoadBalancerNodePorts", value=True, when={"type": "LoadBalancer"}),
    ),
    "core.v1.TopologySpreadConstraint": (Default("nodeAffinityPolicy", "Honor"), Default("nodeTaintsPolicy", "Ignore")),
    "discovery.v1.EndpointPort": (Default("name", ""), Default("protocol", "TCP")),
    "networking.v1.NetworkPolicyPort": (Default("protocol", "TCP"),),
    "networking.v1.NetworkPolicySpec": (
        Default("policyTypes", ["Ingress"], {"egress": None}),
        Default("policyTypes", ["Ingress", "Egress"]),
    ),
    "rbac.v1.RoleRef": (Default("apiGroup", "rbac.authorization.k8s.io"),),
    "rbac.v1.Subject": (Default("apiGroup", "rbac.authorization.k8s.io", {"kind": ("User", "Group")}),),
    "storage.v1.StorageClass": (Default("reclaimPolicy", "Delete"), Default("volumeBindingMode", "Immediate")),
    "admissionregistration.v1.MatchResources": (
        Default("matchPolicy", "Equivalent"),
        Default("namespaceSelector", {}),
        Default("objectSelector", {}),
    ),
    "admissionregistration.v1.ValidatingAdmissionPolicySpec": (Default("failurePolicy", "Fail"),),
    "admissionregistration.v1.NamedRuleWithOperations": (Default("scope", "*"),),
    "admissionregistration.v1.RuleWithOperations": (Default("scope", "*"),),
    "authentication.v1.TokenRequestSpec": (Default("expirationSeconds", 3600),),
}


def fill(value: Any, node: Node, kind: str = "") -> None:
    """Set the defaults of a built-in object in place, from the top down: what is added is filled in turn."""
    kind = kind or node.go_type
    if isinstance(value, list):
        for item in value:
            fill(item, node.items, kind)
    if not isinstance(value, dict):
        return
    for row in TABLE.get(node.go_type, ()):
        if getattr(row, "only_in", "") in {"", kind}:
            _set(row, value)
    for name, item in value.items():
        below = node.properties.get(name) or node.additional
        if below is not None and isinstance(item, (dict, list)):
            fill(item, below, kind)


def _set(row: Row, value: Obj) -> None:
    """Apply one row."""
    if isinstance(row, PullPolicy):
        if _absent(value, "imagePullPolicy"):
            value["imagePullPolicy"] = _pull_policy(value.get("image") or "")
    elif isinstance(row, Requests):
        _set_requests(value)
    elif _absent(value, row.field) or (isinstance(row, CopyOf) and value[row.field] == 0):
        _set_field(row, value)


def _set_field(row: Default | CopyOf | Derived, value: Obj) -> None:
    if isinstance(row, Default):
        if _meets(value, row.when):
            value[row.field] = copy.deepcopy(row.value)
    elif not _absent(value, row.source):
        value[row.field] = row.make(value[row.source]) if isinstance(row, Derived) else value[row.source]


def _absent(value: Obj, field: str) -> bool:
    """Tell whether a member is absent or empty text, which Go cannot tell apart."""
    return value.get(field) in (None, "")


def _meets(value: Obj, when: Mapping[str, Any] | None) -> bool:
    """Tell whether a row's condition holds."""
    return all(value.get(name) in (wanted if isinstance(wanted, tuple) else (wanted,)) for name, wanted in (when or {}).items())


def _set_requests(value: Obj) -> None:
    limits = value.get("limits")
    if limits:
        value["requests"] = {**limits, **(value.get("requests") or {})}


def _pull_policy(image: str) -> str:
    """Derive the pull policy from the image's tag; a digest counts as a tag."""
    name = image.rpartition("/")[2]
    if "@" in name:
        return "IfNotPresent"
    _, colon, tag = name.rpartition(":")
    return "IfNotPresent" if colon and tag != "latest" else "Always"

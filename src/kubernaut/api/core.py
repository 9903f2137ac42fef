"""The cards of the Kubernetes kinds that we read and write, and of Tekton's."""

from kubernaut.api.base import Kind


def _core(kind: str, plural: str, *, namespaced: bool = True) -> Kind:
    return Kind(kind=kind, plural=plural, group="", version="v1", namespaced=namespaced)


def _of(group: str, version: str, kind: str, plural: str, *, namespaced: bool = True) -> Kind:
    return Kind(kind=kind, plural=plural, group=group, version=version, namespaced=namespaced)


NAMESPACE = _core("Namespace", "namespaces", namespaced=False)
NODE = _core("Node", "nodes", namespaced=False)
POD = _core("Pod", "pods")
EVENT = _core("Event", "events")
CONFIG_MAP = _core("ConfigMap", "configmaps")
SECRET = _core("Secret", "secrets")
SERVICE = _core("Service", "services")
SERVICE_ACCOUNT = _core("ServiceAccount", "serviceaccounts")
PERSISTENT_VOLUME_CLAIM = _core("PersistentVolumeClaim", "persistentvolumeclaims")
RESOURCE_QUOTA = _core("ResourceQuota", "resourcequotas")
LIMIT_RANGE = _core("LimitRange", "limitranges")
PERSISTENT_VOLUME = _core("PersistentVolume", "persistentvolumes", namespaced=False)

DEPLOYMENT = _of("apps", "v1", "Deployment", "deployments")
REPLICA_SET = _of("apps", "v1", "ReplicaSet", "replicasets")
CONTROLLER_REVISION = _of("apps", "v1", "ControllerRevision", "controllerrevisions")
STATEFUL_SET = _of("apps", "v1", "StatefulSet", "statefulsets")
DAEMON_SET = _of("apps", "v1", "DaemonSet", "daemonsets")
JOB = _of("batch", "v1", "Job", "jobs")
CRON_JOB = _of("batch", "v1", "CronJob", "cronjobs")
HORIZONTAL_POD_AUTOSCALER = _of("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
POD_DISRUPTION_BUDGET = _of("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
NETWORK_POLICY = _of("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies")
INGRESS = _of("networking.k8s.io", "v1", "Ingress", "ingresses")
INGRESS_CLASS = _of("networking.k8s.io", "v1", "IngressClass", "ingressclasses", namespaced=False)
STORAGE_CLASS = _of("storage.k8s.io", "v1", "StorageClass", "storageclasses", namespaced=False)
LEASE = _of("coordination.k8s.io", "v1", "Lease", "leases")
ROLE = _of("rbac.authorization.k8s.io", "v1", "Role", "roles")
ROLE_BINDING = _of("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings")
CLUSTER_ROLE = _of("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDING = _of("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False)
CUSTOM_RESOURCE_DEFINITION = _of("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False)
VALIDATING_ADMISSION_POLICY = _of(
    "admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", namespaced=False
)
VALIDATING_ADMISSION_POLICY_BINDING = _of(
    "admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", namespaced=False
)
VALIDATING_WEBHOOKS = _of(
    "admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", namespaced=False
)
MUTATING_WEBHOOKS = _of(
    "admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", namespaced=False
)
TOKEN_REVIEW = _of("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", namespaced=False)
SELF_SUBJECT_REVIEW = _of("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", namespaced=False)
SUBJECT_ACCESS_REVIEW = _of("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False)
SELF_SUBJECT_ACCESS_REVIEW = _of("authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", namespaced=False)

PIPELINE_RUN = _of("tekton.dev", "v1", "PipelineRun", "pipelineruns")
TASK_RUN = _of("tekton.dev", "v1", "TaskRun", "taskruns")

WORKLOADS = (DEPLOYMENT, STATEFUL_SET, DAEMON_SET, REPLICA_SET, JOB, CRON_JOB)
KNOWN = (
    *(NAMESPACE, NODE, POD, EVENT, CONFIG_MAP, SECRET, SERVICE, SERVICE_ACCOUNT, PERSISTENT_VOLUME_CLAIM, RESOURCE_QUOTA, LIMIT_RANGE),
    *(*WORKLOADS, CONTROLLER_REVISION, HORIZONTAL_POD_AUTOSCALER, POD_DISRUPTION_BUDGET, NETWORK_POLICY, LEASE, PIPELINE_RUN, TASK_RUN),
    *(ROLE, ROLE_BINDING, CLUSTER_ROLE, CLUSTER_ROLE_BINDING, CUSTOM_RESOURCE_DEFINITION),
    *(VALIDATING_ADMISSION_POLICY, VALIDATING_ADMISSION_POLICY_BINDING, VALIDATING_WEBHOOKS, MUTATING_WEBHOOKS),
    *(PERSISTENT_VOLUME, STORAGE_CLASS, INGRESS, INGRESS_CLASS),
)
_BY_NAME = {kind.kind.casefold(): kind for kind in KNOWN}


def kind_named(name: str) -> Kind | None:
    """Return the card of a kind by its name in any case, such as `deployment`; None when we do not know it."""
    return _BY_NAME.get(name.casefold())

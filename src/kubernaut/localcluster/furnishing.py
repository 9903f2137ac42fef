"""What admission adds to new pods: their service account, its token volume, default tolerations and priority."""

from kubernaut.localcluster import addresses, errors
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.authn import SERVICE_ACCOUNTS
from kubernaut.localcluster.calls import Call
from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.kinds import builtin
from kubernaut.localcluster.metadata import is_generated
from kubernaut.localcluster.registry import Registry

_PRIORITIES = builtin("scheduling.k8s.io", "priorityclasses")
_STORAGE = builtin("storage.k8s.io", "storageclasses")
_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
_TOKEN_SECONDS = 3607
_TOLERATED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_TOLERATION_SECONDS = 300
_DEFAULT_MARK = "storageclass.kubernetes.io/is-default-class"


class PodFurnisher:
    """The mutating admission of a cluster: service accounts, priorities, tolerations, default storage class."""

    def __init__(self, registry: Registry) -> None:
        """Look up in a registry."""
        self._registry = registry

    def mutate(self, kind: ResourceKind, obj: Obj, call: Call) -> None:  # noqa: ARG002 - the seam of a gate
        """Furnish a new object; raise ApiError 403 for a service account or priority class that does not exist."""
        if kind.resource == "pods":
            self._account(kind, obj)
            self._priority(kind, obj)
            _tolerations(obj)
        elif kind.resource == "persistentvolumeclaims":
            self._storage(obj)
        elif kind.resource == "services":
            addresses.settle(self._registry, kind, obj)

    def check(self, kind: ResourceKind, operation: str, new: Obj | None, old: Obj | None, call: Call, subresource: str) -> None:
        """Refuse nothing."""

    def _account(self, kind: ResourceKind, pod: Obj) -> None:
        spec, namespace = pod["spec"], pod["metadata"]["namespace"]
        name = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
        account = self._registry.find(SERVICE_ACCOUNTS, namespace, name)
        if account is None:
            told = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
            raise errors.forbidden(kind, _called(pod["metadata"]), told)
        spec |= {"serviceAccountName": name, "serviceAccount": name}
        if not spec.get("imagePullSecrets") and account.obj.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(row) for row in account.obj["imagePullSecrets"]]
        if spec.get("automountServiceAccountToken", account.obj.get("automountServiceAccountToken", True)):
            self._mount_token(spec)

    def _mount_token(self, spec: Obj) -> None:
        rows = [row for field in ("initContainers", "containers") for row in spec.get(field) or []]
        bare = [row for row in rows if all(mount.get("mountPath") != _MOUNT for mount in row.get("volumeMounts") or [])]
        if not bare:
            return
        name = self._registry.sources.generate("kube-api-access-")
        for row in bare:
            mounts = row.setdefault("volumeMounts", None) or []
            row["volumeMounts"] = [*mounts, {"name": name, "readOnly": True, "mountPath": _MOUNT}]
        spec["volumes"] = [*(spec.get("volumes") or []), _token_volume(name)]

    def _priority(self, kind: ResourceKind, pod: Obj) -> None:
        spec = pod["spec"]
        if not spec.get("priorityClassName"):
            spec.setdefault("priority", 0)
            spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
            return
        name = spec["priorityClassName"]
        found = self._registry.find(_PRIORITIES, "", name)
        if found is None:
            raise errors.forbidden(kind, _called(pod["metadata"]), f"no PriorityClass with name {name} was found")
        spec |= {"priority": found.obj.get("value", 0), "preemptionPolicy": found.obj.get("preemptionPolicy", "PreemptLowerPriority")}

    def _storage(self, claim: Obj) -> None:
        if "storageClassName" in claim["spec"]:
            return
        marked = [
            row.obj
            for row in self._registry.all_of(_STORAGE)
            if (row.obj["metadata"].get("annotations") or {}).get(_DEFAULT_MARK) == "true"
        ]
        if marked:
            claim["spec"]["storageClassName"] = marked[0]["metadata"]["name"]


def _called(meta: Obj) -> str:
    """Return what a new object is called in refusals: this admission comes before a name is generated."""
    name, prefix = str(meta.get("name", "")), str(meta.get("generateName", ""))
    return prefix if prefix and is_generated(name, prefix) else name


def _token_volume(name: str) -> Obj:
    sources = [
        {"serviceAccountToken": {"expirationSeconds": _TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
    ]
    return {"name": name, "projected": {"sources": sources, "defaultMode": 420}}


def _tolerations(pod: Obj) -> None:
    given = pod["spec"].get("tolerations") or []
    for key in _TOLERATED:
        held = any(row.get("key", key) == key and row.get("effect", "NoExecute") in ("", "NoExecute") for row in given)
        if not held:
            row = {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _TOLERATION_SECONDS}
            given = [*given, row]
    pod["spec"]["tolerations"] = given

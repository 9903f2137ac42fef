"""The rules of built-in kinds that a schema cannot tell, as tables: by Go type for values wherever they stand, by kind for whole objects.

Words are those of kube-apiserver. Metadata is checked in `metadata`, custom resources in `schema`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from kubernaut.localcluster import formats, policyrules, quantity
from kubernaut.localcluster.api import ResourceKind
from kubernaut.localcluster.builtin import builtin_schema
from kubernaut.localcluster.changes import change_faults
from kubernaut.localcluster.errors import Cause, Obj
from kubernaut.localcluster.faults import Fault, child, duplicate, invalid, not_supported, required, too_long
from kubernaut.localcluster.nodes import Node, root_node
from kubernaut.localcluster.selectors import label_selector_of

Rule = Callable[[Obj, str], Iterator[Fault]]
"""Gives the faults of a value (an object) that stands at a path."""

_PORT_MAX = 65535
_MEBIBYTE = 1 << 20
_NOTE_MAX = 1024
_PROTOCOLS = ("SCTP", "TCP", "UDP")


def faults(kind: ResourceKind, new: Obj, old: Obj | None, subresource: str) -> Sequence[Cause]:
    """Return what is wrong with a built-in object, and with its change where there is an old one."""
    if subresource == "status":
        return []
    try:
        node = _node(kind.group, kind.version, kind.kind)
    except KeyError:
        return []
    found = list(_walk(new, node, ""))
    return [*found, *change_faults(kind, new, old)] if old is not None else found


@cache
def _node(group: str, version: str, kind: str) -> Node:
    return root_node(builtin_schema(group, version, kind))


def _walk(value: Any, node: Node, path: str) -> Iterator[Fault]:
    """Apply the rules of every value's Go type, status and metadata left out."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(item, node.items, f"{path}[{index}]")
    if not isinstance(value, dict):
        return
    for rule in RULES.get(node.go_type, ()):
        yield from rule(value, path)
    for name, item in value.items():
        below = node.properties.get(name)
        if below is not None and isinstance(item, (dict, list)) and (path or name not in {"metadata", "status"}):
            yield from _walk(item, below, child(path, name))


def one_of(field: str, *allowed: str) -> Rule:
    """Make the rule that a text, where there is one, is one of these."""

    def rule(value: Obj, path: str) -> Iterator[Fault]:
        if value.get(field) and value[field] not in allowed:
            yield not_supported(child(path, field), value[field], allowed)

    return rule


def at_least(field: str, least: int, words: str = "") -> Rule:
    """Make the rule that a number, where there is one, is not smaller."""

    def rule(value: Obj, path: str) -> Iterator[Fault]:
        number = value.get(field)
        if isinstance(number, int) and number < least:
            yield invalid(child(path, field), number, words or f"must be greater than or equal to {least}")

    return rule


def port(field: str) -> Rule:
    """Make the rule that a port number is one."""

    def rule(value: Obj, path: str) -> Iterator[Fault]:
        number = value.get(field)
        if isinstance(number, int) and not 0 < number <= _PORT_MAX:
            yield invalid(child(path, field), number, f"must be between 1 and {_PORT_MAX}, inclusive")

    return rule


def text(field: str, check: Callable[[str], list[str]]) -> Rule:
    """Make the rule that a text, where there is one, has a format."""

    def rule(value: Obj, path: str) -> Iterator[Fault]:
        for words in check(value[field]) if value.get(field) else ():
            yield invalid(child(path, field), value[field], words)

    return rule


def needed(field: str) -> Rule:
    """Make the rule that a value is there."""

    def rule(value: Obj, path: str) -> Iterator[Fault]:
        if not value.get(field):
            yield required(child(path, field))

    return rule


def unique(*fields: str, key: str = "name") -> Rule:
    """Make the rule that no key stands twice in one or several lists (later lists and items are at fault)."""

    def rule(value: Obj, path: str) -> Iterator[Fault]:
        seen: set[str] = set()
        for field in fields:
            for index, item in enumerate(value.get(field) or ()):
                name = item.get(key)
                if name and name in seen:
                    yield duplicate(f"{child(path, field)}[{index}].{key}", name)
                seen.add(name)

    return rule


def selects_template(what: str) -> Rule:
    """Make the rule that a selector is not empty and selects the labels of the pod template."""

    def rule(value: Obj, path: str) -> Iterator[Fault]:
        selector = value.get("selector")
        if selector is None:
            return
        labels = (value.get("template") or {}).get("metadata", {}).get("labels") or {}
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            yield invalid(child(path, "selector"), selector, f"empty selector is invalid for {what}")
        elif not label_selector_of(selector)(labels):
            yield invalid(child(path, "template.metadata.labels"), labels or None, "`selector` does not match template `labels`")

    return rule


def restarts(*allowed: str) -> Rule:
    """Make the rule that a pod template restarts its containers in one of these ways."""

    def rule(value: Obj, path: str) -> Iterator[Fault]:
        policy = ((value.get("template") or {}).get("spec") or {}).get("restartPolicy")
        if policy in {"Always", "OnFailure", "Never"} and policy not in allowed:
            yield not_supported(child(path, "template.spec.restartPolicy"), policy, allowed)

    return rule


def _requests(value: Obj, path: str) -> Iterator[Fault]:
    """Refuse requests over limits, and negative amounts."""
    limits = value.get("limits") or {}
    for part in ("limits", "requests"):
        for name, amount in (value.get(part) or {}).items():
            if quantity.parse(amount) < 0:
                yield invalid(f"{child(path, part)}[{name}]", amount, "must be greater than or equal to 0")
    for name, amount in (value.get("requests") or {}).items():
        if name in limits and quantity.parse(amount) > quantity.parse(limits[name]):
            yield invalid(child(path, "requests"), amount, f"must be less than or equal to {name} limit of {limits[name]}")


def _mounts(value: Obj, path: str) -> Iterator[Fault]:
    """Refuse volume mounts without their volume."""
    volumes = {volume.get("name") for volume in value.get("volumes") or ()}
    for part in ("initContainers", "containers"):
        for index, container in enumerate(value.get(part) or ()):
            for at, mount in enumerate(container.get("volumeMounts") or ()):
                if mount.get("name") and mount["name"] not in volumes:
                    field = f"{child(path, part)}[{index}].volumeMounts[{at}].name"
                    yield Fault(field, "FieldValueNotFound", f'Not found: "{mount["name"]}"')


def _service_ports(value: Obj, path: str) -> Iterator[Fault]:
    """Refuse a service without ports, unless it is headless or a name."""
    at = child(path, "ports")
    ports = value.get("ports") or []
    if not ports and value.get("clusterIP") != "None" and value.get("type") != "ExternalName":
        yield required(at)
    for index, item in enumerate(ports if len(ports) > 1 else ()):
        if not item.get("name"):
            yield required(f"{at}[{index}].name")


def _keys(*parts: str) -> Rule:
    """Make the rules of data: keys of a form, none twice, a mebibyte in all."""

    def rule(value: Obj, path: str) -> Iterator[Fault]:
        total, seen = 0, set[str]()
        for part in parts:
            for key, item in (value.get(part) or {}).items():
                at = f"{child(path, part)}[{key}]"
                yield from (invalid(at, key, words) for words in formats.config_key(key))
                if key in seen:
                    yield invalid(at, key, f"duplicate of key present in {parts[0]}")
                seen.add(key)
                total += len(str(item).encode())
        if total > _MEBIBYTE:
            yield too_long("[]" if "binaryData" in parts else parts[0], _MEBIBYTE)

    return rule


_SECRET_KEYS: Mapping[str, tuple[str, ...]] = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def _secret_type(value: Obj, _path: str) -> Iterator[Fault]:
    """Refuse a typed Secret without the keys of its type."""
    for key in _SECRET_KEYS.get(value.get("type") or "", ()):
        if key not in (value.get("data") or {}):
            yield required(f"data[{key}]")


def _budget(value: Obj, path: str) -> Iterator[Fault]:
    if value.get("minAvailable") is not None and value.get("maxUnavailable") is not None:
        yield invalid(path, value, "minAvailable and maxUnavailable cannot be both set")


def _scaling(value: Obj, path: str) -> Iterator[Fault]:
    least, most = value.get("minReplicas") or 1, value.get("maxReplicas") or 0
    if most < 1:
        yield invalid(child(path, "maxReplicas"), most, "must be greater than 0")
    elif most < least:
        yield invalid(child(path, "maxReplicas"), most, "must be greater than or equal to `minReplicas`")


def _claim(value: Obj, path: str) -> Iterator[Fault]:
    """Refuse a claim without access modes or size."""
    if not value.get("accessModes"):
        yield required(child(path, "accessModes"), "at least 1 access mode is required")
    if "storage" not in ((value.get("resources") or {}).get("requests") or {}):
        yield required(child(path, "resources[storage]"))


def _core_event(value: Obj, _path: str) -> Iterator[Fault]:
    """Refuse an event about an object of another namespace; events.k8s.io has rules of its own."""
    about = (value.get("involvedObject") or {}).get("namespace", "")
    home = (value.get("metadata") or {}).get("namespace", "")
    if about != home and (about or home != "default"):
        yield invalid("involvedObject.namespace", about, "does not match event.namespace")


def _new_event(value: Obj, _path: str) -> Iterator[Fault]:
    """Refuse an event that lacks what events.k8s.io/v1 asks for."""
    reporter = value.get("reportingController") or ""
    if not reporter:
        yield required("reportingController")
    yield from (invalid("reportingController", reporter, words) for words in formats.qualified_name(reporter))
    for field in ("reportingInstance", "action", "reason"):
        yield from needed(field)(value, "")
    if len(value.get("note") or "") > _NOTE_MAX:
        yield invalid("message", "", f"can have at most {_NOTE_MAX} characters")
    if value.get("type") not in {"Normal", "Warning"}:
        yield invalid("type", "", f"has invalid value: {value.get('type') or ''}")


_CONTAINER: Sequence[Rule] = (
    text("name", formats.label),
    needed("image"),
    one_of("imagePullPolicy", "Always", "IfNotPresent", "Never"),
    one_of("terminationMessagePolicy", "FallbackToLogsOnError", "File"),
    unique("volumeMounts", key="mountPath"),
)
_SELECTOR: Sequence[Rule] = (one_of("operator", "In", "NotIn", "Exists", "DoesNotExist"),)

RULES: Mapping[str, Sequence[Rule]] = {
    "admissionregistration.v1.MutatingWebhook": (policyrules.webhook,),
    "admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec": (policyrules.binding,),
    "admissionregistration.v1.ValidatingAdmissionPolicySpec": (policyrules.policy,),
    "admissionregistration.v1.ValidatingWebhook": (policyrules.webhook,),
    "apps.v1.DaemonSetSpec": (selects_template("daemonset"), restarts("Always")),
    "apps.v1.DeploymentSpec": (
        at_least("replicas", 0), at_least("minReadySeconds", 0), selects_template("deployment"), restarts("Always"),
        at_least("revisionHistoryLimit", 0), at_least("progressDeadlineSeconds", 0),
    ),
    "apps.v1.DeploymentStrategy": (one_of("type", "Recreate", "RollingUpdate"),),
    "apps.v1.ReplicaSetSpec": (at_least("replicas", 0), selects_template("deployment"), restarts("Always")),
    "apps.v1.StatefulSetSpec": (
        at_least("replicas", 0), selects_template("statefulset"), restarts("Always"),
        one_of("podManagementPolicy", "OrderedReady", "Parallel"),
    ),
    "autoscaling.v1.ScaleSpec": (at_least("replicas", 0),),
    "autoscaling.v2.HorizontalPodAutoscalerSpec": (_scaling, at_least("minReplicas", 1)),
    "batch.v1.CronJobSpec": (one_of("concurrencyPolicy", "Allow", "Forbid", "Replace"), at_least("startingDeadlineSeconds", 0)),
    "batch.v1.JobSpec": (
        at_least("parallelism", 0), at_least("completions", 0), at_least("backoffLimit", 0), at_least("ttlSecondsAfterFinished", 0),
        restarts("OnFailure", "Never"), one_of("completionMode", "NonIndexed", "Indexed"),
    ),
    "coordination.v1.LeaseSpec": (at_least("leaseDurationSeconds", 1, "must be greater than 0"), at_least("leaseTransitions", 0)),
    "core.v1.ConfigMap": (_keys("data", "binaryData"),),
    "core.v1.Container": _CONTAINER,
    "core.v1.ContainerPort": (port("containerPort"), one_of("protocol", *_PROTOCOLS), text("name", formats.label)),
    "core.v1.EphemeralContainer": _CONTAINER,
    "core.v1.Event": (_core_event,),
    "core.v1.GRPCAction": (port("port"),),
    "core.v1.HTTPGetAction": (port("port"), one_of("scheme", "HTTP", "HTTPS")),
    "core.v1.PersistentVolumeClaimSpec": (_claim, one_of("volumeMode", "Block", "Filesystem")),
    "core.v1.PodSpec": (
        one_of("restartPolicy", "Always", "OnFailure", "Never"),
        one_of("dnsPolicy", "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"),
        at_least("activeDeadlineSeconds", 1, "must be between 1 and 2147483647, inclusive"),
        unique("containers", "initContainers"), unique("volumes"), _mounts,
        text("nodeName", formats.subdomain), text("serviceAccountName", formats.subdomain), text("hostname", formats.label),
    ),
    "core.v1.Probe": (
        at_least("initialDelaySeconds", 0), at_least("timeoutSeconds", 0), at_least("periodSeconds", 0), at_least("successThreshold", 0),
        at_least("failureThreshold", 0),
    ),
    "core.v1.ResourceRequirements": (_requests,),
    "core.v1.Secret": (_keys("data"), _secret_type),
    "core.v1.ServicePort": (port("port"), one_of("protocol", *_PROTOCOLS), port("targetPort"), text("name", formats.label)),
    "core.v1.ServiceSpec": (
        one_of("type", "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"), one_of("sessionAffinity", "ClientIP", "None"),
        _service_ports, unique("ports"),
    ),
    "core.v1.TCPSocketAction": (port("port"),),
    "core.v1.Taint": (one_of("effect", "NoSchedule", "PreferNoSchedule", "NoExecute"),),
    "core.v1.Volume": (text("name", formats.label),),
    "events.v1.Event": (_new_event,),
    "meta.v1.LabelSelectorRequirement": _SELECTOR,
    "networking.v1.HTTPIngressPath": (one_of("pathType", "Exact", "ImplementationSpecific", "Prefix"),),
    "policy.v1.PodDisruptionBudgetSpec": (_budget,),
    "rbac.v1.RoleRef": (one_of("kind", "Role", "ClusterRole"),),
    "rbac.v1.Subject": (one_of("kind", "ServiceAccount", "User", "Group"),),
}  # fmt: skip

"""The difference between two pod specs as kube-apiserver tells it: a unified diff of the Go value, every field by its Go name.

The internal type differs from the one on the wire: names without `omitempty`, the host's namespaces inside the security context.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from kubernaut.localcluster.errors import Obj
from kubernaut.localcluster.gotypes import GoField, members

_SPEC = "io.k8s.api.core.v1.PodSpec"
_SECURITY = "io.k8s.api.core.v1.PodSecurityContext"
_ORDER = (
    *("volumes", "initContainers", "containers", "ephemeralContainers", "restartPolicy", "terminationGracePeriodSeconds"),
    *("activeDeadlineSeconds", "dnsPolicy", "nodeSelector", "serviceAccountName", "automountServiceAccountToken", "nodeName"),
    *("securityContext", "imagePullSecrets", "hostname", "subdomain", "setHostnameAsFQDN", "affinity", "schedulerName", "tolerations"),
    *("hostAliases", "priorityClassName", "priority", "preemptionPolicy", "dnsConfig", "readinessGates", "runtimeClassName", "overhead"),
    *("enableServiceLinks", "topologySpreadConstraints", "os", "schedulingGates", "resourceClaims", "resources", "hostnameOverride"),
)
_OF_HOST = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers")
_INITIALS = re.compile(r"^(api|aws|cidr|csi|dns|fc|fs|gce|http|id|ip|iscsi|nfs|os|rbd|se|tcp|tls|tty|uid|uri|url)(?=[A-Z]|$)")
_NAMES: Mapping[str, str] = {"cephfs": "CephFS", "storageos": "StorageOS"}
_INDENT, _SHORTEST = 1, 2


def spec_diff(old: Obj, new: Obj) -> str:
    """Return the unified diff of two pod specs, without file names."""
    before, after = (_lines(spec) for spec in (old, new))
    found = difflib.unified_diff(before, after, n=3, lineterm="")
    return "".join(f"{line}\n" for line in list(found)[_SHORTEST:])


def _lines(spec: Obj) -> list[str]:
    fields = members(_SPEC)
    shown = {_go_name(name): _value(spec.get(name), fields[name]) for name in _ORDER if name in fields}
    if shown["SecurityContext"] is not None or any(spec.get(name) for name in _OF_HOST):
        host = {_go_name(name): _value(spec.get(name), fields[name]) for name in _OF_HOST}
        shown["SecurityContext"] = host | _struct(spec.get("securityContext") or {}, _SECURITY)
    return list(_written(shown, 0, ""))


def _struct(obj: Obj, definition: str) -> Obj:
    return {_go_name(name): _value(obj.get(name), field) for name, field in members(definition).items()}


def _value(value: Any, field: GoField) -> Any:
    if value is None:
        # what is never nil shows its zero value, a struct all its fields
        return _struct({}, field.type) if field.is_struct and not field.nil_when_absent else None if field.nil_when_absent else field.zero()
    kind = field.type
    if isinstance(value, list):
        return [_struct(item, kind[2:]) if members(kind[2:]) else item for item in value]
    return _struct(value, kind) if isinstance(value, dict) and members(kind) else value


def _go_name(name: str) -> str:
    if name in _NAMES:
        return _NAMES[name]
    return _INITIALS.sub(lambda found: found[0].upper(), name) if _INITIALS.match(name) else name[:1].upper() + name[1:]


def _written(value: Any, depth: int, ending: str) -> Iterator[str]:
    """Write JSON as Go indents it: a line each, empty lists and maps on one."""
    if not value or not isinstance(value, (dict, list)):
        yield orjson.dumps(value).decode() + ending
        return
    pad, (start, stop) = " " * (depth + _INDENT), "{}" if isinstance(value, dict) else "[]"
    yield start
    rows = (
        [(f"{orjson.dumps(key).decode()}: ", item) for key, item in value.items()]
        if isinstance(value, dict)
        else [("", row) for row in value]
    )
    for index, (head, item) in enumerate(rows, 1):
        first, *rest = _written(item, depth + _INDENT, "," if index < len(rows) else "")
        yield f"{pad}{head}{first}"
        yield from rest
    yield " " * depth + stop + ending

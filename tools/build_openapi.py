"""Build src/kubernaut/localcluster/data/openapi.json.gz from the Kubernetes definitions of the PyPI package kubernetes-validate.

Usage: build_openapi.py DEFINITIONS_JSON [OUTPUT]. The input is `_definitions.json` of one Kubernetes version of that package. What the
package added for its own purpose (null as a type, enums on apiVersion and kind) is undone, and what it dropped (the two defaults that
list keys need) is put back.
"""

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Obj = dict[str, Any]

OUTPUT = Path(__file__).parent.parent / "src/kubernaut/localcluster/data/openapi.json.gz"
REF = "#/components/schemas/"

KINDS: dict[str, str] = {
    "/v1": "Binding ConfigMap Endpoints Event LimitRange Namespace Node PersistentVolumeClaim PersistentVolume Pod PodTemplate"
    " ReplicationController ResourceQuota Secret ServiceAccount Service",
    "admissionregistration.k8s.io/v1": "MutatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding"
    " ValidatingWebhookConfiguration",
    "apiextensions.k8s.io/v1": "CustomResourceDefinition",
    "apps/v1": "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet",
    "authentication.k8s.io/v1": "SelfSubjectReview TokenRequest TokenReview",
    "authorization.k8s.io/v1": "LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview",
    "autoscaling/v1": "Scale HorizontalPodAutoscaler",
    "autoscaling/v2": "HorizontalPodAutoscaler",
    "batch/v1": "CronJob Job",
    "coordination.k8s.io/v1": "Lease",
    "discovery.k8s.io/v1": "EndpointSlice",
    "events.k8s.io/v1": "Event",
    "networking.k8s.io/v1": "Ingress IngressClass NetworkPolicy",
    "policy/v1": "Eviction PodDisruptionBudget",
    "rbac.authorization.k8s.io/v1": "ClusterRole ClusterRoleBinding Role RoleBinding",
    "scheduling.k8s.io/v1": "PriorityClass",
    "storage.k8s.io/v1": "StorageClass",
}
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
MACHINERY = (
    "ObjectMeta",
    "ListMeta",
    "DeleteOptions",
    "Status",
    "WatchEvent",
    "APIResourceList",
    "APIGroup",
    "APIGroupList",
    "LabelSelector",
    "Patch",
)
SCALARS: dict[str, Obj] = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {
        "oneOf": [{"type": "integer"}, {"type": "string"}],
        "format": "int-or-string",
        "x-kubernetes-int-or-string": True,
    },
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"oneOf": [{"type": "string"}, {"type": "number"}], "format": "quantity"},
    META + "MicroTime": {"type": "string", "format": "micro-time"},
}
DEFAULTS = {"io.k8s.api.core.v1.ContainerPort": ("protocol", "TCP"), "io.k8s.api.core.v1.ServicePort": ("protocol", "TCP")}


def wanted(definitions: Obj) -> Iterator[str]:
    """Name the definitions of the served kinds, of their lists, and of the machinery."""
    for name, definition in definitions.items():
        for row in definition.get("x-kubernetes-group-version-kind", ()):
            kinds = KINDS.get(f"{row['group']}/{row['version']}", "").split()
            if name.startswith("io.k8s.apimachinery") or row["kind"].removesuffix("List") not in kinds:
                continue
            yield name
    yield from (META + name for name in MACHINERY if META + name in definitions)


def references(node: object) -> Iterator[str]:
    """Name the definitions that a schema refers to."""
    if isinstance(node, list):
        for child in node:
            yield from references(child)
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].rpartition("/")[2]
        for child in node.values():
            yield from references(child)


def closure(definitions: Obj) -> list[str]:
    """Add to the wanted definitions all that they refer to."""
    known = set(wanted(definitions))
    open_ = list(known)
    while open_:
        for name in references(definitions[open_.pop()]):
            if name not in known:
                known.add(name)
                open_.append(name)
    return sorted(known)


def restored(node: Any, *, schema: bool = True) -> Any:
    """Undo the package's additions in a schema (or, with schema=False, in a mapping of names to schemas)."""
    if isinstance(node, list):
        return [restored(item) for item in node]
    if not isinstance(node, dict):
        return node
    result = {key: restored(value, schema=not (schema and key == "properties")) for key, value in node.items()}
    if schema:
        _restore_keywords(result)
    return result


def _restore_keywords(schema: Obj) -> None:
    """Restore the type and the reference of one schema, in place."""
    if isinstance(schema.get("type"), list):
        schema["type"] = next(name for name in schema["type"] if name != "null")
    if isinstance(schema.get("$ref"), str):
        reference = {"$ref": REF + schema.pop("$ref").rpartition("/")[2]}
        schema.update({"allOf": [reference]} if schema else reference)


def definition(name: str, source: Obj) -> Obj:
    """Restore one definition."""
    result: Obj = restored(source)
    if name in SCALARS:
        return {"description": result.get("description", ""), **SCALARS[name]}
    properties = result.get("properties", {})
    for field in {"apiVersion", "kind"} & set(properties):
        properties[field].pop("enum", None)
    if name in DEFAULTS:
        field, value = DEFAULTS[name]
        properties[field]["default"] = value
    return result


def main() -> None:
    """Read the definitions, pick, restore, write."""
    source: Obj = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["$defs"]
    output = Path(sys.argv[2]) if sys.argv[2:] else OUTPUT
    picked = {name: definition(name, source[name]) for name in closure(source)}
    text = json.dumps(picked, sort_keys=True, separators=(",", ":"))
    output.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    sys.stdout.write(f"{len(picked)} definitions, {output.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()

"""Built-in kinds: their definitions, what decoding does to them, and their defaults."""

import copy
from typing import Any

import pytest

from kubernaut.localcluster.builtin import builtin_schema, definitions, object_meta
from kubernaut.localcluster.kinds import BUILTIN
from kubernaut.localcluster.schema import Schema

Obj = dict[str, Any]


def schema(kind: str, api_version: str = "v1") -> Schema:
    group, _, version = api_version.rpartition("/")
    return Schema(builtin_schema(group, version, kind))


def stored(obj: Obj) -> Obj:
    """What the server makes of an object before strategies and admission."""
    rules = schema(obj["kind"], obj["apiVersion"])
    result = copy.deepcopy(obj)
    rules.prune(result)
    rules.default(result)
    return result


def pod(*containers: Obj, **spec: Any) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": list(containers) or [{"name": "a", "image": "x:1"}], **spec},
    }


def deployment(**spec: Any) -> Obj:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "x"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template, **spec},
    }


@pytest.mark.parametrize("row", BUILTIN, ids=lambda row: row.resource)
def test_every_served_kind_has_a_schema_and_a_walk_through_it_ends(row):
    rules = Schema(builtin_schema(row.group, row.version, row.kind))
    empty: Obj = {"metadata": {}, "bogus": 1}
    assert rules.prune(empty) == ["bogus"]
    rules.default(empty)
    assert rules.decode_fault(empty) is None


def test_no_reference_is_left_unresolved_in_what_schemas_are_made_of():
    seen: set[int] = set()

    def check(node: Any) -> None:
        if id(node) in seen or not isinstance(node, (dict, list)):
            return
        seen.add(id(node))
        assert not (isinstance(node, dict) and isinstance(node.get("$ref"), str))
        for below in node.values() if isinstance(node, dict) else node:
            check(below)

    for row in BUILTIN:
        check(builtin_schema(row.group, row.version, row.kind))


def test_references_of_raw_definitions_lead_somewhere():
    def references(node: Any) -> set[str]:
        if isinstance(node, list):
            return set().union(*map(references, node))
        if not isinstance(node, dict):
            return set()
        own = {node["$ref"].removeprefix("#/components/schemas/")} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))

    assert references(dict(definitions())) <= set(definitions())


def test_definitions_tell_what_kubectl_explain_shows():
    assert "container" in definitions()["io.k8s.api.core.v1.Container"]["description"]
    assert object_meta()["properties"]["finalizers"]["x-kubernetes-list-type"] == "set"


def test_a_deployment_gets_its_defaults():
    assert stored(deployment())["spec"] == {
        "replicas": 1,
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {
                "containers": [
                    {
                        "name": "a",
                        "image": "x",
                        "resources": {},
                        "terminationMessagePath": "/dev/termination-log",
                        "terminationMessagePolicy": "File",
                        "imagePullPolicy": "Always",
                    }
                ],
                "restartPolicy": "Always",
                "terminationGracePeriodSeconds": 30,
                "dnsPolicy": "ClusterFirst",
                "securityContext": {},
                "schedulerName": "default-scheduler",
            },
        },
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    }


def test_recreate_needs_no_rolling_update():
    assert stored(deployment(strategy={"type": "Recreate"}))["spec"]["strategy"] == {"type": "Recreate"}


def test_defaults_do_not_override():
    assert stored(deployment(replicas=0, revisionHistoryLimit=0))["spec"]["replicas"] == 0


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("x", "Always"),
        ("x:latest", "Always"),
        ("x:1", "IfNotPresent"),
        ("reg:5000/x", "Always"),
        ("reg:5000/x:1", "IfNotPresent"),
        ("x@sha256:0", "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_the_tag(image: str, policy: str):
    assert stored(pod({"name": "a", "image": image}))["spec"]["containers"][0]["imagePullPolicy"] == policy


def test_requests_follow_limits_in_pods_but_not_in_templates():
    container = {"name": "a", "image": "x", "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}, "requests": {"cpu": "0.5"}}}
    assert stored(pod(container))["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}}
    in_template = stored(deployment(template=template))["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert in_template == {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}


def test_service_links_are_a_default_of_pods_only():
    assert stored(pod())["spec"]["enableServiceLinks"] is True
    assert "enableServiceLinks" not in stored(deployment())["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    ("obj", "path", "value"),
    [
        (
            {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 80}]}},
            "spec.ports",
            [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        ),
        ({"apiVersion": "v1", "kind": "Service", "spec": {}}, "spec.sessionAffinity", "None"),
        ({"apiVersion": "v1", "kind": "Service", "spec": {"type": "LoadBalancer"}}, "spec.externalTrafficPolicy", "Cluster"),
        ({"apiVersion": "v1", "kind": "Service", "spec": {}}, "status", {"loadBalancer": {}}),
        ({"apiVersion": "v1", "kind": "Secret"}, "type", "Opaque"),
        ({"apiVersion": "v1", "kind": "ConfigMap", "data": {}}, "data", None),
        ({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": None}}, "data", {"a": ""}),
        ({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": {}}, "spec.volumeMode", "Filesystem"),
        ({"apiVersion": "batch/v1", "kind": "Job", "spec": {}}, "spec.backoffLimit", 6),
        ({"apiVersion": "batch/v1", "kind": "Job", "spec": {}}, "spec.completions", 1),
        ({"apiVersion": "batch/v1", "kind": "Job", "spec": {"parallelism": 3}}, "spec.completions", None),
        ({"apiVersion": "batch/v1", "kind": "CronJob", "spec": {}}, "spec.concurrencyPolicy", "Allow"),
        ({"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": {}}, "spec.podManagementPolicy", "OrderedReady"),
        (
            {"apiVersion": "apps/v1", "kind": "DaemonSet", "spec": {}},
            "spec.updateStrategy.rollingUpdate",
            {"maxUnavailable": 1, "maxSurge": 0},
        ),
        ({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {}}, "spec.policyTypes", ["Ingress"]),
        (
            {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {"egress": [{}]}},
            "spec.policyTypes",
            ["Ingress", "Egress"],
        ),
        ({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}, "spec", {}),
        (
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "subjects": [{"kind": "ServiceAccount", "name": "a"}]},
            "subjects",
            [{"kind": "ServiceAccount", "name": "a"}],
        ),
        (
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "roleRef": {"kind": "Role", "name": "r"}},
            "roleRef.apiGroup",
            "rbac.authorization.k8s.io",
        ),
        (
            {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "spec": {"names": {"kind": "Gadget"}}},
            "spec.names",
            {"kind": "Gadget", "listKind": "GadgetList", "singular": "gadget", "plural": ""},
        ),
        ({"apiVersion": "v1", "kind": "Event", "involvedObject": {}}, "firstTimestamp", None),
    ],
)
def test_defaults_of_other_kinds(obj: Obj, path: str, value: Any):
    found: Any = stored({"metadata": {"name": "x"}, **obj})
    for name in path.split("."):
        found = found.get(name)
    assert found == value


def test_what_go_never_leaves_out_is_there():
    event = stored({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "x"}, "involvedObject": {}})
    assert {"eventTime": None, "firstTimestamp": None, "reportingComponent": "", "source": {}}.items() <= event.items()


def test_decoding_twice_changes_nothing_more():
    for obj in (pod({"name": "a", "image": "x", "args": [], "env": None, "resources": {"limits": {"cpu": "2000m"}}}), deployment()):
        once = stored(obj)
        assert stored(once) == once


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        (
            {"kind": "ConfigMap", "metadata": {"labels": {"a": 1}}},
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        ({"kind": "ConfigMap", "data": {"a": 5}}, "json: cannot unmarshal number into Go struct field ConfigMap.data of type string"),
        (
            {"kind": "Pod", "spec": {"containers": [{"name": "a", "image": 3}]}},
            "json: cannot unmarshal number into Go struct field Container.spec.containers.image of type string",
        ),
        (
            {"kind": "Pod", "spec": {"containers": {}}},
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            {"kind": "Pod", "spec": {"hostNetwork": "yes"}},
            "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool",
        ),
        ({"kind": "Pod", "spec": []}, "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec"),
        (
            {"kind": "Pod", "spec": {"containers": [{"resources": {"requests": {"cpu": "lots"}}}]}},
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        ({"kind": "Secret", "data": {"a": "not base64!"}}, "illegal base64 data at input byte 3"),
        (
            {"kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "spec": {"renewTime": "2024-01-01T00:00:05Z"}},
            'parsing time "2024-01-01T00:00:05Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000"',
        ),
        ({"kind": "Pod", "metadata": None, "spec": None}, None),
    ],
)
def test_what_go_cannot_decode_is_told_in_its_words(obj: Obj, words: str | None):
    assert schema(obj["kind"], obj.get("apiVersion", "v1")).decode_fault(obj) == words


def test_the_metadata_of_a_custom_object_is_named_from_there_on():
    custom = Schema({"type": "object", "properties": {"spec": {"type": "object"}}})
    words = "json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string"
    assert custom.decode_fault({"metadata": {"labels": {"a": 1}}, "spec": 5}) == words

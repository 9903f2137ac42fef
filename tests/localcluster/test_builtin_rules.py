"""Built-in kinds: the rules of values and of changes, in the words of the API server."""

import pytest

from kubernaut.localcluster.kinds import BUILTIN, builtin
from kubernaut.localcluster.validation import faults
from tests.localcluster.test_builtin_kinds import Obj, deployment, pod, schema, stored

LABEL_WORDS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric"
    " character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)


def told(obj: Obj, old: Obj | None = None, subresource: str = "") -> list[tuple[str, str]]:
    new = stored(obj)
    resource = next(row for row in BUILTIN if (row.api_version, row.kind) == (obj["apiVersion"], obj["kind"]))
    found = [
        *schema(obj["kind"], obj["apiVersion"]).validate(new),
        *faults(resource, new, stored(old) if old is not None else None, subresource),
    ]
    return sorted({(fault.field, fault.message) for fault in found})


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (pod(), []),
        ({**pod(), "spec": {"containers": []}}, [("spec.containers", "Required value")]),
        (
            pod(
                {"name": "A_B"},
                {
                    "name": "b",
                    "image": "x",
                    "imagePullPolicy": "Sometimes",
                    "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}},
                },
                restartPolicy="Maybe",
            ),
            [
                ("spec.containers[0].image", "Required value"),
                ("spec.containers[0].name", f'Invalid value: "A_B": {LABEL_WORDS}'),
                (
                    "spec.containers[1].imagePullPolicy",
                    'Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"',
                ),
                ("spec.containers[1].resources.requests", 'Invalid value: "2": must be less than or equal to cpu limit of 1'),
                ("spec.restartPolicy", 'Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"'),
            ],
        ),
        (pod(initContainers=[{"name": "a", "image": "x"}]), [("spec.initContainers[0].name", 'Duplicate value: "a"')]),
        (
            pod({"name": "a", "image": "x", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}),
            [("spec.containers[0].volumeMounts[0].name", 'Not found: "v"')],
        ),
        (
            pod({"name": "a", "image": "x", "ports": [{"containerPort": 70000, "protocol": "TLS"}]}),
            [
                ("spec.containers[0].ports[0].containerPort", "Invalid value: 70000: must be between 1 and 65535, inclusive"),
                ("spec.containers[0].ports[0].protocol", 'Unsupported value: "TLS": supported values: "SCTP", "TCP", "UDP"'),
            ],
        ),
        (pod({"name": "a", "image": "x", "env": [{"value": "v"}]}), [("spec.containers[0].env[0].name", "Required value")]),
        (
            deployment(selector={"matchLabels": {"x": "y"}}),
            [("spec.template.metadata.labels", 'Invalid value: {"a":"b"}: `selector` does not match template `labels`')],
        ),
        (deployment(selector={}), [("spec.selector", "Invalid value: {}: empty selector is invalid for deployment")]),
        (deployment(selector=None), [("spec.selector", "Required value")]),
        (deployment(replicas=-1), [("spec.replicas", "Invalid value: -1: must be greater than or equal to 0")]),
        (
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": "j"},
                "spec": {"template": {"spec": {"containers": [{"name": "a", "image": "x"}]}}},
            },
            [("spec.template.spec.restartPolicy", 'Unsupported value: "Always": supported values: "OnFailure", "Never"')],
        ),
        (
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 0}, {"port": 1, "name": "a"}]}},
            [
                ("spec.ports[0].name", "Required value"),
                ("spec.ports[0].port", "Invalid value: 0: must be between 1 and 65535, inclusive"),
                ("spec.ports[0].targetPort", "Invalid value: 0: must be between 1 and 65535, inclusive"),
            ],
        ),
        ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {}}, [("spec.ports", "Required value")]),
        ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"clusterIP": "None"}}, []),
        (
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a b": "x"}},
            [
                (
                    "data[a b]",
                    (
                        "Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name', "
                        " or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
                    ),
                )
            ],
        ),
        (
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "x" * (1 << 20) + "x"}},
            [("[]", "Too long: may not be more than 1048576 bytes")],
        ),
        (
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "type": "kubernetes.io/dockerconfigjson"},
            [("data[.dockerconfigjson]", "Required value")],
        ),
        (
            {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": "l"},
                "spec": {"leaseDurationSeconds": 0, "leaseTransitions": -1},
            },
            [
                ("spec.leaseDurationSeconds", "Invalid value: 0: must be greater than 0"),
                ("spec.leaseTransitions", "Invalid value: -1: must be greater than or equal to 0"),
            ],
        ),
        (
            {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "n"}, "involvedObject": {"namespace": "m"}},
            [("involvedObject.namespace", 'Invalid value: "m": does not match event.namespace')],
        ),
        (
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {},
                "spec": {"maxReplicas": 1, "minReplicas": 2},
            },
            [
                ("spec.maxReplicas", "Invalid value: 1: must be greater than or equal to `minReplicas`"),
                ("spec.scaleTargetRef.kind", "Required value"),
                ("spec.scaleTargetRef.name", "Required value"),
            ],
        ),
        ({**pod(), "status": {"containerStatuses": [{"name": "a"}]}}, []),
    ],
)
def test_a_built_in_object_is_judged_in_the_words_of_the_api_server(obj: Obj, expected: list[tuple[str, str]]):
    assert told(obj) == expected


SECRET: Obj = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "YQ=="}, "immutable": True}
SEALED = "Forbidden: field is immutable when `immutable` is set"


@pytest.mark.parametrize(
    ("new", "old", "fields"),
    [
        (deployment(replicas=3), deployment(), []),
        (deployment(selector={"matchLabels": {"a": "b", "c": "d"}}), deployment(), ["spec.selector", "spec.template.metadata.labels"]),
        (pod({"name": "a", "image": "y:2"}), pod(), []),
        (pod(activeDeadlineSeconds=5), pod(), []),
        (pod(tolerations=[{"key": "a", "operator": "Exists"}]), pod(), []),
        (pod(restartPolicy="Never"), pod(), ["spec"]),
        (pod(), pod(tolerations=[{"key": "a", "operator": "Exists"}]), ["spec"]),
        ({**SECRET, "type": "x/y"}, SECRET, ["type"]),
        ({**SECRET, "data": {"a": "Yg=="}}, SECRET, ["data"]),
        ({**SECRET, "immutable": False}, SECRET, ["immutable"]),
        ({**SECRET, "data": {"a": "Yg=="}}, {**SECRET, "immutable": None}, []),
    ],
)
def test_what_may_change_and_what_may_not(new: Obj, old: Obj, fields: list[str]):
    assert [field for field, _ in told(new, old)] == fields


def test_an_immutable_field_shows_the_new_value():
    template = {"metadata": {"labels": {"a": "d", "b": "c"}}, "spec": {"containers": [{"name": "a", "image": "x"}]}}
    new = deployment(selector={"matchLabels": {"a": "d", "b": "c"}}, template=template)
    assert told(new, deployment()) == [("spec.selector", 'Invalid value: {"matchLabels":{"a":"d","b":"c"}}: field is immutable')]


def test_a_sealed_secret_says_what_seals_it():
    assert told({**SECRET, "data": {}}, SECRET) == [("data", SEALED)]


def test_a_status_write_is_not_judged_by_the_rules_of_the_spec():
    assert told({**pod(), "spec": {"containers": [{"name": "a", "image": "x"}], "restartPolicy": "Maybe"}}, pod(), "status") == []


def test_kinds_without_rules_have_no_faults():
    assert faults(builtin("", "bindings"), {"metadata": {}}, None, "") == []

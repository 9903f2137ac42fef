import base64
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.localcluster.builtin import definition_name
from kubernaut.localcluster.gotypes import INT_OR_STRING, META, QUANTITY, table
from kubernaut.localcluster.protobuf import ProtobufError, decode

Obj = dict[str, Any]


# an encoder for the tests, written from the wire format alone


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number: int, content: bytes | int) -> bytes:
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def encode_value(kind: str, value: Any) -> bytes | int:
    if kind in {"int32", "int64", "bool"}:
        return int(value)
    if kind == "bytes":
        return base64.b64decode(value)
    if kind == QUANTITY:
        return field(1, value.encode())
    if kind == INT_OR_STRING:
        return field(1, 0) + field(2, value) if isinstance(value, int) else field(1, 1) + field(3, value.encode())
    return value.encode() if kind == "string" else encode_message(kind, value)


def encode_message(definition: str, value: Obj) -> bytes:
    out = b""
    for row in table()[definition]:
        if not row.name:
            out += field(row.number, encode_message(row.type, value))
        elif row.name in value:
            out += encode_field(row.number, row.type, value[row.name])
    return out


def encode_field(number: int, kind: str, value: Any) -> bytes:
    if kind.startswith("[]"):
        return b"".join(field(number, encode_value(kind[2:], item)) for item in value)
    if kind.startswith("map:"):
        return b"".join(field(number, field(1, key.encode()) + field(2, encode_value(kind[4:], item))) for key, item in value.items())
    return field(number, encode_value(kind, value))


def envelope(api_version: str, kind: str, message: bytes) -> bytes:
    return (
        b"k8s\x00" + field(1, field(1, api_version.encode()) + field(2, kind.encode())) + field(2, message) + field(3, b"") + field(4, b"")
    )


def through(obj: Obj) -> Obj:
    group, _, version = obj["apiVersion"].rpartition("/")
    definition = definition_name(group, version, obj["kind"])
    return decode(envelope(obj["apiVersion"], obj["kind"], encode_message(definition, obj)))


META_FULL = {
    "name": "x",
    "namespace": "ns",
    "labels": {"a": "1", "b": ""},
    "annotations": {"k": "ä"},
    "finalizers": ["x/y"],
    "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": True, "blockOwnerDeletion": False}],
    "generation": 3,
}


@pytest.mark.parametrize(
    "obj",
    [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}, "spec": {"finalizers": ["kubernetes"]}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": META_FULL,
            "data": {"k": "v"},
            "binaryData": {"b": "AAE="},
            "immutable": False,
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "s"},
            "data": {"k": "dg=="},
            "stringData": {"p": "q"},
            "type": "Opaque",
        },
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "s"}, "imagePullSecrets": [{"name": "p"}]},
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"namespace": "n", "verb": "get", "resource": "pods"}},
        },
        {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}, "deleteOptions": {"gracePeriodSeconds": 0}},
        {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": ["a"], "expirationSeconds": 600},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "d"},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"a": "b"}},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}},
                "template": {
                    "metadata": {"labels": {"a": "b"}},
                    "spec": {
                        "containers": [
                            {
                                "name": "c",
                                "image": "i:1",
                                "resources": {"limits": {"cpu": "500m"}},
                                "livenessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 5},
                                "securityContext": {"runAsUser": -1},
                            }
                        ],
                        "volumes": [{"name": "v", "configMap": {"name": "cm", "defaultMode": 420}}],
                    },
                },
            },
        },
    ],
    ids=lambda obj: obj["kind"],
)
def test_an_object_comes_back_as_it_was_encoded(obj: Obj):
    assert _pruned(through(obj)) == obj


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _pruned(item) for key, item in value.items() if item is not None}
    return [_pruned(item) for item in value] if isinstance(value, list) else value


# bodies that kubectl 1.36 sent
KUBECTL = {
    "create namespace demo": (
        b'k8s\x00\n\x0f\n\x02v1\x12\tNamespace\x12\x1c\n\x14\n\x04demo\x12\x00\x1a\x00"\x00*\x002\x008\x00B\x00\x12\x00\x1a\x02\n\x00\x1a\x00"\x00',
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}, "spec": {}, "status": {}},
    ),
    "create configmap c --from-literal=a=b": (
        b'k8s\x00\n\x0f\n\x02v1\x12\tConfigMap\x12\x1b\n\x11\n\x01c\x12\x00\x1a\x00"\x00*\x002\x008\x00B\x00\x12\x06\n\x01a\x12\x01b\x1a\x00"\x00',
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b"}},
    ),
    "create deployment d --image=x:1": (
        (
            b'k8s\x00\n\x15\n\x07apps/v1\x12\nDeployment\x12\x9d\x01\n\x1b\n\x01d\x12\x00\x1a\x00"\x00*\x002\x008\x00B\x00Z\x08\n\x03app\x12\x01d\x12p\x08\x01'
            b'\x12\n\n\x08\n\x03app\x12\x01d\x1aX\n\x1a\n\x00\x12\x00\x1a\x00"\x00*\x002\x008\x00B\x00Z\x08\n\x03app\x12\x01d\x12:\x12\x1c\n\x01x\x12\x03x:1*\x00'
            b"B\x00j\x00r\x00\x80\x01\x00\x88\x01\x00\x90\x01\x00\xa2\x01\x00\x1a\x002\x00B\x00J\x00R\x00X\x00`\x00h\x00\x82\x01\x00\x8a\x01\x00\x9a\x01\x00\xc2\x01\x00"
            b'"\x02\n\x00(\x008\x00\x1a\x0c\x08\x00\x10\x00\x18\x00 \x00(\x008\x00\x1a\x00"\x00'
        ),
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "d", "labels": {"app": "d"}},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": "d"}},
                "template": {
                    "metadata": {"labels": {"app": "d"}},
                    "spec": {"containers": [{"name": "x", "image": "x:1", "resources": {}}]},
                },
                "strategy": {},
            },
            "status": {},
        },
    ),
    "auth can-i get pods": (
        (
            b'k8s\x00\n2\n\x17authorization.k8s.io/v1\x12\x17SelfSubjectAccessReview\x12<\n\x10\n\x00\x12\x00\x1a\x00"\x00*\x002\x008\x00B\x00\x12\x1e\n\x1c'
            b'\n\x07default\x12\x03get\x1a\x00"\x00*\x04pods2\x00:\x00\x1a\x08\x08\x00\x12\x00\x1a\x00 \x00\x1a\x00"\x00'
        ),
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "metadata": {},
            "spec": {"resourceAttributes": {"namespace": "default", "verb": "get", "resource": "pods"}},
            "status": {"allowed": False},
        },
    ),
    "create service clusterip s --tcp=80:8080": (
        (
            b'k8s\x00\n\r\n\x02v1\x12\x07Service\x12c\n\x1b\n\x01s\x12\x00\x1a\x00"\x00*\x002\x008\x00B\x00Z\x08\n\x03app\x12\x01s\x12@\n\x1b\n\x0780-8080\x12\x03TCP'
            b'\x18P"\x07\x08\x00\x10\x90?\x1a\x00(\x00\x12\x08\n\x03app\x12\x01s\x1a\x00"\tClusterIP:\x00B\x00R\x00Z\x00`\x00h\x00\x1a\x02\n\x00\x1a\x00"\x00'
        ),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "s", "labels": {"app": "s"}},
            "spec": {
                "ports": [{"name": "80-8080", "protocol": "TCP", "port": 80, "targetPort": 8080}],
                "selector": {"app": "s"},
                "type": "ClusterIP",
            },
            "status": {"loadBalancer": {}},
        },
    ),
}


@pytest.mark.parametrize(("body", "obj"), KUBECTL.values(), ids=KUBECTL)
def test_what_kubectl_sends_is_read_as_it_meant_it(body: bytes, obj: Obj):
    assert decode(body) == obj


def test_times_are_written_as_json_does():
    meta = field(1, b"x") + field(8, field(1, 1_704_067_200))
    body = envelope("v1", "ConfigMap", field(1, meta))
    assert decode(body)["metadata"] == {"name": "x", "creationTimestamp": "2024-01-01T00:00:00Z"}


def test_micro_times_have_six_digits():
    spec = field(1, b"me") + field(4, field(1, 1_704_067_200) + field(2, 500_000_000))
    lease = envelope("coordination.k8s.io/v1", "Lease", field(2, spec))
    assert decode(lease)["spec"] == {"holderIdentity": "me", "renewTime": "2024-01-01T00:00:00.500000Z"}


def test_delete_options_are_known_under_every_version():
    definition = META + "DeleteOptions"
    message = encode_message(definition, {"gracePeriodSeconds": 0, "propagationPolicy": "Foreground", "preconditions": {"uid": "u"}})
    assert decode(envelope("v1", "DeleteOptions", message)) == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Foreground",
        "preconditions": {"uid": "u"},
    }


def test_unknown_fields_are_skipped_whatever_their_wire_type():
    unknown = field(99, 5) + field(98, b"x") + varint(97 << 3 | 1) + struct.pack("<d", 1.0) + varint(96 << 3 | 5) + b"1234"
    assert decode(envelope("v1", "ConfigMap", unknown + field(1, field(1, b"c"))))["metadata"] == {"name": "c"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"not protobuf", "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"),
        (b"", "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"),
        (envelope("v1", "Gadget", b""), 'no kind "Gadget" is registered for version "v1" in protobuf'),
        (envelope("example.dev/v1", "Widget", b""), 'no kind "Widget" is registered for version "example.dev/v1" in protobuf'),
        (b"k8s\x00garbage", "proto: illegal wireType 7"),
        (envelope("v1", "ConfigMap", b"\x0a\xff"), "proto: unexpected EOF"),
        (envelope("v1", "ConfigMap", b"\x0a\x05ab"), "proto: unexpected EOF"),
        (envelope("v1", "ConfigMap", b"\xff" * 11), "proto: integer overflow"),
        (envelope("v1", "ConfigMap", field(1, 7)), "proto: wrong wireType"),
        (envelope("v1", "ConfigMap", field(1, field(1, b"\xff"))), "proto: string field contains invalid UTF-8"),
    ],
)
def test_a_body_that_cannot_be_decoded_is_refused(body: bytes, words: str):
    with pytest.raises(ProtobufError) as raised:
        decode(body)
    assert words in str(raised.value)


@given(st.binary(max_size=60))
def test_no_body_does_worse_than_a_refusal(junk):
    try:
        decoded = decode(envelope("apps/v1", "Deployment", junk))
    except ProtobufError:
        return
    assert decoded["kind"] == "Deployment"


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)


@given(
    st.dictionaries(texts, texts, min_size=1, max_size=4), st.dictionaries(texts, st.binary(min_size=1, max_size=5), min_size=1, max_size=3)
)
def test_any_config_map_comes_back(data, binary):
    obj = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c"},
        "data": data,
        "binaryData": {key: base64.b64encode(value).decode() for key, value in binary.items()},
    }
    assert through(obj) == obj

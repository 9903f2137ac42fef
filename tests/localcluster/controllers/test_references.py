"""What a pod refers to and the cluster lacks, in a kubelet's words."""

import pytest

from kubernaut.localcluster.controllers.references import config_fault, environment, mount_faults

OBJECTS = {("ConfigMap", "cfg"): {"data": {"a": "1"}}, ("Secret", "sec"): {"data": {"p": "czNjcmV0"}}}


def lookup(kind, name):
    return OBJECTS.get((kind, name))


def ref(field, name, **more):
    return {"env": [{"name": "X", "valueFrom": {field: {"name": name, **more}}}]}


@pytest.mark.parametrize(
    ("container", "fault"),
    [
        ({}, ""),
        ({"env": [{"name": "X", "value": "1"}]}, ""),
        (ref("configMapKeyRef", "cfg", key="a"), ""),
        (ref("configMapKeyRef", "none", key="a"), 'configmap "none" not found'),
        (ref("configMapKeyRef", "cfg", key="b"), "couldn't find key b in ConfigMap shop/cfg"),
        (ref("configMapKeyRef", "cfg", key="b", optional=True), ""),
        (ref("secretKeyRef", "none", key="p"), 'secret "none" not found'),
        (ref("secretKeyRef", "sec", key="q"), "couldn't find key q in Secret shop/sec"),
        ({"envFrom": [{"configMapRef": {"name": "none"}}]}, 'configmap "none" not found'),
        ({"envFrom": [{"secretRef": {"name": "none", "optional": True}}]}, ""),
        ({"env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}, ""),
    ],
)
def test_environment_faults(container, fault):
    assert config_fault(container, "shop", lookup) == fault


@pytest.mark.parametrize(
    ("volume", "fault"),
    [
        ({"emptyDir": {}}, None),
        ({"configMap": {"name": "cfg"}}, None),
        ({"configMap": {"name": "none"}}, 'configmap "none" not found'),
        ({"configMap": {"name": "none", "optional": True}}, None),
        ({"configMap": {"name": "cfg", "items": [{"key": "z", "path": "z"}]}}, "configmap references non-existent config key: z"),
        ({"secret": {"secretName": "none"}}, 'secret "none" not found'),
        ({"secret": {"secretName": "sec", "items": [{"key": "z", "path": "z"}]}}, "references non-existent secret key: z"),
        ({"projected": {"sources": [{"configMap": {"name": "kube-root-ca.crt"}}]}}, None),
        ({"projected": {"sources": [{"secret": {"name": "none"}}]}}, 'secret "none" not found'),
    ],
)
def test_volume_faults(volume, fault):
    told = [f'MountVolume.SetUp failed for volume "v" : {fault}'] if fault else []
    assert mount_faults({"volumes": [{"name": "v", **volume}]}, lookup) == told


def test_an_environment_is_resolved():
    container = {
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "cfg"}}],
        "env": [{"name": "A", "value": "x"}, {"name": "S", "valueFrom": {"secretKeyRef": {"name": "sec", "key": "p"}}}],
    }
    assert environment(container, lookup, str.upper) == {"P_a": "1", "A": "x", "S": "CZNJCMV0"}

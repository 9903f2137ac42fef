import pytest

from kubernaut.localcluster.jsonpath import JSONPathError, find, find_all

OBJ = {
    "metadata": {"name": "x", "labels": {"example.dev/owner": "ann", "a.b": "c"}},
    "spec": {"ports": [{"name": "http", "port": 80}, {"name": "dns", "port": 53, "off": True}], "replicas": 0},
    "status": {"conditions": [{"type": "Ready", "status": "False"}, {"type": "Done", "status": "True"}]},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (".metadata.name", "x"),
        ("metadata.name", "x"),
        ("{.metadata.name}", "x"),
        ("$.metadata.name", "x"),
        (".metadata.labels['example.dev/owner']", "ann"),
        (r".metadata.labels.example\.dev/owner", "ann"),
        (r'.metadata.labels["a.b"]', "c"),
        (".spec.ports[0].port", 80),
        (".spec.ports[-1].name", "dns"),
        (".spec.ports[5].name", None),
        (".spec.ports[*].port", 80),
        (".spec.replicas", 0),
        (".spec.absent.deeper", None),
        ('.status.conditions[?(@.type=="Ready")].status', "False"),
        (".status.conditions[?(@.type=='Done')].status", "True"),
        ('.status.conditions[?(@.type=="None")].status', None),
        (".spec.ports[?(@.port>60)].name", "http"),
        (".spec.ports[?(@.port<=53)].name", "dns"),
        (".spec.ports[?(@.off)].name", "dns"),
        (".spec.ports[?(@.off==true)].name", "dns"),
        (".spec.ports[?(@.port!=80)].name", "dns"),
        ("..port", 80),
        (".", OBJ),
    ],
)
def test_a_path_finds_the_first_value(path: str, value):
    assert find(OBJ, path) == value


def test_all_values_come_in_document_order():
    assert find_all(OBJ, ".spec.ports[*].port") == [80, 53]
    assert find_all(OBJ, "..type") == ["Ready", "Done"]
    assert find_all(OBJ, ".metadata.labels.*") == ["ann", "c"]


@pytest.mark.parametrize("path", [".spec[", ".a[?(x)]", ".a[?(@.b==c)]", ".a[1:2]"])
def test_a_path_outside_the_subset_is_refused(path: str):
    with pytest.raises(JSONPathError):
        find({"a": [1], "spec": {}}, path)


def test_a_filter_does_not_compare_what_cannot_be_compared():
    assert find_all({"a": [{"b": "x"}, {"b": 3}, {"b": True}]}, ".a[?(@.b>1)].b") == [3]

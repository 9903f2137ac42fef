"""What a change did to an object and its way back: exact, of what changed alone, and without a secret."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.keyed import keyed, unkeyed
from kubernaut.api.redact import HIDDEN
from kubernaut.kube.patches import merged
from kubernaut.kube.reversal import against, as_left, change_of, creation_of, reversal, sealed
from kubernaut.kube.status import changes

pytestmark = pytest.mark.unit
SECRET = "hunter2-x9"
NAMES = st.sampled_from(["name", "a", "b", "[c]", "[", "[]", "d"])
SCALARS = st.one_of(st.booleans(), st.integers(-3, 3), st.text("xyz[", max_size=3))
VALUES: Any = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(NAMES, inner, max_size=3)
        | st.lists(st.tuples(st.sampled_from(["a", "b", "[", "c"]), st.dictionaries(NAMES, inner, max_size=2)), max_size=3).map(
            lambda items: [{**item, "name": name} for name, item in items]
        )
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=3)


def deployment(*env: tuple[str, str], memory="128Mi", image="app:1", args=(), replicas=2):
    variables = [{"name": name, "value": value} for name, value in env]
    app = {"name": "app", "image": image, "resources": {"limits": {"memory": memory}}, "env": variables, "args": list(args)}
    pod = {"containers": [{"name": "token-proxy", "image": "proxy:1"}, app]}
    return {"metadata": {"name": "shop", "annotations": {"own": "stays"}}, "spec": {"replicas": replicas, "template": {"spec": pod}}}


def between(before, after):
    return change_of(before, changes(before, after) or {})


@given(VALUES)
def test_an_object_written_with_maps_is_the_same_object(value):
    assert unkeyed(keyed(value)) == value


@given(OBJECTS, OBJECTS)
def test_a_change_and_then_its_way_back_is_no_change_at_all(before, after):
    found = between(before, after)
    assert found.withheld == ""
    assert merged(after, against(after, found.patch)) == before


def test_a_way_back_names_only_what_changed():
    before = deployment(("DB_PASSWORD", SECRET), args=[f"--token={SECRET}"])
    after = deployment(("DB_PASSWORD", SECRET), args=[f"--token={SECRET}"], memory="256Mi")
    found = between(before, after)
    assert found.patch == {"spec": {"template": {"spec": {"containers": {"[app]": {"resources": {"limits": {"memory": "128Mi"}}}}}}}}
    assert SECRET not in str(found)
    assert merged(after, against(after, found.patch)) == before


def test_what_somebody_else_changed_in_the_same_list_stays():
    before, after = deployment(("A", "1")), deployment(("A", "1"), memory="256Mi")
    found = between(before, after)
    others = deployment(("A", "2"), ("B", "3"), memory="256Mi")
    assert merged(others, against(others, found.patch)) == deployment(("A", "2"), ("B", "3"))


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        pytest.param(
            deployment(("API_KEY", SECRET)),
            deployment(("API_KEY", "other")),
            "spec.template.spec.containers.[app].env.[API_KEY].value",
            id="a variable",
        ),
        pytest.param(deployment(("API_KEY", SECRET)), deployment(), "[app].env", id="a variable that goes"),
        pytest.param(deployment(("A", "1")), deployment(("A", "1"), ("API_KEY", SECRET)), "[API_KEY].value", id="a variable that comes"),
        pytest.param(deployment(("URL", f"redis://u:{SECRET}@r/0")), deployment(("URL", "redis://r/0")), "[URL].value", id="a URL"),
        pytest.param(deployment(args=["--password", SECRET]), deployment(args=["--password", SECRET, "-v"]), "[app].args", id="arguments"),
    ],
)
def test_what_holds_a_secret_is_not_kept_and_says_so(before, after, named):
    found = between(before, after)
    assert found.patch == {}
    assert named in found.withheld
    assert SECRET not in str(found)


def test_what_changed_beside_a_secret_is_shown_though_it_cannot_be_taken_back():
    found = between(deployment(("API_KEY", SECRET)), deployment(("API_KEY", "other"), image="app:2"))
    assert ("app:1" in str(found.before), "app:2" in str(found.after)) == (True, True)
    assert HIDDEN in str(found.before)


def test_a_container_that_is_named_after_a_secret_is_none():
    before, after = deployment(), deployment()
    after["spec"]["template"]["spec"]["containers"][0]["image"] = "proxy:2"
    found = between(before, after)
    assert found.withheld == ""
    assert merged(after, against(after, found.patch)) == before


def test_what_is_made_is_on_record_as_the_server_made_it():
    body = {"spec": {"ports": [{"name": "http", "port": 80}]}}
    made = {"metadata": {"uid": "u"}, "spec": {"ports": [{"name": "http", "port": 80, "protocol": "TCP"}], "clusterIP": "10.0.0.1"}}
    found = creation_of(made, body)
    assert found.after == {"spec": {"ports": {"[]": ["http"], "[http]": {"port": 80}}}}
    assert as_left(made, found.after, {}) == found.after
    secret = creation_of({"data": {"password": SECRET}}, {"data": {"password": SECRET}})
    assert SECRET not in str(secret)
    assert "data.password" in secret.withheld


def test_a_seal_tells_whether_what_was_left_out_has_changed_and_nothing_else():
    one, two = keyed(deployment(("PASSWORD", SECRET))), keyed(deployment(("PASSWORD", SECRET), memory="1Gi"))
    (clean, seal), (_, same) = sealed(one, "uid"), sealed(two, "uid")
    assert (seal == same, len(seal), SECRET in str(clean)) == (True, 64, False)
    assert sealed(keyed(deployment(("PASSWORD", "other"))), "uid")[1] != seal
    assert sealed(one, "another")[1] != seal
    assert sealed(keyed(deployment()), "uid") == (keyed(deployment()), "")


def test_what_was_left_out_before_is_never_put_back():
    clean, _ = sealed(keyed(deployment(args=["--password", SECRET])), "uid")
    after, _ = sealed(keyed(deployment(args=["--password", SECRET, "-v"])), "uid")
    found = reversal(clean, after)
    assert found.patch == {}
    assert "[app].args" in found.withheld
    assert SECRET not in orjson.dumps([found.before, found.after]).decode()

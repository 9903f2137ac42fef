"""A hunt for secrets that redaction misses, in any form at any place, and for ordinary words that it hides."""

import json
import sys

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.redact import HIDDEN, redact, redact_value
from tests.api.planting import BY_FORM, BY_NAME, NAMES, PLACES, READABLE, leaks, objects, secret_of, written

pytestmark = pytest.mark.unit
SECRETS = st.integers(0, 1 << 32).map(secret_of)


def shown(value):
    """Return everything that is shown of a value: as decoded JSON, and as the texts in which it stands."""
    return [json.dumps(redact_value(value)), *map(redact, written(value))]


def told(secret, value):
    return [text for text in shown(value) if leaks(secret, text)]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("form", BY_FORM)
def test_no_form_of_a_secret_comes_out_of_any_place(form, place):
    secret = secret_of(len(form) + len(place))
    assert told(secret, PLACES[place](BY_FORM[form](secret))) == []


@pytest.mark.parametrize("form", BY_NAME)
@given(st.sampled_from(NAMES), SECRETS, st.sampled_from(sorted(PLACES)))
def test_what_stands_under_a_secrets_name_comes_out_of_no_place(form, name, secret, place):
    assert told(secret, PLACES[place](BY_NAME[form](name, secret))) == []


@given(st.sampled_from(NAMES), SECRETS)
def test_no_object_shows_what_stands_under_a_secrets_name(name, secret):
    assert {kind: found for kind, obj in objects(secret, name).items() if (found := told(secret, obj))} == {}


@given(SECRETS, st.lists(st.sampled_from(READABLE), max_size=3), st.lists(st.sampled_from(sorted(BY_FORM)), min_size=1, max_size=3))
def test_what_stands_around_secrets_changes_nothing(secret, lines, forms):
    text = "\n".join([*lines, *(BY_FORM[form](secret) for form in forms), *lines])
    assert not leaks(secret, redact(text))
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize("text", READABLE)
def test_what_people_need_at_night_stays_as_it_is(text):
    assert redact(text) == text
    assert redact_value({"message": text, "annotations": {"note": text}}) == {"message": text, "annotations": {"note": text}}


PODS = {
    "kind": "Pod",
    "metadata": {"name": "api-7c9f-x7k2p", "uid": "6f1b2c3d", "labels": {"app": "api", "app.kubernetes.io/part-of": "token-service"}},
    "spec": {
        "serviceAccountName": "api",
        "automountServiceAccountToken": False,
        "imagePullSecrets": [{"name": "registry"}],
        "containers": [
            {
                "name": "token-service",
                "image": "registry.example/token-service@sha256:" + "0a1b" * 16,
                "env": [
                    {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
                    {"name": "TOKEN_TTL", "value": "30m"},
                    {"name": "SECRET_NAME", "value": "db"},
                ],
                "resources": {"limits": {"memory": "128Mi", "cpu": "500m"}},
                "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets/token"}],
            }
        ],
        "volumes": [{"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}}]}}],
    },
    "status": {"phase": "Running", "startTime": "2026-01-01T00:00:00Z", "podIP": "10.0.0.1"},
}


def test_an_object_without_a_secret_stays_as_it_is():
    assert redact_value(PODS) == PODS
    for text in (json.dumps(PODS), json.dumps(PODS, indent=2), yaml.safe_dump(PODS)):
        assert redact(text) == text


def test_a_schema_is_no_manifest():
    schema = {"properties": {"kind": {"type": "string"}, "apiVersion": {"type": "string"}}}
    assert redact_value(schema) == schema
    assert redact(json.dumps(schema)) == json.dumps(schema)


def test_what_follows_a_hidden_value_is_read_on():
    text = "db:\n  password: |\n    abc\n  host: db\nnext: 1\n"
    assert redact(text) == f"db:\n  password: {HIDDEN}\n  host: db\nnext: 1\n"


WORDS = (
    "-----BEGIN ",
    '{"',
    "[{",
    "<a>",
    "name: token\nvalue: ",
    "mysql -",
    "password:\n  ",
    "--token\n- ",
    "%3D",
    "token ",
    "YWJj",
    "\\",
    "''",
    "$6$",
)


@pytest.mark.parametrize("word", WORDS)
def test_the_work_grows_as_the_text_does(word):
    """Counted in steps of Python: what takes the square of a text's length takes more than twice as many for twice as much."""
    once, twice = (steps(word * (length // len(word))) for length in (4_000, 8_000))
    assert twice <= 2.5 * once + 200


def steps(text):
    """Return how many calls it takes to search a text."""
    count = 0

    def seen(*_):
        nonlocal count
        count += 1

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        redact(text)
    finally:
        sys.setprofile(before)
    return count

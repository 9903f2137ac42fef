"""What nobody should send: the answer is a refusal, soon, and the server goes on."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.localcluster import bodies, quantity, regular
from kubernaut.localcluster.patch import PatchError, json_patch
from tests.localcluster.http import APPLY, CONFIGMAPS, CRDS, JSON_PATCH, PODS, WIDGETS, configmap, definition, pod

DEEP = b"[" * 100_000
LAUGHS = b"a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (i, i, b",".join([b"*a%d" % (i - 1)] * 10)) for i in range(1, 10)
)
YAML = "application/yaml"


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (DEEP, "application/json", "exceeded max depth"),
        (b'{"a":' * 3000 + b"1" + b"}" * 3000, "application/json", "exceeded max depth"),
        (DEEP, YAML, "exceeded max depth"),
        (b"- " * 5000, YAML, "exceeded max depth"),
        (b"&a [*a]", YAML, "exceeded max depth"),
        (LAUGHS, YAML, "document contains excessive aliasing"),
        (b"? [a]\n: b", YAML, "unhashable key"),
        (b'{"data":{"a":' + b"9" * 5000 + b"}}", "application/json", "out of range"),
        (b'{"a":NaN}', "application/json", "invalid character 'N'"),
        (b'{"a":"\xff"}', "application/json", "UTF-8"),
        (b"k8s\x00\xff\xff", "application/vnd.kubernetes.protobuf", "the object provided is unrecognized"),
    ],
    ids=["deep", "deep objects", "deep yaml", "deep block yaml", "circle", "laughs", "key", "digits", "nan", "bytes", "protobuf"],
)
async def test_a_body_that_would_bring_a_reader_down_is_refused(http, body, content_type, words):
    refused = await http.post(CONFIGMAPS, body, content_type=content_type)
    assert refused.status == 400
    assert words in refused.message


async def test_an_apply_is_held_to_the_same_bounds(http):
    refused = await http.patch(f"{CONFIGMAPS}/one", LAUGHS, APPLY, fieldManager="x")
    assert refused.status == 400


async def test_copies_of_copies_in_a_patch_are_bounded(http):
    await http.post(CONFIGMAPS, configmap(a="x" * 1000))
    doubling = [{"op": "copy", "from": "/data", "path": f"/data/x{i}"} for i in range(40)]
    assert (await http.patch(f"{CONFIGMAPS}/one", doubling, JSON_PATCH)).status == 422


async def test_no_pattern_of_a_definition_can_stop_the_server(http):
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"p": {"type": "string", "pattern": "^(a+)+$"}}}}}
    assert (await http.post(CRDS, definition(schema={"openAPIV3Schema": schema}))).status == 201
    body = {"apiVersion": "example.dev/v1alpha1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"p": "a" * 60 + "!"}}
    refused = await http.post(WIDGETS, body)
    assert (refused.status, "should match '^(a+)+$'" in refused.message) == (422, True)


@pytest.mark.parametrize("amount", ["1" * 5000, "1e99999999", "1e-99999999", "."], ids=["long", "huge", "tiny", "none"])
async def test_an_amount_beyond_all_bounds_is_no_quantity(http, amount):
    limits = {"resources": {"limits": {"cpu": amount}}}
    refused = await http.post(PODS, pod(containers=[{"name": "a", "image": "b", **limits}]))
    assert (refused.status, "quantities must match" in refused.message) == (400, True)


TOKENS = ["x", "W10", "e30", "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ", "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6IngiLCJzdGFydCI6NX0"]


@pytest.mark.parametrize("token", TOKENS)
async def test_a_continue_token_that_is_none_is_refused(http, token):
    refused = await http.get(CONFIGMAPS, **{"limit": "1", "continue": token})
    assert (refused.status, refused.body["reason"]) == (400, "BadRequest")


@pytest.mark.parametrize(
    ("part", "body"),
    [
        ("eviction", {"deleteOptions": 5}),
        ("binding", {"target": 5}),
        ("status", {"metadata": {"name": "p"}, "status": 5}),
    ],
)
async def test_a_part_of_the_wrong_type_is_refused(http, part, body):
    await http.post(PODS, pod())
    ask = http.post(f"{PODS}/p/{part}", body) if part != "status" else http.ask("PUT", f"{PODS}/p/status", body)
    assert (await ask).status == 400


@pytest.mark.parametrize("options", [{"gracePeriodSeconds": "x"}, {"preconditions": 5}, {"dryRun": 5}], ids=str)
async def test_options_of_a_delete_of_the_wrong_type_are_refused(http, options):
    await http.post(CONFIGMAPS, configmap())
    refused = await http.delete(f"{CONFIGMAPS}/one", options)
    assert (refused.status, "cannot be handled as a DeleteOptions" in refused.message) == (400, True)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(ANYTHING)
def test_json_is_read_as_it_was_written(value):
    assert bodies.json_value(json.dumps(value).encode()) == value


def outcome(act, refused):
    """Return what an act gives, or the words in which it refuses."""
    try:
        return act(), ""
    except refused as error:
        return None, str(error)


@given(st.binary())
def test_bytes_are_read_or_refused_with_a_sentence(body):
    for read in (bodies.json_value, bodies.yaml_value):
        value, words = outcome(lambda read=read: read(body), ValueError)
        assert value is None or not words


@given(st.text(alphabet="0123456789.eEKMGinumk+-", max_size=30))
def test_a_text_is_a_quantity_or_is_refused(text):
    value, words = outcome(lambda: quantity.canonical(text), quantity.QuantityError)
    assert words == quantity.QUANTITY_WORDS if value is None else quantity.parse(value) == quantity.parse(text)


OPERATION = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "copy", "move", "test"]), "path": st.text(alphabet="/ab-0~")},
    optional={"value": ANYTHING, "from": st.text(alphabet="/ab")},
)


@given(ANYTHING, st.lists(OPERATION, max_size=4))
def test_a_patch_applies_or_is_refused(value, operations):
    made, words = outcome(lambda: json_patch({"a": value, "b": [1]}, operations), PatchError)
    assert isinstance(made, dict) or words


@pytest.mark.parametrize(
    ("pattern", "text", "first", "every"),
    [
        ("(a)b", "xabab", "ab", ["ab", "ab"]),
        (r"\((a)", "(a", "(a", ["(a"]),
        ("[(]x", "(x", "(x", ["(x"]),
        ("(?i)AB", "ab", "ab", ["ab"]),
        ("(?P<n>a)(b)", "ab", "ab", ["ab"]),
        ("z", "ab", "", []),
    ],
)
def test_a_match_is_the_whole_match_whatever_its_groups(pattern, text, first, every):
    assert (regular.first(pattern, text), regular.every(pattern, text)) == (first, every)
    assert regular.found(pattern, text) is bool(every)


def test_what_is_no_pattern_is_said_so():
    with pytest.raises(regular.PatternError, match="missing"):
        regular.check("(")

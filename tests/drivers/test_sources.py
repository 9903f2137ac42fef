"""What every source of signals keeps: whatever is posted, each report gets a verdict, or the body is refused as a whole."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.gateway.sources.base import BadBody, Refused, Signal
from kubernaut.wiring import SOURCES
from tests.drivers.reports import BODIES

pytestmark = pytest.mark.unit
every_source = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
CONTROL = "".join(map(chr, range(32)))
TEXT = st.text(max_size=20) | st.sampled_from(["4", "firing", "default", "2026-01-01T00:00:00Z", CONTROL, "x" * 10_000])
KEYS = st.sampled_from(
    [
        "version",
        "status",
        "alerts",
        "labels",
        "annotations",
        "alertname",
        "namespace",
        "pod",
        "startsAt",
        "kind",
        "metadata",
        "type",
        "reason",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | TEXT, inner, max_size=6),
    max_leaves=30,
)


def judged(source, body):
    """Return the verdicts, or None for a body that was refused; anything else that happens is a fault."""
    try:
        verdicts = source.read(body)
    except BadBody as refusal:
        assert str(refusal).strip(), "a refusal says why"  # noqa: PT017
        return None
    assert all(isinstance(each, Signal | Refused) for each in verdicts)
    return verdicts


def test_names_and_paths_are_each_sources_own():
    assert SOURCES
    assert len({source.name for source in SOURCES}) == len({source.path for source in SOURCES}) == len(SOURCES)


@every_source
def test_a_path_is_one_of_the_gateways(source):
    assert source.path.startswith("/api/v1/signals/")


@every_source
@given(body=st.binary(max_size=2000))
def test_arbitrary_bytes_are_refused_or_judged(source, body):
    judged(source, body)


@every_source
@given(tree=JSON)
def test_arbitrary_json_is_refused_or_judged(source, tree):
    judged(source, json.dumps(tree).encode())


@every_source
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[" * 200_000,
        b'{"a":' * 50_000,
        b'"\\ud800"',
        b"\xff\xfe{}",
        b'{"version":"4","alerts":[{}]}garbage',
        b"1e999",
        b"9" * 5000,
    ],
    ids=["nothing", "null", "deep lists", "deep objects", "half a character", "another encoding", "text behind", "no number", "digits"],
)
def test_what_is_no_report_is_refused(source, body):
    assert judged(source, body) is None


@every_source
@given(tree=JSON)
def test_reading_twice_gives_the_same(source, tree):
    body = json.dumps(tree).encode()
    assert judged(source, body) == judged(source, body)


NAMES = st.lists(st.from_regex(r"[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?", fullmatch=True), min_size=1, max_size=20)
ODD = st.dictionaries(st.text(max_size=30), st.text(max_size=200) | st.just(CONTROL), max_size=4)


@every_source
@given(pods=NAMES, odd=ODD)
def test_every_report_is_a_signal_in_the_order_reported(source, pods, odd):
    verdicts = judged(source, BODIES[source.name](pods, odd))
    assert [each.resource.name for each in verdicts] == pods


@every_source
def test_control_characters_never_reach_what_names_things(source):
    [verdict] = judged(source, BODIES[source.name]([f"web{CONTROL}-1"], {"note": CONTROL}))
    if isinstance(verdict, Signal):
        assert (verdict.name + verdict.resource.path()).isprintable()
        assert verdict.fired_at.tzinfo is not None


@every_source
def test_what_came_is_kept_for_each_report_alone(source):
    first, second = judged(source, BODIES[source.name](["web-first", "web-second"], {}))
    assert ["web-first" in json.dumps(each.envelope) for each in (first, second)] == [True, False]
    assert ["web-second" in json.dumps(each.envelope) for each in (first, second)] == [False, True]

"""Reading Kubernetes Events: both versions, alone or listed, and only what reports a problem."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.signal import Severity, SignalState
from kubernaut.gateway.sources.base import BadBody, Refused, Signal
from kubernaut.gateway.sources.kubernetes_event import KubernetesEvents

POD = {"apiVersion": "v1", "kind": "Pod", "name": "payment-1", "namespace": "production"}
FIRST, LAST = "2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z"


def event(**changes):
    made = {"type": "Warning", "reason": "BackOff", "message": "it restarts", "involvedObject": POD, "firstTimestamp": FIRST}
    return {key: value for key, value in (made | {"lastTimestamp": LAST} | changes).items() if value is not None}


def read(*events):
    return KubernetesEvents().read(json.dumps({"items": list(events)}).encode())


def test_what_the_event_says_is_kept():
    labelled = POD | {"labels": {"team": "payments", "environment": "production"}}
    said = event(involvedObject=labelled, source={"component": "kubelet"})
    [signal] = KubernetesEvents().read(json.dumps(said).encode())
    assert isinstance(signal, Signal)
    assert (signal.name, signal.severity, signal.state) == ("BackOff", Severity.WARNING, SignalState.FIRING)
    assert (signal.resource.path(), signal.resource.api_version) == ("production/pod/payment-1", "v1")
    assert (signal.fired_at, signal.seen_at) == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 5, tzinfo=UTC))
    assert signal.labels["environment"] == "production"
    assert signal.labels["component"] == "kubelet"
    assert signal.annotations["message"] == "it restarts"
    assert signal.envelope == said


def test_the_newer_version_of_events_is_read_too():
    newer = {
        "apiVersion": "events.k8s.io/v1",
        "type": "Warning",
        "reason": "FailedScheduling",
        "note": "0/3 nodes are available",
        "regarding": POD,
        "eventTime": "2026-01-01T00:00:00.123456Z",
        "series": {"count": 4, "lastObservedTime": "2026-01-01T00:09:00.5Z"},
        "reportingController": "default-scheduler",
    }
    [signal] = read(newer)
    assert isinstance(signal, Signal)
    assert signal.annotations["message"] == "0/3 nodes are available"
    assert signal.labels["component"] == "default-scheduler"
    assert signal.seen_at == datetime(2026, 1, 1, 0, 9, 0, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"involvedObject": {"kind": "Node", "name": "w1"}}, "node/w1", id="a node has no namespace"),
        pytest.param(
            {"involvedObject": {"kind": "Node", "name": "w1"}, "metadata": {"namespace": "default"}}, "node/w1", id="nor that of its event"
        ),
        pytest.param(
            {"involvedObject": {"kind": "Pod", "name": "p"}, "metadata": {"namespace": "n"}}, "n/pod/p", id="the event's namespace, else"
        ),
        pytest.param({"involvedObject": POD | {"kind": "Rollout"}}, "production/rollout/payment-1", id="a kind that we do not know"),
    ],
)
def test_the_object_is_the_one_involved(changes, expected):
    [signal] = read(event(**changes))
    assert isinstance(signal, Signal)
    assert signal.resource.path() == expected


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        pytest.param("text", "NotAnObject", id="an event that is text"),
        pytest.param(event(type="Normal"), "NotAWarning", id="good news"),
        pytest.param(event(type=None), "NotAWarning", id="no type"),
        pytest.param(event(reason=None), "NoReason", id="no reason"),
        pytest.param(event(reason={"a": 1}), "NoReason", id="a reason that is no text"),
        pytest.param(event(involvedObject={"kind": "Pod"}), "NoResource", id="no name"),
        pytest.param(event(involvedObject={"kind": "Pod", "name": "p"}), "NoNamespace", id="no namespace"),
        pytest.param(event(involvedObject=POD | {"kind": "a kind"}), "BadResource", id="a kind that is none"),
        pytest.param(event(involvedObject=POD | {"name": "x" * 300}), "BadResourceName", id="a name without end"),
        pytest.param(event(firstTimestamp="x", lastTimestamp=None), "NoTime", id="no time"),
        pytest.param(event(involvedObject=POD | {"apiVersion": "kubernaut.ai/v1alpha1"}), "OwnObject", id="a remediation of ours"),
        pytest.param(event(involvedObject=POD | {"apiVersion": "tekton.dev/v1", "kind": "PipelineRun"}), "OwnObject", id="its pipeline"),
    ],
)
def test_one_event_that_is_no_signal_is_refused_and_the_others_are_taken(broken, reason):
    first, refused, last = read(event(), broken, event())
    assert isinstance(first, Signal)
    assert isinstance(last, Signal)
    assert isinstance(refused, Refused)
    assert refused.reason == reason


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param({}, "must be a Kubernetes Event", id="an object of another kind"),
        pytest.param({"items": []}, "at least one", id="an empty list"),
        pytest.param({"items": [{}] * 10_001}, "at most 10000", id="a list without end"),
        pytest.param([], "JSON object", id="no object"),
    ],
)
def test_a_body_that_is_neither_event_nor_list_is_refused_whole(content, says):
    with pytest.raises(BadBody, match=says):
        KubernetesEvents().read(json.dumps(content).encode())


def test_when_it_was_written_counts_only_where_it_does_not_say_when_it_was_observed():
    written = {"metadata": {"creationTimestamp": "2026-01-01T09:00:00Z"}}
    observed, unsaid = read(event(**written), event(firstTimestamp=None, lastTimestamp=None, **written))
    assert isinstance(observed, Signal)
    assert isinstance(unsaid, Signal)
    assert (observed.seen_at, unsaid.seen_at) == (datetime(2026, 1, 1, 0, 5, tzinfo=UTC), datetime(2026, 1, 1, 9, tzinfo=UTC))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)
FIELDS = ["involvedObject", "reason", "message", "firstTimestamp", "lastTimestamp", "series", "source", "metadata", "reportingComponent"]


@given(
    st.lists(JSON, min_size=1, max_size=5),
    st.dictionaries(st.sampled_from(FIELDS), JSON),
    st.dictionaries(st.sampled_from([*POD, "labels"]), JSON),
)
def test_whatever_events_hold_each_gets_a_verdict(events, odd, named):
    verdicts = read(*events, event() | odd, event(involvedObject=POD | named))
    assert len(verdicts) == len(events) + 2
    assert all(isinstance(each, Signal | Refused) for each in verdicts)

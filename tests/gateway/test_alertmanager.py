"""Reading Alertmanager's webhook: every alert is judged alone."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.signal import Severity, SignalState
from kubernaut.gateway.sources.alertmanager import Alertmanager
from kubernaut.gateway.sources.base import BadBody, Refused, Signal

POD = {"alertname": "KubePodCrashLooping", "namespace": "production", "pod": "payment-1", "severity": "critical"}


def body(*alerts, **changes):
    group = {
        "version": "4",
        "groupKey": "{}:{}",
        "status": "firing",
        "receiver": "kubernaut",
        "externalURL": "http://am:9093",
        "alerts": list(alerts),
    }
    return json.dumps(group | changes).encode()


def alert(labels=POD, **changes):
    return {"status": "firing", "labels": dict(labels), "annotations": {}, "startsAt": "2026-01-01T00:00:00Z"} | changes


def read(*alerts, **changes):
    return Alertmanager().read(body(*alerts, **changes))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param({"pod": "p", "namespace": "n"}, "n/pod/p", id="a pod"),
        pytest.param({"deployment": "d", "pod": "p", "namespace": "n"}, "n/deployment/d", id="a Deployment counts before a pod"),
        pytest.param({"statefulset": "s", "namespace": "n"}, "n/statefulSet/s", id="a StatefulSet"),
        pytest.param(
            {"horizontalpodautoscaler": "h", "deployment": "d", "namespace": "n"}, "n/horizontalPodAutoscaler/h", id="an HPA counts first"
        ),
        pytest.param(
            {"persistentvolumeclaim": "c", "pod": "p", "namespace": "n"}, "n/persistentVolumeClaim/c", id="a claim counts before its pod"
        ),
        pytest.param({"node": "w1"}, "node/w1", id="a node has no namespace"),
        pytest.param({"node": "w1", "pod": "p", "namespace": "n"}, "n/pod/p", id="where a pod runs is not what is wrong"),
        pytest.param({"service": "kube-state-metrics", "pod": "p", "namespace": "n"}, "n/pod/p", id="who was scraped is not what is wrong"),
        pytest.param({"service": "shop", "namespace": "n"}, "n/service/shop", id="a Service by itself"),
        pytest.param({"job_name": "j", "job": "kube-state-metrics", "namespace": "n"}, "n/job/j", id="a Job is named by job_name"),
        pytest.param({"namespace": "n"}, "namespace/n", id="nothing but a namespace"),
    ],
)
def test_the_object_is_picked_from_the_labels(labels, expected):
    [signal] = read(alert({"alertname": "A", **labels}))
    assert signal.resource.path() == expected


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        pytest.param("text", "NotAnObject", id="an alert that is text"),
        pytest.param({}, "NoAlertName", id="an alert without labels"),
        pytest.param(alert({"alertname": "A"}), "NoResource", id="labels that name no object"),
        pytest.param(alert({"alertname": "A", "pod": "p"}), "NoNamespace", id="a pod without namespace"),
        pytest.param(alert({"alertname": "\x00\x07", "namespace": "n"}), "NoAlertName", id="a name of control characters"),
        pytest.param(alert({"alertname": "A", "namespace": "n" * 64, "pod": "p"}), "BadNamespace", id="a namespace that is too long"),
        pytest.param(alert({"alertname": "A", "namespace": "n", "pod": "p" * 300}), "BadResourceName", id="a pod's name that is too long"),
        pytest.param(alert(startsAt="yesterday"), "NoStart", id="a start that is no time"),
        pytest.param(alert(startsAt="2026-01-01T00:00:00"), "NoStart", id="a start without a zone"),
        pytest.param(alert(startsAt="0001-01-01T00:00:00+14:00"), "NoStart", id="a start before all time"),
    ],
)
def test_one_broken_alert_is_refused_and_the_others_are_taken(broken, reason):
    first, refused, last = read(alert(), broken, alert())
    assert isinstance(first, Signal)
    assert isinstance(last, Signal)
    assert isinstance(refused, Refused)
    assert refused.reason == reason


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"{", "no JSON", id="malformed JSON"),
        pytest.param(b"[]", "JSON object", id="a list"),
        pytest.param(body(version="3"), "version '3'", id="an old version"),
        pytest.param(body(), "at least one", id="no alerts"),
        pytest.param(body(alerts="many"), "list", id="alerts that are no list"),
        pytest.param(b"[" * 100_000, "no JSON", id="nesting without end"),
        pytest.param(body(alert(deep=json.loads("[" * 40 + "]" * 40))), "nested deeper", id="nesting that JSON allows"),
    ],
)
def test_a_body_that_cannot_be_taken_apart_is_refused_whole(content, says):
    with pytest.raises(BadBody, match=says):
        Alertmanager().read(content)


def test_what_the_alert_says_is_kept():
    annotated = alert(
        {**POD, "severity": "page"},
        status="resolved",
        annotations={"grafana_url": "http://grafana/d/1"},
        generatorURL="http://prometheus/graph?g0.expr=up+%3D%3D+0",
    )
    [signal] = read(annotated)
    assert (signal.name, signal.severity, signal.state) == ("KubePodCrashLooping", Severity.CRITICAL, SignalState.RESOLVED)
    assert signal.fired_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert signal.links == {"alertmanagerURL": "http://am:9093", "grafanaURL": "http://grafana/d/1", "prometheusQuery": "up == 0"}
    assert signal.envelope["alerts"] == [annotated]
    assert signal.envelope["groupKey"] == "{}:{}"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


@given(st.lists(JSON, min_size=1), st.dictionaries(st.sampled_from(["labels", "annotations", "startsAt", "status", "generatorURL"]), JSON))
def test_whatever_alerts_hold_each_gets_a_verdict(alerts, odd):
    verdicts = Alertmanager().read(body(*alerts, alert() | odd))
    assert len(verdicts) == len(alerts) + 1
    assert all(isinstance(each, Signal | Refused) for each in verdicts)

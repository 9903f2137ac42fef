"""What every probe keeps: it says honestly when it cannot tell, and never fails on what the cluster holds or a source answers."""

import asyncio
import copy
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubernaut.api import core
from kubernaut.api.remediation import RemediationRequest
from kubernaut.api.verification import EffectivenessAssessment
from kubernaut.kube.client import Client
from kubernaut.kube.clock import SystemClock
from kubernaut.kube.cluster import Caches, Cluster, card_of
from kubernaut.verification.decide import Component
from kubernaut.verification.probes.alert import AlertProbe
from kubernaut.verification.probes.metrics import MetricsProbe
from kubernaut.verification.probes.remote import Remote
from kubernaut.verification.reconciler import built
from kubernaut.verification.settings import EndpointSettings, MetricQuery

pytestmark = pytest.mark.unit
NOWHERE = EndpointSettings(url="http://127.0.0.1:1", timeout=timedelta(seconds=1), rest=timedelta(hours=1))
PROBES = {
    **{probe.component.value: probe for probe in built()},
    "alert, where Alertmanager cannot be reached": AlertProbe(Remote("Alertmanager", NOWHERE)),
    "metrics, where Prometheus cannot be reached": MetricsProbe(Remote("Prometheus", NOWHERE), (MetricQuery(name="load", query="up"),)),
}
every_probe = pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
T0 = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Pod", "Node", "ConfigMap", "HorizontalPodAutoscaler", "Nonsense"]
every_kind = pytest.mark.parametrize("kind", KINDS)


def nowhere(probe):
    """Return caches over an API server that cannot be reached, with the informers that the probe says it needs."""
    client = Client("http://127.0.0.1:1")
    caches = Caches(client)
    for watched, indexes in probe.reads().items():
        caches.ask(card_of(watched), "", indexes)
    return Cluster(client, SystemClock(), caches)


def assessment(kind, name="shop"):
    target = {"kind": kind, "name": name, "namespace": "" if kind == "Node" else "production"}
    spec = {
        "remediationRequestRef": {"name": "rr-1", "namespace": "kubernaut-system"},
        "signalFingerprint": "a" * 64,
        "signalName": "KubePodCrashLooping",
        "signalTarget": target,
        "remediationTarget": target,
        "fixStartedAt": T0,
        "fixCompletedAt": T0,
        "config": {"stabilizationWindow": "5m", "validity": "30m"},
    }
    return EffectivenessAssessment.model_validate({"metadata": {"name": "ea-rr-1", "namespace": "kubernaut-system"}, "spec": spec})


def checked(probe, cluster, asked):
    """Look; return the reading, which must be within its bounds, where there is one."""
    reading = asyncio.run(probe.look(cluster, asked))
    if reading is None:
        assert probe.component in {Component.METRICS, Component.SPEC}
        return None
    assert reading.component is probe.component
    assert reading.score is None or 0.0 <= reading.score <= 1.0
    assert reading.message
    assert not (reading.good and reading.score is None), "what cannot be told is not good"
    return reading


def test_components_are_each_ones_own():
    assert len({probe.component for probe in built()}) == len(built())


@every_probe
@every_kind
def test_of_what_is_not_there_nothing_good_is_said(probe, kind):
    reading = checked(probe, nowhere(probe), assessment(kind))
    assert reading is None or not reading.good


WORDS = st.sampled_from(["True", "False", "Unknown", "", "CrashLoopBackOff", "OOMKilled", "Running", "Pending", "2026-01-01T00:01:00Z"])
SCALARS = st.one_of(st.none(), st.integers(0, 5))
STATUS = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.integers(0, 5) for name in ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas", "observedGeneration")},
        "desiredNumberScheduled": st.integers(0, 5),
        "phase": WORDS,
        "conditions": st.lists(st.fixed_dictionaries({"type": st.sampled_from(["Ready", "MemoryPressure"]), "status": WORDS}), max_size=3)
        | st.none(),
        "containerStatuses": st.lists(
            st.fixed_dictionaries(
                {"name": st.just("c")},
                optional={
                    "state": st.none() | st.fixed_dictionaries({"waiting": st.fixed_dictionaries({}, optional={"reason": WORDS})}),
                    "lastState": st.fixed_dictionaries({"terminated": st.none() | st.fixed_dictionaries({}, optional={"reason": WORDS})}),
                },
            ),
            max_size=2,
        )
        | st.none(),
    },
)


def stored(kind, status):
    meta = {"name": "shop", "namespace": "" if kind == "Node" else "production", "uid": "u-1", "resourceVersion": "7", "generation": 1}
    return {"kind": kind, "metadata": meta, "spec": {"replicas": 2}, "status": status}


@every_probe
@settings(deadline=None)
@given(kind=st.sampled_from(KINDS), status=STATUS)
def test_whatever_the_target_says_of_itself_there_is_a_reading(probe, kind, status):
    cluster, card = nowhere(probe), core.kind_named(kind)
    if card is not None:
        cluster.observe(card, stored(kind, status))
    checked(probe, cluster, assessment(kind))


@every_probe
@every_kind
def test_looking_again_says_the_same_and_changes_nothing(probe, kind):
    cluster, asked = nowhere(probe), assessment(kind)
    before = copy.deepcopy(asked)
    assert checked(probe, cluster, asked) == checked(probe, cluster, asked)
    assert asked == before


@every_probe
@pytest.mark.parametrize("state", ["firing", "resolved"])
def test_whatever_the_remediation_says_there_is_a_reading(probe, state):
    cluster = nowhere(probe)
    spec = {
        "signalName": "A",
        "signalFingerprint": "a" * 64,
        "signalType": "prometheus",
        "severity": "critical",
        "environment": "production",
        "priority": "P0",
        "targetType": "kubernetes",
        "targetResource": "production/deployment/shop",
        "target": {"kind": "Deployment", "name": "shop", "namespace": "production"},
        "firingTime": T0.isoformat(),
        "receivedTime": T0.isoformat(),
        "createdAt": T0.isoformat(),
        "originalPayload": "{}",
    }
    obj = {
        "metadata": {"name": "rr-1", "namespace": "kubernaut-system", "resourceVersion": "3"},
        "spec": spec,
        "status": {"signalState": state},
    }
    cluster.observe(RemediationRequest.card, obj)
    checked(probe, cluster, assessment("Deployment"))

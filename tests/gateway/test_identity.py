"""What makes two signals the same problem, and what is stored of them."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api import core
from kubernaut.api.base import ResourceIdentifier
from kubernaut.api.redact import redact_value
from kubernaut.api.remediation import NAME_LIMIT, KubernetesProviderData, claimed_name
from kubernaut.api.signal import Priority, Severity, SignalState, fallback_priority
from kubernaut.gateway.fingerprint import identify
from kubernaut.gateway.owners import top_owner
from kubernaut.gateway.payload import PAYLOAD_LIMIT, stored
from kubernaut.gateway.requests import label_value, remediation_request
from kubernaut.gateway.settings import FingerprintStrategy
from kubernaut.gateway.sources.base import Signal

POD = ResourceIdentifier(kind="Pod", name="shop-5d8f-x2", namespace="production")
DEPLOYMENT = ResourceIdentifier(kind="Deployment", name="shop", namespace="production", api_version="apps/v1")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def controlled_by(kind, name, api_version="apps/v1"):
    return {"metadata": {"ownerReferences": [{"kind": kind, "name": name, "apiVersion": api_version, "uid": "u", "controller": True}]}}


OBJECTS = {
    ("Pod", "shop-5d8f-x2"): controlled_by("ReplicaSet", "shop-5d8f"),
    ("ReplicaSet", "shop-5d8f"): controlled_by("Deployment", "shop"),
    ("Deployment", "shop"): {"apiVersion": "apps/v1", "metadata": {}},
    ("Pod", "alone"): {"apiVersion": "v1", "metadata": {}},
    ("Pod", "rolled"): controlled_by("ReplicaSet", "rolled-1"),
    ("ReplicaSet", "rolled-1"): controlled_by("Rollout", "rolled", "argoproj.io/v1alpha1"),
    ("Pod", "etcd-cp-1"): controlled_by("Node", "cp-1", "v1"),
    ("Pod", "dangling"): controlled_by("ReplicaSet", "gone"),
}


@pytest.mark.parametrize(
    ("kind", "name", "owner"),
    [
        pytest.param("Pod", "shop-5d8f-x2", "production/deployment/shop", id="up through the ReplicaSet"),
        pytest.param("Deployment", "shop", "production/deployment/shop", id="the top is its own owner"),
        pytest.param("Pod", "alone", "production/pod/alone", id="a pod that nobody controls"),
        pytest.param("Pod", "rolled", "production/rollout/rolled", id="a kind that is not cached ends the chain"),
        pytest.param("Pod", "etcd-cp-1", "production/pod/etcd-cp-1", id="a static pod, which its node mirrors"),
        pytest.param("Pod", "dangling", "production/replicaSet/gone", id="as far as it is known"),
        pytest.param("Pod", "unheard-of", None, id="a pod that does not exist"),
        pytest.param("Service", "shop", "production/service/shop", id="a kind without owners"),
    ],
)
def test_owners_are_followed_to_the_top(kind, name, owner):
    def read(of, namespace, called):
        assert of in core.KNOWN
        return OBJECTS.get((of.kind, called)) if namespace == "production" else None

    found = top_owner(ResourceIdentifier(kind=kind, name=name, namespace="production"), read)
    assert (found.path() if found else None) == owner


def test_alerts_on_one_owner_are_one_problem_and_the_alert_strategy_tells_them_apart():
    by_owner = {identify(name, POD, DEPLOYMENT, FingerprintStrategy.OWNER).fingerprint for name in ("A", "B")}
    by_alert = {identify(name, POD, DEPLOYMENT, FingerprintStrategy.ALERT).fingerprint for name in ("A", "B")}
    assert by_owner == {sha256(b"production:Deployment:shop").hexdigest()}
    assert len(by_alert) == 2
    assert sha256(b"A:production:Pod:shop-5d8f-x2").hexdigest() in by_alert


def test_a_signal_without_a_known_owner_takes_the_alert_form_and_says_so():
    found = identify("A", POD, None, FingerprintStrategy.OWNER)
    assert (found.form, found.target) == (FingerprintStrategy.ALERT, POD)


def signal(**changes):
    fields: dict[str, Any] = {
        "name": "KubePodCrashLooping",
        "severity": Severity.CRITICAL,
        "state": SignalState.FIRING,
        "resource": POD,
        "fired_at": NOW,
        "labels": {"pod": POD.name},
        "annotations": {},
        "envelope": {"version": "4", "alerts": [{"labels": {"pod": POD.name}}]},
        "links": {"alertmanagerURL": "http://am"},
    }
    return Signal(**(fields | changes))


def made(given_signal, **changes):
    identity = identify(given_signal.name, POD, DEPLOYMENT, FingerprintStrategy.OWNER)
    fields: dict[str, Any] = {"environment": "production", "source": "prometheus", "body_digest": "d" * 64, "now": NOW}
    return remediation_request("remediation-abcdefghij", "kubernaut-system", given_signal, identity, **(fields | changes))


def test_the_request_carries_what_the_founding_document_asks_for():
    request = made(signal())
    fingerprint = request.spec.signal_fingerprint
    assert request.metadata.labels == {
        "signal.fingerprint": fingerprint[:63],
        "alert.severity": "critical",
        "alert.environment": "production",
        "kubernaut.ai/correlation-id": "remediation-abcdefghij",
    }
    assert request.metadata.annotations == {"signal.fingerprint": fingerprint}
    assert (request.spec.target_resource, request.spec.priority) == ("production/deployment/shop", Priority.P0)
    data = KubernetesProviderData.model_validate_json(request.spec.provider_data)
    assert (data.namespace, data.resource, data.alertmanager_url) == ("production", POD, "http://am")
    assert orjson.loads(request.spec.original_payload) == {"version": "4", "alerts": [{"labels": {"pod": POD.name}}]}


def test_oversize_texts_are_cut_and_the_cut_is_named():
    annotation = "x" * 10_000
    envelope = {"version": "4", "alerts": [{"annotations": {f"a{n}": annotation for n in range(20)}}]}
    request = made(signal(annotations={"long": annotation}, envelope=envelope))
    assert len(request.spec.original_payload.encode()) <= PAYLOAD_LIMIT
    assert "alerts[0].annotations.a0" in request.spec.original_payload_cut
    assert len(request.spec.signal_annotations["long"]) < 5000


@given(
    st.recursive(
        st.text(max_size=3000) | st.integers(-(2**63), 2**63 - 1),
        lambda children: st.dictionaries(st.text(), children) | st.lists(children),
        max_leaves=60,
    )
)
def test_a_stored_payload_is_never_over_its_bound_and_says_when_it_was_cut(value):
    envelope = {"version": "4", "alerts": [value] * 40}
    kept = stored(envelope)
    assert len(kept.text.encode()) <= PAYLOAD_LIMIT
    assert bool(kept.cut) == (orjson.loads(kept.text) != redact_value(orjson.loads(orjson.dumps(envelope))))


@given(st.text())
def test_any_text_has_a_legal_label_value(text):
    value = label_value(text)
    assert 0 < len(value) <= 63
    assert value[0].isalnum()
    assert value[-1].isalnum()


def test_a_claims_turns_have_names_of_their_own_within_the_limit():
    claims = ({"metadata": {"uid": uid}, "spec": {"leaseTransitions": turn}} for uid in ("a", "b") for turn in range(50))
    names = {claimed_name(claim) for claim in claims}
    assert len(names) == 100
    assert all(len(name) <= NAME_LIMIT for name in names)


@pytest.mark.parametrize(
    ("severity", "environment", "priority"),
    [
        ("critical", "production", "P0"),
        ("critical", "production-eu", "P0"),
        ("critical", "prod", "P0"),
        ("critical", "live", "P0"),
        ("critical", "staging", "P1"),
        ("critical", "unknown", "P1"),
        ("critical", "development", "P2"),
        ("warning", "prd", "P1"),
        ("warning", "staging", "P2"),
        ("warning", "unknown", "P2"),
        ("info", "production", "P3"),
        ("low", "production", "P2"),
        ("unknown", "production", "P2"),
    ],
)
def test_priority_without_a_policy_follows_the_table(severity, environment, priority):
    assert fallback_priority(Severity(severity), environment) == priority

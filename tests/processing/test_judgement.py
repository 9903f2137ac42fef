"""What processing decides and recognises, without a cluster."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.processing import classify
from kubernaut.processing.decide import Complete, GiveUp, Rest, Seen, decide
from kubernaut.processing.detect import detected_labels
from kubernaut.processing.enrich import Surroundings
from kubernaut.processing.settings import ProcessingSettings
from tests.processing.pieces import around, budget, deployment, hpa, meta, pod

NOW = datetime(2026, 1, 1, 3, tzinfo=UTC)
KEYS = ProcessingSettings().environment_labels


@pytest.mark.parametrize(
    ("seen", "step"),
    [
        pytest.param(Seen(False, True, None), Complete(degraded=False), id="found"),
        pytest.param(Seen(False, False, None), Complete(degraded=True), id="not found: processed all the same"),
        pytest.param(Seen(False, True, NOW + timedelta(seconds=1)), Complete(degraded=False), id="in time"),
        pytest.param(Seen(False, True, NOW), GiveUp("the signal was not processed in time"), id="out of time"),
        pytest.param(Seen(True, True, NOW - timedelta(hours=1)), Rest(), id="ended: its result stands, even out of time"),
        pytest.param(Seen(True, False, None), Rest(), id="ended, target gone since"),
    ],
)
def test_what_a_processing_needs_next(seen, step):
    assert decide(seen, NOW) == step


@pytest.mark.parametrize(
    ("labels", "reported", "name", "source", "confidence"),
    [
        pytest.param(
            {"environment": "production"}, "staging", "production", "namespace label environment", 1.0, id="a label wins over the alert"
        ),
        pytest.param({"env": "Staging"}, "", "staging", "namespace label env", 1.0, id="lower case"),
        pytest.param(
            {"env": "a", "kubernaut.ai/environment": "b"},
            "",
            "b",
            "namespace label kubernaut.ai/environment",
            1.0,
            id="our own label first",
        ),
        pytest.param({"environment": ""}, "test", "test", "alert", 0.8, id="an empty label says nothing"),
        pytest.param({}, "Production", "production", "alert", 0.8, id="what the alert says"),
        pytest.param({}, "unknown", "unknown", "none", 0.0, id="the alert does not know"),
        pytest.param({"team": "shop"}, "", "unknown", "none", 0.0, id="nobody says"),
    ],
)
def test_the_environment_and_who_says_so(labels, reported, name, source, confidence):
    assert classify.environment(labels, reported, KEYS) == classify.Environment(name, source, confidence)


def test_whose_business_it_is_comes_from_the_first_labels_that_say_so():
    found = classify.business({"team": "payments", "tier": ""}, {"team": "other", "tier": "gold", "kubernaut.ai/sla": "99.9"})
    assert (found.business_unit, found.criticality, found.sla_requirement, found.service_owner) == ("payments", "gold", "99.9", "")


@given(st.dictionaries(st.sampled_from([*KEYS, "x"]), st.text(max_size=5)), st.text(max_size=5))
def test_an_environment_is_never_empty_and_only_unknown_when_nobody_said_one(labels, reported):
    found = classify.environment(labels, reported, KEYS)
    assert found.name
    assert (found.source == "none") == (found.confidence == 0.0)


@pytest.mark.parametrize(
    ("changes", "labels"),
    [
        pytest.param({}, {}, id="nothing special"),
        pytest.param(
            {"workload": deployment(labels={"argocd.argoproj.io/instance": "shop"})},
            {"gitOpsTool": "argocd", "gitOpsManaged": "true"},
            id="Argo CD by label",
        ),
        pytest.param(
            {"workload": deployment(annotations={"argocd.argoproj.io/tracking-id": "shop"})},
            {"gitOpsTool": "argocd", "gitOpsManaged": "true"},
            id="Argo CD by annotation",
        ),
        pytest.param(
            {"workload": deployment(labels={"kustomize.toolkit.fluxcd.io/name": "shop"})},
            {"gitOpsTool": "flux", "gitOpsManaged": "true"},
            id="Flux",
        ),
        pytest.param(
            {"workload": deployment(annotations={"meta.helm.sh/release-name": "shop"})}, {"helmManaged": "true"}, id="Helm by annotation"
        ),
        pytest.param(
            {"workload": deployment(labels={"app.kubernetes.io/managed-by": "Helm"})}, {"helmManaged": "true"}, id="Helm by label"
        ),
        pytest.param({"workload": deployment(labels={"app.kubernetes.io/managed-by": "helmfile"})}, {}, id="another manager"),
        pytest.param({"beside": {"HorizontalPodAutoscaler": (hpa("web"),)}}, {"hpaEnabled": "true"}, id="its autoscaler"),
        pytest.param({"beside": {"HorizontalPodAutoscaler": (hpa("other"),)}}, {}, id="another's autoscaler"),
        pytest.param({"beside": {"PodDisruptionBudget": (budget({"app": "web"}),)}}, {"pdbProtected": "true"}, id="its budget"),
        pytest.param({"beside": {"PodDisruptionBudget": (budget({"app": "db"}),)}}, {}, id="another's budget"),
        pytest.param({"beside": {"PodDisruptionBudget": (budget({}),)}}, {}, id="a budget that names no labels"),
        pytest.param({"beside": {"NetworkPolicy": ({"metadata": meta("deny")},)}}, {"networkIsolated": "true"}, id="network policies"),
        pytest.param({"workload": deployment(kind="StatefulSet")}, {"stateful": "true"}, id="a StatefulSet"),
        pytest.param(
            {"workload": deployment(volumes=({"name": "d", "persistentVolumeClaim": {"claimName": "d"}},))},
            {"stateful": "true"},
            id="a claim",
        ),
        pytest.param({"workload": deployment(volumes=({"name": "d", "emptyDir": {}},))}, {}, id="scratch space"),
        pytest.param({"pods": (pod(containers=("app", "istio-proxy")),)}, {"serviceMesh": "istio"}, id="Istio"),
        pytest.param({"pods": (pod(containers=("linkerd-proxy", "app")),)}, {"serviceMesh": "linkerd"}, id="Linkerd"),
    ],
)
def test_what_manages_and_guards_a_workload_is_recognised(changes, labels):
    assert detected_labels(around(**changes)) == labels


def test_nothing_is_recognised_of_what_is_not_there():
    assert detected_labels(Surroundings(None)) == {}

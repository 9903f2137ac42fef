"""What manages and guards a workload is recognised from its marks and neighbours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.processing.detect import detected_labels, tight
from kubernaut.processing.enrich import Surroundings
from kubernaut.processing.selecting import selects
from tests.processing.pieces import around, budget, deployment, hpa, meta, network_policy, pod, quota

ARGO = {"gitOpsTool": "argocd", "gitOpsManaged": "true", "gitOpsSource": "Application/argocd/shop"}
FLUX = {"gitOpsTool": "flux", "gitOpsManaged": "true"}
TRACKED = {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web"}
KUSTOMIZED = {"kustomize.toolkit.fluxcd.io/name": "shop", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}


def written_by(manager):
    workload = deployment()
    workload["metadata"]["managedFields"] = [{"manager": manager, "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]
    return workload


def init_container(name):
    with_sidecar = pod()
    with_sidecar["spec"]["initContainers"] = [{"name": name, "restartPolicy": "Always"}]
    return with_sidecar


def annotated(key):
    marked = pod()
    marked["metadata"]["annotations"] = {key: "x"}
    return marked


@pytest.mark.parametrize(
    ("changes", "labels"),
    [
        pytest.param({}, {}, id="nothing special"),
        pytest.param({"workload": deployment(labels={"argocd.argoproj.io/instance": "shop"})}, ARGO, id="Argo CD by label"),
        pytest.param({"workload": deployment(annotations=TRACKED)}, ARGO, id="Argo CD by tracking id"),
        pytest.param(
            {"workload": written_by("argocd-controller")}, {"gitOpsTool": "argocd", "gitOpsManaged": "true"}, id="Argo CD by field manager"
        ),
        pytest.param({"workload": written_by("kubectl-edit")}, {}, id="a person's field manager"),
        pytest.param(
            {"workload": deployment(labels=KUSTOMIZED)}, {**FLUX, "gitOpsSource": "Kustomization/flux-system/shop"}, id="Flux Kustomization"
        ),
        pytest.param(
            {"workload": deployment(labels=KUSTOMIZED), "source": {"metadata": {}, "spec": {"suspend": True}}},
            {**FLUX, "gitOpsSource": "Kustomization/flux-system/shop", "gitOpsSuspended": "true"},
            id="Flux, suspended",
        ),
        pytest.param(
            {"workload": deployment(labels=KUSTOMIZED), "source": {"metadata": {}, "spec": {"suspend": False}}},
            {**FLUX, "gitOpsSource": "Kustomization/flux-system/shop"},
            id="Flux, not suspended",
        ),
        pytest.param({"workload": written_by("kustomize-controller")}, FLUX, id="Flux by field manager"),
        pytest.param(
            {"workload": deployment(annotations={"meta.helm.sh/release-name": "shop"})},
            {"helmManaged": "true", "helmRelease": "shop"},
            id="Helm by annotation",
        ),
        pytest.param(
            {"workload": deployment(labels={"app.kubernetes.io/managed-by": "Helm"})}, {"helmManaged": "true"}, id="Helm by label"
        ),
        pytest.param({"workload": deployment(labels={"app.kubernetes.io/managed-by": "helmfile"})}, {}, id="another manager"),
        pytest.param(
            {"workload": deployment(annotations={**TRACKED, "meta.helm.sh/release-name": "shop"})},
            {**ARGO, "helmManaged": "true", "helmRelease": "shop"},
            id="a chart applied by Argo CD",
        ),
        pytest.param({"beside": {"HorizontalPodAutoscaler": (hpa("web"),)}}, {"hpaEnabled": "true"}, id="its autoscaler"),
        pytest.param({"beside": {"HorizontalPodAutoscaler": (hpa("other"),)}}, {}, id="another's autoscaler"),
        pytest.param({"beside": {"PodDisruptionBudget": (budget({"app": "web"}),)}}, {"pdbProtected": "true"}, id="its budget"),
        pytest.param({"beside": {"PodDisruptionBudget": (budget({"app": "db"}),)}}, {}, id="another's budget"),
        pytest.param({"beside": {"PodDisruptionBudget": (budget({}),)}}, {"pdbProtected": "true"}, id="a budget for all pods"),
        pytest.param({"beside": {"PodDisruptionBudget": ({"metadata": meta("b"), "spec": {}},)}}, {}, id="a budget without a selector"),
        pytest.param(
            {"pods": (), "beside": {"PodDisruptionBudget": (budget({"app": "web"}),)}},
            {"pdbProtected": "true"},
            id="its budget, while it has no pods",
        ),
        pytest.param({"beside": {"NetworkPolicy": (network_policy({}),)}}, {"networkIsolated": "true"}, id="a network policy for all"),
        pytest.param({"beside": {"NetworkPolicy": (network_policy({"app": "db"}),)}}, {}, id="another's network policy"),
        pytest.param({"workload": deployment(kind="StatefulSet")}, {"stateful": "true"}, id="a StatefulSet"),
        pytest.param(
            {"workload": deployment(volumes=({"name": "d", "persistentVolumeClaim": {"claimName": "d"}},))},
            {"stateful": "true"},
            id="a claim",
        ),
        pytest.param({"workload": deployment(volumes=({"name": "d", "emptyDir": {}},))}, {}, id="scratch space"),
        pytest.param({"pods": (pod(containers=("app", "istio-proxy")),)}, {"serviceMesh": "istio"}, id="Istio"),
        pytest.param({"pods": (init_container("istio-proxy"),)}, {"serviceMesh": "istio"}, id="Istio as an init container"),
        pytest.param({"pods": (annotated("sidecar.istio.io/status"),)}, {"serviceMesh": "istio"}, id="Istio by annotation"),
        pytest.param({"namespace_labels": {"istio.io/dataplane-mode": "ambient"}}, {"serviceMesh": "istio"}, id="Istio without sidecars"),
        pytest.param({"pods": (pod(containers=("linkerd-proxy", "app")),)}, {"serviceMesh": "linkerd"}, id="Linkerd"),
        pytest.param({"pods": (annotated("linkerd.io/proxy-version"),)}, {"serviceMesh": "linkerd"}, id="Linkerd by annotation"),
        pytest.param(
            {"beside": {"ResourceQuota": (quota(hard={"pods": "10"}, used={"pods": "9"}),)}},
            {"quotaConstrained": "true"},
            id="a tight quota",
        ),
        pytest.param({"beside": {"ResourceQuota": (quota(hard={"pods": "10"}, used={"pods": "5"}),)}}, {}, id="a quota with room"),
    ],
)
def test_what_manages_and_guards_a_workload_is_recognised(changes, labels):
    assert detected_labels(around(**changes)) == labels


def test_nothing_is_recognised_of_what_is_not_there():
    assert detected_labels(Surroundings(None)) == {}


@pytest.mark.parametrize(
    ("hard", "used", "resources"),
    [
        pytest.param({"limits.memory": "1Gi", "pods": "10"}, {"limits.memory": "1000Mi", "pods": "1"}, ["limits.memory"], id="other units"),
        pytest.param({"requests.cpu": "2"}, {"requests.cpu": "1800m"}, ["requests.cpu"], id="exactly at the bound"),
        pytest.param({"requests.cpu": "2"}, {"requests.cpu": "1799m"}, [], id="just below"),
        pytest.param({"pods": "0"}, {"pods": "0"}, ["pods"], id="nothing allowed"),
        pytest.param({"pods": "ten"}, {"pods": "10"}, [], id="no quantity"),
        pytest.param({"pods": "10"}, {}, [], id="not counted yet"),
    ],
)
def test_a_quota_is_tight_from_nine_tenths_on(hard, used, resources):
    assert tight(quota(hard=hard, used=used)) == resources


@pytest.mark.parametrize(
    ("selector", "holds"),
    [
        pytest.param(None, False, id="no selector"),
        pytest.param({}, True, id="empty: everything"),
        pytest.param({"matchLabels": {"app": "web", "tier": "front"}}, True, id="all labels"),
        pytest.param({"matchLabels": {"app": "web", "tier": "back"}}, False, id="one label differs"),
        pytest.param({"matchExpressions": [{"key": "app", "operator": "In", "values": ["db", "web"]}]}, True, id="In"),
        pytest.param({"matchExpressions": [{"key": "none", "operator": "In", "values": ["web"]}]}, False, id="In, absent"),
        pytest.param({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False, id="NotIn"),
        pytest.param({"matchExpressions": [{"key": "none", "operator": "NotIn", "values": ["web"]}]}, True, id="NotIn, absent"),
        pytest.param({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True, id="Exists"),
        pytest.param({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False, id="DoesNotExist"),
        pytest.param({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "x", "operator": "Exists"}]}, False, id="both must hold"),
    ],
)
def test_a_label_selector_means_what_kubernetes_says(selector, holds):
    assert selects(selector, {"app": "web", "tier": "front"}) is holds


TEXTS = st.text("ab/-", max_size=400)


@given(st.dictionaries(TEXTS, TEXTS, max_size=4), st.sampled_from(["argocd.argoproj.io/tracking-id", "meta.helm.sh/release-name"]), TEXTS)
def test_whatever_stands_in_the_marks_what_is_recognised_is_short(labels, key, value):
    found = detected_labels(around(workload=deployment(labels=labels, annotations={key: value})))
    assert all(0 < len(text) <= 253 for text in found.values())

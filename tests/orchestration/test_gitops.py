"""Who keeps an object, what may be done live all the same, and what people are told instead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.gitops import Keeper, Tool, keeper_of, keeps_field, source_hint, suspended
from kubernaut.orchestration.gate.gitops import (
    GitopsSettings,
    Kept,
    LiveChanges,
    helm_warning,
    must_propose,
    proposal,
    touches_managed,
    why_proposed,
)

FLUX = {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
RELEASE = {"helm.toolkit.fluxcd.io/name": "shop", "helm.toolkit.fluxcd.io/namespace": "production"}
TRACKED = {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:production/shop"}


def kept(seen) -> Keeper:
    found = keeper_of(seen)
    assert found is not None
    return found


def obj(labels=None, annotations=None, manager="", fields=None, subresource=""):
    entry = {"manager": manager, "fieldsV1": fields or {}} | ({"subresource": subresource} if subresource else {})
    return {
        "metadata": {"name": "shop", "labels": labels or {}, "annotations": annotations or {}, "managedFields": [entry] if manager else []}
    }


@pytest.mark.parametrize(
    ("seen", "told", "reverts"),
    [
        pytest.param(obj(), None, False, id="nobody"),
        pytest.param(obj({"app.kubernetes.io/instance": "shop"}), None, False, id="a common label says nothing"),
        pytest.param(obj({"argocd.argoproj.io/instance": "shop"}), "Argo CD (Application shop)", True, id="Argo CD by label"),
        pytest.param(obj(annotations=TRACKED), "Argo CD (Application shop)", True, id="Argo CD by tracking id"),
        pytest.param(obj(manager="argocd-controller"), "Argo CD", True, id="Argo CD by field manager"),
        pytest.param(obj(FLUX), "Flux (Kustomization apps)", True, id="Flux by label"),
        pytest.param(obj(RELEASE), "Flux (HelmRelease shop)", True, id="Flux with a HelmRelease"),
        pytest.param(obj(manager="kustomize-controller"), "Flux", True, id="Flux by field manager"),
        pytest.param(obj(FLUX, {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}), "Flux (Kustomization apps)", False, id="left alone"),
        pytest.param(obj({"app.kubernetes.io/managed-by": "Helm"}), "Helm", False, id="Helm by label"),
        pytest.param(obj(annotations={"meta.helm.sh/release-name": "shop"}), "Helm (release shop)", False, id="Helm by annotation"),
        pytest.param(
            obj(annotations=TRACKED | {"meta.helm.sh/release-name": "shop"}), "Argo CD (Application shop)", True, id="Argo CD with a chart"
        ),
        pytest.param({}, None, False, id="no metadata at all"),
    ],
)
def test_who_keeps_it(seen, told, reverts):
    keeper = keeper_of(seen)
    assert (str(keeper) if keeper else None, bool(keeper and keeper.reverts)) == (told, reverts)


def test_an_application_outside_argos_namespace_is_named_with_its_own():
    keeper = kept(obj(annotations={"argocd.argoproj.io/tracking-id": "team-a_shop:apps/Deployment:production/shop"}))
    assert (keeper.namespace, keeper.name) == ("team-a", "shop")


@pytest.mark.parametrize(
    ("fields", "held"),
    [
        pytest.param({"f:spec": {"f:replicas": {}}}, True, id="the field itself"),
        pytest.param({"f:spec": {"f:template": {}}}, False, id="another field"),
        pytest.param({"f:metadata": {}}, False, id="no spec"),
    ],
)
def test_fields_of_a_tool(fields, held):
    assert keeps_field(obj(FLUX, manager="kustomize-controller", fields=fields), "spec", "replicas") is held


def test_without_a_tools_field_manager_every_field_counts_as_managed():
    assert keeps_field(obj(TRACKED, manager="kubectl", fields={"f:spec": {"f:template": {}}}), "spec", "replicas")
    status = obj(FLUX, manager="kustomize-controller", fields={"f:spec": {"f:template": {}}}, subresource="status")
    assert keeps_field(status, "spec", "replicas")


@pytest.mark.parametrize(
    ("action", "touches"),
    [
        ("restart_pod", False),
        ("restart-pod", False),
        ("delete_pod", False),
        ("rollout_restart", False),
        ("RestartDeployment", False),
        ("cordon_node", False),
        ("notify_only", False),
        ("increase_resources", True),
        ("IncreaseMemoryLimits", True),
        ("rollback_deployment", True),
        ("RollbackDeployment", True),
        ("patch_deployment", True),
        ("delete_deployment", True),
        ("scale_deployment", True),
        ("something_new", True),
        ("", False),
    ],
)
def test_what_an_action_touches(action, touches):
    assert touches_managed(obj(FLUX), action) is touches


def test_replicas_that_the_repository_leaves_open_may_be_scaled():
    open_replicas = obj(FLUX, manager="kustomize-controller", fields={"f:spec": {"f:template": {}}})
    assert not touches_managed(open_replicas, "scale_deployment")
    assert not touches_managed(open_replicas, "ScaleReplicas")


KEPT = Kept(kept(obj(FLUX)), source="repository GitRepository fleet, path ./apps")


@pytest.mark.parametrize(
    ("keeping", "actions", "settings", "propose"),
    [
        pytest.param(None, ["increase_resources"], GitopsSettings(), False, id="nobody keeps it"),
        pytest.param(KEPT, ["increase_resources"], GitopsSettings(), True, id="Flux keeps it"),
        pytest.param(KEPT, ["restart_pod"], GitopsSettings(), False, id="a restart is no change of what is kept"),
        pytest.param(KEPT, ["restart_pod", "increase_resources"], GitopsSettings(), True, id="one of two is"),
        pytest.param(Kept(KEPT.keeper, suspended=True), ["increase_resources"], GitopsSettings(), False, id="Flux is suspended"),
        pytest.param(KEPT, ["increase_resources"], GitopsSettings(live_changes=LiveChanges.ALLOW), False, id="the settings allow it"),
        pytest.param(
            Kept(Keeper(Tool.HELM, "shop")), ["increase_resources"], GitopsSettings(), False, id="Helm changes nothing back by itself"
        ),
    ],
)
def test_what_is_proposed_instead(keeping, actions, settings, propose):
    assert must_propose(keeping, obj(FLUX), actions, settings) is propose


@given(st.text(max_size=40))
def test_no_name_of_an_action_is_too_strange(action):
    assert touches_managed(obj(FLUX), action) in {True, False}


@pytest.mark.parametrize(
    ("owner", "hint"),
    [
        pytest.param(
            {"spec": {"path": "./apps", "sourceRef": {"kind": "GitRepository", "name": "fleet"}}},
            "repository GitRepository fleet, path ./apps",
            id="Flux",
        ),
        pytest.param(
            {"spec": {"source": {"repoURL": "https://git.example/fleet", "path": "shop", "targetRevision": "main"}}},
            "repository https://git.example/fleet, path shop, revision main",
            id="Argo CD",
        ),
        pytest.param(
            {"spec": {"sources": [{"repoURL": "https://git.example/a", "chart": "shop"}]}},
            "repository https://git.example/a, chart shop",
            id="sources",
        ),
        pytest.param({"spec": {"chart": {"spec": {"chart": "shop"}}}}, "chart shop", id="HelmRelease"),
        pytest.param({}, "", id="nothing"),
    ],
)
def test_where_it_comes_from(owner, hint):
    assert source_hint(owner) == hint


def test_a_suspended_tool_leaves_it_alone():
    assert suspended(KEPT.keeper, {"spec": {"suspend": True}})
    assert not suspended(KEPT.keeper, {"spec": {}})
    argo = kept(obj(annotations=TRACKED))
    assert suspended(argo, {"metadata": {"annotations": {"argocd.argoproj.io/skip-reconcile": "true"}}})


def test_people_are_told_what_to_change_and_where():
    assert why_proposed(KEPT, "production/deployment/shop", ["increase_resources"]) == (
        "production/deployment/shop is kept by Flux (Kustomization apps), which would take a live change back: increase_resources is proposed,"
        " not carried out; it belongs in repository GitRepository fleet, path ./apps"
    )
    diff = "--- before\n+++ after\n-  memory: 128Mi\n+  memory: 256Mi\n"
    assert proposal([diff], ["…"], KEPT) == (
        "Where: repository GitRepository fleet, path ./apps\n\n```diff\n--- before\n+++ after\n-  memory: 128Mi\n+  memory: 256Mi\n```"
    )
    assert proposal([""], ["increase_resources: memory=256Mi"], Kept(KEPT.keeper)) == (
        "The change could not be tried; it is:\n- increase_resources: memory=256Mi"
    )


@pytest.mark.parametrize(
    ("detected", "said"),
    [
        ({}, ""),
        ({"helmManaged": "true", "helmRelease": "shop"}, "Helm release shop"),
        ({"helmManaged": "true"}, "a Helm release"),
        ({"helmManaged": "true", "gitOpsManaged": "true"}, ""),
    ],
    ids=["nothing", "a release", "a release without a name", "Flux renders the chart: it is proposed anyway"],
)
def test_a_helm_release_is_warned_about(detected, said):
    assert said in helm_warning(detected)
    assert bool(helm_warning(detected)) is bool(said)

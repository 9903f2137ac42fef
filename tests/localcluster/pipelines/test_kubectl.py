"""The happy path of the product: a digest-pinned bundle whose step changes the cluster with the real kubectl, as its ServiceAccount."""

import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest

from kubernaut.localcluster.pipelines import Program
from tests.localcluster.pipelines.layouts import Layer, write_bundle
from tests.localcluster.pipelines.pieces import pipeline, task
from tests.localcluster.pipelines.stage import NAMESPACE, REGISTRY, bundle_ref, condition, tekton

pytestmark = pytest.mark.cluster

KUBECTL = "registry.test/tools/kubectl:1.36"
RAISE_LIMIT = pipeline(
    "raise-limit",
    task(
        "patch",
        {
            "name": "patch",
            "image": KUBECTL,
            "script": 'kubectl patch configmap "$(params.name)" --type merge -p \'{"data":{"limit":"$(params.limit)"}}\'\n'
            'kubectl get configmap "$(params.name)" -o "jsonpath={.data.limit}" > $(results.limit.path)\n'
            "kubectl auth whoami -o 'jsonpath={.status.userInfo.username}' > $(results.user.path)\n",
        },
        results=("limit", "user"),
    ),
    params=[{"name": "name"}, {"name": "limit"}],
    results=[{"name": key, "value": f"$(tasks.patch.results.{key})"} for key in ("limit", "user")],
)


async def test_a_pinned_bundle_patches_the_cluster_with_kubectl_as_its_service_account(settings, tmp_path):
    digest = write_bundle(tmp_path / "layout", "latest", [Layer(RAISE_LIMIT)])
    tools = (Program("registry.test/tools/kubectl:*", path=(Path(sysconfig.get_path("scripts")),)),)
    async with tekton(replace(settings, images=tools, bundles={f"{REGISTRY}/ops/raise-limit": tmp_path / "layout"}), http=True) as stage:
        await stage.api.create(
            stage.api.kind("", "configmaps"), {"metadata": {"name": "web", "namespace": NAMESPACE}, "data": {"limit": "128Mi"}}
        )
        ref = bundle_ref("raise-limit", f"{REGISTRY}/ops/raise-limit@{digest}")
        await stage.run({"pipelineRef": ref, "params": [{"name": "name", "value": "web"}, {"name": "limit", "value": "256Mi"}]})
        run = await stage.ended()
        assert condition(run) == ("True", "Succeeded", "Tasks Completed: 1 (Failed: 0, Cancelled 0), Skipped: 0"), await stage.log(
            "run-patch"
        )
        assert {row["name"]: row["value"] for row in run["status"]["results"]} == {
            "limit": "256Mi",
            "user": f"system:serviceaccount:{NAMESPACE}:default",
        }
        assert (await stage.api.get(stage.api.kind("", "configmaps"), "web", NAMESPACE))["data"] == {"limit": "256Mi"}
        assert not list(settings.state.rglob("kubeconfig")), "the token is gone with the step"

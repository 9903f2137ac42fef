"""What client libraries for Python do every day, by themselves: each against one embedded cluster in a thread, over TLS."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from typing import Any, cast

import kr8s.asyncio
import kubernetes
import lightkube
import pytest
from kr8s.asyncio import objects as kr8s_objects
from lightkube import types as light
from lightkube.core import exceptions as light_errors
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.apps_v1 import DeploymentSpec
from lightkube.models.core_v1 import Container, PodSpec, PodTemplateSpec
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Pod

from kubernaut.localcluster import ClusterSettings
from kubernaut.localcluster.threaded import threaded
from tests.localcluster.http import configmap, widget, widget_definition
from tests.localcluster.test_kubectl import KUBECTL

pytestmark = pytest.mark.cluster
PATIENCE = 30


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory):
    with threaded(ClusterSettings(tls=True, anonymous=False)) as cluster:
        path = tmp_path_factory.mktemp("clients") / "kubeconfig"
        path.write_text(json.dumps(cluster.kubeconfig()))
        for name in ("k", "l"):
            subprocess.run([str(KUBECTL), "--kubeconfig", path, "create", "namespace", name], check=True, capture_output=True)
        yield path


def deployment(name="web", image="nginx:1.27"):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": image}]}},
        },
    }


class TestKubernetes:
    @pytest.fixture
    def api(self, kubeconfig):
        with kubernetes.config.new_client_from_config(str(kubeconfig)) as made:
            yield made

    @pytest.fixture
    def core(self, api):
        return kubernetes.client.CoreV1Api(api)

    @pytest.fixture
    def dynamic(self, api):
        return kubernetes.dynamic.DynamicClient(api)

    def test_create_read_replace_list_and_delete(self, core):
        made = core.create_namespaced_config_map("k", configmap("crud", a="1"))
        made.data["a"] = "2"
        assert core.replace_namespaced_config_map("crud", "k", made).data == {"a": "2"}
        with pytest.raises(kubernetes.client.ApiException) as stale:
            core.replace_namespaced_config_map("crud", "k", made)
        assert (stale.value.status, stale.value.reason) == (409, "Conflict")
        assert [row.metadata.name for row in core.list_namespaced_config_map("k", field_selector="metadata.name=crud").items] == ["crud"]
        assert core.delete_namespaced_config_map("crud", "k")["status"] == "Success"
        with pytest.raises(kubernetes.client.ApiException) as gone:
            core.read_namespaced_config_map("crud", "k")
        assert gone.value.status == 404

    def test_pages_of_a_list(self, core):
        for index in range(5):
            core.create_namespaced_config_map(
                "k", configmap(f"page-{index}") | {"metadata": {"name": f"page-{index}", "labels": {"p": "y"}}}
            )
        first = core.list_namespaced_config_map("k", label_selector="p=y", limit=3)
        rest = core.list_namespaced_config_map("k", label_selector="p=y", limit=3, _continue=first.metadata._continue)
        assert [len(first.items), len(rest.items)] == [3, 2]

    def test_a_watch_from_a_list(self, core):
        version = core.list_namespaced_config_map("k").metadata.resource_version
        core.create_namespaced_config_map("k", configmap("seen"))
        core.patch_namespaced_config_map("seen", "k", {"data": {"a": "1"}})
        core.delete_namespaced_config_map("seen", "k")
        seen, watch = [], kubernetes.watch.Watch()
        for event in watch.stream(core.list_namespaced_config_map, "k", resource_version=version, timeout_seconds=PATIENCE):
            seen.append((event["type"], event["object"].metadata.name))
            if event["type"] == "DELETED":
                watch.stop()
        assert seen == [("ADDED", "seen"), ("MODIFIED", "seen"), ("DELETED", "seen")]

    def test_an_informer(self, core):
        informer = kubernetes.informer.SharedInformer(list_func=core.list_namespaced_config_map, namespace="k")
        changed, gone = threading.Event(), threading.Event()
        informer.add_event_handler("MODIFIED", lambda _obj: changed.set())
        informer.add_event_handler("DELETED", lambda _obj: gone.set())
        core.create_namespaced_config_map("k", configmap("informed"))
        informer.start()
        try:
            core.patch_namespaced_config_map("informed", "k", {"data": {"a": "1"}})
            core.delete_namespaced_config_map("informed", "k")
            assert gone.wait(PATIENCE)
        finally:
            informer.stop()

    @pytest.mark.parametrize(
        ("patch", "media"),
        [
            ({"metadata": {"labels": {"tier": "x"}}}, "application/merge-patch+json"),
            ([{"op": "add", "path": "/metadata/labels", "value": {"tier": "x"}}], "application/json-patch+json"),
            (
                {
                    "metadata": {"labels": {"tier": "x"}},
                    "spec": {"template": {"spec": {"containers": [{"name": "main", "image": "nginx:2"}]}}},
                },
                "application/strategic-merge-patch+json",
            ),
        ],
        ids=["merge", "json", "strategic"],
    )
    def test_patches(self, dynamic, patch, media):
        deployments = dynamic.resources.get(api_version="apps/v1", kind="Deployment")
        name = f"patched-{media.split('/')[1].split('-')[0]}"
        deployments.create(body=deployment(name), namespace="k")
        assert deployments.patch(body=patch, name=name, namespace="k", content_type=media).metadata.labels.tier == "x"

    def test_server_side_apply_finds_conflicts(self, dynamic):
        maps = dynamic.resources.get(api_version="v1", kind="ConfigMap")
        wanted = configmap("applied", a="1")
        maps.server_side_apply(body=wanted, namespace="k", field_manager="one")
        with pytest.raises(kubernetes.dynamic.exceptions.ConflictError, match="FieldManagerConflict"):
            maps.server_side_apply(body=configmap("applied", a="2"), namespace="k", field_manager="two")
        assert (
            maps.server_side_apply(body=configmap("applied", a="2"), namespace="k", field_manager="two", force_conflicts=True).data.a == "2"
        )

    def test_a_kind_of_ones_own_and_its_status(self, api):
        kubernetes.client.ApiextensionsV1Api(api).create_custom_resource_definition(cast("Any", widget_definition()))
        custom = kubernetes.client.CustomObjectsApi(api)
        place = ("example.dev", "v1alpha1", "k", "widgets")
        custom.create_namespaced_custom_object(*place, widget())
        custom.patch_namespaced_custom_object_status(*place, "one", {"status": {"phase": "Ready"}})
        found: Any = custom.get_namespaced_custom_object(*place, "one")
        assert (found["status"]["phase"], found["metadata"]["generation"]) == ("Ready", 1)
        with pytest.raises(kubernetes.client.ApiException) as refused:
            custom.create_namespaced_custom_object(*place, widget("two", size="huge"))
        assert refused.value.status == 422


class TestLightkube:
    @pytest.fixture
    def client(self, kubeconfig):
        made = lightkube.Client(lightkube.KubeConfig.from_file(str(kubeconfig)), namespace="l", field_manager="light")
        yield made
        made._client._client.close()

    def test_create_read_replace_list_and_delete(self, client):
        made = client.create(ConfigMap(metadata=ObjectMeta(name="crud"), data={"a": "1"}))
        made.data = {"a": "2"}
        assert client.replace(made).data == {"a": "2"}
        with pytest.raises(light_errors.ApiError) as stale:
            client.replace(made)
        assert stale.value.status.reason == "Conflict"
        assert "crud" in {row.metadata.name for row in client.list(ConfigMap)}
        client.delete(ConfigMap, "crud")
        with pytest.raises(light_errors.ApiError) as gone:
            client.get(ConfigMap, "crud")
        assert gone.value.status.code == 404

    def test_a_roll_out_is_waited_for_and_watched(self, client):
        spec = PodSpec(containers=[Container(name="main", image="nginx:1")])
        template = PodTemplateSpec(metadata=ObjectMeta(labels={"app": "web"}), spec=spec)
        selector = LabelSelector(matchLabels={"app": "web"})
        client.create(Deployment(metadata=ObjectMeta(name="web"), spec=DeploymentSpec(selector=selector, template=template, replicas=2)))
        client.wait(Deployment, "web", for_conditions=["Available"])
        ready = set()
        for _, pod in client.watch(Pod, labels={"app": "web"}, server_timeout=PATIENCE):
            if pod.status.phase == "Running":
                ready.add(pod.metadata.name)
            if len(ready) == 2:
                break
        assert client.get(Deployment.Scale, "web").spec.replicas == 2

    @pytest.mark.parametrize(
        ("patch", "type_"),
        [
            ({"data": {"b": "2"}}, light.PatchType.MERGE),
            ([{"op": "add", "path": "/data/b", "value": "2"}], light.PatchType.JSON),
            ({"data": {"b": "2"}}, light.PatchType.STRATEGIC),
            (ConfigMap(apiVersion="v1", kind="ConfigMap", metadata=ObjectMeta(name="apply"), data={"b": "2"}), light.PatchType.APPLY),
        ],
        ids=["merge", "json", "strategic", "apply"],
    )
    def test_patches(self, client, patch, type_):
        name = type_.name.lower()
        client.create(ConfigMap(metadata=ObjectMeta(name=name), data={"a": "1"}))
        assert client.patch(ConfigMap, name, patch, patch_type=type_).data == {"a": "1", "b": "2"}

    def test_a_kind_of_ones_own_and_its_status(self, client):
        definition = widget_definition()
        definition["metadata"]["name"] = "lights.light.dev"
        definition["spec"] |= {"group": "light.dev", "names": {"plural": "lights", "kind": "Light"}}
        client.create(CustomResourceDefinition.from_dict(definition))
        client.wait(CustomResourceDefinition, "lights.light.dev", for_conditions=["Established"])
        kind: Any = create_namespaced_resource("light.dev", "v1alpha1", "Light", "lights")
        client.create(kind(metadata={"name": "one"}, spec={"size": "medium", "owner": "ann"}))
        client.patch(kind.Status, "one", {"status": {"phase": "Ready"}}, patch_type=light.PatchType.MERGE)
        assert client.get(kind, "one").status == {"phase": "Ready"}
        client.apply(kind(apiVersion="light.dev/v1alpha1", kind="Light", metadata={"name": "one"}, spec={"size": "large"}), force=True)
        assert (client.get(kind, "one").spec["size"], client.get(kind, "one").spec["owner"]) == ("large", "ann")


@pytest.mark.filterwarnings("ignore:Kubernetes version v1.36.2 is not supported:UserWarning")
class TestKr8s:
    @pytest.fixture
    async def api(self, kubeconfig):
        made: Any = await kr8s.asyncio.api(kubeconfig=str(kubeconfig), namespace="default")
        yield made
        await made._session.aclose()

    async def test_create_read_patch_list_and_delete(self, api):
        made = await kr8s_objects.ConfigMap(configmap("crud", a="1") | {"metadata": {"name": "crud", "labels": {"by": "kr8s"}}}, api=api)
        await made.create()
        await made.patch({"data": {"b": "2"}})
        await made.patch([{"op": "replace", "path": "/data/a", "value": "3"}], type="json")
        await made.refresh()
        assert made.raw["data"].to_dict() == {"a": "3", "b": "2"}
        assert [row.name async for row in api.get("configmaps", label_selector="by=kr8s")] == ["crud"]
        await made.delete()
        assert not await made.exists()

    async def test_a_roll_out_is_scaled_and_waited_for(self, api):
        made = await kr8s_objects.Deployment(deployment("kr8s"), api=api)
        await made.create()
        await made.scale(2)
        await made.wait("condition=Available", timeout=PATIENCE)
        await made.label(tier="x")
        assert {pod.labels["app"] for pod in await made.pods()} == {"kr8s"}
        await made.delete(propagation_policy="Foreground")
        await made.wait("delete", timeout=PATIENCE)

    async def test_a_watch(self, api):
        made = await kr8s_objects.ConfigMap(configmap("watched", a="1"), api=api)
        await made.create()
        async with contextlib.aclosing(api.watch("configmaps", field_selector="metadata.name=watched")) as events:
            assert [(type_, obj.name) async for type_, obj in first(events)] == [("ADDED", "watched")]

    async def test_a_kind_of_ones_own_and_its_status(self, api):
        definition = widget_definition()
        definition["metadata"]["name"] = "ates.ate.dev"
        definition["spec"] |= {"group": "ate.dev", "names": {"plural": "ates", "singular": "ate", "kind": "Ate"}}
        made = await kr8s_objects.CustomResourceDefinition(definition, api=api)
        await made.create()
        await made.wait("condition=Established", timeout=PATIENCE)
        kind = kr8s_objects.new_class("Ate", version="ate.dev/v1alpha1", namespaced=True)
        one = await kind({"metadata": {"name": "one", "namespace": "default"}, "spec": {"size": "medium", "owner": "ann"}}, api=api)
        await one.create()
        await one.patch({"status": {"phase": "Ready"}}, subresource="status")
        await one.refresh()
        assert one.status.phase == "Ready"


async def first(events):
    async for event in events:
        yield event
        return


OPERATOR = """
import kopf

@kopf.on.create("example.org", "v1", "kexes")
def made(spec, body, **_):
    kopf.info(body, reason="Made", message="all is well")
    return {"size": spec["size"]}

@kopf.timer("example.org", "v1", "kexes", interval=0.2)
def tick(patch, status, **_):
    patch.status["ticks"] = status.get("ticks", 0) + 1

@kopf.on.delete("example.org", "v1", "kexes")
def unmade(name, **_):
    print(f"released {name}", flush=True)
"""
KEX = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "kexes.example.org"},
    "spec": {
        "group": "example.org",
        "scope": "Namespaced",
        "names": {"plural": "kexes", "kind": "Kex"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


@contextlib.contextmanager
def operator(kubeconfig, home):
    """Run an operator of kopf until its part is over; give what it printed at the end."""
    (home / "kexes.py").write_text(OPERATOR)
    words = [sys.executable, "-m", "kopf", "run", "-n", "default", "--standalone", "kexes.py"]
    env = os.environ | {"KUBECONFIG": str(kubeconfig)}
    said: list[str] = []
    process = subprocess.Popen(words, cwd=home, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield said
    finally:
        process.terminate()
        said.append(process.communicate(timeout=PATIENCE)[0])


def test_an_operator_with_a_timer_and_a_finalizer(kubeconfig, tmp_path_factory):
    with kubernetes.config.new_client_from_config(str(kubeconfig)) as api:
        kubernetes.client.ApiextensionsV1Api(api).create_custom_resource_definition(cast("Any", KEX))
        custom, place = kubernetes.client.CustomObjectsApi(api), ("example.org", "v1", "default", "kexes")
        custom.create_namespaced_custom_object(
            *place, {"apiVersion": "example.org/v1", "kind": "Kex", "metadata": {"name": "one"}, "spec": {"size": 3}}
        )
        with operator(kubeconfig, tmp_path_factory.mktemp("kopf")) as said:
            ticked = following(custom, place, lambda obj: obj.get("status", {}).get("ticks", 0) >= 3)
            assert ticked["metadata"]["finalizers"] == ["kopf.zalando.org/KopfFinalizerMarker"]
            assert ticked["status"]["made"] == {"size": 3}
            custom.delete_namespaced_custom_object(*place, "one")
            following(custom, place, lambda _obj: False, until="DELETED")
        assert "released one" in said[0]
        events = kubernetes.client.CoreV1Api(api).list_namespaced_event("default", field_selector="involvedObject.kind=Kex")
        assert {row.reason for row in events.items} == {"Made"}


def following(custom, place, holds, until=""):
    """Watch the one object until something holds of it, or an event of a type comes."""
    watch = kubernetes.watch.Watch()
    for event in watch.stream(custom.list_namespaced_custom_object, *place, timeout_seconds=PATIENCE):
        if event["type"] == until or holds(event["object"]):
            watch.stop()
            return event["object"]
    raise AssertionError("it did not come to be")

"""What client libraries for Python do every day, by themselves: each against one cluster over TLS, the embedded one in a thread or a foreign one.

Roll-outs need nodes that run pods, so they are tried on the embedded cluster alone.
"""

import contextlib
import json
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

from tests.localcluster.http import EXAMPLE, configmap, own_word, widget, widget_definition

PATIENCE = 50
"""Seconds a watch is open at the most."""
WORD = own_word()
NAMESPACES = K, L, R = tuple(f"{WORD}-{part}" for part in ("kubernetes", "lightkube", "kr8s"))
"""One for each library."""
DEFINITIONS = tuple(f"{each}.{WORD}.dev" for each in ("widgets", "lights", "ates"))
"""Each in a group of this word."""


def ours(obj):
    """Put our word in the place of `example`."""
    return json.loads(json.dumps(obj).replace(EXAMPLE, WORD))


def renamed(kind, plural):
    """Return the definition of widgets under another name."""
    made = ours(widget_definition())
    made["metadata"]["name"] = f"{plural}.{WORD}.dev"
    made["spec"]["names"] = {"plural": plural, "singular": kind.lower(), "kind": kind}
    return made


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
        made = core.create_namespaced_config_map(K, configmap("crud", a="1"))
        made.data["a"] = "2"
        assert core.replace_namespaced_config_map("crud", K, made).data == {"a": "2"}
        with pytest.raises(kubernetes.client.ApiException) as stale:
            core.replace_namespaced_config_map("crud", K, made)
        assert (stale.value.status, stale.value.reason) == (409, "Conflict")
        assert [row.metadata.name for row in core.list_namespaced_config_map(K, field_selector="metadata.name=crud").items] == ["crud"]
        assert core.delete_namespaced_config_map("crud", K)["status"] == "Success"
        with pytest.raises(kubernetes.client.ApiException) as gone:
            core.read_namespaced_config_map("crud", K)
        assert gone.value.status == 404

    def test_pages_of_a_list(self, core):
        for index in range(5):
            core.create_namespaced_config_map(K, configmap(f"page-{index}") | {"metadata": {"name": f"page-{index}", "labels": {"p": "y"}}})
        first = core.list_namespaced_config_map(K, label_selector="p=y", limit=3)
        rest = core.list_namespaced_config_map(K, label_selector="p=y", limit=3, _continue=first.metadata._continue)
        assert [len(first.items), len(rest.items)] == [3, 2]

    def test_a_watch_from_a_list(self, core):
        version = core.list_namespaced_config_map(K).metadata.resource_version
        core.create_namespaced_config_map(K, configmap("seen"))
        core.patch_namespaced_config_map("seen", K, {"data": {"a": "1"}})
        core.delete_namespaced_config_map("seen", K)
        seen, watch = [], kubernetes.watch.Watch()
        for event in watch.stream(core.list_namespaced_config_map, K, resource_version=version, timeout_seconds=PATIENCE):
            seen.append((event["type"], event["object"].metadata.name))
            if event["type"] == "DELETED":
                watch.stop()
        assert seen == [("ADDED", "seen"), ("MODIFIED", "seen"), ("DELETED", "seen")]

    def test_a_watch_from_version_zero_begins_with_what_is_there(self, core):
        core.create_namespaced_config_map(K, configmap("there"))
        only, watch = "metadata.name=there", kubernetes.watch.Watch()
        stream = watch.stream(core.list_namespaced_config_map, K, resource_version="0", field_selector=only, timeout_seconds=PATIENCE)
        with contextlib.closing(stream):
            event = next(stream)
        assert (event["type"], event["object"].metadata.name) == ("ADDED", "there")

    def test_a_dry_run_is_checked_and_stored_nowhere(self, core):
        made = core.create_namespaced_config_map(K, configmap("dry", a="1"), dry_run="All")
        assert made.metadata.uid
        for act in (lambda: core.read_namespaced_config_map("dry", K), lambda: core.delete_namespaced_config_map("dry", K, dry_run="All")):
            with pytest.raises(kubernetes.client.ApiException) as gone:
                act()
            assert gone.value.status == 404
        with pytest.raises(kubernetes.client.ApiException) as refused:
            core.create_namespaced_config_map(K, configmap("Not a name"), dry_run="All")
        assert refused.value.status == 422

    def test_an_informer(self, core):
        informer = kubernetes.informer.SharedInformer(list_func=core.list_namespaced_config_map, namespace=K)
        changed, gone = threading.Event(), threading.Event()
        informer.add_event_handler("MODIFIED", lambda _obj: changed.set())
        informer.add_event_handler("DELETED", lambda _obj: gone.set())
        core.create_namespaced_config_map(K, configmap("informed"))
        informer.start()
        try:
            core.patch_namespaced_config_map("informed", K, {"data": {"a": "1"}})
            core.delete_namespaced_config_map("informed", K)
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
        deployments.create(body=deployment(name), namespace=K)
        assert deployments.patch(body=patch, name=name, namespace=K, content_type=media).metadata.labels.tier == "x"

    def test_server_side_apply_finds_conflicts(self, dynamic):
        maps = dynamic.resources.get(api_version="v1", kind="ConfigMap")
        wanted = configmap("applied", a="1")
        maps.server_side_apply(body=wanted, namespace=K, field_manager="one")
        with pytest.raises(kubernetes.dynamic.exceptions.ConflictError, match="FieldManagerConflict"):
            maps.server_side_apply(body=configmap("applied", a="2"), namespace=K, field_manager="two")
        assert (
            maps.server_side_apply(body=configmap("applied", a="2"), namespace=K, field_manager="two", force_conflicts=True).data.a == "2"
        )

    def test_a_kind_of_ones_own_and_its_status(self, api):
        kubernetes.client.ApiextensionsV1Api(api).create_custom_resource_definition(cast("Any", ours(widget_definition())))
        custom = kubernetes.client.CustomObjectsApi(api)
        place = (f"{WORD}.dev", "v1alpha1", K, "widgets")
        established(api, f"widgets.{WORD}.dev")
        custom.create_namespaced_custom_object(*place, ours(widget()))
        custom.patch_namespaced_custom_object_status(*place, "one", {"status": {"phase": "Ready"}})
        found: Any = custom.get_namespaced_custom_object(*place, "one")
        assert (found["status"]["phase"], found["metadata"]["generation"]) == ("Ready", 1)
        with pytest.raises(kubernetes.client.ApiException) as refused:
            custom.create_namespaced_custom_object(*place, ours(widget("two", size="huge")))
        assert refused.value.status == 422


class TestLightkube:
    @pytest.fixture
    def client(self, kubeconfig):
        made = lightkube.Client(lightkube.KubeConfig.from_file(str(kubeconfig)), namespace=L, field_manager="light")
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

    def test_a_roll_out_is_waited_for_and_watched(self, embedded, client):
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

    def test_pages_are_read_until_the_end(self, client):
        for index in range(5):
            client.create(ConfigMap(metadata=ObjectMeta(name=f"page-{index}", labels={"p": "y"})))
        assert [row.metadata.name for row in client.list(ConfigMap, labels={"p": "y"}, chunk_size=2)] == [f"page-{n}" for n in range(5)]

    def test_a_watch_from_version_zero_begins_with_what_is_there(self, client):
        client.create(ConfigMap(metadata=ObjectMeta(name="there")))
        events = client.watch(ConfigMap, fields={"metadata.name": "there"}, resource_version="0", server_timeout=PATIENCE)
        with contextlib.closing(events):
            kind, found = next(events)
        assert (kind, found.metadata.name) == ("ADDED", "there")

    def test_server_side_apply_finds_conflicts(self, client):
        def wanted(value):
            return ConfigMap(apiVersion="v1", kind="ConfigMap", metadata=ObjectMeta(name="applied"), data={"a": value})

        client.apply(wanted("1"), field_manager="one")
        with pytest.raises(light_errors.ApiError) as conflict:
            client.apply(wanted("2"), field_manager="two")
        assert (conflict.value.status.code, 'conflict with "one": .data.a' in str(conflict.value)) == (409, True)
        assert client.apply(wanted("2"), field_manager="two", dry_run=True, force=True).data == {"a": "2"}
        assert client.get(ConfigMap, "applied").data == {"a": "1"}
        assert client.apply(wanted("2"), field_manager="two", force=True).data == {"a": "2"}

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
        client.create(CustomResourceDefinition.from_dict(renamed("Light", "lights")))
        client.wait(CustomResourceDefinition, f"lights.{WORD}.dev", for_conditions=["Established"])
        kind: Any = create_namespaced_resource(f"{WORD}.dev", "v1alpha1", "Light", "lights")
        client.create(kind(metadata={"name": "one"}, spec={"size": "medium", "owner": "ann"}))
        client.patch(kind.Status, "one", {"status": {"phase": "Ready"}}, patch_type=light.PatchType.MERGE)
        assert client.get(kind, "one").status == {"phase": "Ready"}
        client.apply(kind(apiVersion=f"{WORD}.dev/v1alpha1", kind="Light", metadata={"name": "one"}, spec={"size": "large"}), force=True)
        assert (client.get(kind, "one").spec["size"], client.get(kind, "one").spec["owner"]) == ("large", "ann")


@pytest.mark.filterwarnings("ignore:Kubernetes version .* is not supported:UserWarning")
class TestKr8s:
    @pytest.fixture
    async def api(self, kubeconfig):
        made: Any = await kr8s.asyncio.api(kubeconfig=str(kubeconfig), namespace=R)
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

    async def test_a_roll_out_is_scaled_and_waited_for(self, embedded, api):
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

    async def test_pages_and_dry_runs_by_its_plain_calls(self, api):
        for index in range(3):
            name = f"page-{index}"
            made = await kr8s_objects.ConfigMap(configmap(name) | {"metadata": {"name": name, "labels": {"p": "y"}}}, api=api)
            await made.create()
        query = {"labelSelector": "p=y", "limit": "2"}
        async with api.call_api("GET", url="configmaps", namespace=R, params=query) as answer:
            page = answer.json()
        async with api.call_api("GET", url="configmaps", namespace=R, params=query | {"continue": page["metadata"]["continue"]}) as answer:
            rest = answer.json()
        assert [row["metadata"]["name"] for row in (*page["items"], *rest["items"])] == ["page-0", "page-1", "page-2"]
        async with api.call_api(
            "POST", url="configmaps", namespace=R, params={"dryRun": "All"}, json=configmap("dry") | {"metadata": {"name": "dry"}}
        ) as answer:
            assert answer.status_code == 201
        assert [row.name async for row in api.get("configmaps", field_selector="metadata.name=dry")] == []

    async def test_a_kind_of_ones_own_and_its_status(self, api):
        made = await kr8s_objects.CustomResourceDefinition(renamed("Ate", "ates"), api=api)
        await made.create()
        await made.wait("condition=Established", timeout=PATIENCE)
        kind = kr8s_objects.new_class("Ate", version=f"{WORD}.dev/v1alpha1", namespaced=True)
        one = await kind({"metadata": {"name": "one", "namespace": R}, "spec": {"size": "medium", "owner": "ann"}}, api=api)
        await one.create()
        await one.patch({"status": {"phase": "Ready"}}, subresource="status")
        await one.refresh()
        assert one.status.phase == "Ready"


async def first(events):
    async for event in events:
        yield event
        return


def established(api, name):
    """Wait until a kind is served."""
    watch, name = kubernetes.watch.Watch(), f"metadata.name={name}"
    definitions = kubernetes.client.ApiextensionsV1Api(api)
    for event in watch.stream(definitions.list_custom_resource_definition, field_selector=name, timeout_seconds=PATIENCE):
        if any((row.type, row.status) == ("Established", "True") for row in event["object"].status.conditions or ()):
            watch.stop()
